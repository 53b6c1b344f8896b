"""The lowest of many, and which claims survive their number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.integrate import quad

from harness.multiplicity import adjust, against_lowest, selection_bias, survival_limit
from harness.stats import LEVEL, Sample, Spread, subtract


def figure(std):
    return Spread(std, 26, "the course's figure", known=True)


scores = st.floats(min_value=0.5, max_value=3, allow_nan=False)
seeds = st.lists(scores, min_size=2, max_size=6).map(tuple)


@pytest.mark.parametrize(("count", "sigmas"), [(1, 0.0), (2, -0.5642), (5, -1.1630), (40, -2.1608)])
def test_lowest_of_several_is_low_by_luck(count, sigmas):
    """Published expected order statistics (Harter 1961)."""
    assert selection_bias(count) == pytest.approx(sigmas, abs=1e-4)


def test_lowest_of_very_many_agrees_with_an_integration_by_scipy():
    def density(x):
        return x * 10_000 * scipy_stats.norm.pdf(x) * scipy_stats.norm.sf(x) ** 9_999

    assert selection_bias(10_000) == pytest.approx(quad(density, -9, 0, epsabs=1e-12)[0], abs=1e-8)


def test_luck_of_a_chosen_reference_is_no_loss():
    plain = subtract(Sample((1.03,)), Sample((1.0,)), figure(0.01))
    chosen, far = against_lowest(plain, 40), subtract(Sample((1.06,)), Sample((1.0,)), figure(0.01))

    assert (plain.outcome, chosen.outcome) == ("worse", "within noise")
    assert chosen.shrinkage == pytest.approx(2.1608 * 0.01, rel=1e-3)
    assert against_lowest(far, 40).outcome == "worse"
    expected = 2 * scipy_stats.norm.sf((0.06 - chosen.shrinkage) / (0.01 * math.sqrt(2)))
    assert against_lowest(far, 40).p_value == pytest.approx(expected)
    assert chosen.p_value == pytest.approx(2 * scipy_stats.norm.sf((0.03 - chosen.shrinkage) / chosen.error))


@pytest.mark.parametrize("delta", [-0.05, -0.02, 0.02, 0.03, 0.045, 0.055])
def test_interval_and_threshold_agree_with_the_outcome_against_the_lowest(delta):
    chosen = against_lowest(subtract(Sample((1.0 + delta,)), Sample((1.0,)), figure(0.01)), 40)
    low, high = chosen.interval

    assert (low <= 0 <= high) == (chosen.outcome == "within noise") == (abs(delta) <= chosen.threshold)


def test_a_gain_over_the_lowest_needs_no_correction():
    gain = subtract(Sample((0.96,)), Sample((1.0,)), figure(0.01))

    assert against_lowest(gain, 40).p_value == gain.p_value
    assert against_lowest(gain, 40).outcome == "better"


def test_claims_that_share_an_unlucky_reference_are_few():
    """Fifty equal holes in each of 300 seasons, judged by one par of one seed: the plain step-up lets four
    claims stand in twenty seasons, most of them in a few."""
    rng, kept = np.random.default_rng(1), []
    for _ in range(300):
        par = Sample((rng.normal(),))
        stories = [subtract(Sample((x,)), par, figure(1.0)).p_value for x in rng.normal(size=49)]
        kept.append(sum(p <= LEVEL for p in adjust(stories)))

    assert 20 * np.mean(kept) <= 1


def test_p_values_are_adjusted_as_scipy_does():
    assert adjust([0.01, 0.04, 0.03]) == pytest.approx(
        list(scipy_stats.false_discovery_control([0.01, 0.04, 0.03], method="by"))
    )
    assert adjust([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_the_limit_of_survival_is_that_of_the_adjusted_p_values(p_values):
    limit = survival_limit(p_values)

    assert [p <= limit for p in p_values if p > 0] == [
        adjusted <= LEVEL for p, adjusted in zip(p_values, adjust(p_values), strict=True) if p > 0
    ]
