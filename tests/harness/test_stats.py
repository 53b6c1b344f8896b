"""Differences against published tables and scipy, and what is never called a change."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import CONFIDENCE, Sample, _reach, _tail, subtract

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


@given(st.floats(min_value=1, max_value=1000), st.floats(min_value=1e-5, max_value=1e5))
def test_students_tail_is_that_of_scipy(freedom, t):
    assert _tail(freedom, t) == _tail(freedom, -t)
    assert _tail(freedom, t) == pytest.approx(2 * scipy_stats.t.sf(t, freedom), rel=1e-9, abs=1e-300)


@given(st.floats(min_value=1, max_value=1000))
def test_reach_is_the_quantile_of_scipy(freedom):
    assert _reach(freedom) == pytest.approx(scipy_stats.t.ppf(0.5 + CONFIDENCE / 2, freedom), rel=1e-9)


@pytest.mark.parametrize(("t", "tail"), [(0.0, 1.0), (1e-300, 1.0), (1e300, 0.0), (math.inf, 0.0)])
def test_students_tail_at_its_ends(t, tail):
    assert _tail(3.0, t) == tail


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
