"""Differences against published tables and scipy, and what is never called a change."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import Sample, subtract

scores = st.floats(min_value=0.5, max_value=3, allow_nan=False)
seeds = st.lists(scores, min_size=2, max_size=6).map(tuple)


def test_welch_agrees_with_scipy():
    a, b = (1.1147, 1.1151, 1.1144), (1.1194, 1.1190, 1.1202)

    difference = subtract(Sample(a), Sample(b), noise_std=None)

    reference = scipy_stats.ttest_ind(a, b, equal_var=False)
    assert difference.p_value == pytest.approx(reference.pvalue, rel=1e-9)
    interval = reference.confidence_interval(0.95)
    assert difference.threshold == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)
    assert difference.outcome == "better"


def test_one_seed_is_judged_by_the_noise_of_the_course():
    near = subtract(Sample((1.4141,)), Sample((1.4139,)), noise_std=0.00063)
    far = subtract(Sample((1.4141,)), Sample((1.4039,)), noise_std=0.00063)

    assert near.outcome == "within noise"
    assert near.threshold == pytest.approx(1.96 * 0.00063 * math.sqrt(2), rel=1e-4)
    assert far.outcome == "worse"
    assert "1 seed" in far.basis


def test_without_a_noise_figure_one_seed_cannot_tell():
    assert subtract(Sample((1.0,)), Sample((2.0,)), noise_std=None).outcome == "cannot tell"


@given(scores, st.integers(min_value=2, max_value=9))
def test_identical_scores_have_no_spread(score, count):
    """A mean that rounds to a neighbour would show one, and make any difference certain."""
    group = Sample((score,) * count)

    assert (group.mean, group.std) == (score, 0)


def test_identical_scores_of_several_seeds_are_no_certainty():
    """Zero variance is luck or a bug, not infinite confidence."""
    difference = subtract(Sample((1.2, 1.2)), Sample((1.2001, 1.2001)), noise_std=0.0006)

    assert difference.outcome == "within noise"


@given(seeds, seeds)
def test_swapping_sides_swaps_only_the_sign(a, b):
    one, other = subtract(Sample(a), Sample(b), 0.01), subtract(Sample(b), Sample(a), 0.01)

    assert one.delta == -other.delta
    mirrored = {"better": "worse", "worse": "better"}
    assert mirrored.get(one.outcome, one.outcome) == other.outcome
