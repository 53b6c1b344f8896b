"""The voices: what may be said of a hole, and who says what where its notes are silent.

Facts are read off a standing as tags and finished strings; the words are data (`site/copy/voices.toml`,
`results.toml`). A line may only name figures that are known, and which line is drawn depends on the
hole's name alone, so a page reads the same each time. Knows nothing of pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.publish.words.facts import Facts


@dataclass(frozen=True)
class Lines:
    """One group of lines. ordered: the first that can be said wins; otherwise the hole's name draws one."""

    when: frozenset[str]
    lines: tuple[str, ...]
    ordered: bool = False
    silent: bool = False


@dataclass(frozen=True)
class ResultLabel:
    """A row of the results table, as it came out for one hole."""

    label: str
    headline: str
    rule: str


Script = Mapping[str, Sequence[Lines]]


def read_script(raw: Mapping[str, Any], place: str) -> dict[str, tuple[Lines, ...]]:
    """Read the groups of lines of a voices file. Raises HarnessError naming the part that is malformed."""
    script = {}
    for part, groups in raw.items():
        if isinstance(groups, list):
            script[part] = tuple(_read_group(group, f"{place}: {part}") for group in groups)
    return script


def _read_group(group: object, place: str) -> Lines:
    if not isinstance(group, dict):
        raise HarnessError(f"{place} is not a table", "write [[part]] with `when` and `lines`")
    when, lines = group.get("when", []), group.get("lines", [])
    strings = isinstance(when, list) and isinstance(lines, list)
    if not strings or not all(isinstance(item, str) for item in [*when, *lines]):
        raise HarnessError(
            f"{place}: `when` and `lines` must be lists of strings", "see site/copy/voices.toml"
        )
    return Lines(frozenset(when), tuple(lines), bool(group.get("ordered")), bool(group.get("silent")))


def speak(script: Script, part: str, facts: Facts) -> str:
    """Return what is said in a part, or an empty string when nothing can be."""
    for group in script.get(part, ()):
        if not group.when <= facts.tags:
            continue
        if group.silent:
            return ""
        said = [line for line in map(facts.fill, group.lines) if line is not None]
        if said:
            return said[0] if group.ordered else said[_draw(f"{facts.seed}/{part}", len(said))]
    return ""


def name_result(table: Sequence[Mapping[str, Any]], facts: Facts) -> ResultLabel:
    """Return the first row of the published results table that fits."""
    for row in table:
        if facts.tags.issuperset(row["when"]):
            lines = [line for line in map(facts.fill, row["headlines"]) if line is not None]
            headline = lines[_draw(f"{facts.seed}/{row['label']}", len(lines))] if lines else ""
            return ResultLabel(row["label"], headline, row["rule"])
    return ResultLabel("", "", "")


def _draw(key: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % count


# Facts -------------------------------------------------------------------------------------------------
