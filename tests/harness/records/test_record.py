"""Records: what is accepted, what is refused, and how older shapes are read."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.record import RunRecord, Score, dump_record, hash_config, load_record, parse_record
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
        ({"val_bpb": "fast"}, "val_bpb"),
        ({"status": "splendid"}, "status"),
        ({"status": "failed"}, "no failure is described"),
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


@pytest.mark.parametrize("name", [name for name, knob in KNOBS.items() if knob.added])
def test_a_trick_the_trainer_learnt_later_leaves_old_fingerprints_alone(name):
    """Records made before a knob existed must still match a run of the same configuration today."""
    now = load_config({}).to_env()
    then = {known: value for known, value in now.items() if known != name}

    assert hash_config(now) == hash_config(then)
    assert hash_config(now | {name: "used"}) != hash_config(then)
