"""Golf names and result labels, by the course's table and by the noise. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.courses.course import Verdicts
from harness.stats import Difference

NOT_FINISHED = "Did Not Finish"
NOT_PLAYED = "Not Played"
STILL_OUT = "Still Out"
UNREADABLE = "Unreadable"
OVER_CAP = "Over the Cap"
SETS_PAR = "Sets Par"
NO_PAR = "No Par"
COURSE_RECORD = "Course Record"


@dataclass(frozen=True)
class Verdict:
    """name: the golf name. strokes: golf notation, -2 (two circles) .. 2 (two squares).

    why: the rule that gave the name, with its numbers.
    """

    name: str
    strokes: int
    why: str


def name_distance(delta_bpb: float, table: Verdicts) -> str:
    """Return the golf name of a distance to par, noise left aside.

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
    if to_par.delta < 0 and name != "Par" and to_par.outcome != "better":
        return Verdict(
            "Par", 0, f"{to_par.delta:+.4f} bpb to par would be {name}, but luck alone reaches {noise}"
        )
    return Verdict(name, _strokes(name, to_par.delta, table), f"{to_par.delta:+.4f} bpb to par")


def _strokes(name: str, delta: float, table: Verdicts) -> int:
    """Golf notation: broadcast cards draw two circles for eagle or better, two squares for double or worse."""
    if name == "Par":
        return 0
    steps = table.over if delta > 0 else table.under
    size = 1 if steps and name == steps[0][1] else 2
    return size if delta > 0 else -size
