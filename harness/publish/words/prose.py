"""Notes to HTML that cannot harm: Markdown without raw HTML, then sanitised, links only to other sites or holes."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING

import nh3
from markupsafe import Markup, escape

from harness.publish.words.text import tidy

if TYPE_CHECKING:  # most holes have no notes
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TAGS = {
    "p",
    "br",
    "em",
    "strong",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "hr",
    "h3",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_LINK = re.compile(r"(https?://|mailto:)", re.I)
EXCERPT = 180


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables and strikethrough. Pictures are off: a page asks nothing of other hosts."""
    from markdown_it import MarkdownIt

    markdown = (
        MarkdownIt("commonmark", {"html": False})
        .enable(["table", "strikethrough"])
        .disable(["image", "html_inline", "html_block"])
    )
    markdown.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    return markdown


def render(text: str) -> Markup:
    """Turn notes into HTML. Headings become h3, since a page's sections are h2."""
    if not text.strip():
        return Markup("")
    tokens = _markdown().parse(_unprintable(text))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h3"
    return _clean(tokens)


def _clean(tokens: list[Token]) -> Markup:
    markdown = _markdown()
    raw = markdown.renderer.render(tokens, markdown.options, {})
    clean = nh3.clean(
        raw,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        link_rel="noopener nofollow",
        url_schemes={"http", "https", "mailto"},
    )
    # A wide table scrolls inside its own box; a table without a caption is announced by its place.
    clean = clean.replace(
        "<table>",
        '<div class="scroll" role="group" aria-label="table" tabindex="0"><table><caption class="unseen">From the notes</caption>',
    )
    return Markup(clean.replace("</table>", "</table></div>").strip())


def _unprintable(text: str) -> str:
    """Drop what turns text around or cannot be printed, line by line, so that Markdown keeps its lines."""
    return "\n".join(line if line.isprintable() else _spaced(line) for line in text.split("\n"))


def _spaced(line: str) -> str:
    """Like `tidy`, but indentation and inner spaces stay: they mean something in Markdown."""
    return "".join(char if char == "\t" or tidy(char) or char == " " else " " for char in line)


def words(text: str) -> Markup:
    """Turn plain text into HTML: escaped, nothing else."""
    return Markup(escape(text))


def excerpt(rendered: Markup, limit: int = EXCERPT) -> str:
    """Return the first words of rendered prose as plain text, cut at a word."""
    spaced = re.sub(r"</(?:p|li|h3|td|th|pre)>", " ", str(rendered)).replace("<p>", "")
    plain = nh3.clean(spaced, tags=set()) if "<" in spaced else spaced
    return tidy(html.unescape(plain), limit)


def split_direction(text: str) -> tuple[str, str]:
    """Set the stage direction apart: `*[Whispering]*` at the start of an announcer's text."""
    match = re.match(r"\s*[*_]{0,2}\[(.{1,200}?)\][*_]{0,2}[ \t]*\n?", text, re.S)
    return (" ".join(match[1].split()), text[match.end() :]) if match else ("", text)


def split_question(text: str) -> tuple[str, str]:
    """Set the question apart: a first paragraph of one line or two that ends in a question mark."""
    first, _, rest = text.strip().partition("\n\n")
    question = " ".join(first.split())
    return (question, rest) if question.endswith("?") and len(question) <= 240 else ("", text)
