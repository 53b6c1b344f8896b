"""Means, spreads and what a difference is worth. Knows nothing of golf, records or files.

scipy is imported only when two groups of several seeds meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from harness.figures import number

CONFIDENCE = 0.95
Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution

Outcome = Literal["better", "worse", "within noise", "cannot tell"]


@dataclass(frozen=True)
class Sample:
    """Scores of one configuration over its seeds (lower is better), at full precision."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.values)

    @cached_property
    def mean(self) -> float:
        # The mean of equal values may round to a neighbour, and that would look like a spread.
        return self.values[0] if len(set(self.values)) == 1 else math.fsum(self.values) / self.n

    @cached_property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1), or None for a single value."""
        if self.n < 2:
            return None
        return math.sqrt(math.fsum((value - self.mean) ** 2 for value in self.values) / (self.n - 1))


@dataclass(frozen=True)
class Difference:
    """`mean(a) - mean(b)` with what can be said of it.

    p_value: two-sided, Welch's t; None when a side has a single value and the course's noise was used.
    basis: one sentence on where the threshold comes from.
    error: standard error of `delta`; None when no spread is known. freedom: Welch's degrees of freedom;
    None for the normal distribution. t: Welch's statistic; None where p_value is.
    """

    delta: float
    outcome: Outcome
    n: tuple[int, int]
    p_value: float | None
    basis: str
    error: float | None = None
    freedom: float | None = None
    t: float | None = None

    @cached_property
    def threshold(self) -> float | None:
        """The smallest absolute difference these seeds could have told from luck at 95 %; None if unknown."""
        if self.error is None:
            return None
        reach = Z_95 if self.freedom is None else _reach(self.freedom)
        return reach * self.error

    @property
    def p_better(self) -> float | None:
        """The one-sided p-value against "a is no lower than b"; None where p_value is."""
        if self.p_value is None or self.t is None:
            return None
        return self.p_value / 2 if self.t < 0 else 1 - self.p_value / 2

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of `delta`, or None when no spread is known."""
        return None if self.threshold is None else (self.delta - self.threshold, self.delta + self.threshold)


def subtract(a: Sample, b: Sample, noise_std: float | None) -> Difference:
    """Compare two samples of a lower-is-better score; never calls noise a change.

    Several values on both sides: Welch's t-test (Welch 1947), unequal variances. Otherwise the
    course's dated noise figure stands in for the spread that one value cannot show.
    noise_std: standard deviation over seeds in the samples' unit, or None when nobody measured it.
    """
    delta = a.mean - b.mean
    counts = (a.n, b.n)
    if a.n > 1 and b.n > 1 and (a.std or b.std):
        error, freedom = _welch(a, b)
        t = delta / error
        p_value = _tail(freedom, t)
        outcome = _outcome(delta, p_value >= 1 - CONFIDENCE)
        basis = f"Welch's t over {a.n} and {b.n} seeds"
        return Difference(delta, outcome, counts, p_value, basis, error, freedom, t)
    if noise_std is None:
        return Difference(delta, "cannot tell", counts, None, "one seed, and no noise figure is known")
    spread = max(noise_std, a.std or 0.0, b.std or 0.0)
    error = spread * math.sqrt(1 / a.n + 1 / b.n)
    equal = "equal scores show no spread; " if a.n > 1 and b.n > 1 else ""
    basis = f"{equal}{number(a.n, 'seed')} against {number(b.n, 'seed')}, seed noise {spread:.2g} bpb"
    return Difference(delta, _outcome(delta, abs(delta) <= Z_95 * error), counts, None, basis, error)


@dataclass(frozen=True)
class OneSided:
    """A test of "a is lower than b by more than a margin". p: of the data if that were not so."""

    p: float
    t: float
    freedom: float
    basis: str


def lower_by(a: Sample, b: Sample, margin: float, noise_std: float | None) -> OneSided | str:
    """Test one-sidedly whether mean(a) < mean(b) - margin; a sentence says why it cannot be tested.

    Welch's t (Welch 1947). A single value of b takes the course's noise as its spread, as if that were known
    exactly; a itself must be several runs with a spread of their own.
    """
    if a.n < 2:
        return "one seed shows no spread"
    if a.std == 0 and b.n > 1 and b.std == 0:
        return "identical scores on both sides: were these different seeds?"
    if a.std == 0:
        return f"{a.n} identical scores show no spread: were these different seeds?"
    if b.n > 1:
        error, freedom = _welch(a, b)
        basis = f"Welch's t over {a.n} and {b.n} seeds"
    elif noise_std is None:
        return "its reference is one value, and the course has no noise figure"
    else:
        var_a, var_b = (a.std or 0.0) ** 2 / a.n, noise_std**2
        error, freedom = math.sqrt(var_a + var_b), (var_a + var_b) ** 2 / (var_a**2 / (a.n - 1))
        basis = f"Welch's t over {a.n} seeds and one published value with the course's noise {noise_std:.2g}"
    t = (a.mean - b.mean + margin) / error
    both = _tail(freedom, t)
    return OneSided(both / 2 if t < 0 else 1 - both / 2, t, freedom, basis)


def _outcome(delta: float, within_noise: bool) -> Outcome:
    if within_noise:
        return "within noise"
    return "better" if delta < 0 else "worse"


def _welch(a: Sample, b: Sample) -> tuple[float, float]:
    """Return the standard error of the difference and its degrees of freedom (Welch 1947)."""
    var_a, var_b = (a.std or 0.0) ** 2 / a.n, (b.std or 0.0) ** 2 / b.n
    error = math.sqrt(var_a + var_b)
    return error, (var_a + var_b) ** 2 / (var_a**2 / (a.n - 1) + var_b**2 / (b.n - 1))


def _tail(freedom: float, t: float) -> float:
    """Return P(|T| > |t|) of Student's t."""
    from scipy.special import stdtr  # 0.2 s; scipy.stats would take several times that

    return float(2 * stdtr(freedom, -abs(t)))


def _reach(freedom: float) -> float:
    """Return the t that |T| passes with probability 5 %."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))
