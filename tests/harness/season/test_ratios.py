"""Step times and weights' bytes are told as changes only beyond the spread that repeats show."""

import pytest

from harness.season.season import load_season

PRACTICE = {"course": "practice", "split": "practice", "environment": {"device_name": "a busy machine"}}
TRAINED = [{"stage": "pre_quantization", "label": "final", "val_bpb": 2.05}]


def tempo(runs, a, b):
    season = load_season(runs)
    holes = {hole.name.number: hole for hole in season.holes}
    return season.evidence.tempo(holes[a], holes[b])


def put_repeats(put_record, hole, times, **fields):
    for seed, step_ms in enumerate(times, start=1):
        put_record(hole, seed, val_bpb=2.0 + seed / 1000, seed=seed, step_ms=step_ms, **(PRACTICE | fields))


def test_a_step_that_a_neighbour_slows_down_is_no_change(put_record, runs):
    put_repeats(put_record, "round_001", [50.0, 120.0, 231.0, 70.0])
    put_repeats(put_record, "round_002", [150.0])

    change = tempo(runs, 2, 1)

    assert change.outcome == "within noise"
    assert change.reach > 231 / 50


def test_a_step_is_slower_where_repeats_agree(put_record, runs):
    put_repeats(put_record, "round_001", [100.0, 101.0, 99.0, 100.5])
    put_repeats(put_record, "round_002", [110.0])

    assert tempo(runs, 2, 1).outcome == "more"
    assert tempo(runs, 1, 2).outcome == "less"


def test_holes_that_share_a_training_are_repeats_of_it(put_record, runs):
    """Six holes that pack one training otherwise show how far its step time varies by itself."""
    for hole, step_ms in enumerate((50.0, 231.0, 120.0, 90.0, 70.0), start=1):
        put_record(
            f"round_00{hole}",
            val_bpb=2.0 + hole / 100,
            seed=7,
            steps=9,
            scores=TRAINED,
            step_ms=step_ms,
            **PRACTICE,
        )

    assert tempo(runs, 2, 1).outcome == "within noise"


@pytest.mark.parametrize(
    ("other", "why"), [({"device_name": "another"}, "different machines"), ({}, "the machine is not known")]
)
def test_other_machines_tell_nothing(put_record, runs, other, why):
    put_repeats(put_record, "round_001", [100.0, 101.0, 99.0, 100.5])
    put_repeats(put_record, "round_002", [300.0], environment=other)

    change = tempo(runs, 2, 1)

    assert (change.outcome, change.is_change) == ("cannot tell", False)
    assert why in change.caveat


def test_runs_on_another_machine_are_not_in_the_step_time(put_record, runs):
    """The first hole went to another machine for its first run; the last one to eight of these."""
    put_repeats(put_record, "round_001", [900.0], environment={"device_name": "another"})
    for seed, step_ms in enumerate((100.0, 101.0, 99.0, 100.5), start=2):
        put_record("round_001", seed, val_bpb=2.0, seed=seed, step_ms=step_ms, **PRACTICE)
    put_repeats(put_record, "round_002", [100.0])
    put_repeats(
        put_record, "round_003", [13.0], environment={"device_name": "a busy machine", "world_size": 8}
    )

    assert tempo(runs, 2, 1).ratio == pytest.approx(1, abs=0.01)
    assert tempo(runs, 2, 1).outcome == "within noise"
    assert tempo(runs, 3, 1).caveat == "different machines: 8 x a busy machine and a busy machine"


def test_another_evaluation_is_no_repeat_of_its_training(put_record, runs):
    """Its record carries the step time of the weights that it evaluates."""
    put_repeats(put_record, "round_001", [100.0, 150.0])
    put_repeats(put_record, "round_002", [300.0])
    source = {"hole": "round_001", "attempt": 1, "weights": "unrounded", "file": "w.pt", "sha256": "0" * 64}
    for number in range(3, 9):
        put_repeats(put_record, f"round_00{number}", [100.0, 150.0], evaluated_from=source)

    assert load_season(runs).problems == ()
    assert tempo(runs, 2, 1).outcome == "cannot tell"
    assert tempo(runs, 3, 1) is None


def test_without_repeats_nothing_is_slower(put_record, runs):
    put_repeats(put_record, "round_001", [100.0])
    put_repeats(put_record, "round_002", [300.0])

    assert tempo(runs, 2, 1).outcome == "cannot tell"


def test_bytes_of_weights_are_heavier_beyond_the_seeds(put_record, runs):
    sizes = [(1, [1000, 1010, 990, 1005]), (2, [1008]), (3, [1500])]
    for hole, counts in sizes:
        for seed, size in enumerate(counts, start=1):
            put_record(f"round_00{hole}", seed, val_bpb=2.0, seed=seed, model_bytes=size, **PRACTICE)

    season = load_season(runs)
    base, near, far = season.holes

    assert season.evidence.weights(near, base).outcome == "within noise"
    assert season.evidence.weights(far, base).outcome == "more"


def test_bytes_that_seeds_alone_make_are_marked(put_record, runs, harness):
    for hole, counts in [(1, [1000, 1010, 990, 1005]), (2, [1008]), (3, [1500])]:
        for seed, size in enumerate(counts, start=1):
            sizes = {"model_bytes": size, "code_bytes": 100, "artifact_bytes": size + 100}
            put_record(f"round_00{hole}", seed, val_bpb=2.0, seed=seed, **sizes, **PRACTICE)

    assert "artifact: ~+3 bytes of weights: seeds alone differ as much" in harness("compare", "2", "1").stdout
    assert "artifact: +495 bytes (all of the weights)" in harness("compare", "3", "1").stdout
