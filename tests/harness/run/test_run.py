"""`harness run` from the outside: the real command line, the real trainer, real signals."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compare_bytes import assert_same
from tests.paths import ROOT
from tests.waiting import wait_for
from trainer.config import PRESETS

pytestmark = pytest.mark.slow

TINY = ("--preset", "tiny", "-o", "THREADS=1")


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One practice course for all tests of this worker."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def play(harness, cache):
    def call(*words, **options):
        env = {"HARNESS_CACHE": str(cache), **options.pop("env", {})}
        return harness(*words, env=env, **options)

    return call


def start(cache, tmp_path, *words):
    """Start `harness run` without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *words],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HARNESS_CACHE": str(cache)},
    )


def record_of(folder: Path, attempt=1):
    return json.loads((folder / f"attempt_{attempt:02d}" / "record.json").read_text())


def repeatable(record):
    """The part of a record that the same run must give again: no times, no places."""
    timed = {
        "started_at",
        "ended_at",
        "train_seconds",
        "eval_seconds",
        "wall_seconds",
        "step_ms",
        "resumes",
        "tokens_per_second",
        "peak_memory_bytes",
        "hole",
        "attempt",
        "command",
    }
    kept = {key: value for key, value in record.items() if key not in timed}
    kept["scores"] = [{k: v for k, v in score.items() if k != "seconds"} for score in kept["scores"]]
    kept["config"] = {k: v for k, v in kept["config"].items() if k != "RUN_ID"}
    return kept


def test_first_run_makes_a_hole_with_a_valid_record(play, tmp_path):
    done = play("run", "round_006", *TINY, "--override", "FP16_EMBED=yes", "--title", "Half a Byte")

    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "round_006_half_a_byte"
    record = record_of(folder)
    assert record["status"] == "ok"
    assert record["overrides"]["FP16_EMBED"] == record["config"]["FP16_EMBED"]
    assert record["artifact_bytes"] == record["code_bytes"] + record["model_bytes"]
    assert (folder / "attempt_01" / record["model_file"]).stat().st_size == record["model_bytes"]
    assert {score["stage"] for score in record["scores"]} == {"pre_quantization", "round_trip"}
    assert record["data"]["yardsticks"]["zlib-9"] > 1
    points = [json.loads(line) for line in (folder / "attempt_01" / "curve.jsonl").read_text().splitlines()]
    assert points[-1]["step"] == record["steps"]
    assert "step:" in done.stderr
    assert "Half a Byte" in done.stdout
    assert f"{record['val_bpb']:.4f}" in done.stdout
    assert "Sets Par" in done.stdout

    shown = json.loads(play("show", "6", "--json").stdout)
    assert shown["val_bpb"] == record["val_bpb"]
    assert "Half a Byte" in play("ls").stdout


def test_same_run_again_is_a_duplicate_unless_repeated(play, tmp_path):
    assert play("run", "round_001", *TINY).returncode == 0

    again = play("run", "round_002", *TINY)
    assert again.returncode == 15
    assert "round_001 attempt 1" in again.stderr
    assert not (tmp_path / "runs" / "round_002").exists()

    repeated = play("run", "round_002", *TINY, "--repeat", "--json")
    assert repeated.returncode == 0
    first, second = (record_of(tmp_path / "runs" / hole) for hole in ("round_001", "round_002"))
    assert repeatable(first) == repeatable(second)
    assert json.loads(repeated.stdout)["comparisons"]["previous"]["delta"] == 0


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["-o", "VOCAB_SIZE=2048"], "does not match the tokenizer's 1024 pieces", "set VOCAB_SIZE=1024"),
        (["--course", "fineweb", "-o", "DATA_PATH=/nowhere"], "in /nowhere", "DATA_PATH must name"),
    ],
)
def test_wrong_data_is_named_by_the_trainer_before_anything_is_written(words, error, hint, play, tmp_path):
    """What needs no look at the data is refused without torch: see test_plan.py."""
    done = play("run", "round_001", *TINY, *words)

    assert done.returncode == 2, done.stderr
    said, _, advice = done.stderr.partition("hint:")
    assert error in said
    assert hint in advice
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_variable_of_the_shell_does_not_reach_the_trainer(play, tmp_path):
    """Neither one that the preset sets nor one that it leaves at its default."""
    done = play("run", "round_001", *TINY, env={"MATRIX_LR": "0.5", "QK_GAIN_INIT": "3.0"})

    assert done.returncode == 0, done.stderr
    config = record_of(tmp_path / "runs" / "round_001")["config"]
    assert config["MATRIX_LR"] == PRESETS["tiny"]["MATRIX_LR"]
    assert config["QK_GAIN_INIT"] == "1.5"


def test_override_that_does_nothing_is_told_when_the_run_ends(play, tmp_path):
    """HEAD_LR belongs to an untied head; with tied embeddings nothing reads it."""
    play("run", "round_001", *TINY)
    done = play("run", "round_002", *TINY, "-o", "HEAD_LR=0.5", "--title", "Nothing")

    assert done.returncode == 0, done.stderr
    assert "WHIFF" in done.stdout
    assert "HEAD_LR did nothing" in " ".join(done.stdout.split())


def test_killed_harness_leaves_a_trail_and_resumes_to_the_same_record(play, cache, tmp_path):
    long = (
        "--preset",
        "tiny",
        "-o",
        "THREADS=1",
        "-o",
        "ITERATIONS=120",
        "-o",
        "CHECKPOINT_EVERY=10",
        "-o",
        "TRAIN_LOG_EVERY=5",
    )
    assert play("run", "round_001", *long).returncode == 0
    process = start(cache, tmp_path, "round_002", *long, "--repeat")
    attempt = tmp_path / "runs" / "round_002" / "attempt_01"
    wait_for((attempt / "checkpoint.safetensors").exists)

    process.send_signal(signal.SIGKILL)
    process.wait()

    assert not (attempt / "record.json").exists()
    assert json.loads(play("ls", "--json").stdout)["holes"][1]["status"] == "unfinished"
    wait_for((attempt / "result.json").exists)  # the trainer was asked to stop, and does with an account
    logged = (attempt / "curve.jsonl").read_text().count("\n")
    assert logged > 0

    resumed = play("resume", "round_002")
    assert resumed.returncode == 0, resumed.stderr
    whole, pieced = (record_of(tmp_path / "runs" / hole) for hole in ("round_001", "round_002"))
    assert repeatable(whole) == repeatable(pieced)
    curves = [
        (tmp_path / "runs" / hole / "attempt_01" / "curve.jsonl").read_text()
        for hole in ("round_001", "round_002")
    ]
    untimed = [
        [
            {k: v for k, v in json.loads(line).items() if k in ("step", "train_loss", "val_bpb")}
            for line in curve.splitlines()
        ]
        for curve in curves
    ]
    assert_same(*untimed)

    done_already = play("resume", "round_002")
    assert done_already.returncode == 15


def test_interrupt_stops_with_a_record_that_can_be_resumed(play, cache, tmp_path):
    process = start(cache, tmp_path, "round_001", *TINY, "-o", "ITERATIONS=2000")
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    wait_for(lambda: (attempt / "curve.jsonl").exists() and (attempt / "curve.jsonl").stat().st_size)

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=180)

    assert process.returncode == 130
    assert record_of(tmp_path / "runs" / "round_001")["status"] == "stopped"
    assert "`harness resume round_001 --attempt 1`" in out


def test_timeout_is_a_failed_record_with_its_own_exit_code(play, tmp_path):
    done = play("run", "round_001", *TINY, "-o", "ITERATIONS=100000", "--timeout", "8")

    assert done.returncode == 11, done.stderr
    assert record_of(tmp_path / "runs" / "round_001")["failure"]["kind"] == "timeout"


def test_loss_that_is_no_number_fails_at_its_step(play, tmp_path):
    done = play(
        "run", "round_001", *TINY, "-o", "TIED_EMBED_LR=1e30", "-o", "MATRIX_LR=1e30", "-o", "SCALAR_LR=1e30"
    )

    assert done.returncode == 10, done.stdout + done.stderr
    failure = record_of(tmp_path / "runs" / "round_001")["failure"]
    assert failure["kind"] == "nan"
    assert failure["step"] >= 1
    assert "Did Not Finish" in done.stdout
    assert play("show", "1", "--why").returncode == 0


def test_killed_trainer_is_a_failed_record(cache, tmp_path):
    process = start(cache, tmp_path, "round_001", *TINY, "-o", "ITERATIONS=2000")
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    wait_for(lambda: (attempt / "curve.jsonl").exists() and (attempt / "curve.jsonl").stat().st_size)

    subprocess.run(["pkill", "-KILL", "-f", f"trainer --out {attempt}"], check=True)
    process.communicate(timeout=180)

    assert process.returncode == 10
    failure = record_of(tmp_path / "runs" / "round_001")["failure"]
    assert (failure["kind"], "SIGKILL" in failure["message"]) == ("killed", True)


def test_artifact_over_the_cap_is_refused_before_and_recorded_when_insisted(play, tmp_path):
    (tmp_path / "runs" / "courses").mkdir(parents=True)
    shipped = ROOT / "harness" / "data" / "courses" / "practice.toml"
    small = shipped.read_text().replace("16_000_000", "90_000")
    (tmp_path / "runs" / "courses" / "practice.toml").write_text(small)

    refused = play("run", "round_001", *TINY)
    insisted = play("run", "round_001", *TINY, "--allow-over-cap")

    assert (refused.returncode, insisted.returncode) == (12, 12)
    assert "--allow-over-cap" in refused.stderr
    assert record_of(tmp_path / "runs" / "round_001")["status"] == "over_cap"
    assert "OVER THE CAP" in insisted.stdout


def test_the_practice_text_can_be_played_as_bytes(play):
    """The same text in another vocabulary is the same course and split, so the scores compare."""
    tokens = play("run", "round_001", *TINY)
    as_bytes = play("run", "round_002", *TINY, "-o", "TOKENIZER_PATH=byte260")
    refused = play("run", "round_003", *TINY, "-o", "TOKENIZER_PATH=other.model")

    assert (tokens.returncode, as_bytes.returncode) == (0, 0), as_bytes.stderr
    pair = json.loads(play("compare", "2", "1", "--json").stdout)["pairs"][0]
    assert pair["comparable"] is True
    assert pair["config"]["VOCAB_SIZE"] == {"a": "260", "b": "1024"}
    assert (refused.returncode, "brings its own data" in refused.stderr) == (2, True)
