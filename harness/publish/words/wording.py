"""The words of a page: the site's copy (`site/copy/*.toml`, a theme's own first), a hole's notes, its voices.

Holds no words itself. Notes become HTML that cannot harm: Markdown without raw HTML, then sanitised, links
only to other sites or holes. Where the notes are silent, a member of the cast speaks by rule (`commentary`).
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nh3
from markupsafe import Markup, escape

from harness.documents import read_toml
from harness.errors import HarnessError
from harness.files import shared_dir
from harness.plain_text import plain
from harness.publish.words.commentary import Facts, Narrator, VoiceLines, read_script, tidy
from harness.records.notes import Notes

if TYPE_CHECKING:  # most holes have no notes
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_BYTES = 1_000_000  # of a file of the copy

# The scorecard's figures, in order; each has a term of the glossary as its tooltip.
TOOLTIPS = ("bpb", "loss", "params", "artifact", "wall", "steps", "step-avg")


@dataclass(frozen=True)
class Speaker:
    """A member of the cast."""

    key: str
    name: str
    role: str
    initials: str


@dataclass(frozen=True)
class Wording:
    """club: the tables of club.toml. terms: the glossary in order. results: the table of results."""

    club: Mapping[str, Mapping[str, str]]
    terms: Sequence[Mapping[str, str]]
    results: Sequence[Mapping[str, Any]]
    cast: Mapping[str, Speaker]
    script: VoiceLines

    def say(self, table: str, key: str) -> str:
        """Return one phrase of club.toml, or the key itself when a theme dropped it."""
        return self.club.get(table, {}).get(key, key)

    def fill(self, table: str, key: str, **values: str) -> str:
        """Return a phrase with its {names} filled in; empty when it names one that is not given."""
        return Facts("", frozenset(), values).fill(self.say(table, key)) or ""


def load_wording(theme: Path | None) -> Wording:
    """Read all copy. What a theme's `copy/NAME.toml` says wins, table by table; the rest is ours.

    Raises HarnessError with the place of a mistake.
    """
    if theme is not None and not theme.is_dir():
        raise HarnessError(
            f"there is no theme in {theme}", "a theme is a folder with templates/, assets/ or copy/"
        )
    club = _read("club.toml", theme)
    voices = _read("voices.toml", theme)
    cast = {
        key: Speaker(key, person["name"], person["role"], person["initials"])
        for key, person in voices.pop("cast").items()
    }
    results = _read("results.toml", theme)["result"]
    for number, row in enumerate(results, start=1):
        if missing := {"label", "when", "rule", "headlines"} - row.keys():
            raise HarnessError(
                f"results.toml: result {number} lacks {', '.join(sorted(missing))}",
                "see site/copy/results.toml",
            )
    return Wording(club, _read_terms(theme), results, cast, read_script(voices, "voices.toml"))


def _read_terms(theme: Path | None) -> list[dict[str, str]]:
    """The glossary, with nothing missing that a tooltip needs."""
    terms: list[dict[str, str]] = _read("glossary.toml", theme)["term"]
    for number, term in enumerate(terms, start=1):
        if missing := {"id", "name", "long_name", "text", "here"} - term.keys():
            raise HarnessError(
                f"glossary.toml: term {number} lacks {', '.join(sorted(missing))}",
                "see site/copy/glossary.toml",
            )
    if missing := set(TOOLTIPS) - {term["id"] for term in terms}:
        raise HarnessError(
            f"glossary.toml lacks the terms {', '.join(sorted(missing))}", "tooltips need them"
        )
    return terms


def _read(name: str, theme: Path | None) -> dict[str, Any]:
    ours = read_toml(shared_dir("site") / "copy" / name, MAX_BYTES)
    own = theme / "copy" / name if theme else None
    return _overlay(ours, read_toml(own, MAX_BYTES)) if own is not None and own.is_file() else ours


def _overlay(ours: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables key by key; lists and values of the theme replace ours."""
    merged = dict(ours)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


_MONTHS = "January February March April May June July August September October November December"


def long_day(day: dt.date | None) -> str:
    """Write March 18, 2026; without the locale, so that pages are the same everywhere."""
    return f"{_MONTHS.split()[day.month - 1]} {day.day}, {day.year}" if day else "day not known"


# Notes --------------------------------------------------------------------------------------------

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


def render_notes(text: str) -> Markup:
    """Turn notes into HTML. Headings become h3, since a page's sections are h2."""
    if not text.strip():
        return Markup("")
    tokens = _markdown().parse(plain(text))
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
        '<div class="scroll" role="group" aria-label="table" tabindex="0"><table>'
        '<caption class="unseen">From the notes</caption>',
    )
    return Markup(clean.replace("</table>", "</table></div>").strip())


def render_plain(text: str) -> Markup:
    """Turn plain text into HTML: escaped, no markup."""
    return Markup(escape(text))


def excerpt(rendered: Markup, limit: int = EXCERPT) -> str:
    """Return the first words of rendered prose as plain text, cut at a word."""
    spaced = re.sub(r"</(?:p|li|h3|td|th|pre)>", " ", str(rendered)).replace("<p>", "")
    words = nh3.clean(spaced, tags=set()) if "<" in spaced else spaced
    return tidy(html.unescape(words), limit)


def split_direction(text: str) -> tuple[str, str]:
    """Return the stage direction (`*[Whispering]*` at the start of an announcer's text) and the rest."""
    match = re.match(r"\s*[*_]{0,2}\[(.{1,200}?)\][*_]{0,2}[ \t]*\n?", text, re.S)
    return (" ".join(match[1].split()), text[match.end() :]) if match else ("", text)


def split_question(text: str) -> tuple[str, str]:
    """Return the question (a first paragraph of a line or two that ends in a question mark) and the rest."""
    first, _, rest = text.strip().partition("\n\n")
    question = " ".join(first.split())
    return (question, rest) if question.endswith("?") and len(question) <= 240 else ("", text)


# Voices -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Voice:
    """What one of the cast says. own: from the hole's notes, not made by rule."""

    speaker: Speaker
    html: Markup
    excerpt: str
    own: bool
    direction: str = ""


@dataclass(frozen=True)
class BoothLine:
    name: str
    initials: str
    html: Markup
    side: str


def _voice(speaker: Speaker, notes: str, by_rule: Callable[[], str], direction: str = "") -> Voice:
    """The words of the notes or, where these are empty, a line of the copy; nothing where none is left."""
    from_notes = render_notes(notes)
    line = "" if from_notes else by_rule()
    words = from_notes or (Markup("<p>%s</p>") % line if line else Markup(""))
    return Voice(speaker, words, excerpt(words), bool(from_notes), direction)


def caddie_voice(notes: Notes, wording: Wording, narrator: Narrator) -> Voice:
    """What the caddie makes of the idea, before the shot."""
    return _voice(wording.cast["caddie"], notes.get("pick"), lambda: narrator.speak("pick"))


def announcer_voice(notes: Notes, wording: Wording, narrator: Narrator) -> Voice:
    """The call from the tee, its stage direction set apart."""
    direction, text = split_direction(notes.get("tee"))
    direction = tidy(direction, 160) or narrator.speak("direction")
    return _voice(wording.cast["announcer"], text, lambda: narrator.speak("tee"), direction)


_BOOTH = (
    ("booth_open", "announcer"),
    ("booth_reply", "analyst"),
    ("booth_aside", "announcer"),
    ("booth_close", "announcer"),
)


def booth_dialogue(notes: Notes, wording: Wording, narrator: Narrator) -> tuple[tuple[BoothLine, ...], Voice]:
    """Return the dialogue, and the analyst's first turn of it as a voice of its own."""
    from_notes = [(turn.speaker, render_notes(turn.text)) for turn in notes.booth_turns()]
    turns: list[BoothLine] = []
    sides: dict[str, str] = {}
    for name, words in from_notes or _booth_by_rule(wording, narrator):
        sides.setdefault(name, "left" if len(sides) % 2 == 0 else "right")
        label = tidy(name, 60) or wording.say("booth", "unnamed")
        turns.append(BoothLine(label, _initials(label, wording), words, sides[name]))
    analyst = wording.cast["analyst"]
    first = next((turn for turn in turns if turn.name == analyst.name), turns[0] if turns else None)
    words = first.html if first else Markup("")
    return tuple(turns), Voice(analyst, words, excerpt(words), bool(from_notes))


def _booth_by_rule(wording: Wording, narrator: Narrator) -> list[tuple[str, Markup]]:
    """Return (name, words) of each turn; two lines of one speaker in a row are one turn."""
    turns: list[tuple[str, Markup]] = []
    for part, who in _BOOTH:
        line = narrator.speak(part)
        if not line:
            continue
        name, words = wording.cast[who].name, Markup("<p>%s</p>") % line
        if turns and turns[-1][0] == name:
            turns[-1] = (name, turns[-1][1] + words)
        else:
            turns.append((name, words))
    return turns


def _initials(name: str, wording: Wording) -> str:
    known = next((speaker.initials for speaker in wording.cast.values() if speaker.name == name), None)
    return known or "".join(word[0] for word in name.split()[:2]).upper()
