"""Training on bytes: what they stand for, and a whole run."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from trainer.bytevocab import BOS, ByteTokenizer, encode_bytes
from trainer.data import byte_table, check_byte_table, write_shard

TEXT = "grün und blau, 0 to 9\n".encode()


def test_bytes_come_back_and_each_counts_one():
    tokens = encode_bytes([TEXT, b"x"])
    table = byte_table(ByteTokenizer())

    assert tokens[0] == tokens[len(TEXT) + 1] == BOS
    assert ByteTokenizer().decode(tokens.tolist()).encode() == TEXT + b"x"
    assert table.count(tokens[:-1], tokens[1:]) == len(TEXT) + 1
    check_byte_table(ByteTokenizer(), table, tokens)


def test_every_byte_has_its_own_token():
    tokens = encode_bytes([bytes(range(256))])

    assert sorted(tokens[1:].tolist()) == list(range(4, 260))


@pytest.mark.slow
def test_a_run_on_bytes_scores_its_loss_in_bits(trainer, tiny, tmp_path):
    documents = [TEXT * 40, TEXT[::-1] * 30] * 20
    write_shard(tmp_path / "fineweb_train_000000.bin", encode_bytes(documents))
    write_shard(tmp_path / "fineweb_val_000000.bin", encode_bytes(documents[:2]))
    knobs = {
        "DATA_PATH": str(tmp_path),
        "TOKENIZER_PATH": "byte260",
        "VOCAB_SIZE": "260",
        "ITERATIONS": "5",
        "DETERMINISTIC": "1",
    }
    done = trainer(tiny | knobs, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    score = json.loads((tmp_path / "out" / "result.json").read_text())["scores"][-1]
    boundaries = score["tokens"] - score["bytes"]
    assert boundaries == 1
    assert score["val_bpb"] == pytest.approx(
        score["val_loss"] / math.log(2) * score["tokens"] / score["bytes"]
    )
    assert score["val_loss"] < np.log(260)


@pytest.mark.slow
def test_bytes_with_another_vocabulary_are_refused(trainer, tiny):
    done = trainer(tiny | {"TOKENIZER_PATH": "byte260"}, "--check")

    assert done.returncode == 2
    assert "VOCAB_SIZE=1024" in done.stderr
    assert "set VOCAB_SIZE=260" in done.stderr


@pytest.mark.slow
def test_deterministic_runs_give_the_same_bits_and_those_of_plain_ones_on_a_cpu(trainer, tiny, tmp_path):
    from tests.trainer.conftest import file_hash

    made = []
    for name, wanted in {"one": "1", "two": "1", "plain": "0"}.items():
        knobs = {"DETERMINISTIC": wanted, "ITERATIONS": "3", "VAL_LOSS_EVERY": "0"}
        assert trainer(tiny | knobs, "--out", tmp_path / name).returncode == 0
        made.append(file_hash(tmp_path / name / "model.zlib"))

    assert made[0] == made[1] == made[2]
