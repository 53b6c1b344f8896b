"""Claims of a season against Benjamini and Hochberg's correction as scipy has it."""

import math

from hypothesis import given
from hypothesis import strategies as st

from harness.multiplicity import adjust
from harness.season.claims import Claims, describe
from harness.stats import LEVEL, Difference, TestResult

STATISTICS = st.lists(st.floats(0, 6), min_size=1, max_size=40)


def difference_of(z):
    return Difference(z, (1, 1), "z", TestResult("known spread", z, 1.0, None, 1.0, (1, 1)))


def claims_of(statistics):
    return Claims((str(at), "course", difference_of(z)) for at, z in enumerate(statistics))


@given(STATISTICS)
def test_a_claim_survives_where_its_adjusted_p_value_is_at_most_the_level(statistics):
    claims = claims_of(statistics)
    p_values = [math.erfc(z / math.sqrt(2)) for z in statistics]

    for at, (p, adjusted) in enumerate(zip(p_values, adjust(p_values), strict=True)):
        if math.isclose(adjusted, LEVEL, rel_tol=1e-9):
            continue
        assert claims.survives(str(at)) == (None if p >= LEVEL else adjusted <= LEVEL)
    family = claims.of_course("course")
    assert family.survivors == sum(claims.survives(str(at)) is True for at in range(len(statistics)))


@given(STATISTICS, st.floats(0, 6))
def test_one_more_comparison_is_held_beside_the_stories(statistics, z):
    p_values = [math.erfc(one / math.sqrt(2)) for one in (*statistics, z)]
    adjusted = adjust(p_values)[-1]

    survives = claims_of(statistics).survives_beside(difference_of(z), "course")

    if not math.isclose(adjusted, LEVEL, rel_tol=1e-9):
        assert survives == (None if p_values[-1] >= LEVEL else adjusted <= LEVEL)


def test_an_exact_difference_is_a_claim_that_needs_no_luck():
    exact = Difference(0.1, (1, 1), "the same weights", exact=True)
    claims = Claims([("one", "a", exact), ("two", "a", difference_of(0.1)), ("three", "b", None)])

    assert (claims.survives("one"), claims.survives("two"), claims.survives("three")) == (True, None, None)
    assert describe(claims.of_course("a")) == (
        "the season counts 1 comparison and no claim; 1 more differs exactly"
    )
