"""View models of the pages that list holes: the index and the rounds.

A hole is a `Line` here: its row on the scorecard, with the numbers behind the strings, unrounded.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from markupsafe import Markup

from harness import figures
from harness.courses.course import Course
from harness.publish.drawings.charts import Point, Series, loss_range, small_curve, trend
from harness.publish.views.card import HoleCard
from harness.publish.views.claims import Lowest, judge_lowest
from harness.publish.views.compare import DeltaCard, field_file
from harness.publish.words.commentary import Facts, tidy
from harness.publish.words.wording import Wording
from harness.records.store import HOLES_PER_ROUND
from harness.season.season import Season
from harness.season.standing import Standing

ROWS_ON_INDEX = 36  # the newest rounds, up to so many holes, are on the index in full
NINE = HOLES_PER_ROUND // 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """A hole on the scorecard, and in the feeds. curve: some of its training losses.

    among_many: it is better or worse by itself, which does not survive the correction for the number of such
    claims. Known when those of all holes are. foreign_text: why its score is not of the course's text.
    ruling: that the hole was dropped or ruled invalid; empty for any other. counts: whether it may be our
    best. comparable: whether its score is one of the course's, to be drawn and to set par.
    first_name: the folder that it had before it was renamed for the first time, which feeds go by.
    """

    name: str
    href: str
    number: int
    round: int
    hole: int
    position: str
    title: str
    course: str
    split: str
    status: str
    verdict: str
    strokes: int
    score: str
    to_par: DeltaCard
    to_previous: DeltaCard
    result: str
    summary: str
    lesson: str
    own_lesson: bool
    artifact: str
    headroom: str
    over: bool
    tempo: str
    strategy: str
    day: str
    day_iso: str
    updated: dt.datetime
    val_bpb: float | None
    par: float | None
    in_play: str
    foreign_text: str
    ruling: str
    invalid: bool
    counts: bool
    comparable: bool
    prediction: dict[str, Any]
    curve: Sequence[Point]
    tags: Sequence[str]
    configurations: str  # empty where one was played
    archived: bool
    first_name: str
    among_many: bool = False


def index_line(
    card: HoleCard, standing: Standing, prediction: dict[str, Any], curve: Sequence[Point] = ()
) -> Line:
    """Reduce a card to its row.

    prediction: what came of it, as data. curve: some points of its training losses, for a small picture.
    """
    played, record = standing.played, standing.played.record
    updated = (record.ended_at or record.started_at) if record else None
    if updated is None:
        day = played.day or dt.date(1970, 1, 1)
        updated = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    par, sample, headroom = standing.comparisons["par"], played.sample, standing.headroom_bytes
    weighed = record is not None and record.artifact_bytes is not None
    timed = record is not None and record.step_ms is not None
    return Line(
        name=card.name,
        href=f"holes/{card.file}",
        number=card.number,
        round=card.round,
        hole=card.hole,
        position=card.position,
        title=card.title,
        course=played.course or "",
        split=played.split or "",
        status=card.status,
        verdict=card.verdict,
        strokes=card.strokes,
        score=card.score if sample else "—",
        to_par=card.par_delta,
        to_previous=card.previous_delta,
        result=card.result.label,
        summary=card.summary,
        lesson=card.lesson_text,
        own_lesson=card.own_lesson,
        artifact=card.artifact if weighed else "—",
        headroom=card.headroom if headroom is not None else "—",
        over=headroom is not None and headroom <= 0,
        tempo=card.tempo.removesuffix(" ms") if timed else "—",
        strategy=card.strategy,
        day=card.day,
        day_iso=card.day_iso,
        updated=updated.astimezone(dt.UTC),
        val_bpb=sample.mean if sample else None,
        par=par.val_bpb,
        in_play=card.in_play.line if card.in_play else "",
        foreign_text=standing.foreign_text,
        ruling=card.ruling,
        invalid=played.invalid,
        counts=played.counts,
        comparable=played.comparable and played.status == "ok",
        prediction=prediction,
        curve=tuple(curve),
        tags=played.summary.tags,
        configurations=figures.number(len(played.earlier) + 1, "configuration") if played.earlier else "",
        archived=played.summary.archived,
        first_name=next(iter(played.summary.former_names), card.name),
    )


def pack_line(line: Line) -> dict[str, Any]:
    """Return a row as plain values, stored until its hole changes; its curve as text, which is smallest."""
    deltas = {"to_par": vars(line.to_par), "to_previous": vars(line.to_previous)}
    curve = " ".join(f"{x:.12g} {y:.8g}" for x, y in line.curve)
    return vars(line) | deltas | {"updated": line.updated.isoformat(), "curve": curve}


def unpack_line(packed: dict[str, Any], curve: bool = False) -> Line:
    """Return the row. curve: with its curve, which only a round's page shows."""
    deltas = {name: DeltaCard(**packed[name]) for name in ("to_par", "to_previous")}
    numbers = [float(word) for word in packed["curve"].split()] if curve else []
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return Line(
        **packed | deltas | {"updated": dt.datetime.fromisoformat(packed["updated"]), "curve": points}
    )


# A course ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CourseSummary:
    """How we stand on a course. gap: our best against the SOTA known on the last day we played there.

    lowest: what our best was picked from.
    """

    name: str
    title: str
    what: str
    href: str
    played: int
    best: str
    best_title: str
    best_href: str
    best_day: str
    lowest: Lowest | None
    to_par: str
    par: str
    par_name: str
    sota: str
    sota_name: str
    gap: str
    trend: Markup


@dataclass(frozen=True)
class Link:
    title: str
    href: str


def course_names_in_order(season: Season) -> list[str]:
    """The courses that were played by us or by the imported field, the most played by us first."""
    counted = Counter(hole.course for hole in season.holes if hole.course and season.course(hole.course))
    for entry in season.public_entries():
        if season.course(entry.entry.course):
            counted[entry.entry.course] += 0
    return [name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]


def course_links(season: Season) -> list[Link]:
    links = []
    for name in course_names_in_order(season):
        course = season.course(name)
        assert course is not None
        links.append(Link(course.title, field_file(name)))
    return links


def summarise_course(season: Season, name: str, lines: Sequence[Line], wording: Wording) -> CourseSummary:
    """Best, par, SOTA and the way between them, over the split with the most holes: splits are not mixed."""
    course = season.course(name)
    assert course is not None
    own = [line for line in lines if line.course == name]
    scored = on_one_split([line for line in own if line.comparable])
    best = _best_of(scored)
    last_day = max((line.day_iso for line in own), default="")
    sota = course.sota(dt.date.fromisoformat(last_day)) if last_day else None
    par = course.par.val_bpb if course.par else next((line.val_bpb for line in scored), None)
    par_name = course.par.name if course.par else (scored[0].title if scored else "")
    gap = best.val_bpb - sota.val_bpb if best and best.val_bpb is not None and sota else None
    to_par = best.val_bpb - par if best and best.val_bpb is not None and par is not None else None
    return CourseSummary(
        name=name,
        title=course.title,
        what=course.what,
        href=field_file(name),
        played=len(scored),
        best=best.score if best else "",
        best_title=best.title if best else "",
        best_href=best.href if best else "",
        best_day=best.day if best else "",
        lowest=judge_lowest(season, best.name, wording) if best else None,
        to_par=figures.delta(to_par) if to_par is not None else "",
        par=figures.bpb(par) if par is not None else "",
        par_name=par_name,
        sota=figures.bpb(sota.val_bpb) if sota else "",
        sota_name=f"{tidy(sota.name, 60)}, {sota.date.isoformat()}" if sota else "",
        gap=figures.delta(gap) if gap is not None else "",
        trend=draw_trend(course, scored, par, wording).svg,
    )


def on_one_split(scored: list[Line]) -> list[Line]:
    """Keep the holes of the split with the most holes; an unknown split counts as the course's only one.

    Scores of another text than the course's are left out.
    """
    scored = [line for line in scored if not line.foreign_text]
    counted = Counter(line.split for line in scored if line.split)
    if len(counted) < 2:
        return scored
    most = max(sorted(counted), key=lambda split: counted[split])
    return [line for line in scored if line.split in ("", most)]


@dataclass(frozen=True)
class Trend:
    """svg: empty where there are fewer than two scores. sota: whether the field's record is drawn as well."""

    svg: Markup
    sota: bool


def draw_trend(course: Course, scored: Sequence[Line], par: float | None, wording: Wording) -> Trend:
    """Draw scores of one course in the order of play. scored: on one split."""
    best = _best_of(scored)
    if best is None or len(scored) < 2:
        return Trend(Markup(""), False)
    points = [(float(line.number), line.val_bpb) for line in scored if line.val_bpb is not None]
    steps: list[Point] = []
    for line in scored:
        if line.counts and line.val_bpb is not None and (not steps or line.val_bpb < steps[-1][1]):
            steps.append((float(line.number), line.val_bpb))
    # The field's best on the day of each hole: what each had to beat.
    sota: list[Point] = []
    for line in scored:
        known = course.sota(dt.date.fromisoformat(line.day_iso)) if line.day_iso else None
        if known and (not sota or known.val_bpb < sota[-1][1]):
            sota.append((float(line.number), known.val_bpb))
    values = {
        "holes": str(len(points)),
        "course": course.title,
        "best": best.score,
        "best_hole": best.position,
    }
    facts = Facts("", frozenset(), values)
    svg = trend(
        points,
        best=steps,
        par=par,
        sota=sota,
        axis=("val_bpb", wording.say("charts", "axis_holes")),
        name=(wording.say("charts", "trend_title"), facts.fill(wording.say("charts", "trend_desc")) or ""),
    )
    return Trend(svg, bool(sota))


def _best_of(scored: Sequence[Line]) -> Line | None:
    counted = [line for line in scored if line.counts]
    return min(counted, key=lambda line: (line.val_bpb, line.number), default=None)


# A round ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A hole on the card of a nine; holes that were not made are blank. short: the distance to par.

    ruling: as a line has it.
    """

    hole: int
    href: str = ""
    title: str = ""
    strokes: int = 0
    short: str = ""
    ruling: str = ""


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
    ruling: str
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
        """The first nine and, once it has a hole, the second."""
        halves = ("out", range(1, NINE + 1)), ("in", range(NINE + 1, HOLES_PER_ROUND + 1))
        nines = [_nine(name, holes, self.lines) for name, holes in halves]
        return tuple(nine for nine in nines if any(cell.href for cell in nine.cells))


def rounds_of(lines: Sequence[Line]) -> list[Round]:
    """Cut a season into rounds, newest first."""
    by_round: dict[int, list[Line]] = {}
    for line in lines:
        by_round.setdefault(line.round, []).append(line)
    return [_round(number, by_round[number]) for number in sorted(by_round, reverse=True)]


def rounds_on_index(rounds: Sequence[Round]) -> list[Round]:
    """The newest rounds that are on the index in full, without their archived holes."""
    shown: list[Round] = []
    listed = (_without_archived(one) for one in rounds)
    for one in (one for one in listed if one.lines):
        if shown and sum(len(each.lines) for each in [*shown, one]) > ROWS_ON_INDEX:
            break
        shown.append(one)
    return shown


def _without_archived(one: Round) -> Round:
    return replace(one, lines=tuple(line for line in one.lines if not line.archived))


def tally(lines: Sequence[Line]) -> str:
    """What holes came to, in words: 3 × Bogey, 1 × Par."""
    names = Counter(line.verdict for line in lines)
    return ", ".join(f"{count} × {name}" for name, count in names.most_common())


def _round(number: int, lines: list[Line]) -> Round:
    counted = [line for line in lines if line.counts and line.to_par.value]
    best = min(counted, key=lambda line: (line.val_bpb or 0.0) - (line.par or 0.0), default=None)
    days = sorted((line.day_iso, line.day) for line in lines if line.day_iso)
    span = " to ".join(dict.fromkeys((days[0][1], days[-1][1]))) if days else ""
    return Round(number, tuple(lines), tally(lines), best, span)


def _nine(name: str, holes: range, lines: Sequence[Line]) -> Nine:
    by_hole = {line.hole: line for line in lines}
    cells = [
        Cell(hole, line.href, line.title, line.strokes, _short(line), line.ruling)
        if (line := by_hole.get(hole))
        else Cell(hole)
        for hole in holes
    ]
    total = sum(cell.strokes for cell in cells)
    return Nine(name, tuple(cells), f"{total:+d}" if total else "E")


def _short(line: Line) -> str:
    """The distance to par for a cell: +.190, E when it rounds to nothing, a dash without a score."""
    if not line.comparable or line.val_bpb is None or line.par is None:
        return "—"
    distance = line.val_bpb - line.par
    return f"{distance:+.3f}".replace("0.", ".", 1) if round(distance, 3) else "E"


def draw_round(one: Round, season: Season, wording: Wording) -> Walk | None:
    """Draw the round's scores in order, on the course it was mostly played on; None with fewer than two."""
    counted = Counter(line.course for line in one.lines if line.comparable)
    course = season.course(counted.most_common(1)[0][0]) if counted else None
    if course is None:
        return None
    scored = on_one_split([line for line in one.lines if line.course == course.name and line.comparable])
    par = course.par.val_bpb if course.par else next((line.par for line in scored if line.par), None)
    drawing = draw_trend(course, scored, par, wording)
    if not drawing.svg:
        return None
    return Walk(drawing.svg, course.title, figures.bpb(par) if par else "", drawing.sota)


def sparks_of(one: Round) -> list[Spark]:
    """Draw every curve of the round; those of a course share a scale, its top the median of their tops."""
    sparks = []
    for course in dict.fromkeys(line.course for line in one.lines):
        lines = [line for line in one.lines if line.course == course and line.curve]
        ranges = [pair for line in lines if (pair := loss_range([Series("this", line.curve)]))]
        if not ranges:
            continue
        low = min(low for low, _ in ranges)
        high = max(statistics.median(high for _, high in ranges), low + 1e-6)
        sparks += [
            Spark(
                line.href,
                line.hole,
                line.title,
                line.ruling,
                small_curve(line.curve, low, high),
                f"{line.curve[-1][1]:.4f}",
            )
            for line in lines
        ]
    return sorted(sparks, key=lambda spark: spark.hole)
