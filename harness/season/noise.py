"""A measured noise floor: how far the seeds of one configuration lie apart on one machine.

Nothing is stored: the floor is the spread of a hole's attempts, and verdicts look for it there
(`harness.season.evidence`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import figures
from harness.courses.course import Noise
from harness.records.record import RunRecord
from harness.records.seeds import sample_of
from harness.season.evidence import FLOOR_SEEDS
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.stats import LEVEL, Sample, Spread, subtract

SEEDS_A_SIDE = (1, 3)  # for which the smallest visible difference is told


@dataclass(frozen=True)
class NoiseFloor:
    """The spread over seeds of one configuration.

    machine: its processor or GPU, None where no record names it. interval: 95 %, of the standard deviation.
    visible: by seeds a side, the smallest difference that a verdict would call better or worse; None where
    nothing can be tested. course: the shipped figure.
    """

    sample: Sample
    machine: str | None
    interval: tuple[float, float] | None
    visible: dict[int, float | None]
    course: Noise | None

    @property
    def counts(self) -> bool:
        """Whether these are enough seeds for verdicts to use the floor."""
        return self.sample.n >= FLOOR_SEEDS and bool(self.sample.std)

    @property
    def to_course(self) -> str:
        """How the course's figure compares with what was measured; empty without one of the two."""
        if self.course is None or self.interval is None:
            return ""
        low, high = self.interval
        if self.course.std_bpb < low:
            return "below the interval: too small for this configuration and machine"
        if self.course.std_bpb > high:
            return "above the interval: too large for this configuration and machine"
        return "inside the interval"


def spread_interval(std: float, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a standard deviation measured with n values.

    (n - 1) s^2 / sigma^2 follows the chi-square distribution with n - 1 degrees of freedom.
    """
    from scipy.special import chdtri

    squares = (n - 1) * std**2
    low, high = (math.sqrt(squares / chdtri(n - 1, tail)) for tail in (LEVEL / 2, 1 - LEVEL / 2))
    return float(low), float(high)


def measure_floor(season: Season, played: PlayedHole, records: Sequence[RunRecord]) -> NoiseFloor | None:
    """Return what the complete records of a hole's configuration on one machine show; None without any.

    What could be seen is what the season's own test would call a difference, for seeds with this spread.
    """
    sample, course = sample_of(records), season.course(played.course)
    if sample is None:
        return None
    visible: dict[int, float | None] = dict.fromkeys(SEEDS_A_SIDE)
    if sample.std and course is not None:
        floor = Spread(sample.std, sample.n - 1, f"the floor of {played.name.folder}")
        prior = season.evidence.spread(course, played.split)
        one, three = Sample((0.0,), floor=floor), Sample((-sample.std, 0.0, sample.std))
        visible = {side.n: subtract(side, side, prior).threshold for side in (one, three)}
    machines = [name for record in records if (name := record.environment.machine)]
    return NoiseFloor(
        sample,
        machines[-1] if machines else None,
        spread_interval(sample.std, sample.n) if sample.std else None,
        visible,
        course.noise if course else None,
    )


def describe(floor: NoiseFloor) -> list[str]:
    """Return the lines for people."""
    sample, interval = floor.sample, floor.interval
    seeds = ", ".join(map(str, sample.seeds)) or "not named"
    spread = "not known from one seed" if sample.n < 2 else "none: equal scores show no spread"
    if sample.std and interval:
        spread = f"{sample.std:.5f} bpb (95 %: {interval[0]:.5f} to {interval[1]:.5f})"
    lines = [
        f"machine             {floor.machine or 'not recorded'}",
        f"seeds               {sample.n} ({seeds})",
        f"mean                {sample.mean:.5f} bpb",
        f"standard deviation  {spread}",
    ]
    lines += [
        f"smallest difference {threshold:.4f} bpb with {figures.number(count, 'seed')} a side"
        for count, threshold in floor.visible.items()
        if threshold is not None
    ]
    if floor.course is not None:
        figure = f"{floor.course.std_bpb:.5f} bpb of {floor.course.date.isoformat()}"
        lines.append(f"the course's figure {figure}{', ' if floor.to_course else ''}{floor.to_course}")
    if not floor.counts:
        lines.append(f"verdicts use a floor of {FLOOR_SEEDS} seeds or more")
    return lines


def as_data(floor: NoiseFloor | None) -> dict[str, Any] | None:
    """Return what `--json` says."""
    if floor is None:
        return None
    course = floor.course
    return {
        "machine": floor.machine,
        "n": floor.sample.n,
        "seeds": list(floor.sample.seeds),
        "mean": floor.sample.mean,
        "std": floor.sample.std,
        "std_interval": list(floor.interval) if floor.interval else None,
        "smallest_difference": {f"{count} against {count}": value for count, value in floor.visible.items()},
        "used_by_verdicts": floor.counts,
        "course": course.model_dump(mode="json") if course else None,
        "to_course": floor.to_course or None,
    }
