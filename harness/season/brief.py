"""The season in one small object, for people and agents that choose the next hole. Pure; never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import figures
from harness.courses.course import Course
from harness.season.hole import PlayedHole
from harness.season.prediction import Calibration, calibrate, calibration_data, forecast
from harness.season.season import Comparison, Season, Standing
from harness.stats import Z_95

LAST = 5


@dataclass(frozen=True)
class DeadEnd:
    standing: Standing
    why: str


@dataclass(frozen=True)
class Budget:
    """Seconds of all attempts together, failed ones too. unmeasured: attempts that kept no time."""

    train_seconds: float
    wall_seconds: float
    attempts: int
    unmeasured: int


@dataclass(frozen=True)
class Brief:
    """course: what everything here was played on. best: on the newest complete hole's split."""

    course_name: str | None
    course: Course | None
    split: str | None
    best: Standing | None
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
    complete = [s for s in played if s.played.sample is not None and not s.played.invalid]
    split = complete[-1].played.split if complete else None
    counting = [
        s
        for s in complete
        if s.played.status == "ok" and s.played.split in (None, split) and not s.played.summary.no_verdict
    ]
    return Brief(
        course_name=course,
        course=season.course(course),
        split=split,
        best=min(counting, key=_mean, default=None),
        last=tuple(reversed(played[-LAST:])),
        dead_ends=tuple(DeadEnd(s, why) for s in played if (why := _dead_end(s))),
        open_questions=tuple(h for h in holes if not h.entries and h.intent.hypothesis.strip()),
        budget=_budget(holes),
        predictions=calibrate(
            (one.outcome, one.direction) for one in (forecast(season, each) for each in standings)
        ),
    )


def _mean(standing: Standing) -> float:
    assert standing.played.sample is not None
    return standing.played.sample.mean


def _dead_end(standing: Standing) -> str:
    """Say why nobody need try this again; empty when it is no dead end. A decision wins over the numbers."""
    if decision := standing.played.decision:
        return "" if decision.decision == "keep" else f"{decision.decision}: {decision.reason}"
    reference = _yardstick(standing)
    difference = reference.difference
    if difference is None or difference.outcome != "worse":
        return ""
    against = reference.reference
    return f"worse than {against} by {abs(difference.delta):.4f} bpb"


def _yardstick(standing: Standing) -> Comparison:
    """The parent where there is one to compare with, else our best before."""
    parent = standing.comparisons["parent"]
    return parent if parent.difference is not None else standing.comparisons["best"]


def _budget(holes: list[PlayedHole]) -> Budget:
    records = [record for hole in holes for record in hole.records]
    trained = [record for record in records if record.evaluated_from is None]
    train = [record.train_seconds for record in trained if record.train_seconds is not None]
    wall = [
        record.wall_seconds or (record.train_seconds if record in trained else None) for record in records
    ]
    attempts = sum(len(hole.entries) for hole in holes)
    known = [seconds for seconds in wall if seconds is not None]
    return Budget(sum(train), sum(known), attempts, attempts - len(known))


# What is shown ------------------------------------------------------------------------------------


def as_data(brief: Brief) -> dict[str, Any]:
    """Return the brief as one compact object; numbers unrounded, what is not known is null."""
    noise = brief.course.noise if brief.course else None
    return {
        "course": brief.course_name,
        "split": brief.split,
        "best": _hole_data(brief.best) if brief.best else None,
        "last": [_hole_data(standing) for standing in brief.last],
        "dead_ends": [
            {"hole": d.standing.played.name.folder, "title": d.standing.played.title, "why": d.why}
            for d in brief.dead_ends
        ],
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
        },
    }


def _visible(std_bpb: float) -> float:
    """The smallest difference that one seed against one seed can tell from luck at 95 %."""
    return Z_95 * std_bpb * 2**0.5


def _hole_data(standing: Standing) -> dict[str, Any]:
    played, reference = standing.played, _yardstick(standing)
    difference = reference.difference
    return {
        "hole": played.name.folder,
        "title": played.title,
        "status": played.status,
        "val_bpb": played.sample.mean if played.sample else None,
        "std": played.sample.std if played.sample else None,
        "n": played.sample.n if played.sample else 0,
        "overrides": dict(played.record.overrides) if played.record else {},
        "against": reference.reference or None,
        "delta": difference.delta if difference else None,
        "outcome": difference.outcome if difference else None,
        "verdict": standing.verdict.name,
        "decision": played.decision.decision if played.decision else None,
    }


def describe(brief: Brief) -> list[str]:
    """Return the brief as lines for a terminal."""
    lines = [f"course      {brief.course_name or 'none yet'}"]
    lines.append(f"best        {_line(brief.best) if brief.best else 'no complete hole yet'}")
    lines += _block("last", [_line(standing) for standing in brief.last], "nothing was played yet")
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
    lines.append(
        f"budget      {figures.duration(used.train_seconds)} of training, "
        f"{figures.duration(used.wall_seconds)} in all, {used.attempts} attempts{missing}"
    )
    return lines


def _line(standing: Standing) -> str:
    played, reference = standing.played, _yardstick(standing)
    if played.sample is None:
        return f"{played.name.folder} ({played.title}): {played.status}"
    text = f"{played.name.folder} ({played.title}): {figures.bpb(played.sample.mean)}, n {played.sample.n}"
    if reference.difference:
        delta = figures.delta(reference.difference.delta)
        text += f", {delta} to {reference.reference}: {reference.difference.outcome}"
    return text


def _block(name: str, rows: list[str], none: str) -> list[str]:
    return [f"{name if at == 0 else '':12}{row}" for at, row in enumerate(rows or [none])]
