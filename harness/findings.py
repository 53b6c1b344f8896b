"""What a check found: level, what, why it matters, what to type; and how that reads in a terminal. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.figures import number

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing.

    error: the run would fail or prove nothing. warning: it would run, but not as meant. note: good to know.
    what: with the value and the place. why: why it matters. todo: what to type or do next.
    """

    level: Level
    what: str
    why: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Group:
    """Checks of one kind. summary: what was looked at and found in order, in a line."""

    name: str
    summary: str = ""
    findings: tuple[Finding, ...] = ()

    def as_data(self) -> dict[str, Any]:
        return {"group": self.name, "summary": self.summary, "findings": [asdict(f) for f in self.findings]}


def of_level(groups: Sequence[Group], level: Level) -> list[Finding]:
    return [finding for group in groups for finding in group.findings if finding.level == level]


def report(groups: Sequence[Group], width: int = 80) -> str:
    """Return the groups as text: a line for a group without findings, else the worst finding first."""
    margin = max((len(group.name) for group in groups), default=0) + 2
    lines = []
    for group in groups:
        lines += _fold(group.name.ljust(margin) + (group.summary or "in order"), width, " " * margin)
        for finding in sorted(group.findings, key=lambda one: LEVELS.index(one.level)):
            lines += _fold(f"  {finding.level}: {finding.what}", width, "    ")
            if finding.why:
                lines += _fold(f"    why: {finding.why}", width, "      ")
            if finding.todo:
                lines += _fold(f"    do:  {finding.todo}", width, "      ")
    counts = [(len(of_level(groups, level)), level) for level in LEVELS]
    totals = [number(count, level) for count, level in counts if count]
    return "\n".join([*lines, ", ".join(totals) or "all is well"])


def _fold(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]
