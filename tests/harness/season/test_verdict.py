"""Golf names at their edges, and the noise that no name may claim to beat."""

import pytest

from harness.courses.course import load_course
from harness.errors import HarnessError
from harness.season.verdict import judge, name_distance
from harness.stats import Sample, Spread, subtract

FINEWEB = load_course("fineweb")
PAR = 1.2244


@pytest.mark.parametrize(
    ("score", "name"),
    [
        (1.2244, "Par"),
        (1.2294, "Par"),
        (1.2194, "Par"),
        (1.22941, "Bogey"),
        (1.2744, "Bogey"),
        (1.27441, "Double Bogey"),
        (1.3444, "Double Bogey"),
        (1.34441, "Triple Bogey"),
        (1.4744, "Triple Bogey"),
        (1.4141, "Triple Bogey"),
        (1.47441, "Picked Up"),
        (9.0, "Picked Up"),
        (1.21939, "Birdie"),
        (1.1944, "Birdie"),
        (1.19439, "Eagle"),
        (1.1444, "Eagle"),
        (1.14439, "Albatross"),
        (1.0744, "Albatross"),
        (1.07439, "Condor"),
        (0.5, "Condor"),
    ],
)
def test_fineweb_names_change_exactly_at_their_edges(score, name):
    assert name_distance(score - PAR, FINEWEB.verdicts) == name


def noise(std):
    return Spread(std, 26, "the course's figure", known=True)


def test_good_name_is_not_given_inside_the_noise():
    lucky = subtract(Sample((PAR - 0.02,)), Sample((PAR,)), noise(0.05))
    real = subtract(Sample((PAR - 0.02,)), Sample((PAR,)), noise(0.0006))

    told = judge(lucky, FINEWEB.verdicts)
    assert (told.name, told.strokes) == ("Par", 0)
    assert (
        told.why
        == f"-0.0200 bpb to par would be Birdie, but the noise threshold (95 %) is {lucky.threshold:.4f}"
    )
    unknown = judge(subtract(Sample((PAR - 0.02,)), Sample((PAR,)), None), FINEWEB.verdicts)
    assert (unknown.name, unknown.strokes) == ("Par", 0)
    assert unknown.why.endswith("the noise threshold (95 %) is unknown")
    assert judge(real, FINEWEB.verdicts).name == "Birdie"


@pytest.mark.parametrize(
    ("delta", "strokes"),
    [(0.0, 0), (0.02, 1), (0.06, 2), (0.2, 2), (0.3, 2), (-0.02, -1), (-0.05, -2), (-0.4, -2)],
)
def test_cards_draw_no_more_than_two_marks(delta, strokes):
    difference = subtract(Sample((PAR + delta,)), Sample((PAR,)), noise(0.0006))

    assert judge(difference, FINEWEB.verdicts).strokes == strokes


def test_every_course_has_a_table_that_ascends_and_noise_inside_its_par():
    for name in ("fineweb", "practice"):
        course = load_course(name)
        for steps in (course.verdicts.over, course.verdicts.under):
            edges = [edge for edge, _ in steps]
            assert edges == sorted(edges)
            assert edges[0] > course.verdicts.par_within
        one_against_one = subtract(Sample((1.0,)), Sample((1.0,)), course.spread)
        assert one_against_one.threshold <= course.verdicts.par_within * 1.02


def test_unknown_course_names_the_nearest():
    with pytest.raises(HarnessError) as refusal:
        load_course("practise")

    assert "did you mean practice?" in refusal.value.hint
