"""Who says what on a hole's page: the notes' own words, or the cast's by rule where the notes are silent."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from harness.publish.words import prose
from harness.publish.words.commentary import speak
from harness.publish.words.facts import Facts
from harness.publish.words.text import tidy
from harness.publish.words.wording import Speaker, Wording
from harness.records.notes import Notes


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


def _voice(speaker: Speaker, noted: str, spoken: str, direction: str = "") -> Voice:
    html = prose.render(noted)
    own = bool(html)
    html = html or Markup("<p>%s</p>") % spoken
    return Voice(speaker, html, prose.excerpt(html), own, direction)


def caddie_voice(notes: Notes, wording: Wording, facts: Facts) -> Voice:
    """What the caddie makes of the idea, before the shot."""
    return _voice(wording.cast["caddie"], notes.get("pick"), speak(wording.script, "pick", facts))


def announcer_voice(notes: Notes, wording: Wording, facts: Facts) -> Voice:
    """The call from the tee, its stage direction set apart."""
    direction, text = prose.split_direction(notes.get("tee"))
    return _voice(
        wording.cast["announcer"],
        text,
        speak(wording.script, "tee", facts),
        tidy(direction, 160) or speak(wording.script, "direction", facts),
    )


_BOOTH = (
    ("booth_open", "announcer"),
    ("booth_reply", "analyst"),
    ("booth_aside", "announcer"),
    ("booth_close", "announcer"),
)


def booth_dialogue(notes: Notes, wording: Wording, facts: Facts) -> tuple[tuple[BoothLine, ...], Voice]:
    """Return the dialogue, and the analyst's first word of it as a voice of its own."""
    noted = [(turn.speaker, prose.render(turn.text)) for turn in notes.booth_turns()]
    spoken = []
    if not noted:
        for part, who in _BOOTH:
            if text := speak(wording.script, part, facts):
                spoken.append((wording.cast[who].name, Markup("<p>%s</p>") % text))
        # Two words of the announcer in a row are one turn.
        merged: list[tuple[str, Markup]] = []
        for name, html in spoken:
            if merged and merged[-1][0] == name:
                merged[-1] = (name, merged[-1][1] + html)
            else:
                merged.append((name, html))
        spoken = merged
    turns: list[BoothLine] = []
    sides: dict[str, str] = {}
    for name, html in noted or spoken:
        sides.setdefault(name, "left" if len(sides) % 2 == 0 else "right")
        shown = tidy(name, 60) or wording.say("booth", "unnamed")
        turns.append(BoothLine(shown, _initials(shown, wording), html, sides[name]))
    analyst = wording.cast["analyst"]
    first = next((turn for turn in turns if turn.name == analyst.name), turns[0] if turns else None)
    html = first.html if first else Markup("")
    return tuple(turns), Voice(analyst, html, prose.excerpt(html), bool(noted))


def _initials(name: str, wording: Wording) -> str:
    known = next((speaker.initials for speaker in wording.cast.values() if speaker.name == name), None)
    return known or "".join(word[0] for word in name.split()[:2]).upper()
