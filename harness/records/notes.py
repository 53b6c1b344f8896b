"""`notes.md`: a hole's own words, by heading. Markdown in, sections out; `harness.publish` makes the HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.files import read_plain

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

_HEADING = re.compile(r"^##[ \t]+(.+?)[ \t#]*$")
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
        turns: list[DialogueLine] = []
        for paragraph in re.split(r"\n\s*\n", self.get("booth").strip()):
            text = " ".join(paragraph.split())
            if match := _TURN.match(text):
                turns.append(DialogueLine(match[1].strip(), match[2].strip()))
            elif turns and text:
                turns[-1] = DialogueLine(turns[-1].speaker, f"{turns[-1].text} {text}")
            elif text:
                turns.append(DialogueLine("", text))
        return turns


def load_notes(path: Path) -> Notes:
    """Read a `notes.md`; a missing file is empty notes. Bytes that are not UTF-8 become U+FFFD.

    Raises OSError when it cannot be read, as when it is a link.
    """
    try:
        return parse_notes(read_plain(path).decode("utf-8", errors="replace"))
    except (FileNotFoundError, IsADirectoryError):
        return Notes()


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
            parts.append((match[1].strip(), []))
        elif fenced or not line.startswith("# "):
            parts[-1][1].append(line)
    return [(heading, "\n".join(body).strip()) for heading, body in parts]
