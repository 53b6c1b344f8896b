"""Differences against published tables and scipy, and what is never called a change."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import (
    Sample,
    Spread,
    exact_difference,
    lower_by,
    pool_spread,
    subtract,
)


def figure(std):
    return Spread(std, 26, "the course's figure", known=True)


scores = st.floats(min_value=0.5, max_value=3, allow_nan=False)
seeds = st.lists(scores, min_size=2, max_size=6).map(tuple)


def test_welch_agrees_with_scipy():
    a, b = (1.1147, 1.1151, 1.1144), (1.1194, 1.1190, 1.1202)

    difference = subtract(Sample(a), Sample(b), None)

    reference = scipy_stats.ttest_ind(a, b, equal_var=False)
    assert difference.p_value == pytest.approx(reference.pvalue, rel=1e-9)
    interval = reference.confidence_interval(0.95)
    assert difference.threshold == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)
    assert difference.outcome == "better"


def test_one_seed_is_judged_by_the_noise_of_the_course():
    near = subtract(Sample((1.4141,)), Sample((1.4139,)), figure(0.00063))
    far = subtract(Sample((1.4141,)), Sample((1.4039,)), figure(0.00063))

    assert near.outcome == "within noise"
    assert near.threshold == pytest.approx(1.96 * 0.00063 * math.sqrt(2), rel=1e-4)
    assert far.outcome == "worse"
    assert "1 seed" in far.basis


def test_without_a_noise_figure_one_seed_cannot_tell():
    assert subtract(Sample((1.0,)), Sample((2.0,)), None).outcome == "cannot tell"


@given(scores, st.integers(min_value=2, max_value=9))
def test_identical_scores_have_no_spread(score, count):
    """A mean that rounds to a neighbour would show one, and make any difference certain."""
    group = Sample((score,) * count)

    assert (group.mean, group.std) == (score, 0)


def test_identical_scores_of_several_seeds_are_no_certainty():
    """Zero variance is luck or a bug, not infinite confidence."""
    difference = subtract(Sample((1.2, 1.2)), Sample((1.2001, 1.2001)), figure(0.0006))

    assert difference.outcome == "within noise"


@given(seeds, seeds)
def test_swapping_sides_swaps_only_the_sign(a, b):
    one, other = subtract(Sample(a), Sample(b), figure(0.01)), subtract(Sample(b), Sample(a), figure(0.01))

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

    difference = subtract(Sample(a), Sample(b), None)

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
    difference = subtract(Sample((1.0,)), Sample((2.0,)), None)

    assert (difference.delta, difference.n) == (-1.0, (1, 1))
    assert (difference.threshold, difference.interval, difference.p_better, difference.p_value) == (None,) * 4
    assert difference.basis == "one seed, and no noise figure is known"


def test_one_seed_says_whose_noise_it_assumes():
    difference = subtract(Sample((1.21,)), Sample((1.20,)), figure(0.002))

    assert difference.basis == "1 seed against 1 seed, seed noise 0.002 bpb by the course's figure"


def test_a_small_group_borrows_the_spread_of_others_and_keeps_some_of_its_own():
    """By hand: three seeds with three quarters of the figure's spread, then Hsu's degrees of freedom."""
    difference = subtract(Sample((1.2185, 1.22, 1.2215)), Sample((1.21,)), figure(0.002))

    chance = scipy_stats.f.sf(0.0015**2 / 0.002**2, 2, 26)
    assert chance > 0.5  # so that the figure counts fully
    variance = (26 * 0.002**2 + 2 * 0.0015**2) / 28
    assert difference.error == pytest.approx(math.sqrt(variance / 3 + 0.002**2))
    assert (difference.test.name, difference.freedom) == ("moderated t", 26)
    assert difference.p_value == pytest.approx(2 * scipy_stats.t.sf(abs(difference.t), 26))


def test_a_group_that_is_much_wilder_than_the_others_keeps_its_own_spread():
    """Spreading ten times as far as the figure says is no luck: Welch's t is nearly all that is left."""
    a, b = (1.20, 1.22, 1.24), (1.179, 1.181, 1.1801)

    wild = subtract(Sample(a), Sample(b), figure(0.002))

    assert wild.error == pytest.approx(math.sqrt(0.02**2 / 3 + 0.002**2 / 3), rel=0.01)
    assert wild.freedom == pytest.approx(2, abs=0.01)
    assert wild.outcome == "within noise"


@pytest.mark.parametrize(("n", "excess", "share"), [(2, 3.2, 1.0), (2, 9.0, 0.09417), (3, 3.2, 0.22889)])
def test_two_seeds_hold_on_to_the_others_longer_than_three(n, excess, share):
    """share: F(n - 1, 26) beyond `excess` over ((n - 1) / 4)^2, by scipy 1.13; never above 1."""
    values = np.array([-1.0, 1.0, *[0.0] * (n - 2)])
    values *= math.sqrt(excess) * 0.002 / statistics.stdev(values)

    difference = subtract(Sample(tuple(1.2 + values)), Sample((1.0,) * n), figure(0.002))

    variances = [0.002**2 * (26 * share + (n - 1) * excess) / (26 * share + n - 1)]
    variances.append(0.002**2 * 26 / (26 + n - 1))
    assert difference.error == pytest.approx(math.sqrt(sum(variances) / n), rel=1e-3)


def test_a_measured_floor_stands_in_for_one_seed():
    """It is taken as it was measured, without the others; the side that has none takes theirs."""
    floor = Spread(0.02, 4, "the floor of round_001 (5 seeds)")
    a, b = Sample((1.24,), floor=floor), Sample((1.20,), floor=floor)

    one, both = subtract(a, Sample((1.20,)), figure(0.002)), subtract(a, b, figure(0.002))

    assert (one.error, one.freedom) == (pytest.approx(math.sqrt(0.02**2 + 0.002**2)), 4)
    assert both.p_value == pytest.approx(2 * scipy_stats.t.sf(0.04 / (0.02 * math.sqrt(2)), 4))
    assert one.basis.endswith(
        "a single seed's by the floor of round_001 (5 seeds), shrunk toward the course's figure"
    )
    assert both.basis.endswith("spread 0.02 bpb, a single seed's by the floor of round_001 (5 seeds)")


def test_more_seeds_do_not_lose_a_difference_that_one_seed_shows():
    """Two values a side told by Welch alone have 1.6 degrees of freedom and show nothing."""
    one = subtract(Sample((2.1123,)), Sample((2.0815,)), figure(0.0091))
    two = subtract(Sample((2.1042, 2.1204)), Sample((2.0753, 2.0877)), figure(0.0091))

    assert (one.outcome, two.outcome) == ("worse", "worse")
    assert next(test for test in two.others if test.name == "Welch's t").p > 0.05


def test_shared_seeds_are_paired_and_the_second_look_is_paid_for():
    a, b = (2.0562, 2.0708, 2.0660), (2.0600, 2.0750, 2.0700)

    difference = subtract(Sample(a, (1, 2, 3)), Sample(b, (1, 2, 3)), figure(0.0091))

    reference = scipy_stats.ttest_rel(a, b)
    assert (difference.test.name, difference.outcome) == ("paired t", "better")
    assert difference.test.p == pytest.approx(reference.pvalue)
    assert difference.p_value == pytest.approx(2 * reference.pvalue)
    assert difference.threshold == pytest.approx(scipy_stats.t.ppf(1 - 0.0125, 2) * difference.error)
    assert {test.name for test in difference.others} == {"moderated t", "Welch's t"}


def test_pairs_are_shown_but_do_not_count_when_some_seeds_are_not_shared():
    difference = subtract(Sample((1.1, 1.2, 1.3), (1, 2, 3)), Sample((1.2, 1.3, 1.5), (1, 2, 4)), figure(0.1))

    assert (difference.test.name, difference.looks) == ("moderated t", 1)


def test_pairs_that_are_equal_but_for_rounding_show_no_spread():
    """Scores of four digits: 1.1002 - 1.1022 and 1.2004 - 1.2024 differ by one bit."""
    a, b = Sample((1.1002, 1.2004, 1.1503), (1, 2, 3)), Sample((1.1022, 1.2024, 1.1523), (1, 2, 3))

    difference = subtract(a, b, figure(0.01))

    assert (difference.test.name, difference.outcome) == ("moderated t", "within noise")


def test_the_same_weights_differ_exactly():
    worse = exact_difference(Sample((1.2080,), (7,)), Sample((1.2,), (7,)))
    same = exact_difference(Sample((1.2,), (7,)), Sample((1.2,), (7,)))

    assert (worse.outcome, worse.threshold, worse.p_value) == ("worse", 0.0, None)
    assert (same.outcome, same.equivalent) == ("equal", True)


def test_does_nothing_needs_the_whole_interval_inside_the_bound():
    near, far = figure(0.001), figure(0.01)

    assert subtract(Sample((1.2001,)), Sample((1.2,)), near, bound=0.005).equivalent
    assert not subtract(Sample((1.2001,)), Sample((1.2,)), far, bound=0.005).equivalent
    assert not subtract(Sample((1.2001,)), Sample((1.2,)), near).equivalent


def spread_sample(n, mean, std, seeds=()):
    """n values of this mean and standard deviation."""
    steps = [at - (n - 1) / 2 for at in range(n)]
    scale = std / math.sqrt(sum(step**2 for step in steps) / (n - 1)) if n > 1 else 0
    return Sample(tuple(mean + scale * step for step in steps), seeds)


@pytest.mark.parametrize(("n", "size"), [(1, 0.001), (1, 0.002), (2, 0.001), (3, 0.0005)])
@pytest.mark.parametrize("known", [True, False])
def test_seeds_that_are_missing_to_see_a_size_are_enough_for_the_test_that_will_count(n, size, known):
    spread = Spread(0.00079, 8, "others", known=known)
    now = subtract(spread_sample(n, 1.2001, 0.00079), spread_sample(n, 1.2, 0.00079), spread)
    more = now.more_seeds(size)

    def threshold(count):
        a, b = (spread_sample(count, mean, 0.00079) for mean in (1.2 + size, 1.2))
        return subtract(a, b, spread).threshold

    assert threshold(n + more) <= size < threshold(n + more - 1)
    assert now.more_seeds(1.0) == 0


def test_seeds_that_are_missing_to_see_a_size_in_pairs_are_pairs():
    noise = (0.0, 0.003, -0.002, 0.001)
    a = Sample(tuple(1.2 + 0.0002 * at for at in (1, -1, 2, 0)), (1, 2, 3, 4))
    b = Sample(tuple(1.2 + one for one in noise), (1, 2, 3, 4))
    pairs = Sample(tuple(x - y for x, y in zip(a.values, b.values, strict=True)))
    paired = subtract(a, b, figure(0.01))
    more = paired.more_seeds(0.002)

    assert (paired.test.name, paired.looks) == ("paired t", 2)
    needed = next(
        n for n in range(5, 99) if scipy_stats.t.ppf(1 - 0.0125, n - 1) * pairs.std / math.sqrt(n) <= 0.002
    )
    assert 4 + more == needed


def test_pooled_spread_is_worth_less_the_more_the_groups_differ():
    alike = pool_spread([(0.01, 2)] * 13, "thirteen holes")
    unlike = pool_spread([(0.01, 9), (0.03, 9)] * 6, "twelve holes")

    assert (alike.std, alike.freedom) == (pytest.approx(0.01), 26)
    assert unlike.freedom < 5
    assert pool_spread([(0.01, 2)] * 4, "four holes") is None


def test_worth_of_a_pooled_spread_is_found_again():
    """Variances that follow s0^2 F(f, 8) exactly, at their quantiles: d0 is 8, whatever the unit."""
    quantiles = (np.arange(400) + 0.5) / 400
    for unit in (1.0, 1e-4):
        stds = unit * np.sqrt(scipy_stats.f.ppf(quantiles, 2, 8))

        assert pool_spread([(std, 2) for std in stds], "").freedom == pytest.approx(8, rel=0.1)


def test_two_seeds_a_hole_are_enough_to_see_three_sigma():
    """Fifty equal holes of two seeds; the variance of their log variances alone would make it two thirds."""
    rng, seen = np.random.default_rng(7), []
    for _ in range(40):
        holes = rng.normal(size=(50, 2))
        spread = pool_spread([(float(std), 1) for std in holes.std(axis=1, ddof=1)], "the season")
        samples = [Sample(tuple(row)) for row in holes]
        for a, b in zip(samples[::2], samples[1::2], strict=True):
            higher = Sample(tuple(value + 3 for value in a.values))
            seen.append(subtract(higher, b, spread).outcome == "worse")

    assert np.mean(seen) >= 0.75


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
