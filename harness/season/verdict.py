"""Golf names: what a hole is called by its distance to par, by the course's table. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness import figures
from harness.courses.course import Course, Verdicts
from harness.season.hole import PlayedHole
from harness.stats import Difference

NOT_FINISHED = "Did Not Finish"
NOT_PLAYED = "Awaiting Tee Time"
STOPPED = "Rain Delay"
STILL_OUT = "Still Out"
UNREADABLE = "Lost Card"
OVER_CAP = "Over the Cap"
SETS_PAR = "Sets Par"
NO_PAR = "No Par"
NO_VERDICT = "No Verdict"
RULED_INVALID = "Ruled Invalid"


@dataclass(frozen=True)
class Verdict:
    """name: the golf name. strokes: golf notation, -2 (two circles) .. 2 (two squares).

    why: the rule that gave the name, with its numbers.
    """

    name: str
    strokes: int
    why: str


def judge_hole(
    played: PlayedHole, course: Course | None, to_par: Difference | None, sets_par: bool, no_par: str
) -> Verdict:
    """Give a hole its golf name, or say why it has none. no_par: why there is no distance to par.

    A score of another text than the course's has no verdict, whatever it is.
    """
    if played.invalid:
        return Verdict(RULED_INVALID, 0, played.why_invalid)
    if played.status == "over_cap":
        return Verdict(OVER_CAP, 2, "the artifact is not under the cap")
    if played.status == "unreadable":
        return Verdict(UNREADABLE, 0, played.problems[0])
    if played.status == "unplayed":
        return Verdict(NOT_PLAYED, 0, "no attempt has been made")
    if played.status == "unfinished":
        why = (
            f"an attempt has no record yet; if nobody plays it, `harness resume {played.name.folder}` goes on"
        )
        return Verdict(STILL_OUT, 0, why)
    if played.status == "stopped":
        return Verdict(STOPPED, 0, "the run was stopped before its end")
    if played.sample is None:
        return Verdict(NOT_FINISHED, 2, "no attempt was completed")
    if played.summary.no_verdict:
        return Verdict(STILL_OUT, 0, played.summary.no_verdict)
    if foreign := played.foreign_text(course):
        return Verdict(NO_VERDICT, 0, foreign)
    if sets_par:
        return Verdict(SETS_PAR, 0, "the first complete hole of a course without par sets it")
    if course is None or to_par is None:
        return Verdict(NO_PAR, 0, no_par)
    return judge(to_par, course.verdicts)


def name_distance(delta_bpb: float, table: Verdicts) -> str:
    """Return the golf name of a distance to par, whatever the noise.

    delta_bpb is rounded to nine places first: 1.2294 - 1.2244 must lie on the edge 0.005, not past it.
    """
    delta = round(delta_bpb, 9)
    if abs(delta) <= table.par_within:
        return "Par"
    steps, beyond = (table.over, table.beyond_over) if delta > 0 else (table.under, table.beyond_under)
    return next((name for edge, name in steps if abs(delta) <= edge), beyond)


def judge(to_par: Difference, table: Verdicts) -> Verdict:
    """Name a complete hole's distance to par. A good name is never given inside the noise."""
    name = name_distance(to_par.delta, table)
    noise = f"{to_par.threshold:.4f}" if to_par.threshold is not None else "unknown"
    distance = f"{figures.delta(to_par.delta)} bpb to par"
    if to_par.delta < 0 and name != "Par" and to_par.outcome != "better":
        return Verdict("Par", 0, f"{distance} would be {name}, but the noise threshold (95 %) is {noise}")
    return Verdict(name, _strokes(name, to_par.delta, table), distance)


def _strokes(name: str, delta: float, table: Verdicts) -> int:
    """Golf notation: cards draw two circles for eagle or better, two squares for double bogey or worse."""
    if name == "Par":
        return 0
    steps = table.over if delta > 0 else table.under
    size = 1 if steps and name == steps[0][1] else 2
    return size if delta > 0 else -size
