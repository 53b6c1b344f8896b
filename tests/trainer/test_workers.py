"""Several processes train what one trains: real torchrun, gloo on the CPU."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.paths import DATA, ROOT

pytestmark = pytest.mark.slow

PARITY = DATA / "parity"
KNOBS = {
    "DATA_PATH": str(PARITY),
    "TOKENIZER_PATH": str(PARITY / "stdlib_1024_bpe.model"),
    "VOCAB_SIZE": "1024",
    "NUM_LAYERS": "2",
    "MODEL_DIM": "64",
    "NUM_HEADS": "4",
    "NUM_KV_HEADS": "2",
    "TRAIN_SEQ_LEN": "64",
    "TRAIN_BATCH_TOKENS": "2048",
    "VAL_BATCH_SIZE": "8192",
    "ITERATIONS": "12",
    "VAL_LOSS_EVERY": "6",
    "TRAIN_LOG_EVERY": "1",
    "WARMUP_STEPS": "1",
    "DEVICE": "cpu",
    "DTYPE": "float32",
    "MUON_DTYPE": "float32",
    "THREADS": "1",
    "MAX_WALLCLOCK_SECONDS": "0",
    "GRAD_CLIP_NORM": "1.0",
}


def start(out, processes, *words, **knobs):
    starter = [sys.executable]
    if processes > 1:
        starter += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [*starter, "-m", "trainer", "--out", str(out), *words],
        text=True,
        env={**os.environ, **KNOBS, **knobs, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process, code=0):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said[-3000:]


def curve(out):
    points = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    return [(point["step"], point.get("train_loss", point.get("val_bpb"))) for point in points]


def result(out):
    return json.loads((out / "result.json").read_text())


def test_two_processes_train_what_one_trains(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    finish(start(one, 1))
    finish(start(two, 2))

    alone, together = curve(one), curve(two)
    assert [step for step, _ in alone] == [step for step, _ in together]
    assert [loss for _, loss in together] == pytest.approx([loss for _, loss in alone], rel=2e-4)
    scores = [result(out)["scores"][-1]["val_bpb"] for out in (one, two)]
    assert scores[1] == pytest.approx(scores[0], rel=2e-4)
    assert result(two)["environment"]["world_size"] == 2
    assert result(two)["tokens_seen"] == result(one)["tokens_seen"]


def test_two_processes_stop_together_and_resume_to_the_same_curve(tmp_path):
    whole, pieced = tmp_path / "whole", tmp_path / "pieced"
    knobs = {"ITERATIONS": "60", "VAL_LOSS_EVERY": "0", "CHECKPOINT_EVERY": "5"}
    finish(start(whole, 2, **knobs))
    process = start(pieced, 2, **knobs)
    deadline = time.monotonic() + 120
    while not (pieced / "checkpoint.safetensors").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)

    assert result(pieced)["status"] == "stopped"
    finish(start(pieced, 2, "--resume", **knobs))
    assert curve(pieced) == curve(whole)
    assert result(pieced)["resumed"] == 1
