"""The lines of the copy, and which of them speaks for a hole.

The lines are data (`site/copy/voices.toml`, `results.toml`): groups with the facts that must hold before one
may speak. A line may only name figures that are known, and no sentence is heard twice in a round: holes take
turns in the order of play, and each takes the first line, in an order that follows from its own name, that
repeats no sentence of one before it. So a page reads the same each time, and a later hole never changes it.
Knows nothing of records or pages; what is true of a hole is found by `facts`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.plain_text import plain_line


def tidy(text: str, limit: int | None = None) -> str:
    """Make one line of anything: no control or direction-changing characters, cut at a word when too long."""
    line = " ".join(plain_line(text).split())
    if limit is None or len(line) <= limit:
        return line
    cut = line[: limit - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > limit // 2 else cut).rstrip(" ,;:.") + "…"


_NAME = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Facts:
    """tags: what is the case. values: what may be quoted, ready for print; absent when it is not known."""

    seed: str
    tags: frozenset[str]
    values: Mapping[str, str]

    def fill(self, line: str) -> str | None:
        """Put values into a line, or return None when it names one that is not known."""
        try:
            return _NAME.sub(lambda match: self.values[match[1]], line) if "{" in line else line
        except KeyError:
            return None


# Lines -------------------------------------------------------------------------------------------

_CHOICE = re.compile(r"\[([^\[\]|]*(?:\|[^\[\]|]*)+)\]")


_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]?\s+")


def split_sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(text)


def expand(line: str) -> Iterator[str]:
    """Write out a line with choices: `[Gained|Won] {story_size}[ in all|].` is four lines."""
    parts = _CHOICE.split(line)  # text and choices by turns
    choices = [part.split("|") if at % 2 else [part] for at, part in enumerate(parts)]
    return map("".join, itertools.product(*choices))


@dataclass(frozen=True)
class Lines:
    """One group of lines. when: tags that must all hold. silent: neither it nor a later group speaks."""

    when: frozenset[str]
    lines: tuple[str, ...]
    silent: bool = False


@dataclass(frozen=True)
class ResultLabel:
    """The row of the results table that fits a hole. rule: when the label is given."""

    label: str
    headline: str
    rule: str


VoiceLines = Mapping[str, Sequence[Lines]]


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
    return Lines(
        frozenset(when), tuple(one for line in lines for one in expand(line)), bool(group.get("silent"))
    )


@dataclass(frozen=True)
class Choice:
    """Keys of the sentences that a hole took, and of those that it passed over since they had been heard."""

    own: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()

    def still_holds(self, used: Collection[str]) -> bool:
        """Whether the hole would choose the same if the holes before it had used these sentences."""
        heard = set(used)
        return heard.isdisjoint(self.own) and (heard | set(self.own)).issuperset(self.passed_over)


class Narrator:
    """Speaks for one hole, and keeps which sentences it took, so that the holes after it take others.

    used: keys of the sentences that the holes before it in its round took.
    """

    def __init__(self, script: VoiceLines, facts: Facts, used: Collection[str] = ()) -> None:
        self._script, self._facts = script, facts
        self._used = set(used)
        self._own: list[str] = []
        self._passed_over: set[str] = set()

    @property
    def choice(self) -> Choice:
        """What this hole took so far."""
        return Choice(tuple(self._own), tuple(sorted(self._passed_over)))

    def speak(self, part: str) -> str:
        """Return a line for one part of a page, or an empty string when none is left that may be used."""
        for group in self._script.get(part, ()):
            if not group.when <= self._facts.tags:
                continue
            if group.silent:
                return ""
            if line := self._take(part, group.lines):
                return line
        return ""

    def name_result(self, table: Sequence[Mapping[str, Any]]) -> ResultLabel:
        """Return the first row of the published results table that fits."""
        for row in table:
            if self._facts.tags.issuperset(row["when"]):
                lines = [one for line in row["headlines"] for one in expand(line)]
                return ResultLabel(row["label"], self._take(row["label"], lines), row["rule"])
        return ResultLabel("", "", "")

    def _take(self, part: str, lines: Sequence[str]) -> str:
        """Take the first line in the hole's own order that names nothing unknown and repeats no sentence."""
        place = f"{self._facts.seed}/{part}/"
        for line in sorted(lines, key=lambda line: _digest(place + line)):
            if (filled := self._facts.fill(line)) is None:
                continue
            keys = [_digest(sentence) for sentence in split_sentences(line)]
            if heard := self._used.intersection(keys):
                self._passed_over.add(min(heard))
                continue
            self._used.update(keys)
            self._own += keys
            return filled
        return ""


def _digest(text: str) -> str:
    """The same in every process; sixteen digits of it tell some hundreds of lines apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
