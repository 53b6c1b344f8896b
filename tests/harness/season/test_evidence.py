"""What counts as evidence: distinct seeds, equal weights, measured floors, the season's own spread."""

import json
from pathlib import Path

import pytest

from harness.season.season import load_season

PRACTICE = {"course": "practice", "split": "practice"}
TRAINED = [{"stage": "pre_quantization", "label": "final", "val_bpb": 2.05}]


def put_curve(path: Path, losses=(6.1234, 5.5, 5.0)):
    lines = [
        {"step": step, "train_loss": loss, "train_time_ms": step * 9} for step, loss in enumerate(losses)
    ]
    path.with_name("curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def put_intent(runs, hole, parent):
    (runs / hole / "round.toml").write_text(f'parent = "{parent}"\n')


@pytest.fixture
def compare(harness):
    def call(*words):
        return json.loads(harness("compare", *words, "--json").stdout)["pairs"][0]["difference"]

    return call


def test_repeats_of_a_seed_are_one_seed(put_record, compare):
    for attempt in range(1, 10):
        put_record("round_001", attempt, val_bpb=2.08, seed=7, **PRACTICE)
        put_record("round_002", attempt, val_bpb=2.07, seed=7, **PRACTICE)

    difference = compare("2", "1")

    assert (difference["outcome"], difference["n"]) == ("within noise", [1, 1])
    assert difference["threshold"] == pytest.approx(0.0252, abs=5e-5)


def test_repeats_that_differ_count_once_with_their_mean(put_record, runs):
    for attempt, (seed, score) in enumerate([(7, 2.08), (7, 2.10), (8, 2.0)], start=1):
        put_record("round_001", attempt, val_bpb=score, seed=seed, **PRACTICE)

    (hole,) = load_season(runs).holes

    assert hole.sample.values == pytest.approx((2.09, 2.0))
    assert hole.sample.seeds == (7, 8)
    assert (hole.summary.repeats, hole.summary.repeat_std) == (1, pytest.approx(0.02 / 2**0.5))


@pytest.mark.parametrize("seeds", [(1, 2, 3), (7, 8, 9)])  # paired with those of the other hole, or not
def test_a_verdict_counts_the_seeds_that_failed(seeds, put_record, compare):
    failure = {"kind": "nan", "message": "loss is nan"}
    for attempt, seed in enumerate(seeds, start=1):
        put_record("round_001", attempt, val_bpb=2.08 + attempt**2 / 900, seed=attempt, **PRACTICE)
        put_record("round_002", attempt, val_bpb=2.03 + attempt**2 / 901, seed=seed, **PRACTICE)
    for attempt in (4, 5):
        put_record("round_002", attempt, status="failed", failure=failure, seed=90 + attempt, **PRACTICE)

    difference = compare("2", "1")

    assert difference["test"] == ("paired t" if seeds == (1, 2, 3) else "moderated t")
    assert "3 of 5 seeds against 3 seeds" in difference["basis"]


def test_seeds_that_failed_are_kept_in_mind(put_record, harness):
    failure = {"kind": "nan", "message": "loss is nan"}
    put_record("round_001", val_bpb=2.08, seed=7, **PRACTICE)
    for attempt, seed in enumerate((1, 2, 3), start=1):
        put_record("round_002", attempt, val_bpb=2.0 + seed / 1000, seed=seed, **PRACTICE)
    put_record("round_002", 4, status="failed", failure=failure, seed=4, course="practice")
    put_record("round_002", 5, status="failed", failure=failure, seed=3, course="practice")

    done = harness("compare", "2", "1")

    assert "3 of 4 seeds of round_002 finished" in done.stdout


@pytest.mark.parametrize(
    ("theirs", "losses", "exact"),
    [
        ({}, (6.1234, 5.5, 5.0), True),
        ({}, (6.1234, 5.5, 5.0001), False),
        ({"seed": 8}, (6.1234, 5.5, 5.0), False),
        ({"scores": [TRAINED[0] | {"val_bpb": 2.06}]}, (6.1234, 5.5, 5.0), False),
    ],
)
def test_the_same_weights_packed_otherwise_differ_exactly(put_record, harness, theirs, losses, exact):
    plain = {"seed": 7, "scores": TRAINED, "steps": 3} | PRACTICE
    put_curve(put_record("round_001", val_bpb=2.0671, **plain))
    put_curve(put_record("round_002", val_bpb=2.0751, **(plain | theirs)), losses)

    done = harness("compare", "2", "1")

    assert ("worse: exactly +0.0080 bpb" in done.stdout) == exact
    assert ("within noise" in done.stdout) != exact


def test_a_hole_is_held_against_its_parents_run_of_the_same_weights(put_record, runs):
    """The parent's other seeds say nothing of what packing did to this one."""
    plain = {"scores": TRAINED, "steps": 3} | PRACTICE
    put_curve(put_record("round_001", 1, val_bpb=2.0671, seed=7, **plain))
    put_curve(put_record("round_001", 2, val_bpb=2.0871, seed=8, **plain), (6.0, 5.4, 4.9))
    put_curve(put_record("round_002", val_bpb=2.0751, seed=7, **plain))
    put_intent(runs, "round_002", "round_001")

    season = load_season(runs)
    story = season.standing(season.holes[1]).story

    assert (story.kind, story.difference.exact) == ("parent", True)
    assert story.difference.delta == pytest.approx(0.0080)
    assert story.val_bpb == 2.0671
    assert "on seed 7 alone" in story.caveat


def test_five_seeds_of_an_ancestor_are_the_floor_of_one_seed(put_record, runs):
    machine = {"environment": {"device_name": "one"}}
    for attempt, score in enumerate((2.00, 2.04, 2.08, 2.12, 2.16), start=1):
        put_record("round_001", attempt, val_bpb=score, seed=attempt, **PRACTICE, **machine)
    put_record("round_002", val_bpb=2.0, seed=1, **PRACTICE, **machine)
    put_record("round_003", val_bpb=2.0, seed=1, **PRACTICE, environment={"device_name": "other"})
    for hole in ("round_002", "round_003"):
        put_intent(runs, hole, "round_001")

    season = load_season(runs)
    here, elsewhere = (season.standing(hole).story.difference for hole in season.holes[1:])

    assert "the floor of round_001 (5 seeds)" in here.basis
    assert "floor" not in elsewhere.basis
    assert here.threshold > elsewhere.threshold


@pytest.mark.parametrize(
    ("machines", "here", "split", "floor"),
    [
        (["one"] * 5, {"device_name": "one"}, "practice", True),
        (["one"] * 5 + ["two"], {"device_name": "two"}, "practice", False),  # one seed there
        (["one"] * 4 + ["two"] * 5, {"device_name": "two"}, "practice", True),
        (["one"] * 3 + ["two"] * 2, {"device_name": "two"}, "practice", False),
        (["one"] * 5, {"device_name": "one", "world_size": 8}, "practice", False),
        (["one"] * 5, {"device_name": "one"}, "elsewhere", False),
    ],
)
def test_a_floor_counts_seeds_of_one_machine_and_text(put_record, runs, machines, here, split, floor):
    for seed, machine in enumerate(machines, start=1):
        fields = PRACTICE | {"environment": {"device_name": machine}}
        put_record("round_001", seed, val_bpb=2.0 + 0.01 * seed, seed=seed, **fields)
    put_record("round_002", val_bpb=2.0, seed=1, **(PRACTICE | {"split": split, "environment": here}))
    put_intent(runs, "round_002", "round_001")

    season = load_season(runs)

    assert (season.evidence.floor(season.holes[1]) is not None) == floor


def test_trainings_that_are_packed_six_ways_are_one_spread(put_record, runs):
    """Six holes of three seeds would do; one training of three seeds shows the spread of three seeds."""
    for hole in range(1, 7):
        for seed, offset in enumerate((-0.001, 0.0, 0.001), start=1):
            trained = [TRAINED[0] | {"val_bpb": 2.0 + offset}]
            score = 2.0 + hole / 100 + offset
            put_record(f"round_00{hole}", seed, val_bpb=score, seed=seed, steps=3, scores=trained, **PRACTICE)
    season = load_season(runs)
    course = season.course("practice")

    spread = season.evidence.spread(course, "practice")

    assert spread == course.spread


def test_a_season_with_enough_seeds_is_judged_by_its_own_spread(put_record, runs):
    for hole in range(1, 7):
        for attempt, offset in enumerate((-0.1, 0.0, 0.1), start=1):
            put_record(f"round_00{hole}", attempt, val_bpb=2.0 + offset, seed=attempt, **PRACTICE)

    season = load_season(runs)
    difference = season.standing(season.holes[3]).comparisons["previous"].difference

    assert "the spread of 6 holes of this season" in difference.basis
    assert difference.std == pytest.approx(0.1)


def test_claims_are_counted_over_the_season(put_record, runs):
    """Of twenty holes apart by chance, the one at p 0.03 is no discovery."""
    put_record("round_001", val_bpb=2.0, seed=1, **PRACTICE)
    for number in range(2, 22):
        put_record(f"round_{number:03d}", val_bpb=2.0 + 0.0001 * number, seed=number, **PRACTICE)
    put_record("round_022", val_bpb=2.0 + 0.0279, seed=22, **PRACTICE)
    put_record("round_023", val_bpb=2.1, seed=23, **PRACTICE)

    season = load_season(runs)
    lucky, real = season.holes[-2:]

    assert season.standing(lucky).story.difference.outcome == "worse"
    assert season.survives(lucky) is False
    assert season.survives(real) is True
    assert season.survives(season.holes[3]) is None


def test_worse_than_our_best_allows_for_the_luck_of_the_best(put_record, runs):
    """The best of forty equal runs is about 2.2 sigma low: that is no loss of the next."""
    for number in range(1, 41):
        put_record(f"round_{number:03d}", val_bpb=2.08 + 0.0005 * number, seed=number, **PRACTICE)
    put_record("round_041", val_bpb=2.112, seed=41, **PRACTICE)

    season = load_season(runs)
    difference = season.standing(season.holes[-1]).comparisons["best"].difference

    assert 1.96 * 0.0091 * 2**0.5 < difference.delta < difference.threshold
    assert difference.interval[0] < 0
    assert (difference.lowest_of, difference.outcome) == (40, "within noise")


def test_worse_than_a_parent_allows_for_its_luck_when_it_is_the_lowest_so_far(put_record, runs):
    """Who goes on from the best goes on from a lucky one; who names another parent has chosen by no score."""
    for number in range(1, 41):
        put_record(f"round_{number:03d}", val_bpb=2.08 + 0.0005 * number, seed=number, **PRACTICE)
    for number, parent in ((41, "round_001"), (42, "round_002")):
        put_record(f"round_{number:03d}", val_bpb=2.1125, seed=number, **PRACTICE)
        put_intent(runs, f"round_{number:03d}", parent)

    season = load_season(runs)
    lowest, other = (season.standing(hole).comparisons["parent"].difference for hole in season.holes[-2:])

    assert (lowest.lowest_of, lowest.outcome) == (40, "within noise")
    assert (other.lowest_of, other.outcome) == (0, "worse")
    assert lowest.p_value > other.p_value


def test_repeats_that_differ_are_shown_apart_from_the_seeds(put_record, harness, tmp_path):
    for attempt, (seed, score) in enumerate([(7, 2.0800), (7, 2.0806), (8, 2.0)], start=1):
        put_record("round_001_base", attempt, val_bpb=score, seed=seed, **PRACTICE)

    shown = harness("show", "1").stdout
    harness("publish", "--out", "site", "--no-pictures")

    assert "mean of 2 seeds, standard deviation 0.0568; repeats of a seed spread by 0.0004" in shown
    page = (tmp_path / "site" / "holes" / "round_001_base.html").read_text()
    assert "mean of 2 seeds, spread 0.0568, repeats of a seed spread by 0.0004" in page
