"""What follows from many comparisons: the luck of the lowest, and which claims survive their number. Pure.

scipy is imported only when it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from harness.stats import LEVEL, Difference


def against_lowest(difference: Difference, count: int) -> Difference:
    """Return a difference whose `b` was chosen as the lowest of `count`: its luck is no loss of `a`."""
    if count < 2 or difference.exact or difference.std is None:
        return difference
    shrinkage = -selection_bias(count) * difference.std / math.sqrt(difference.n[1])
    basis = f"{difference.basis}; the other is the lowest of {count}, by luck about {shrinkage:.2g} too low"
    return replace(difference, basis=basis, lowest_of=count, shrinkage=shrinkage)


@cache
def selection_bias(count: int) -> float:
    """Return the expected lowest of `count` standard normal values, which is below 0 from two on.

    So much lower, in standard errors, is the best of equal configurations expected to look than it is.
    """
    if count < 2:
        return 0.0
    # The trapezoidal rule is as good as exact for so smooth a density. To import scipy.integrate would take a
    # listing as long as to read thousands of records.
    step = 1 / 32
    points = (step * at for at in range(round(-12 / step), round(12 / step) + 1))
    above = ((x, math.erfc(x / math.sqrt(2)) / 2) for x in points)  # and how likely a value lies above
    total = math.fsum(x * math.exp(-x * x / 2) * share ** (count - 1) for x, share in above)
    return count * step * total / math.sqrt(2 * math.pi)


def adjust(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number: of the claims at or below 0.05, at most 5 % are expected to be false.

    Benjamini and Hochberg's (1995) step-up in the form of Benjamini and Yekutieli (2001), which holds for
    comparisons that depend on each other, as those do that share par: when par alone was unlucky, the plain
    form makes claims by the dozen.
    """
    if not p_values:
        return []
    from scipy.stats import false_discovery_control

    return [float(p) for p in false_discovery_control(p_values, method="by")]


def survival_limit(p_values: Sequence[float], more: int = 0) -> float:
    """Return the largest of the p-values that survives the correction for their number; 0 if none does.

    It and all below it survive: what `adjust` puts at or below 0.05, without its half second for scipy.stats,
    which a listing does not wait for. more: smaller ones that are counted beside these.
    """
    ranked, count = sorted(p_values), len(p_values) + more
    passing = (p for rank, p in enumerate(ranked, more + 1) if p <= survival_bound(rank, count))
    return max(passing, default=0.0)


def survival_bound(rank: int, count: int) -> float:
    """Return up to what p-value the claim of a rank (1 is the lowest p) survives by itself; see `adjust`."""
    return rank * LEVEL / (count * _harmonic(count))


@cache
def _harmonic(count: int) -> float:
    return math.fsum(1 / rank for rank in range(1, count + 1))
