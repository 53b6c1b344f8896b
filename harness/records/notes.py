"""`notes.md`: a hole's own words, by heading. Markdown in, sections out; `harness.publish` makes the HTML.

A number may be bound to a record, `{{ val_bpb }}`. Here is where bindings stand in the text; what they mean
knows `harness.season.bindings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.documents import MissingFile, read_file

MAX_BYTES = 256_000  # of the file: a book of 40,000 words

# The sections a page knows, with the headings that may open them (folded to lower case).
SECTIONS: dict[str, tuple[str, ...]] = {
    "pick": ("the caddie's pick", "caddie's pick", "pick", "caddie"),
    "read": ("technical read", "read", "hypothesis"),
    "shot": ("the shot", "shot"),
    "tee": ("on the tee", "tee", "announcer"),
    "booth": ("the booth reacts", "booth", "the booth"),
    "verdict": ("verdict", "result"),
    "lesson": ("post-round lesson", "lesson"),
}

# What `notes.md` of a new hole holds: the headings that its page shows once something stands below them.
EMPTY_NOTES = "\n".join(
    f"## {heading}\n"
    for heading in (
        "The caddie's pick",
        "Technical read",
        "The shot",
        "On the tee",
        "The booth reacts",
        "Post-round lesson",
    )
)

_HEADING = re.compile(r"##[ \t]++(.*\S)")
_FENCE = re.compile(r"^(```|~~~)")
_TURN = re.compile(r"^\*\*(.{1,60}?)(?::\*\*|\*\*:)\s*(.*)$")


@dataclass(frozen=True)
class DialogueLine:
    """One line of dialogue in the booth."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Notes:
    """sections: Markdown by section key (see SECTIONS). other: sections with unknown headings, in order."""

    sections: dict[str, str] = field(default_factory=dict)
    shot_title: str = ""
    other: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str:
        return self.sections.get(key, "")

    def booth_turns(self) -> list[DialogueLine]:
        """Read the booth as dialogue: a paragraph that opens with `**Name:**`, and those after it."""
        turns: list[tuple[str, list[str]]] = []
        for paragraph in re.split(r"\n\s*\n", self.get("booth").strip()):
            text = " ".join(paragraph.split())
            if match := _TURN.match(text):
                turns.append((match[1].strip(), [match[2].strip()]))
            elif turns and text:
                turns[-1][1].append(text)
            elif text:
                turns.append(("", [text]))
        return [DialogueLine(speaker, " ".join(filter(None, texts))) for speaker, texts in turns]


def read_notes(path: Path) -> str:
    """Return the text of a `notes.md`; empty when there is none. Bytes that are not UTF-8 become U+FFFD.

    Raises FileProblem when it cannot be read, as when it is a link or too long for notes.
    """
    try:
        return read_file(path, MAX_BYTES, "shorten it, or put a file there").decode("utf-8", errors="replace")
    except MissingFile:
        return ""


def parse_notes(text: str) -> Notes:
    """Split Markdown at its `##` headings; code fences are left alone.

    `## The Shot: why half a byte costs so much` keeps what follows the colon as the shot's title.
    """
    by_heading = {heading: key for key, headings in SECTIONS.items() for heading in headings}
    sections: dict[str, str] = {}
    other: list[tuple[str, str]] = []
    shot_title = ""
    for heading, body in _split(text):
        name, _, tail = heading.partition(":")
        key = by_heading.get(name.strip().lower().replace("’", "'"))
        if key is None:
            if heading or body:
                other.append((heading, body))
            continue
        if key == "shot":
            shot_title = tail.strip()
        sections[key] = f"{sections[key]}\n\n{body}" if key in sections else body
    return Notes(sections, shot_title, tuple(other))


def _split(text: str) -> list[tuple[str, str]]:
    """Return (heading, body) pairs: "" for what stands before the first heading; a `#` title is dropped."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match:
            parts.append((match[1].rstrip(" \t#"), []))
        elif fenced or not line.startswith("# "):
            parts[-1][1].append(line)
    return [(heading, "\n".join(body).strip()) for heading, body in parts]


# Bindings -----------------------------------------------------------------------------------------

_BINDING = re.compile(r"(?<!\\)\{\{(?:([^{}]{0,200})\}\})?")
_LINE_END = re.compile(r"\r\n?|\n")  # those that Markdown knows
_BACKTICKS = re.compile(r"`++")


@dataclass(frozen=True)
class Binding:
    """One `{{ ... }}` of a text. inside: what stands between the braces; None when they are not closed.

    line: where it begins, counted from 1. start, end: its place in the text, braces included.
    """

    inside: str | None
    line: int
    start: int
    end: int


def find_bindings(text: str) -> list[Binding]:
    """Return the bindings of a text in order. Code is left alone, and so is a `{{` after a backslash."""
    if "{{" not in text:
        return []
    bindings, line, at = [], 1, 0
    for match in _BINDING.finditer(mask_code(text)):
        line, at = line + text.count("\n", at, match.start()), match.start()
        bindings.append(Binding(match[1], line, match.start(), match.end()))
    return bindings


def fill_bindings(text: str, fill: Callable[[Binding], str]) -> str:
    """Return the text with every binding replaced by what `fill` makes of it."""
    parts, at = [], 0
    for binding in find_bindings(text):
        parts += [text[at : binding.start], fill(binding)]
        at = binding.end
    return "".join([*parts, text[at:]])


def mask_code(text: str) -> str:
    """Return the text with code, in blocks and in a line, replaced by as many spaces; lines stay lines."""
    from markdown_it import MarkdownIt  # only for notes with braces, and for `harness notes check`

    starts = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text)]
    masked = list(text)

    def mask(start: int, end: int) -> None:
        masked[start:end] = [char if char in "\r\n" else " " for char in text[start:end]]

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("inline")
    for token in markdown.parse(text):
        if token.map is None:
            continue
        start, end = (starts[min(line, len(starts) - 1)] for line in token.map)
        if token.type in ("fence", "code_block"):
            mask(start, end)
        elif token.type == "inline":
            for span in _code_spans(text, start, end):
                mask(*span)
    return "".join(masked)


def _code_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where code in a line of text begins and ends: between runs of equally many backticks."""
    runs = [match.span() for match in _BACKTICKS.finditer(text, start, end)]
    later: dict[int, int] = {}  # the next run by its length
    closing: list[int | None] = []
    for at in range(len(runs) - 1, -1, -1):
        length = runs[at][1] - runs[at][0]
        closing.append(later.get(length))
        later[length] = at
    closing.reverse()
    at = 0
    while at < len(runs):
        first, last = runs[at][0], closing[at]
        if last is None or (first > start and text[first - 1] == "\\"):
            at += 1
            continue
        yield first, runs[last][1]
        at = last + 1
