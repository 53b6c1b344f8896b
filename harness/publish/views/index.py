"""View models of the pages that show many holes: the index, the handbook."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness import figures
from harness.courses.course import Course
from harness.publish.drawings.charts import Point, trend
from harness.publish.views.card import DeltaCard, HoleCard
from harness.publish.words.facts import Facts
from harness.publish.words.text import tidy
from harness.publish.words.wording import Wording
from harness.season.season import Season, Standing


@dataclass(frozen=True)
class Line:
    """A hole on the scorecard, and in the feeds. The numbers behind the strings ride along, unrounded."""

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
    status_word: str
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
    curve: Sequence[Point]


def index_line(card: HoleCard, standing: Standing, curve: Sequence[Point] = ()) -> Line:
    """Reduce a card to its row. curve: some points of its training losses, for a small picture."""
    played, record = standing.played, standing.played.record
    updated = (record.ended_at or record.started_at) if record else None
    if updated is None:
        day = played.day or dt.date(1970, 1, 1)
        updated = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    return Line(
        card.name,
        f"holes/{card.file}",
        card.number,
        card.round,
        card.hole,
        card.position,
        card.title,
        played.course or "",
        played.split or "",
        card.status,
        card.status_word,
        card.verdict,
        card.strokes,
        card.score if played.sample else "—",
        card.par_delta,
        card.previous_delta,
        card.result.label,
        card.summary,
        card.lesson_text,
        card.own_lesson,
        card.artifact if record and record.artifact_bytes is not None else "—",
        card.headroom if standing.headroom_bytes is not None else "—",
        standing.headroom_bytes is not None and standing.headroom_bytes <= 0,
        card.tempo.removesuffix(" ms") if record and record.step_ms is not None else "—",
        card.strategy,
        card.day,
        card.day_iso,
        updated.astimezone(dt.UTC),
        played.sample.mean if played.sample else None,
        standing.comparisons["par"].val_bpb,
        card.in_play.line if card.in_play else "",
        tuple(curve),
    )


def pack_line(line: Line) -> dict[str, Any]:
    """Return a row as plain values, to be kept until its hole changes; its curve as text, which takes least room."""
    deltas = {"to_par": vars(line.to_par), "to_previous": vars(line.to_previous)}
    curve = " ".join(f"{x:.12g} {y:.8g}" for x, y in line.curve)
    return vars(line) | deltas | {"updated": line.updated.isoformat(), "curve": curve}


def unpack_line(kept: dict[str, Any], curve: bool = False) -> Line:
    """Return the row. curve: with its curve, which only a round's page shows."""
    deltas = {name: DeltaCard(**kept[name]) for name in ("to_par", "to_previous")}
    numbers = [float(word) for word in kept["curve"].split()] if curve else []
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return Line(**kept | deltas | {"updated": dt.datetime.fromisoformat(kept["updated"]), "curve": points})


@dataclass(frozen=True)
class CourseSummary:
    """How we stand on a course. gap: our best against the SOTA known on the last day we played there."""

    name: str
    title: str
    what: str
    href: str
    played: int
    best: str
    best_title: str
    best_href: str
    best_day: str
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
    for entry in season.public:
        if season.course(entry.entry.course):
            counted[entry.entry.course] += 0
    return [name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]


def course_links(season: Season) -> list[Link]:
    links = []
    for name in course_names_in_order(season):
        course = season.course(name)
        assert course is not None
        links.append(Link(course.title, f"field-{name}.html"))
    return links


def summarise_course(season: Season, name: str, lines: Sequence[Line], wording: Wording) -> CourseSummary:
    """Best, par, SOTA and the walk between them. Scores of different splits are not mixed: the largest group is shown."""
    course = season.course(name)
    assert course is not None
    own = [line for line in lines if line.course == name]
    scored = on_one_split([line for line in own if line.status == "ok" and line.val_bpb is not None])
    best = min(scored, key=lambda line: (line.val_bpb, line.number), default=None)
    last_day = max((line.day_iso for line in own), default="")
    sota = course.sota(dt.date.fromisoformat(last_day)) if last_day else None
    par = course.par.val_bpb if course.par else next((line.val_bpb for line in scored), None)
    par_name = course.par.name if course.par else (scored[0].title if scored else "")
    gap = best.val_bpb - sota.val_bpb if best and best.val_bpb is not None and sota else None
    return CourseSummary(
        name,
        course.title,
        course.what,
        f"field-{name}.html",
        len(scored),
        best.score if best else "",
        best.title if best else "",
        best.href if best else "",
        best.day if best else "",
        figures.delta(best.val_bpb - par) if best and best.val_bpb is not None and par is not None else "",
        figures.bpb(par) if par is not None else "",
        par_name,
        figures.bpb(sota.val_bpb) if sota else "",
        f"{tidy(sota.name, 60)}, {sota.date.isoformat()}" if sota else "",
        figures.delta(gap) if gap is not None else "",
        draw_trend(course, scored, best, par, wording),
    )


def on_one_split(scored: list[Line]) -> list[Line]:
    """Keep the holes of the split that was played most; an unknown split is taken for the course's only one."""
    counted = Counter(line.split for line in scored if line.split)
    if len(counted) < 2:
        return scored
    most = max(sorted(counted), key=lambda split: counted[split])
    return [line for line in scored if line.split in ("", most)]


def draw_trend(
    course: Course, scored: Sequence[Line], best: Line | None, par: float | None, wording: Wording
) -> Markup:
    """Draw scores of one course in the order of play; empty where there are fewer than two."""
    if best is None or len(scored) < 2:
        return Markup("")
    points = [(float(line.number), line.val_bpb) for line in scored if line.val_bpb is not None]
    steps: list[Point] = []
    for number, value in points:
        if not steps or value < steps[-1][1]:
            steps.append((number, value))
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
    name = (wording.say("charts", "trend_title"), facts.fill(wording.say("charts", "trend_desc")) or "")
    return trend(points, steps, par, sota, ("val_bpb", wording.say("charts", "axis_holes")), name)


# The handbook ------------------------------------------------------------------------------------------


__all__ = [
    "CourseSummary",
    "Line",
    "Link",
    "course_links",
    "course_names_in_order",
    "draw_trend",
    "index_line",
    "on_one_split",
    "pack_line",
    "summarise_course",
    "unpack_line",
]
