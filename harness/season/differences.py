"""A difference as machines and readers get it: one form for every command, table and page."""

from __future__ import annotations

from typing import Any

from harness import figures
from harness.stats import Difference, TestResult


def difference_data(difference: Difference, survives: bool | None = None) -> dict[str, Any]:
    """Return a difference as JSON, unrounded, in bits per byte; what is not known is null.

    survives: whether the claim survives the correction for the season's number of claims; null for none.
    """
    return {
        "delta": difference.delta,
        "outcome": difference.outcome,
        "exact": difference.exact,
        "n": list(difference.n),
        "spread": difference.std,
        "test": difference.test.name if difference.test else None,
        "looks": difference.looks,
        "t": difference.t,
        "degrees_of_freedom": difference.freedom,
        "p_value": difference.p_value,
        "threshold": difference.threshold,
        "interval_95": list(difference.interval) if difference.interval else None,
        "equivalent": difference.equivalent,
        "lowest_of": difference.lowest_of or None,
        "shrinkage": difference.shrinkage or None,
        "survives_correction": survives,
        "basis": difference.basis,
        "tests": [_test_data(test) for test in (difference.test, *difference.others) if test],
    }


def _test_data(test: TestResult) -> dict[str, Any]:
    return {
        "test": test.name,
        "delta": test.delta,
        "spread": test.std,
        "error": test.error,
        "t": test.t,
        "degrees_of_freedom": test.freedom,
        "p_value": test.p,
        "n": list(test.n),
    }


def describe_tests(difference: Difference) -> list[str]:
    """Return a line for each test of a difference, that which counts first."""
    lines = []
    for test in (difference.test, *difference.others):
        if test is None:
            continue
        counts = " (counts)" if test is difference.test and difference.others else ""
        freedom = "" if test.freedom is None else f" with {test.freedom:.3g} degrees of freedom"
        statistic = "z" if test.freedom is None else "t"
        if test.name == "paired t":
            lines.append(
                f"paired over {test.n[0]} shared seeds: mean difference {figures.delta(test.delta)}, "
                f"spread of the differences {test.std:.2g}, paired t {test.t:.2f}, p {test.p:.2g}{counts}"
            )
        else:
            name = {"known spread": "noise figure"}.get(test.name, test.name)
            lines.append(f"{name}: {statistic} {test.t:.2f}{freedom}, two-sided p {test.p:.2g}{counts}")
    return lines
