"""Where a hole stands: the numbers of the first page, seeds, par, neighbours, broken files."""

import json
import math

import pytest

from harness.errors import UsageError
from harness.records.store import Store
from harness.season.season import load_season
from tests.conftest import SEED_PAGE


def standing(runs, number):
    season = load_season(runs)
    return season.standing(next(hole for hole in season.holes if hole.name.number == number))


def test_seed_page_gives_its_published_values(runs, put_record):
    put_record("round_005_more_swings", val_bpb=1.4139, started_at="2026-03-18T09:00:00Z")
    path = put_record("round_006_fp16embed")
    path.write_text(json.dumps(SEED_PAGE))

    card = standing(runs, 6)

    deltas = {kind: round(card.comparisons[kind].difference.delta, 4) for kind in ("par", "sota", "previous")}
    assert deltas == {"par": 0.1897, "sota": 0.1944, "previous": 0.0002}
    assert card.comparisons["previous"].difference.outcome == "within noise"
    assert card.headroom_bytes == 2_321_228
    assert card.verdict.name == "Triple Bogey"
    assert card.played.name.position == "Round 1, Hole 6"


def test_sota_is_the_best_published_by_the_day_of_play(runs, put_record):
    for number, day in ((1, "2026-03-17"), (2, "2026-03-20"), (3, "2026-12-01")):
        put_record(f"round_{number:03d}", val_bpb=1.3, started_at=f"{day}T12:00:00Z")

    assert standing(runs, 1).comparisons["sota"].val_bpb is None
    assert standing(runs, 2).comparisons["sota"].val_bpb == 1.1271
    assert standing(runs, 3).comparisons["sota"].val_bpb == 1.0611


def test_score_is_the_mean_over_seeds_of_the_newest_configuration(runs, put_record):
    put_record("round_001", 1, val_bpb=1.9, config_hash="old")
    put_record("round_001", 2, val_bpb=1.30, val_loss=2.0, config_hash="new", seed=1)
    put_record("round_001", 3, val_bpb=1.32, val_loss=2.2, config_hash="new", seed=2)
    put_record("round_001", 4, status="failed", failure={"kind": "nan", "message": "m"}, config_hash="new")

    played = standing(runs, 1).played

    assert played.sample.values == (1.30, 1.32)
    assert played.val_loss == 2.1
    assert played.status == "ok"


def test_first_complete_hole_sets_par_where_there_is_none(runs, put_record):
    put_record(
        "round_001", course="practice", split="a", status="failed", failure={"kind": "nan", "message": "m"}
    )
    put_record("round_002", course="practice", split="a", val_bpb=2.1)
    put_record("round_003", course="practice", split="a", val_bpb=2.0)
    put_record("round_004", course="practice", split="b", val_bpb=1.0)

    assert standing(runs, 2).sets_par
    assert standing(runs, 2).verdict.name == "Sets Par"
    assert standing(runs, 3).comparisons["par"].difference.delta == pytest.approx(-0.1)
    assert standing(runs, 3).verdict.name == "Eagle"
    assert standing(runs, 4).sets_par
    assert standing(runs, 4).comparisons["best"].reason


def test_other_courses_are_never_compared(runs, put_record):
    put_record("round_001", course="practice", split="a", val_bpb=2.1)
    put_record("round_002", course="fineweb", val_bpb=1.3)

    assert standing(runs, 2).comparisons["previous"].difference is None
    assert standing(runs, 2).comparisons["best"].difference is None


def test_other_stages_are_never_subtracted(runs, put_record):
    """A sliding window gains about 0.03 bpb by evaluation alone; a score before quantization is no result."""

    def scored(*stages):
        scores = [{"stage": stage, "label": stage, "val_bpb": bpb} for stage, bpb in stages]
        stage, bpb = stages[-1]
        return {
            "scores": scores,
            "val_bpb": bpb,
            "official": {"stage": stage, "label": stage, "why": "the last one"},
        }

    put_record("round_001", **scored(("round_trip", 1.23)))
    put_record("round_002", **scored(("round_trip", 1.231), ("sliding_window", 1.2)))
    put_record("round_003", **scored(("pre_quantization", 1.1)))

    assert standing(runs, 2).comparisons["best"].difference is None
    assert standing(runs, 2).comparisons["par"].difference.delta == pytest.approx(1.2 - 1.2244)
    assert standing(runs, 3).comparisons["sota"].difference is None
    assert "before quantization" in standing(runs, 3).comparisons["par"].reason


def test_par_is_to_be_beaten_at_any_stage(runs, put_record):
    def scored(stage, bpb):
        score = {"stage": stage, "label": stage, "val_bpb": bpb}
        return {
            "course": "practice",
            "split": "a",
            "val_bpb": bpb,
            "scores": [score],
            "official": {"stage": stage, "label": stage, "why": "the last one"},
        }

    put_record("round_001", **scored("pre_quantization", 2.0))
    put_record("round_002", **scored("round_trip", 2.1))
    put_record("round_003", **scored("sliding_window", 2.0))

    assert standing(runs, 2).sets_par
    assert standing(runs, 3).comparisons["par"].difference.delta == pytest.approx(-0.1)
    assert "round trip stage" in standing(runs, 3).comparisons["par"].caveat
    assert standing(runs, 3).verdict.name == "Eagle"
    assert standing(runs, 3).comparisons["best"].difference is None
    assert not standing(runs, 1).sets_par


def test_par_of_another_split_is_said_beside_its_number(runs, put_record):
    put_record("round_001", val_bpb=1.2270, split="current")
    put_record("round_002", val_bpb=1.2244, split="first export")

    assert "1.2269 to 1.2284" in standing(runs, 1).comparisons["par"].caveat
    assert not standing(runs, 2).comparisons["par"].caveat


def test_over_cap_hole_is_named_so_and_is_never_our_best(runs, put_record):
    put_record("round_001", val_bpb=0.9, status="over_cap", artifact_bytes=17_000_000, cap_bytes=16_000_000)
    put_record("round_002", val_bpb=1.3)

    assert standing(runs, 1).verdict.name == "Over the Cap"
    assert standing(runs, 1).headroom_bytes == -1_000_000
    assert not standing(runs, 1).course_record
    assert standing(runs, 2).comparisons["best"].difference is None


LEGAL = {
    "started_at": "2026-06-01T00:00:00Z",
    "split": "current",
    "steps": 6000,
    "step_ms": 100.0,
    "train_seconds": 600.1,  # the clock is read between steps
    "eval_seconds": 300.0,
    "artifact_bytes": 15_000_000,
    "cap_bytes": 16_000_000,
    "environment": {"device": "cuda", "device_name": "NVIDIA H100 80GB HBM3", "world_size": 8},
}


def put_seeds(put_record, hole, scores, **changed):
    for attempt, bpb in enumerate(scores, start=1):
        loss = bpb * math.log(2) * 151_080_000 / 62_021_632  # nats a token of the challenge's tokenizer
        put_record(hole, attempt, seed=attempt, val_bpb=bpb, val_loss=loss, **LEGAL | changed)


def test_record_score_needs_more_than_noise(runs, put_record):
    put_seeds(put_record, "round_001", (1.0605, 1.0611, 1.0608))
    put_seeds(put_record, "round_002", (1.0500, 1.0505, 1.0503))

    assert not standing(runs, 1).course_record
    assert standing(runs, 2).course_record


@pytest.mark.parametrize(
    ("changed", "obstacle", "rule"),
    [
        ({"train_seconds": 14_400.0}, "training took 14,400 s, 600 s are allowed", "training time"),
        ({"train_seconds": 600.3}, "training took 600.3 s, 600 s are allowed", "training time"),
        ({"eval_seconds": 700.0}, "evaluation took 700 s, 600 s are allowed", "evaluation time"),
        ({"environment": {"device": "cpu"}}, "another machine than 8 x H100", "machine"),
        ({"split": "first export"}, "another validation text than the current one", "validation split"),
    ],
)
def test_what_check_fails_is_no_record(changed, obstacle, rule, runs, put_record, harness):
    put_seeds(put_record, "round_001", (1.0500, 1.0505, 1.0503), **changed)

    report = json.loads(harness("check", "1", "--json").stdout)

    assert standing(runs, 1).record_obstacles == (obstacle,)
    assert not standing(runs, 1).course_record
    assert next(f["outcome"] for f in report["findings"] if f["rule"] == rule) == "fail"


def test_gain_that_the_policy_of_the_day_calls_too_small_is_no_record(runs, put_record, harness):
    """0.0023 bpb are 0.0039 nats a token; until pull request 1493 of 2026-04-09 the rule asked for 0.005.

    No badge without it, though the referee leaves it to the maintainers, who listed smaller gains.
    """
    put_seeds(put_record, "round_001", (1.0803, 1.0806, 1.0805), started_at="2026-04-07T00:00:00Z")

    report = json.loads(harness("check", "1", "--json").stdout)
    shown = harness("show", "1")

    assert standing(runs, 1).comparisons["sota"].difference.outcome == "better"
    assert not standing(runs, 1).course_record
    assert standing(runs, 1).record_obstacles == ("0.005 nats better than the SOTA at p < 0.01 is not shown",)
    outcome = next(f["outcome"] for f in report["findings"] if f["rule"] == "significance")
    assert outcome == "cannot tell"
    assert "no record" in shown.stdout


def test_single_seed_survivors_and_unknown_times_are_no_record(runs, put_record):
    put_seeds(put_record, "round_001", (1.0500,))
    put_seeds(put_record, "round_002", (1.0500, 1.0505, 1.0503))
    put_record("round_002", 4, seed=4, status="failed", failure={"kind": "nan", "message": "m"})
    put_seeds(put_record, "round_003", (1.0500, 1.0505, 1.0503), train_seconds=None)

    assert standing(runs, 1).record_obstacles == ("one seed shows no spread",)
    assert standing(runs, 2).record_obstacles == ("3 of 4 seeds finished",)
    assert standing(runs, 3).record_obstacles == ("the training time is not known",)


def test_broken_files_are_named_and_passed_over(runs, put_record):
    put_record("round_001", val_bpb=1.3)
    put_record("round_002").write_text("{ torn")
    (runs / "round_003").mkdir()
    (runs / "round_003" / "round.toml").write_text("nonsense = ")

    season = load_season(runs)

    assert [hole.status for hole in season.holes] == ["ok", "unreadable", "unplayed"]
    assert season.standing(season.holes[1]).verdict.name == "Lost Card"
    assert any("round_002" in problem for problem in season.problems)
    assert any("round_003" in problem for problem in season.problems)


def test_folder_that_was_meant_as_a_hole_is_named(runs, put_record):
    put_record("round_001", val_bpb=1.3)
    (runs / "round_3_short").mkdir()
    (runs / "Round_004").mkdir()
    (runs / "notes").mkdir()

    assert [
        problem.partition(" is passed over")[0].rpartition("/")[2] for problem in load_season(runs).problems
    ] == [
        "Round_004",
        "round_3_short",
    ]


def test_unknown_hole_names_the_nearest(runs, put_record):
    put_record("round_007_traveling_light", val_bpb=1.3)

    with pytest.raises(UsageError) as refusal:
        Store(runs).get("round_17_travel")

    assert 'no hole matches "round_17_travel"' in refusal.value.message
    assert "did you mean round_007_traveling_light?" in refusal.value.hint


def test_symlinked_holes_are_not_followed(runs, tmp_path, put_record):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (runs / "round_001_link").symlink_to(outside)

    assert Store(runs).holes() == []


def test_hole_without_a_record_is_not_called_a_failure(runs, put_record):
    (runs / "round_001_planned").mkdir()
    (runs / "round_002_playing" / "attempt_01").mkdir(parents=True)
    put_record("round_003_broke", status="failed", failure={"kind": "nan", "message": "m"})

    assert [standing(runs, n).verdict.name for n in (1, 2, 3)] == [
        "Awaiting Tee Time",
        "Still Out",
        "Did Not Finish",
    ]
    assert "`harness resume round_" in standing(runs, 2).verdict.why


def scores(before, after):
    return [
        {"stage": stage, "label": stage, "val_loss": 2.0, "val_bpb": bpb}
        for stage, bpb in (("pre_quantization", before), ("round_trip", after))
    ]


def test_what_stands_beside_a_mean_is_a_mean_or_says_whose_it_is(harness, put_record):
    """Three seeds that lose 0.01, 0.02 and 0.06 by packing: the last one's 0.06 is not the hole's."""
    for number, (seed, before, after) in enumerate(
        [(7, 1.20, 1.21), (42, 1.21, 1.23), (1337, 1.22, 1.28)], 1
    ):
        put_record(
            "round_001",
            number,
            seed=seed,
            val_bpb=after,
            scores=scores(before, after),
            step_ms=50.0 + number,
            official={"stage": "round_trip", "label": "round_trip", "why": "w"},
        )
    put_record(
        "round_002",
        val_bpb=1.25,
        scores=[
            *scores(1.27, 1.26),
            {"stage": "sliding_window", "label": "s", "val_loss": 2.0, "val_bpb": 1.25},
        ],
        official={"stage": "sliding_window", "label": "s", "why": "w"},
    )

    shown = harness("show", "1").stdout
    pair = harness("compare", "1", "2").stderr + harness("compare", "1", "2").stdout

    assert "quantization gap  +0.0300" in shown
    assert "artifact, tempo and time: attempt_03, seed 1337" in shown
    assert "attempt_03, seed 1337:\n  pre_quantization     1.22" in shown
    assert "at the round trip stage they stand at 1.2400 and 1.2600" in pair


def test_a_record_from_before_a_knob_ran_with_its_default(harness, put_record):
    """An older record of ours does not hold the name patterns; that is no difference of settings."""
    from trainer.config import load_config

    now = load_config({"MATRIX_LR": "0.03"}).to_env()
    then = {
        name: value for name, value in load_config({}).to_env().items() if not name.endswith("NAME_PATTERNS")
    }
    for hole, config in (("round_001", then), ("round_002", now)):
        put_record(hole, val_bpb=1.2, config=config, code={"trainer": "builtin"})

    changed = json.loads(harness("compare", "2", "1", "--json").stdout)["pairs"][0]["config"]

    assert changed == {"MATRIX_LR": {"a": "0.03", "b": "0.04"}}


def test_the_time_of_an_evaluation_is_one_number_everywhere(runs, put_record, harness):
    """The built-in trainer's record also holds the time of all validations, 102.9 s."""
    official = {"stage": "round_trip", "label": "final", "why": "what is submitted"}
    scores = [
        {"stage": "pre_quantization", "label": "before", "val_bpb": 1.21, "seconds": 30.0},
        {"stage": "round_trip", "label": "final", "val_bpb": 1.22, "seconds": 31.4},
    ]
    put_record(
        "round_001",
        **LEGAL | {"eval_seconds": 102.9, "train_seconds": 590.0},
        seed=1,
        val_bpb=1.22,
        official=official,
        scores=scores,
        code={"trainer": "builtin"},
    )

    checked = json.loads(harness("check", "1", "--json").stdout)["findings"]
    values = harness("notes", "values", "1").stdout

    (time,) = (one["measured"] for one in checked if one["rule"] == "evaluation time")
    assert time.startswith("31.4 s")
    assert [line.split()[1] for line in values.splitlines() if line.startswith("eval_seconds")] == ["31.4"]
