"""Step times and weights' bytes of two holes as ratios, and whether luck alone reaches them.

Milliseconds are as noisy as scores: the same training took 50 to 231 ms a step on one shared machine. Bytes
of weights change a little from seed to seed. Both are told only beyond the spread that repeats show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.figures import number
from harness.season.hole import PlayedHole
from harness.stats import Sample, Spread, pool_std, subtract

FEWEST_REPEATS = 3  # degrees of freedom, below which a spread says too little of the next run

RatioOutcome = Literal["more", "less", "equal", "within noise", "cannot tell"]


@dataclass(frozen=True)
class RatioChange:
    """`a` against `b` as a ratio. reach: the ratio, above 1, that luck alone reaches; None if unknown.

    basis: one sentence on the spread. caveat: what else may be behind it.
    """

    ratio: float
    outcome: RatioOutcome
    basis: str
    reach: float | None = None
    caveat: str = ""

    @property
    def is_change(self) -> bool:
        return self.outcome in ("more", "less")


def tempo_spread(holes: Sequence[PlayedHole], machine: str) -> Spread | None:
    """Pool the repeats on a machine: runs of one hole, and holes that share a training. None with too few."""
    return _pool(_repeats(holes, machine), "repeats on this machine")


def compare_tempo(
    a: PlayedHole, b: PlayedHole, spread_on: Callable[[str], Spread | None]
) -> RatioChange | None:
    """Compare the milliseconds of a step; None when one side has none.

    spread_on: returns the `tempo_spread` of a machine.
    """
    ours, theirs = a.summary.step_times, b.summary.step_times
    if not ours or not theirs:
        return None
    machine = a.summary.machine
    if machine is None or machine != b.summary.machine:
        both = machine is not None and b.summary.machine is not None
        names = (
            f"different machines: {machine} and {b.summary.machine}" if both else "the machine is not known"
        )
        return RatioChange(_mean(ours) / _mean(theirs), "cannot tell", "", caveat=names)
    return _compare(
        ours, theirs, spread_on(machine), "no repeats on this machine show the spread of step times"
    )


def weights_spread(holes: Sequence[PlayedHole], course: str | None) -> Spread | None:
    """Pool how far the bytes of the weights lie apart from seed to seed on a course. None with too few."""
    return _pool([hole.summary.model_sizes for hole in holes if hole.course == course], "seeds")


def compare_weights(
    a: PlayedHole, b: PlayedHole, same_weights: bool, spread_on: Callable[[str | None], Spread | None]
) -> RatioChange | None:
    """Compare the bytes of the weights; None when one side has none.

    same_weights: the training is the same, so that any difference is the packing's own. spread_on: returns
    the `weights_spread` of a course.
    """
    ours, theirs = a.summary.model_sizes, b.summary.model_sizes
    if not ours or not theirs:
        return None
    if same_weights:
        sizes = dict(zip(b.summary.seeds, theirs, strict=True))
        theirs = tuple(sizes[seed] for seed in a.summary.seeds)
    ratio = _mean(ours) / _mean(theirs)
    if ours == theirs:
        return RatioChange(1.0, "equal", "as many bytes")
    if same_weights:
        return RatioChange(ratio, "more" if ratio > 1 else "less", "the same weights, packed otherwise", 1.0)
    return _compare(ours, theirs, spread_on(a.course), "no seeds show how weights' bytes spread")


def _compare(
    ours: Sequence[float], theirs: Sequence[float], spread: Spread | None, unknown: str
) -> RatioChange:
    ratio = _mean(ours) / _mean(theirs)
    if spread is None:
        return RatioChange(ratio, "cannot tell", unknown)
    difference = subtract(_logs(ours), _logs(theirs), spread)
    reach = None if difference.threshold is None else math.exp(difference.threshold)
    if difference.outcome in ("better", "worse"):
        return RatioChange(ratio, "more" if ratio > 1 else "less", spread.source, reach)
    return RatioChange(ratio, "within noise", spread.source, reach)


def _repeats(holes: Sequence[PlayedHole], machine: str) -> list[list[float]]:
    """The step times of each training that was run more than once on a machine, whichever hole it was in."""
    groups: dict[object, list[float]] = {}
    for hole in holes:
        if hole.summary.machine != machine or not hole.summary.step_times:
            continue
        trained = sorted(zip(hole.summary.seeds, hole.summary.trained_values, strict=True))[:1]
        shared = trained and trained[0][1] is not None
        key: object = (hole.course, hole.summary.steps, trained[0]) if shared else hole.name.folder
        groups.setdefault(key, []).extend(hole.summary.step_times)
    return list(groups.values())


def _pool(groups: Sequence[Sequence[float]], what: str) -> Spread | None:
    """Return the pooled standard deviation of the logarithms; None with too few repeats."""
    samples = [_logs(group) for group in groups if len(group) > 1]
    pooled = pool_std([(sample.std or 0.0, sample.n - 1) for sample in samples])
    if pooled is None or pooled[1] < FEWEST_REPEATS or pooled[0] == 0:
        return None
    std, freedom = pooled
    runs = number(sum(sample.n for sample in samples), "run")
    return Spread(std, freedom, f"{what} spread by {math.expm1(std):.2g} of their value ({runs})")


def _logs(values: Sequence[float]) -> Sample:
    return Sample(tuple(math.log(value) for value in values))


def _mean(values: Sequence[float]) -> float:
    """Geometric: of ratios and their inverses alike."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))
