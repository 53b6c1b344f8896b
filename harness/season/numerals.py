"""Numerals that people typed into notes, held against the records: which of them match nothing there.

A numeral is looked for among all that a binding of the note could name: of the hole itself, of those that its
card compares it with, and of holes that the paragraph mentions. Small whole numbers without a unit are left
alone: two clubs, hole 7, 18.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import combinations

from harness.errors import HarnessError
from harness.records.notes import find_bindings, mask_code, read_notes
from harness.season.bindings import NUMBER, NoteProblem, Sources, bind_notes, evaluate, read_number, rounds_to
from harness.season.hole import PlayedHole
from harness.season.quantities import Known, list_known
from harness.season.season import Season

_UNITS = "thousand|million|kilobytes?|kB|megabytes?|MB|bytes|ms|seconds?|s|minutes?"
_NUMERAL = re.compile(
    rf"(?<![\w.,#/:\-−+])(?P<number>{NUMBER})(?!\w*[_/]|[.,]\d|-\d)"
    rf"(?:\s*(?P<percent>%|per cent\b)|\s?(?P<unit>{_UNITS})\b)?(?![A-Za-z_])"
)
_LEFT_OUT = re.compile(r"https?://\S+|\]\((?:[^()\s]|\([^()\s]*\))*+\)|\b\d{4}-\d\d-\d\d\b")
_HOLES = re.compile(r"\bholes?\s+(\d{1,6}(?:(?:,\s*|\s+and\s+|\s+or\s+|\s+to\s+)\d{1,6})*)", re.I)
_SCALES = {
    "thousand": 1e3,
    "kilobyte": 1e3,
    "kB": 1e3,
    "million": 1e6,
    "megabyte": 1e6,
    "MB": 1e6,
    "minute": 60.0,
}
_SIZES = ("_bytes", "params", "tokens", "_seconds", "step_ms")  # quantities of which a share is of interest
_SIGNED = ("delta.", "gap", "low.", "high.")
_FAR = (".sota", ".best", ".previous")  # what another hole was compared with, and intervals to these
_PLAIN = 1000  # whole numbers below it, without a unit, are prose


@dataclass(frozen=True)
class Numeral:
    """A number as it stands in a text. scale: what it counts, as 1000 for "312 thousand"."""

    text: str
    number: Decimal
    scale: float
    percent: bool
    unit: str
    line: int
    paragraph: str

    @property
    def is_small(self) -> bool:
        """Whether it is prose: a small whole number without a unit, or a year."""
        plain = self.number == self.number.to_integral_value() and not set(self.text) & {".", ",", "e", "E"}
        year = 1900 <= self.number <= 2100 and self.text.isdecimal()
        return plain and not self.unit and not self.percent and (abs(self.number) < _PLAIN or year)


@dataclass(frozen=True)
class Candidate:
    """A figure of the records. binding: what names it. share: it may be typed in per cent.

    signed: it may be typed with a sign.
    """

    binding: str
    value: float
    unit: str = ""
    share: bool = False
    signed: bool = False

    @property
    def is_ratio(self) -> bool:
        return any(word in self.binding for word in (" / ", " over ", " under "))


@dataclass(frozen=True)
class Match:
    """A typed numeral with the figure of the records that it is, or the nearest one.

    binding: what would hold it, in braces; empty where the records know nothing of its kind.
    """

    place: str  # file:line
    numeral: str
    found: bool
    binding: str = ""
    record: str = ""

    @property
    def message(self) -> str:
        head = f"{self.place}: {self.numeral} matches no figure of the records"
        return f"{head}; the nearest is {self.record}, {self.binding}" if self.binding else head


@dataclass(frozen=True)
class NotesReport:
    """problems: of bindings. matches: of numerals that are typed and not bound. bound: how many are."""

    problems: tuple[NoteProblem, ...]
    matches: tuple[Match, ...]
    bound: int

    @property
    def unmatched(self) -> tuple[Match, ...]:
        return tuple(match for match in self.matches if not match.found)


def check_notes(season: Season, played: PlayedHole) -> NotesReport:
    """Hold a hole's notes against the records. Raises FileProblem when they cannot be read."""
    path = played.hole.notes_path
    text = read_notes(path)
    figures = _Figures(season, played)
    matches = [
        _match(figures, numeral, f"{path}:{numeral.line}")
        for numeral in find_numerals(text)
        if not numeral.is_small
    ]
    return NotesReport(bind_notes(season, played).problems, tuple(matches), len(find_bindings(text)))


def find_numerals(text: str) -> Iterator[Numeral]:
    """Yield the numbers of a text. Not looked at: code, bindings, links, dates, and parts of words."""
    masked, parts, at = mask_code(text), [], 0
    for binding in find_bindings(text):
        parts += [masked[at : binding.start], " " * (binding.end - binding.start)]
        at = binding.end
    masked = _LEFT_OUT.sub(lambda match: " " * len(match[0]), "".join([*parts, masked[at:]]))
    line, at, end, paragraph = 1, 0, 0, ""
    for match in _NUMERAL.finditer(masked):
        line, at = line + masked.count("\n", at, match.start()), match.start()
        if at >= end:  # the next paragraph: one text for all of its numbers
            start = masked.rfind("\n\n", 0, at) + 1
            end = masked.find("\n\n", match.end())
            end = end if end >= 0 else len(text)
            paragraph = text[start:end]
        unit = match["unit"] or ""
        yield Numeral(
            text=" ".join(match[0].split()),
            number=read_number(match["number"]),
            scale=next((scale for name, scale in _SCALES.items() if unit.startswith(name)), 1.0),
            percent=bool(match["percent"]),
            unit=unit,
            line=line,
            paragraph=paragraph,
        )


def _match(figures: _Figures, numeral: Numeral, place: str) -> Match:
    candidates = [one for one in figures.around(numeral.paragraph) if _may_be(numeral, one)]
    for candidate in candidates:
        if _is(numeral, candidate):
            return Match(place, numeral.text, True, figures.bind(candidate, numeral), numeral.text)
    nearest = min(candidates, key=lambda one: _distance(numeral, one), default=None)
    if nearest is None:
        return Match(place, numeral.text, False)
    shown = figures.show(nearest, numeral)
    return Match(place, numeral.text, False, f"{{{{ {nearest.binding} }}}}", shown)


def _may_be(numeral: Numeral, candidate: Candidate) -> bool:
    """Whether the units fit."""
    if numeral.percent:
        return candidate.share
    if numeral.text[:1] in "+-−" and not candidate.signed:
        return False
    if numeral.unit in ("", "thousand", "million"):
        return candidate.unit != "MB" and not candidate.is_ratio
    unit = "bytes" if numeral.unit[:1] in "kMb" or numeral.unit.startswith("mega") else "s"
    return candidate.unit == ("ms" if numeral.unit == "ms" else unit)


def _in_units(numeral: Numeral, candidate: Candidate) -> float:
    """The candidate's value, counted as the numeral counts; its sign matters where one was typed."""
    value = candidate.value * (100 if numeral.percent else 1) / numeral.scale
    return value if numeral.text[:1] in "+-−" else abs(value)


def _is(numeral: Numeral, candidate: Candidate) -> bool:
    return rounds_to(_in_units(numeral, candidate), numeral.number)


def _distance(numeral: Numeral, candidate: Candidate) -> float:
    value, typed = _in_units(numeral, candidate), float(numeral.number)
    return abs(value - typed) / max(abs(value), abs(typed), 1e-12)


class _Figures:
    """The figures that a hole's notes may quote, gathered once."""

    def __init__(self, season: Season, played: PlayedHole) -> None:
        self._season, self._played = season, played
        self._others: dict[str, list[Candidate]] = {}
        self._sources: Sources = {}

    def around(self, paragraph: str) -> list[Candidate]:
        """Those of the hole, of its references, and of the holes that a paragraph mentions; nearest first."""
        found = list(self._own)
        for folder, other in self._references.items() | self._mentioned(paragraph).items():
            if folder not in self._others:
                self._others[folder] = list(self._beside(other))
            found += self._others[folder]
        return found

    def show(self, candidate: Candidate, numeral: Numeral) -> str:
        """The candidate at the digits of the numeral, with its unit."""
        number = numeral.text.split()[0].rstrip("%kMBmsbyte")
        places = max(0, -int(read_number(number).as_tuple().exponent))
        value = _in_units(numeral, candidate)
        unit = " %" if numeral.percent else f" {numeral.unit}" if numeral.unit else ""
        return f"{value:,.{places}f}{unit}"

    def bind(self, candidate: Candidate, numeral: Numeral) -> str:
        """The binding that renders the numeral: as it comes, or with the typed number held to it."""
        binding = candidate.binding
        if candidate.value < 0 and " - " in binding and numeral.text[:1] not in "+-−":
            binding = " - ".join(reversed(binding.split(" - ")))
        plain = f"{{{{ {binding} }}}}"
        try:
            if self._evaluate(binding) == numeral.text:
                return plain
            held = f"{binding} = {numeral.text}"
            self._evaluate(held)
        except HarnessError:
            return plain
        return f"{{{{ {held} }}}}"

    def _evaluate(self, inside: str) -> str:
        return evaluate(self._season, self._played, inside, self._sources)

    @cached_property
    def _known(self) -> list[Known]:
        return list(list_known(self._season, self._played))

    @cached_property
    def _own(self) -> list[Candidate]:
        stages = [one for one in self._known if one.name.startswith("stage_bpb.")]
        pairs = [
            Candidate(f"{a.name} - {b.name}", a.value - b.value, signed=True)
            for a, b in combinations(stages, 2)
            if isinstance(a.value, float) and isinstance(b.value, float)
        ]
        return [*_candidates(self._known), *pairs]

    @cached_property
    def _references(self) -> dict[str, PlayedHole]:
        compared = self._season.standing(self._played).comparisons.values()
        return {one.hole.name.folder: one.hole for one in compared if one.hole}

    @lru_cache(maxsize=8)  # noqa: B019 (a paragraph has many numbers; this object goes with its notes)
    def _mentioned(self, paragraph: str) -> dict[str, PlayedHole]:
        numbers = {
            int(number) for match in _HOLES.finditer(paragraph) for number in re.findall(r"\d+", match[1])
        }
        return {
            hole.name.folder: hole
            for hole in self._season.holes
            if hole.name.number in numbers and hole is not self._played
        }

    def _beside(self, other: PlayedHole) -> Iterator[Candidate]:
        """The figures of another hole, and how this one differs from it in size and score."""
        prefix = f"hole:{other.name.number}."
        theirs = {one.name: one for one in list_known(self._season, other)}
        yield from _candidates(theirs.values(), prefix)
        for name in ("delta", "p"):
            of = f"{name}.hole:{other.name.number}"
            try:
                value = float(self._evaluate(f"{of}:.17g"))
                yield Candidate(of, value, signed=name == "delta")
            except HarnessError:
                continue  # not comparable, or without a p-value
        for mine in self._known:
            their = theirs.get(mine.name)
            sizes = mine.name.endswith(_SIZES) or mine.name.startswith(("knob.", "stage_bpb."))
            if their is None or not sizes or not _is_number(mine.value) or not _is_number(their.value):
                continue
            a, b = float(mine.value), float(their.value)  # type: ignore[arg-type]
            yield Candidate(f"{mine.name} - {prefix}{their.name}", a - b, mine.quantity.unit, signed=True)
            if b and mine.name.endswith(_SIZES):
                operator, share = ("over", a / b - 1) if a > b else ("under", 1 - a / b)
                yield Candidate(f"{mine.name} {operator} {prefix}{their.name}", share, share=True)
                yield Candidate(f"{mine.name} / {prefix}{their.name}", a / b, share=True)


def _candidates(known: Iterable[Known], prefix: str = "") -> Iterator[Candidate]:
    for one in known:
        far = one.name.endswith(_FAR) and (prefix or one.name.startswith(("low", "high")))
        if _is_number(one.value) and not far:
            yield Candidate(
                f"{prefix}{one.name}",
                float(one.value),  # type: ignore[arg-type]
                one.quantity.unit,
                share=one.name.startswith("knob."),
                signed=one.name.startswith(_SIGNED),
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
