"""No verdict before all planned seeds are in."""

from __future__ import annotations

import pytest

from harness.season.brief import brief_season
from harness.season.pairs import pair_holes
from harness.season.season import load_season, summarise_season
from harness.season.standing import KINDS

NAN = {"status": "failed", "failure": {"kind": "nan", "message": "the loss is nan"}}
INTERRUPTED = {"status": "stopped", "failure": {"kind": "interrupted", "message": "asked to stop"}}


@pytest.fixture
def put_seed(put_record):
    """Write an attempt of a hole that planned the seeds 1, 2 and 3."""

    def put(attempt, seed, hole="round_002", **fields):
        known = {"planned_seeds": [1, 2, 3], "seed": seed, "config_hash": "0" * 16}
        put_record(hole, attempt, **known | fields)

    return put


def standing_of(runs, number=2):
    season = load_season(runs)
    return season.standing(next(hole for hole in season.holes if hole.name.number == number))


@pytest.mark.parametrize("last", [None, INTERRUPTED])
def test_a_hole_whose_planned_seeds_are_missing_has_no_verdict(last, put_record, put_seed, runs):
    put_record("round_001", val_bpb=1.23, seed=1)
    put_seed(1, 1, val_bpb=1.10)
    put_seed(2, 2, val_bpb=1.11)
    if last:
        put_seed(3, 3, **last)

    standing = standing_of(runs)

    why = "2 of 3 planned seeds finished: no verdict yet"
    assert (standing.verdict.name, standing.verdict.why) == ("Still Out", why)
    for kind in KINDS:
        comparison = standing.comparisons[kind]
        assert (comparison.difference, comparison.reason) == (None, why)
    brief = brief_season(summarise_season(runs))
    assert brief.best is not None
    assert brief.best.played.name.folder == "round_001"


def test_a_comparison_that_is_asked_for_says_which_seeds_are_missing(put_record, put_seed, runs):
    put_record("round_001", val_bpb=1.23, seed=1)
    put_seed(1, 1, val_bpb=1.10)
    season = load_season(runs)

    pair = pair_holes(season, season.holes[1], season.holes[0])

    assert "round_002: 1 of 3 planned seeds finished: no verdict yet" in pair.caveats


def test_a_seed_that_failed_for_good_is_in(put_record, put_seed, runs):
    put_record("round_001", val_bpb=1.23, seed=1)
    put_seed(1, 1, val_bpb=1.10)
    put_seed(2, 2, **NAN)
    put_seed(3, 3, val_bpb=1.11)

    standing = standing_of(runs)

    assert standing.verdict.name == "Albatross"
    assert standing.comparisons["best"].difference is not None


def test_a_later_plan_of_fewer_seeds_counts(put_record, put_seed, runs):
    put_record("round_001", val_bpb=1.23, seed=1)
    put_seed(1, 1, val_bpb=1.10)
    put_seed(2, 7, val_bpb=1.11, planned_seeds=[7])

    assert standing_of(runs).verdict.name == "Albatross"


def test_a_broken_plan_of_another_configuration_leaves_the_verdict(put_record, put_seed, runs):
    put_record("round_001", val_bpb=1.23, seed=1)
    put_seed(1, 1, val_bpb=1.10, planned_seeds=[1])
    put_seed(2, 2, config_hash="1" * 16, **INTERRUPTED)

    assert standing_of(runs).verdict.name == "Albatross"
