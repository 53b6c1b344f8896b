"""The season in one small object, for people and agents that choose the next hole. Pure; never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import figures
from harness.courses.course import Course
from harness.records.record import total_cost
from harness.season.claims import describe as describe_family
from harness.season.differences import (
    comparison_data,
    describe_interest,
    describe_outcome,
    describe_survival,
    family_data,
    place_data,
)
from harness.season.hole import PlayedHole
from harness.season.prediction import Calibration, calibrate, calibration_data, forecast
from harness.season.schema import BriefBest, BriefHole, DeadEndData
from harness.season.season import Season
from harness.season.selection import Selection, describe_selection, selection_data, selection_of
from harness.season.standing import Standing
from harness.stats import Z_95, Difference

LAST = 5


@dataclass(frozen=True)
class DeadEnd:
    """difference: the evidence; None where a decision closed it."""

    standing: Standing
    why: str
    difference: Difference | None = None


@dataclass(frozen=True)
class Budget:
    """Seconds of all attempts together, failed ones too. unmeasured: attempts that kept no time.

    cost: in the user's money, None where no rate was given.
    """

    train_seconds: float
    wall_seconds: float
    attempts: int
    unmeasured: int
    cost: float | None


@dataclass(frozen=True)
class Brief:
    """course: what everything here was played on. best: on the newest complete hole's split.

    selection: what choosing the best for its score does to that score.
    """

    season: Season
    course_name: str | None
    course: Course | None
    split: str | None
    best: Standing | None
    selection: Selection | None
    last: tuple[Standing, ...]
    dead_ends: tuple[DeadEnd, ...]
    open_questions: tuple[PlayedHole, ...]
    budget: Budget
    predictions: Calibration


def brief_season(season: Season, course: str | None = None) -> Brief:
    """Sum up the holes of one course: `course`, else that of the newest hole."""
    if course is None:
        course = next((hole.course for hole in reversed(season.holes) if hole.entries and hole.course), None)
    holes = [hole for hole in season.holes if course is None or hole.course in (None, course)]
    standings = [season.standing(hole) for hole in holes]
    played = [standing for standing in standings if standing.played.entries]
    complete = [s for s in played if s.played.comparable and not s.foreign_text]
    split = complete[-1].played.split if complete else None
    best = min(
        (s for s in complete if s.played.counts and s.played.split in (None, split)), key=_mean, default=None
    )
    return Brief(
        season=season,
        course_name=course,
        course=season.course(course),
        split=split,
        best=best,
        selection=selection_of(season, best.played) if best else None,
        last=tuple(reversed(played[-LAST:])),
        dead_ends=tuple(end for s in played if (end := _dead_end(season, s))),
        open_questions=tuple(h for h in holes if not h.entries and h.intent.hypothesis.strip()),
        budget=_budget(holes),
        predictions=calibrate(
            (one.outcome, one.direction) for one in (forecast(season, each) for each in standings)
        ),
    )


def _mean(standing: Standing) -> float:
    assert standing.played.sample is not None
    return standing.played.sample.mean


def _dead_end(season: Season, standing: Standing) -> DeadEnd | None:
    """Say why nobody need try this again; None when it is no dead end. A decision wins over the numbers.

    A missing gain is no evidence: only a loss that survives the correction, or an interval that lies inside
    the course's bound of no interest.
    """
    if decision := standing.played.decision:
        why = f"{decision.decision}: {decision.reason}"
        return None if decision.decision == "keep" else DeadEnd(standing, why)
    reference = standing.story
    difference = reference.difference
    if difference is None or difference.outcome == "better":
        return None
    against = reference.reference
    if difference.outcome == "worse" and season.survives(standing.played) and not difference.equivalent:
        why = f"worse than {against} by {abs(difference.delta):.4f} bpb"
        return DeadEnd(standing, why, difference)
    if difference.equivalent:
        why = describe_interest(difference) or "does nothing: exactly the same score"
        return DeadEnd(standing, f"{why}, against {against}", difference)
    return None


def _budget(holes: list[PlayedHole]) -> Budget:
    records = [record for hole in holes for record in hole.records]
    trained = [record for record in records if record.evaluated_from is None]
    train = [record.train_seconds for record in trained if record.train_seconds is not None]
    wall = [
        record.wall_seconds or (record.train_seconds if record in trained else None) for record in records
    ]
    attempts = sum(len(hole.entries) for hole in holes)
    known = [seconds for seconds in wall if seconds is not None]
    return Budget(sum(train), sum(known), attempts, attempts - len(known), total_cost(records))


# What is shown ------------------------------------------------------------------------------------


def as_data(brief: Brief) -> dict[str, Any]:
    """Return the brief as one compact object; numbers unrounded, what is not known is null."""
    noise, season = (brief.course.noise if brief.course else None), brief.season
    best = None
    if brief.best:
        selection = selection_data(brief.selection) if brief.selection else None
        best = BriefBest(**dict(_hole_data(season, brief.best)), selection=selection).model_dump(mode="json")
    return {
        "course": brief.course_name,
        "split": brief.split,
        "best": best,
        "claims": family_data(season.claims.of_course(brief.course_name)).model_dump(),
        "last": [_hole_data(season, standing).model_dump(mode="json") for standing in brief.last],
        "dead_ends": [_dead_end_data(season, end).model_dump(mode="json") for end in brief.dead_ends],
        "open_questions": [
            {"hole": h.name.folder, "hypothesis": h.intent.hypothesis.strip()} for h in brief.open_questions
        ],
        "noise_floor": noise
        and {
            "std_bpb": noise.std_bpb,
            "smallest_visible_one_seed": _visible(noise.std_bpb),
            "date": noise.date.isoformat(),
            "source": noise.source,
        },
        "predictions": calibration_data(brief.predictions),
        "budget": {
            "train_seconds": brief.budget.train_seconds,
            "wall_seconds": brief.budget.wall_seconds,
            "attempts": brief.budget.attempts,
            "unmeasured_attempts": brief.budget.unmeasured,
            "cost": brief.budget.cost,
        },
    }


def _visible(std_bpb: float) -> float:
    """The smallest difference that one seed against one seed can tell from luck at 95 %."""
    return Z_95 * std_bpb * 2**0.5


def _hole_data(season: Season, standing: Standing) -> BriefHole:
    """A hole by its story: against its parent, else par."""
    played, kind = standing.played, standing.story.kind
    return BriefHole(
        **dict(place_data(standing)),
        overrides=dict(played.record.overrides) if played.record else {},
        decision=played.decision.decision if played.decision else None,
        difference=comparison_data(season, standing, kind),
    )


def _dead_end_data(season: Season, end: DeadEnd) -> DeadEndData:
    standing = end.standing
    evidence = comparison_data(season, standing, standing.story.kind) if end.difference else None
    return DeadEndData(
        hole=standing.played.name.folder, title=standing.played.title, why=end.why, difference=evidence
    )


def describe(brief: Brief) -> list[str]:
    """Return the brief as lines for a terminal."""
    season = brief.season
    lines = [f"course      {brief.course_name or 'none yet'}"]
    best = [_line(season, brief.best)] if brief.best else []
    if brief.selection:
        best.append(f"  {describe_selection(brief.selection)}")
    lines += _block("best", best, "no complete hole yet")
    lines.append(f"claims      {describe_family(season.claims.of_course(brief.course_name))}")
    lines += _block("last", [_line(season, one) for one in brief.last], "nothing was played yet")
    ends = [f"{d.standing.played.name.folder}: {d.why}" for d in brief.dead_ends]
    lines += _block("dead ends", ends, "none")
    questions = [f"{h.name.folder}: {' '.join(h.intent.hypothesis.split())}" for h in brief.open_questions]
    lines += _block("open", questions, "no unplayed hole has a hypothesis")
    if brief.course and (noise := brief.course.noise):
        lines.append(
            f"noise       {noise.std_bpb:g} bpb over seeds ({noise.date}, {noise.source}); "
            f"one seed against one shows {_visible(noise.std_bpb):.4f} at least"
        )
    if brief.predictions.text:
        lines.append(f"predicted   {brief.predictions.text}")
    used = brief.budget
    missing = f", {used.unmeasured} of them without a time" if used.unmeasured else ""
    cost = "" if used.cost is None else f", {figures.money(used.cost)} spent"
    attempts = figures.number(used.attempts, "attempt")
    lines.append(
        f"budget      {figures.duration(used.train_seconds)} of training, "
        f"{figures.duration(used.wall_seconds)} in all, {attempts}{missing}{cost}"
    )
    return lines


def _line(season: Season, standing: Standing) -> str:
    played, reference = standing.played, standing.story
    if played.sample is None:
        return f"{played.name.folder} ({played.title}): {played.status}"
    text = f"{played.name.folder} ({played.title}): {figures.bpb(played.sample.mean)}, n {played.sample.n}"
    if played.earlier:
        text += f", {figures.number(len(played.earlier), 'earlier configuration')}"
    if played.invalid or played.dropped:
        text += f", decided: {played.summary.decision}"
    difference = reference.difference
    if difference is None:
        return f"{text}; no comparison: {reference.reason}"
    against = reference.reference
    comparisons = season.claims.of_course(played.course).comparisons
    survival = describe_survival(difference, season.survives(played), comparisons)
    exactly = "exactly " if difference.exact else ""
    outcome = survival or describe_outcome(difference)
    return f"{text}, {exactly}{figures.delta(difference.delta)} to {against}: {outcome}"


def _block(name: str, rows: list[str], none: str) -> list[str]:
    return [f"{name if at == 0 else '':12}{row}" for at, row in enumerate(rows or [none])]
