"""View models of a round: eighteen holes as a scorecard, its two nines, its walk, its curves side by side."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from harness import figures
from harness.publish.drawings.charts import Series, loss_range, small_curve
from harness.publish.views.index import Line, draw_trend, on_one_split
from harness.publish.words.wording import Wording
from harness.records.intent import HOLES_PER_ROUND
from harness.season.season import Season

ROWS_ON_INDEX = 36  # newest rounds up to so many holes stand on the index in full
NINE = HOLES_PER_ROUND // 2


@dataclass(frozen=True)
class Cell:
    """A hole on the card of a nine; holes that were not made are blank. short: the distance to par."""

    hole: int
    href: str = ""
    title: str = ""
    strokes: int = 0
    short: str = ""


@dataclass(frozen=True)
class Nine:
    """Half a round. total: its circles and squares added up, E when they are level."""

    name: str
    cells: tuple[Cell, ...]
    total: str


@dataclass(frozen=True)
class Walk:
    """The round's scores in order. sota: whether the field's record is drawn as well."""

    svg: Markup
    course: str
    par: str
    sota: bool


@dataclass(frozen=True)
class Spark:
    """A hole's curve among the others of its round."""

    href: str
    hole: int
    title: str
    svg: Markup
    end: str


@dataclass(frozen=True)
class Round:
    """Up to eighteen holes. tally: what they came to, in words."""

    number: int
    lines: tuple[Line, ...]
    tally: str
    best: Line | None
    days: str

    @property
    def href(self) -> str:
        return f"round-{self.number}.html"

    @property
    def lessons(self) -> list[Line]:
        return [line for line in self.lines if line.own_lesson]

    @cached_property
    def nines(self) -> tuple[Nine, ...]:
        """Out and, once it was begun, in."""
        halves = ("out", range(1, NINE + 1)), ("in", range(NINE + 1, HOLES_PER_ROUND + 1))
        found = [_nine(name, holes, self.lines) for name, holes in halves]
        return tuple(nine for nine in found if any(cell.href for cell in nine.cells))


def rounds_of(lines: Sequence[Line]) -> list[Round]:
    """Cut a season into rounds, newest first."""
    by_round: dict[int, list[Line]] = {}
    for line in lines:
        by_round.setdefault(line.round, []).append(line)
    return [_round(number, by_round[number]) for number in sorted(by_round, reverse=True)]


def rounds_on_index(rounds: Sequence[Round]) -> list[Round]:
    """The newest rounds that stand on the index in full."""
    shown: list[Round] = []
    for one in rounds:
        if shown and sum(len(each.lines) for each in [*shown, one]) > ROWS_ON_INDEX:
            break
        shown.append(one)
    return shown


def tally(lines: Sequence[Line]) -> str:
    """What holes came to, in words: 3 × Bogey, 1 × Par."""
    names = Counter(line.verdict for line in lines)
    return ", ".join(f"{count} × {name}" for name, count in names.most_common())


def _round(number: int, lines: list[Line]) -> Round:
    counted = [
        line for line in lines if line.status == "ok" and line.to_par.value and line.val_bpb is not None
    ]
    best = min(counted, key=lambda line: (line.val_bpb or 0.0) - (line.par or 0.0), default=None)
    days = sorted((line.day_iso, line.day) for line in lines if line.day_iso)
    span = " to ".join(dict.fromkeys((days[0][1], days[-1][1]))) if days else ""
    return Round(number, tuple(lines), tally(lines), best, span)


def _nine(name: str, holes: range, lines: Sequence[Line]) -> Nine:
    by_hole = {line.hole: line for line in lines}
    cells = [
        Cell(hole, line.href, line.title, line.strokes, _short(line))
        if (line := by_hole.get(hole))
        else Cell(hole)
        for hole in holes
    ]
    total = sum(cell.strokes for cell in cells)
    return Nine(name, tuple(cells), f"{total:+d}" if total else "E")


def _short(line: Line) -> str:
    """The distance to par as it fits into a cell: +.190, E within noise of nothing, a dash without a score."""
    if line.status != "ok" or line.val_bpb is None or line.par is None:
        return "—"
    distance = f"{line.val_bpb - line.par:+.3f}"
    return "E" if distance in ("+0.000", "-0.000") else distance.replace("0.", ".", 1)


def draw_round(one: Round, season: Season, wording: Wording) -> Walk | None:
    """Draw the round's scores in order, on the course it was mostly played on; None with fewer than two."""
    counted = Counter(line.course for line in one.lines if line.val_bpb is not None)
    course = season.course(counted.most_common(1)[0][0]) if counted else None
    if course is None:
        return None
    played = [line for line in one.lines if line.course == course.name and line.status == "ok"]
    scored = on_one_split([line for line in played if line.val_bpb is not None])
    best = min(scored, key=lambda line: (line.val_bpb, line.number), default=None)
    par = course.par.val_bpb if course.par else next((line.par for line in scored if line.par), None)
    svg = draw_trend(course, scored, best, par, wording)
    return Walk(svg, course.title, figures.bpb(par) if par else "", "line pin" in svg) if svg else None


def sparks_of(one: Round) -> list[Spark]:
    """Draw every curve of the round; those of one course on one scale, which a hole that went astray does not set."""
    sparks = []
    for course in dict.fromkeys(line.course for line in one.lines):
        lines = [line for line in one.lines if line.course == course and line.curve]
        ranges = [found for line in lines if (found := loss_range([Series("this", line.curve)]))]
        if not ranges:
            continue
        low = min(low for low, _ in ranges)
        high = max(statistics.median(high for _, high in ranges), low + 1e-6)
        sparks += [
            Spark(
                line.href,
                line.hole,
                line.title,
                small_curve(line.curve, low, high),
                f"{line.curve[-1][1]:.4f}",
            )
            for line in lines
        ]
    return sorted(sparks, key=lambda spark: spark.hole)
