"""Differences against published tables and scipy, and what is never called a change."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import Sample, lower_by, subtract

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


def test_spread_of_a_sample_is_that_of_statistics():
    assert Sample((1.0,)).std is None
    assert Sample((1.0, 1.2, 1.7)).std == pytest.approx(statistics.stdev((1.0, 1.2, 1.7)))


def test_a_difference_tells_its_interval_and_which_side_is_better():
    a, b = (1.1147, 1.1151, 1.1144), (1.1194, 1.1190, 1.1202)

    better, worse = subtract(Sample(a), Sample(b), None), subtract(Sample(b), Sample(a), None)

    reference = scipy_stats.ttest_ind(a, b, equal_var=False)
    assert better.interval == pytest.approx(tuple(reference.confidence_interval(0.95)), rel=1e-9)
    assert better.p_better == pytest.approx(
        scipy_stats.ttest_ind(a, b, equal_var=False, alternative="less").pvalue
    )
    assert worse.p_better == pytest.approx(1 - better.p_better)
    assert (better.n, better.basis) == ((3, 3), "Welch's t over 3 and 3 seeds")


@pytest.mark.filterwarnings("ignore:Precision loss")
def test_one_group_without_spread_still_leaves_the_others():
    a, b = (1.21, 1.21, 1.21), (1.20, 1.22)

    difference = subtract(Sample(a), Sample(b), 0.002)

    assert difference.p_value == pytest.approx(scipy_stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert lower_by(Sample(b), Sample(a), 0.0, None).p == pytest.approx(
        scipy_stats.ttest_ind(b, a, equal_var=False, alternative="less").pvalue
    )
    assert lower_by(Sample((*a, 1.23)), Sample(b), 0.0, None).basis == "Welch's t over 4 and 2 seeds"


def test_a_little_worse_is_not_better():
    a, b = (1.21, 1.22, 1.23), (1.205, 1.22, 1.225)

    difference = subtract(Sample(a), Sample(b), None)

    one_sided = scipy_stats.ttest_ind(a, b, equal_var=False, alternative="less")
    assert 0 < difference.t < 1
    assert difference.p_better == pytest.approx(one_sided.pvalue)


def test_nothing_is_told_where_no_spread_is_known():
    difference = subtract(Sample((1.0,)), Sample((2.0,)), noise_std=None)

    assert (difference.delta, difference.n) == (-1.0, (1, 1))
    assert (difference.threshold, difference.interval, difference.p_better, difference.p_value) == (None,) * 4
    assert difference.basis == "one seed, and no noise figure is known"


def test_a_group_against_one_seed_takes_the_larger_spread():
    calm = subtract(Sample((1.20, 1.20, 1.20)), Sample((1.21,)), noise_std=0.002)
    wild = subtract(Sample((1.20, 1.22, 1.24)), Sample((1.21,)), noise_std=0.002)

    assert calm.error == pytest.approx(0.002 * math.sqrt(1 / 3 + 1))
    assert calm.basis == "3 seeds against 1 seed, seed noise 0.002 bpb"
    assert wild.error == pytest.approx(0.02 * math.sqrt(1 / 3 + 1))
    other = subtract(Sample((1.21,)), Sample((1.20, 1.22, 1.24)), 0.002)
    assert other.error == pytest.approx(wild.error)
    assert other.basis == "1 seed against 3 seeds, seed noise 0.02 bpb"
    equal = subtract(Sample((1.2, 1.2)), Sample((1.3, 1.3)), noise_std=0.002)
    assert equal.basis == "equal scores show no spread; 2 seeds against 2 seeds, seed noise 0.002 bpb"


@pytest.mark.parametrize("margin", [0.0, 0.003, 0.01])
def test_lower_by_a_margin_agrees_with_scipy(margin):
    a, b = (1.1147, 1.1151, 1.1144), (1.1194, 1.1190, 1.1202, 1.1188)

    test = lower_by(Sample(a), Sample(b), margin, None)

    shifted = [value - margin for value in b]
    reference = scipy_stats.ttest_ind(a, shifted, equal_var=False, alternative="less")
    assert (test.p, test.t) == pytest.approx((reference.pvalue, reference.statistic), rel=1e-9)
    assert test.freedom == pytest.approx(reference.df, rel=1e-9)
    assert test.basis == "Welch's t over 3 and 4 seeds"


def test_lower_than_one_published_value_takes_the_courses_noise():
    """Welch's formula by hand, the published value's variance known exactly."""
    a, noise = (1.1147, 1.1151, 1.1144), 0.0006

    test = lower_by(Sample(a), Sample((1.1194,)), 0.003, noise)

    own = statistics.variance(a) / 3
    assert test.t == pytest.approx((statistics.mean(a) - 1.1194 + 0.003) / math.sqrt(own + noise**2))
    assert test.freedom == pytest.approx((own + noise**2) ** 2 / (own**2 / 2))
    assert test.p == pytest.approx(scipy_stats.t.cdf(test.t, test.freedom))
    assert test.basis == "Welch's t over 3 seeds and one published value with the course's noise 0.0006"


@pytest.mark.parametrize(
    ("a", "b", "noise", "why"),
    [
        ((1.1,), (1.2, 1.3), 0.1, "one seed shows no spread"),
        ((1.1, 1.1), (1.2, 1.2), 0.1, "identical scores on both sides: were these different seeds?"),
        ((1.1, 1.1), (1.2, 1.3), 0.1, "2 identical scores show no spread: were these different seeds?"),
        ((1.1, 1.1), (1.2,), 0.1, "2 identical scores show no spread: were these different seeds?"),
        ((1.1, 1.2), (1.3,), None, "its reference is one value, and the course has no noise figure"),
    ],
)
def test_what_cannot_be_tested_is_said(a, b, noise, why):
    assert lower_by(Sample(a), Sample(b), 0.0, noise) == why
