"""Where a running attempt will probably end, projected from how a comparable one went on from here. Pure.

Nothing is fitted: our points are compared with those of another attempt at the same share of its training,
and the rest of its way is taken for the rest of ours. Both the basis and the assumption are part of the
answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

from harness import figures
from harness.records.curve import Curve

_WINDOW = 10  # training points whose mean is compared: single batches are noise
_EARLIEST = 0.05  # of the training; what was learned before says little about the end
_UNLIKE = 1.25  # times as long: the schedule ends elsewhere, and so does the curve


@dataclass(frozen=True)
class FinishedRun:
    """A finished attempt to go by. steps: it made.

    same_tokens: whether its losses are per the same tokens.
    """

    name: str
    val_bpb: float
    curve: Curve
    steps: int
    val_loss: float | None = None
    same_tokens: bool = True


@dataclass(frozen=True)
class Projection:
    """val_bpb: where it would end. step: of the point it is projected from. basis: val or train.

    why: what is assumed.
    """

    val_bpb: float
    step: int
    against: str
    basis: str
    why: str


def project(curve: Curve, steps: int | None, references: Sequence[FinishedRun]) -> Projection | str:
    """Project an attempt's final score. steps: it will make. references: nearest relatives first.

    Returns the reason as text where nothing can be said.
    """
    if not references:
        return "no finished hole on this course and split to go by"
    if not steps:
        return "the number of steps is unknown"
    alike = [one for one in references if max(steps / one.steps, one.steps / steps) <= _UNLIKE]
    if not alike:
        first = references[0]
        return f"{first.name} made {first.steps:,} steps, this will make {steps:,}: too unlike to go by"
    for reference in alike:
        projection = _by_validation(curve, steps, reference) or _by_training(curve, steps, reference)
        if projection:
            return projection
    return f"it needs {_EARLIEST:.0%} of the training, where {alike[0].name} has points too"


def _by_validation(curve: Curve, steps: int, reference: FinishedRun) -> Projection | None:
    """Take what the reference still gained after this share of its training for what we still gain."""
    own = [(p.step, p.bpb) for p in curve.val if p.bpb is not None and p.step >= _EARLIEST * steps]
    other = [
        (p.step / reference.steps, p.bpb) for p in reference.curve.val if p.bpb is not None and p.step > 0
    ]
    if not own:
        return None
    step, bpb = own[-1]
    then = _interpolate(other, step / steps)
    if then is None:
        return None
    gained = f"what {reference.name} gained after {_at(step, steps, reference)}"
    why = f"val_bpb {bpb:.4f} at step {step:,}, and from there on {gained}"
    return Projection(bpb + reference.val_bpb - then, step, reference.name, "val", why)


def _by_training(curve: Curve, steps: int, reference: FinishedRun) -> Projection | None:
    """Take the difference in training loss now for that at the end, in the reference's bits per nat."""
    if not (reference.val_loss and reference.same_tokens):
        return None
    own = curve.finite[-_WINDOW:]
    if len(own) < _WINDOW or own[-1][0] < _EARLIEST * steps:
        return None
    low, high = own[0][0] / steps, own[-1][0] / steps
    other = [loss for step, loss in reference.curve.finite if low <= step / reference.steps <= high]
    if len(other) < _WINDOW / 2:
        return None
    gap = fmean(loss for _, loss in own) - fmean(other)
    step = own[-1][0]
    place = f"{reference.name} at {_at(step, steps, reference)}"
    why = f"train_loss {figures.delta(gap)} next to {place}, and that this difference stays"
    final = reference.val_bpb + gap * reference.val_bpb / reference.val_loss
    return Projection(final, step, reference.name, "train", why)


def _at(step: int, steps: int, reference: FinishedRun) -> str:
    """Name the place in the reference's training that ours is compared with."""
    if reference.steps == steps:
        return f"step {step:,}"
    return f"{step / steps:.0%} of its {reference.steps:,} steps"


def _interpolate(points: list[tuple[float, float]], at: float) -> float | None:
    """Read a value between two points; None outside of them."""
    points = [(x, y) for x, y in points if isfinite(y)]
    place = bisect_right(points, at + 1e-9, key=lambda point: point[0])
    if place == 0:
        return None
    x, y = points[place - 1]
    if abs(x - at) < 1e-9:
        return y
    if place == len(points):
        return None
    next_x, next_y = points[place]
    return y + (next_y - y) * (at - x) / (next_x - x)
