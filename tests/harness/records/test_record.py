"""Records: what is accepted, what is refused, and how older shapes are read."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.record import (
    UNHASHED_KNOBS,
    RunRecord,
    Score,
    dump_record,
    hash_config,
    load_record,
    mean_gap,
    mean_stage_bpb,
    over_cap,
    parse_record,
    recorded_config,
)
from tests.conftest import SEED_PAGE
from trainer.config import KNOBS, load_config

MINIMAL = {"schema": 2, "hole": "round_001", "course": "fineweb", "status": "ok", "val_bpb": 1.2}


def test_seed_page_loads_from_its_flat_form():
    record = parse_record(SEED_PAGE, "seed")

    assert record.hole == "round_006_fp16embed"
    assert (record.val_bpb, record.val_loss, record.params) == (1.4141, 2.3876, 17_059_912)
    assert (record.artifact_bytes, record.train_seconds, record.steps, record.step_ms) == (
        13_678_772,
        300,
        1300,
        231,
    )
    assert record.environment.device == "cuda"


def test_upgraded_record_reads_back_as_itself():
    record = parse_record(SEED_PAGE, "seed")

    assert parse_record(json.loads(dump_record(record)), "again") == record


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "green"}, "colour"),
        ({"val_bpb": None}, "no val_bpb"),
        ({"val_bpb": -1.0}, "val_bpb"),
        (
            {"val_bpb": "fast"},
            "val_bpb: Input should be a valid number, unable to parse string as a number (found 'fast')",
        ),
        ({"status": "splendid"}, "status"),
        ({"status": "failed"}, "no failure is described"),
        ({"failure": {"kind": "nan", "message": "m"}}, "status is ok but a failure is described: nan"),
        (
            {"started_at": "2026-03-18T10:00:00Z", "ended_at": "2026-03-18T09:59:59Z"},
            "ended_at lies before started_at",
        ),
        ({"code_bytes": 10, "model_bytes": 20, "artifact_bytes": 31}, "code_bytes 10 + model_bytes 20 = 30"),
        ({"artifact_bytes": 16_000_000, "cap_bytes": 16_000_000}, "not under"),
        ({"status": "over_cap", "artifact_bytes": 5, "cap_bytes": 6}, "is under"),
        ({"schema": 99}, "schema 99"),
        ({"started_at": "2026-03-18T10:00:00"}, "started_at"),
        ({"config": {"A": "1"}, "config_hash": "beef"}, "config_hash"),
        (
            {"official": {"stage": "round_trip", "label": "x", "why": "y"}, "scores": []},
            "named official",
        ),
    ],
)
def test_record_that_does_not_add_up_is_refused_with_the_reason(change, said, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(MINIMAL | change))

    with pytest.raises(HarnessError) as refusal:
        load_record(path)

    assert str(path) in refusal.value.message
    assert said in refusal.value.message


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"schema": 2, "val_bpb": NaN}', "\x00", "[" * 100_000])
def test_file_that_is_no_record_is_named(text, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(text)

    with pytest.raises(HarnessError, match=r"record\.json"):
        load_record(path)


def test_score_must_follow_from_its_loss_tokens_and_bytes():
    loss, tokens, bytes_ = 2.0, 1000, 2500
    bpb = loss / math.log(2) * tokens / bytes_

    assert Score(stage="round_trip", label="x", val_loss=loss, val_bpb=bpb, tokens=tokens, bytes=bytes_)
    with pytest.raises(ValueError, match="does not follow"):
        Score(stage="round_trip", label="x", val_loss=loss, val_bpb=bpb * 1.01, tokens=tokens, bytes=bytes_)


@given(
    st.floats(min_value=0, max_value=20, allow_nan=False),
    st.integers(min_value=0, max_value=10**12),
    st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5),
)
def test_saved_record_keeps_every_digit(bpb, steps, overrides):
    record = RunRecord(
        hole="round_001", course="fineweb", status="ok", val_bpb=bpb, steps=steps, overrides=overrides
    )

    assert parse_record(json.loads(dump_record(record)), "x") == record


def test_hash_tells_ideas_apart_and_seeds_and_places_not():
    config = {"SEED": "1", "MATRIX_LR": "0.04", "DATA_PATH": "/a"}

    assert hash_config(config) == hash_config(config | {"SEED": "2", "DATA_PATH": "/b"})
    assert hash_config(config) != hash_config(config | {"MATRIX_LR": "0.05"})


def test_rounding_from_the_first_step_is_another_idea_than_it_was_late():
    """QAT_ENABLED alone began at 0.15 once; those records keep their fingerprint, and runs have another."""
    then = load_config({}).to_env() | {"QAT_ENABLED": "true", "LATE_QAT_THRESHOLD": "0.15"}
    now = load_config({"QAT_ENABLED": "1"}).to_env()

    assert hash_config(now) != hash_config(then)
    assert hash_config(then) == hash_config(load_config(then).to_env())


@pytest.mark.parametrize("name", [name for name, knob in KNOBS.items() if knob.added])
def test_a_trick_the_trainer_learnt_later_leaves_old_fingerprints_alone(name):
    """Records made before a knob existed must still match a run of the same configuration today."""
    now = load_config({}).to_env()
    then = {known: value for known, value in now.items() if known != name}

    assert hash_config(now) == hash_config(then)
    assert (hash_config(now | {name: "used"}) != hash_config(then)) == (name not in UNHASHED_KNOBS)


@pytest.mark.parametrize(
    "fields",
    [
        {"artifact_bytes": 5, "cap_bytes": 6},
        {"status": "over_cap", "artifact_bytes": 6, "cap_bytes": 6},
        {"code_bytes": 10, "model_bytes": 20, "artifact_bytes": 30},
        {"scores": [{"stage": "round_trip", "label": "x", "val_loss": 2.0, "val_bpb": 1.2}]},
        {"started_at": "2026-03-18T10:00:00Z", "ended_at": "2026-03-18T10:00:00Z"},
    ],
)
def test_record_that_adds_up_is_accepted(fields):
    assert parse_record(MINIMAL | fields, "x").val_bpb == 1.2


@pytest.mark.parametrize(
    ("status", "now"), [("crashed", "failed"), ("failed", "failed"), ("over", "over_cap")]
)
def test_fates_of_the_flat_form_are_upgraded(status, now):
    why = {"error": "it broke"} if now == "failed" else {"artifact_bytes": 16_000_001}

    record = parse_record(SEED_PAGE | {"status": status} | why, "seed")

    assert record.status == now
    assert (record.failure.message if record.failure else None) == ("it broke" if now == "failed" else None)
    assert record.started_at.isoformat() == "2026-03-18T00:00:00+00:00"
    assert (record.as_of.par, record.as_of.sota) == (1.2244, 1.2197)


def scored(*stages):
    scores = [{"stage": stage, "label": "x", "val_bpb": bpb} for stage, bpb in stages]
    return parse_record(MINIMAL | {"scores": scores}, "x")


def test_what_packing_cost_is_a_mean_over_all_or_none():
    one = scored(("pre_quantization", 1.20), ("round_trip", 1.30), ("round_trip", 1.23))
    other = scored(("pre_quantization", 1.21), ("round_trip", 1.22))
    cut_short = scored(("pre_quantization", 1.25))

    assert one.stage_bpb("round_trip") == 1.23  # the last of a stage
    assert one.quantization_gap == pytest.approx(0.03)
    assert cut_short.quantization_gap is None
    assert mean_stage_bpb([one, other], "round_trip") == pytest.approx(1.225)
    assert mean_gap([one, other]) == pytest.approx(0.02)
    assert mean_stage_bpb([one, cut_short], "round_trip") is None
    assert mean_gap([one, cut_short]) is None
    assert mean_gap([]) is None


def test_where_a_course_keeps_its_data_is_recorded_only_when_it_was_asked_for():
    config = {"DATA_PATH": "/a", "TOKENIZER_PATH": "/b", "MATRIX_LR": "0.04"}

    assert recorded_config(config, ()) == {"MATRIX_LR": "0.04"}
    assert recorded_config(config, {"DATA_PATH"}) == {"DATA_PATH": "/a", "MATRIX_LR": "0.04"}


@pytest.mark.parametrize(
    ("fields", "complete"),
    [
        ({}, True),
        ({"status": "over_cap", "artifact_bytes": 9, "cap_bytes": 9}, True),
        ({"status": "stopped"}, False),
        ({"status": "failed", "failure": {"kind": "nan", "message": "m"}}, False),
        ({"status": "over_cap", "val_bpb": None}, False),
    ],
)
def test_only_a_finished_attempt_with_a_score_is_complete(fields, complete):
    assert parse_record(MINIMAL | fields, "x").complete is complete


def test_the_flat_form_may_know_the_hour_and_only_one_reference():
    flat = {name: value for name, value in SEED_PAGE.items() if name != "sota"}

    record = parse_record(flat | {"date": "2026-03-18T10:30:00Z"}, "seed")

    assert record.started_at.isoformat() == "2026-03-18T10:30:00+00:00"
    assert (record.as_of.par, record.as_of.sota) == (1.2244, None)
    neither = {name: value for name, value in flat.items() if name != "baseline"}
    assert parse_record(neither, "seed").as_of is None


def test_counted_score_is_the_one_of_the_official_stage_and_label():
    def score(stage, label, val_bpb):
        return {"stage": stage, "label": label, "val_bpb": val_bpb}

    official = {"stage": "sliding_window", "label": "final", "why": "a test"}
    scores = [
        score("sliding_window", "final", 1.5),
        score("sliding_window", "final", 1.2),
        score("round_trip", "final", 1.3),
    ]

    record = parse_record(MINIMAL | {"official": official, "scores": scores}, "here")

    assert record.counted_score is not None
    assert record.counted_score.val_bpb == 1.2
    assert parse_record(MINIMAL | {"scores": scores}, "here").counted_score is None


@pytest.mark.parametrize(("size", "over"), [(None, False), (99, False), (100, True), (101, True)])
def test_artifact_of_exactly_the_cap_is_over_it(size, over):
    assert over_cap(size, 100) is over
