"""Kept weights: packed and scored another way they give what a whole training that way gives, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.conftest import file_hash

pytestmark = pytest.mark.slow

SMALL_MATRICES = {"INT8_KEEP_FLOAT_MAX_NUMEL": "1000"}  # so that the tiny model's matrices are rounded, too
# What trains, what is changed afterwards, and whether the artifact is enough to start from.
CASES = {
    "scored": ({}, {"EVAL_STRIDE": "32", "EVAL_SEQ_LEN": "64", "COMPRESSOR": "lzma"}, True),
    "rounded": (
        SMALL_MATRICES | {"EMA_DECAY": "0.9"},
        {"FP16_EMBED": "true", "MATRIX_BITS": "6", "QUANT_CLIP": "search"},
        False,
    ),
    "calibrated": (SMALL_MATRICES, {"GPTQ_ENABLED": "true", "GPTQ_CALIBRATION_BATCHES": "2"}, False),
    # Features that come in on the way must stand as they did after the last step.
    "late": (
        SMALL_MATRICES
        | {"NUM_LOOPS": "1", "LOOP_START": "0", "LOOP_END": "1", "ENABLE_LOOPING_AT": "0.5"}
        | {"QAT_ENABLED": "true", "LATE_QAT_THRESHOLD": "0.5"},
        {"TTT_ENABLED": "true", "TTT_EPOCHS": "1", "TTT_CHUNK_TOKENS": "4096"},
        True,
    ),
}


def account(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def scores(result: dict[str, Any], *left_out: str) -> list[tuple[str, float, float]]:
    return [(s["stage"], s["val_loss"], s["val_bpb"]) for s in result["scores"] if s["stage"] not in left_out]


@pytest.mark.parametrize("name", CASES)
def test_kept_weights_give_what_a_whole_training_gives(name, trainer, tiny, tmp_path):
    trained, changed, from_artifact = CASES[name]
    base, whole, again, packed = (tmp_path / one for one in ("base", "whole", "again", "packed"))
    assert trainer(tiny | trained, "--out", base).returncode == 0
    assert trainer(tiny | trained | changed, "--out", whole).returncode == 0

    clock = ("--train-seconds", 2.5)
    done = trainer(
        tiny | trained | changed, "--out", again, "--weights", base / "weights.safetensors", *clock
    )

    assert done.returncode == 0, done.stderr
    ours, theirs = account(again), account(whole)
    assert scores(ours) == scores(theirs)
    assert ours["model_sha256"] == theirs["model_sha256"] == file_hash(again / ours["model_file"])
    for fact in ("steps", "last_train_loss", "tokens_seen", "params"):
        assert ours[fact] == theirs[fact], fact
    assert ours["train_seconds"] >= 2.5
    assert account(base)["weights_sha256"] == file_hash(base / "weights.safetensors")
    assert not (again / "weights.safetensors").exists()

    if from_artifact:
        words = ("--artifact", base / "model.zlib", "--steps", 20, *clock)
        done = trainer(tiny | trained | changed, "--out", packed, *words)
        assert done.returncode == 0, done.stderr
        assert scores(account(packed)) == scores(theirs, "pre_quantization")
        assert account(packed)["model_sha256"] == theirs["model_sha256"]


def test_weights_of_another_training_are_refused_by_name(trainer, tiny, tmp_path):
    base = tmp_path / "base"
    assert trainer(tiny, "--out", base).returncode == 0
    weights = base / "weights.safetensors"

    rate = trainer(tiny | {"MATRIX_LR": "0.5"}, "--out", tmp_path / "rate", "--weights", weights)
    absent = trainer(tiny, "--out", tmp_path / "absent", "--weights", tmp_path / "weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-9])
    torn = trainer(tiny, "--out", tmp_path / "torn", "--weights", weights)

    assert (rate.returncode, absent.returncode, torn.returncode) == (2, 2, 2)
    assert "MATRIX_LR=0.02, now it is 0.5: MATRIX_LR acts in training" in rate.stderr
    assert "there is no checkpoint" in absent.stderr
    assert "is broken" in torn.stderr


def test_nothing_is_kept_where_the_knob_says_so(trainer, tiny, tmp_path):
    done = trainer(tiny | {"KEEP_WEIGHTS": "false"}, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out" / "weights.safetensors").exists()
    assert account(tmp_path / "out")["weights_file"] is None
