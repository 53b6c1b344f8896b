"""Fresh seeds against a score that was chosen for being low."""

from __future__ import annotations

import pytest

from harness.season.confirmation import confirm, describe, describe_claim, state_claim
from harness.season.season import load_season


@pytest.fixture
def put_seed(put_record):
    """Write a complete record of one configuration: put_seed("round_001", 1337, 1.2, ...)."""

    def put(hole, seed, val_bpb, attempt=1, **fields):
        put_record(hole, attempt, val_bpb=val_bpb, seed=seed, config_hash="0" * 16, **fields)

    return put


def confirmation_of(runs, number=1):
    season = load_season(runs)
    return confirm(season, next(hole for hole in season.holes if hole.name.number == number))


def test_the_lowest_of_forty_equal_holes_is_expected_to_look_two_sigma_too_low(put_seed, runs):
    for number in range(1, 41):
        put_seed(f"round_{number:03d}", 1337, 2.1 + number * 1e-5, course="practice")
    season = load_season(runs)

    claim = state_claim(season, season.holes[0])

    assert (claim.candidates, claim.lowest) == (40, True)
    assert claim.bias == pytest.approx(-2.161, abs=5e-4)  # expected lowest of 40, Harter (1961)
    assert claim.shrinkage == pytest.approx(2.161 * 0.0091, rel=1e-3)
    assert describe_claim(claim) == [
        "round_001 claims 2.1000 over 1 seed: the lowest of 40",
        "the lowest of 40 equal candidates looks 2.2 sigma too low, here 0.0197 bpb: "
        "fresh seeds then come to 2.1197",
    ]


def test_only_fresh_seeds_count(put_seed, runs):
    put_seed("round_001", 1337, 1.1000)
    for attempt, (seed, score) in enumerate([(1, 1.2001), (2, 1.2003), (3, 1.2002)], start=2):
        put_seed("round_001", seed, score, attempt, purpose="confirm")
    put_seed("round_002", 1337, 1.1010)

    found = confirmation_of(runs)

    assert found.claim.chosen.values == (1.1000,)
    assert found.fresh.mean == pytest.approx(1.2002)
    assert found.to_claim.delta == pytest.approx(0.1002)
    assert found.outcome == "not confirmed"
    assert describe(found)[-1] == (
        "not confirmed: worse than round_002 with fresh seeds alone; "
        "the claimed score was too low: fresh seeds are worse than it"
    )


def test_a_hole_that_is_better_with_fresh_seeds_too_is_confirmed(put_seed, runs):
    put_seed("round_001", 1337, 1.1000)
    for attempt, (seed, score) in enumerate([(1, 1.1011), (2, 1.1013), (3, 1.1012)], start=2):
        put_seed("round_001", seed, score, attempt, purpose="confirm")
    put_seed("round_002", 1337, 1.1500)

    assert confirmation_of(runs).outcome == "confirmed"


def test_fresh_seeds_within_noise_of_the_second_best_cannot_tell(put_seed, runs):
    put_seed("round_001", 1337, 1.1000)
    put_seed("round_001", 1, 1.1004, 2, purpose="confirm")
    put_seed("round_002", 1337, 1.1005)

    found = confirmation_of(runs)

    assert found.outcome == "cannot tell"
    assert describe(found)[-1] == "cannot tell: 21 more seeds a side would show a lead of 0.0005"


def test_fresh_seeds_that_only_lose_the_luck_of_the_choice_are_not_worse(put_seed, runs):
    """Of forty equal holes, the lowest two are about 2 sigma low: fresh seeds at the mean are no loss."""
    for number in range(1, 41):
        put_seed(f"round_{number:03d}", 1337, 2.08 + 0.0005 * number, course="practice")
    put_seed("round_001", 1, 2.1065, 2, course="practice", purpose="confirm")

    found = confirmation_of(runs)

    assert found.to_claim.delta > 1.96 * 0.0091 * 2**0.5
    assert (found.to_claim.lowest_of, found.to_reference.lowest_of) == (40, 39)
    assert found.outcome == "cannot tell"


def test_without_another_hole_par_is_to_be_beaten(put_seed, runs):
    put_seed("round_001", 1337, 1.2000)
    put_seed("round_001", 1, 1.2001, 2, purpose="confirm")

    found = confirmation_of(runs)

    assert (found.claim.reference_name, found.claim.reference.mean) == ("par", 1.2244)
    assert (found.claim.bias, found.outcome) == (0.0, "confirmed")


def test_a_hole_that_is_not_the_lowest_is_told_so(put_seed, runs):
    put_seed("round_001", 1337, 1.2000)
    put_seed("round_002", 1337, 1.1000)

    claim = confirmation_of(runs).claim

    assert (claim.lowest, claim.bias) == (False, 0.0)
    assert describe_claim(claim) == ["round_001 claims 1.2000 over 1 seed; it is not the lowest of 2"]


def test_before_any_fresh_seed_nothing_is_told(put_seed, runs):
    put_seed("round_001", 1337, 1.1000)

    assert confirmation_of(runs).outcome == "no fresh seeds"
