"""Whole runs as real processes: what they leave, how they stop, how they go on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.conftest import file_hash, first_difference, process_env
from trainer.data import write_shard

pytestmark = pytest.mark.slow

TIMINGS = {
    "train_seconds",
    "step_ms",
    "tokens_per_second",
    "wall_seconds",
    "eval_seconds",
    "peak_memory_bytes",
    "resumed",
}


def read_result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def without_timings(result: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in result.items() if name not in TIMINGS}
    kept["scores"] = [{k: v for k, v in score.items() if k != "seconds"} for score in result["scores"]]
    kept["config"] = {k: v for k, v in result["config"].items() if not k.startswith("CHECKPOINT_")}
    return kept


def curve_without_timings(folder: Path) -> list[dict[str, float]]:
    points = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in point.items() if k not in ("train_time_ms", "tokens_per_second")}
        for point in points
    ]


def same_curves(ours: Path, theirs: Path) -> bool:
    """Whether two folders hold one curve but for its times."""
    difference = first_difference(curve_without_timings(ours), curve_without_timings(theirs))
    assert difference is None, difference
    return True


def same_results(ours: Path, theirs: Path) -> bool:
    """Whether two folders hold one result but for its times."""
    one, other = (sorted(without_timings(read_result(out)).items()) for out in (ours, theirs))
    difference = first_difference(one, other)
    assert difference is None, difference
    return True


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def start(knobs: dict[str, str], out: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", "--out", str(out), *words],
        env=process_env(knobs),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One whole tiny run: its folder, what it said, its knobs."""
    from tests.trainer.conftest import PARITY
    from trainer.config import PRESETS

    out = tmp_path_factory.mktemp("finished") / "out"
    knobs = PRESETS["tiny"] | {
        "DATA_PATH": str(PARITY),
        "TOKENIZER_PATH": str(PARITY / "stdlib_1024_bpe.model"),
        "DEVICE": "cpu",
        "DTYPE": "float32",
        "THREADS": "1",
        "CHECKPOINT_SECONDS": "0",
        "SEED": "7",
    }
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "--out", str(out)],
        env=process_env(knobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout, knobs


# what a run leaves --------------------------------------------------------------------------------


def test_a_run_leaves_curve_artifact_weights_and_result_and_no_checkpoint(finished):
    out, _, _ = finished

    files = ["curve.jsonl", "model.zlib", "result.json", "weights.safetensors"]
    assert sorted(path.name for path in out.iterdir()) == files


def test_the_result_adds_up(finished):
    out, _, _ = finished
    result = read_result(out)
    blob = (out / "model.zlib").read_bytes()

    assert (result["status"], result["stop_reason"], result["failure"]) == ("ok", "iterations", None)
    assert result["steps"] == result["planned_steps"] == 20
    assert result["tokens_seen"] == 20 * 1024
    assert result["params"] == 123_464
    assert result["model_bytes"] == len(blob)
    assert result["model_sha256"] == hashlib.sha256(blob).hexdigest()
    assert result["artifact_bytes"] == result["code_bytes"] + result["model_bytes"]
    assert result["seed"] == 7
    for score in result["scores"]:
        bpb = score["val_loss"] / np.log(2) * score["tokens"] / score["bytes"]
        assert score["val_bpb"] == pytest.approx(bpb, rel=1e-12)
        assert (score["tokens"], score["bytes"]) == (32_768, 58_490)


def test_nothing_is_left_for_auto_to_mean(finished):
    out, _, _ = finished

    assert "auto" not in read_result(out)["config"].values()


def test_the_log_and_the_curve_tell_the_same(finished):
    out, said, _ = finished
    points = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    lines = [line for line in said.splitlines() if line.startswith("step:")]

    assert len(lines) == len(points)
    for point, line in zip(points, lines, strict=True):
        kind = "train_loss" if "train_loss" in point else "val_loss"
        assert line.startswith(f"step:{point['step']}/20 {kind}:{point[kind]:.4f}")


def test_the_log_has_the_lines_importers_look_for(finished):
    out, said, _ = finished
    result = read_result(out)
    lines = said.splitlines()

    for line in (
        "Hyperparameters:",
        "model_params:123464",
        "seed:7",
        f"Code size: {result['code_bytes']} bytes",
        f"Total submission size int8+zlib: {result['artifact_bytes']} bytes",
    ):
        assert line in lines
    exact = result["scores"][-1]
    assert (
        f"final_int8_zlib_roundtrip_exact val_loss:{exact['val_loss']:.8f} val_bpb:{exact['val_bpb']:.8f}"
        in lines
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_seed_and_threads_give_the_same_bytes(trainer, tiny, tmp_path, dtype):
    knobs = tiny | {"DTYPE": dtype, "THREADS": "2", "ITERATIONS": "6"}
    for name in ("one", "two"):
        assert trainer(knobs, "--out", tmp_path / name).returncode == 0

    assert file_hash(tmp_path / "one" / "model.zlib") == file_hash(tmp_path / "two" / "model.zlib")
    assert same_curves(tmp_path / "one", tmp_path / "two")


def test_another_number_of_threads_changes_no_more_than_roundings(finished, trainer, tmp_path):
    """Not the same bits: a processor with AMX adds up bfloat16 products in another order."""
    out, _, knobs = finished
    assert trainer(knobs | {"THREADS": "2"}, "--out", tmp_path / "again").returncode == 0

    ours, theirs = ([s["val_bpb"] for s in read_result(o)["scores"]] for o in (tmp_path / "again", out))
    assert ours == pytest.approx(theirs, abs=5e-3)


def test_deterministic_runs_use_one_thread_unless_told_and_repeat(finished, trainer, tmp_path):
    """One thread adds up in one order, however many cores the machine lends."""
    out, _, knobs = finished
    assert (
        trainer(knobs | {"THREADS": "0", "DETERMINISTIC": "1"}, "--out", tmp_path / "again").returncode == 0
    )

    result = read_result(tmp_path / "again")
    assert result["config"]["THREADS"] == "1"
    assert result["environment"]["backends"]["deterministic_algorithms"] is True
    assert result["model_sha256"] == read_result(out)["model_sha256"]


def test_the_result_names_what_decides_the_order_of_sums(finished):
    import torch

    environment = read_result(finished[0])["environment"]

    assert environment["threads"] == 1
    assert environment["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert environment["backends"]["deterministic_algorithms"] is False
    assert {"mkldnn", "amx_bfloat16", "cuda_matmul_tf32", "cudnn_benchmark"} <= environment["backends"].keys()


def test_another_seed_gives_another_model(finished, trainer, tmp_path):
    out, _, knobs = finished
    trainer(knobs | {"SEED": "8"}, "--out", tmp_path / "other")

    assert read_result(tmp_path / "other")["model_sha256"] != read_result(out)["model_sha256"]


def test_warm_up_steps_change_nothing(finished, trainer, tmp_path):
    out, _, knobs = finished
    trainer(knobs | {"WARMUP_STEPS": "3"}, "--out", tmp_path / "warm")

    assert read_result(tmp_path / "warm")["model_sha256"] == read_result(out)["model_sha256"]


def test_the_artifact_alone_gives_the_score(finished):
    """Read back in another process's memory, it scores what the run said."""
    import sentencepiece
    import torch

    from trainer.artifact import decode, load_into
    from trainer.config import load_config
    from trainer.data import byte_table, find_shards, load_validation
    from trainer.evaluate import Validation, evaluate
    from trainer.model import GPT

    out, _, knobs = finished
    torch.set_num_threads(1)
    config = load_config(knobs)
    model = GPT(config)
    load_into(model, decode((out / "model.zlib").read_bytes()))
    tokens = load_validation(find_shards(Path(config.data_path), "val"), config.train_seq_len)
    table = byte_table(sentencepiece.SentencePieceProcessor(model_file=config.tokenizer_path))
    validation = Validation.of(tokens, table)
    found = evaluate(model, validation, config, torch.device("cpu"), autocast=False)

    assert found.val_bpb == pytest.approx(read_result(out)["scores"][-1]["val_bpb"], abs=1e-9)


def test_a_sliding_window_is_a_stage_of_its_own_after_the_round_trip(trainer, tiny, tmp_path):
    knobs = {"EVAL_STRIDE": "64", "EVAL_SEQ_LEN": "256", "VAL_LOSS_EVERY": "0", "ITERATIONS": "4"}
    done = trainer(tiny | knobs, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    before, round_trip, sliding = read_result(tmp_path / "out")["scores"]
    assert (round_trip["stage"], sliding["stage"]) == ("round_trip", "sliding_window")
    assert sliding["label"] == "final_sliding_window_exact"
    assert (sliding["tokens"], sliding["bytes"]) == (before["tokens"], before["bytes"]) == (32_768, 58_490)
    assert sliding["val_loss"] != round_trip["val_loss"]
    assert f"final_sliding_window_exact val_loss:{sliding['val_loss']:.8f}" in done.stdout


def test_an_artifact_of_six_bits_in_another_codec_scores_and_is_labelled_so(trainer, tiny, tmp_path):
    knobs = {
        "MATRIX_BITS": "6",
        "EMBED_BITS": "7",
        "QUANT_CLIP": "search",
        "COMPRESSOR": "lzma",
        "INT8_KEEP_FLOAT_MAX_NUMEL": "1000",
        "ITERATIONS": "6",
    }
    done = trainer(tiny | knobs, "--out", tmp_path / "out")
    plain = trainer(tiny | {"ITERATIONS": "6"}, "--out", tmp_path / "plain")

    assert (done.returncode, plain.returncode) == (0, 0), done.stderr
    result, whole = read_result(tmp_path / "out"), read_result(tmp_path / "plain")
    assert result["model_file"] == "model.lzma"
    assert (
        (tmp_path / "out" / "model.lzma").stat().st_size == result["model_bytes"] < 0.7 * whole["model_bytes"]
    )
    assert result["scores"][-1]["label"] == "final_int6_lzma_roundtrip_exact"
    assert abs(result["scores"][-1]["val_bpb"] - result["scores"][0]["val_bpb"]) < 0.05
    assert f"Total submission size int6+lzma: {result['artifact_bytes']} bytes" in done.stdout


def test_a_context_longer_than_the_validation_text_is_refused(trainer, tiny):
    knobs = {"EVAL_SEQ_LEN": "40000", "VAL_BATCH_SIZE": "65536"}

    assert refused(trainer(tiny | knobs, "--check"), "EVAL_SEQ_LEN=40000", "32768")


@pytest.mark.parametrize(
    "knobs",
    [
        {"NUM_LAYERS": "1"},
        {"NUM_LAYERS": "3", "NUM_KV_HEADS": "1", "MLP_MULT": "3"},
        {"NUM_KV_HEADS": "4", "GRAD_CLIP_NORM": "0.3", "LOGIT_SOFTCAP": "15"},
        {"TRAIN_SEQ_LEN": "1024", "ATTENTION": "blocked", "DTYPE": "bfloat16"},
        {"FP16_EMBED": "yes", "TIE_EMBEDDINGS": "no", "VOCAB_SIZE": "1024"},
        {"GRAD_ACCUM_STEPS": "0"},
    ],
    ids=lambda knobs: " ".join(f"{k}={v}" for k, v in knobs.items()),
)
def test_other_shapes_train_and_learn(trainer, tiny, tmp_path, knobs):
    done = trainer(tiny | {"ITERATIONS": "6", "WARMDOWN_ITERS": "0"} | knobs, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    curve = curve_without_timings(tmp_path / "out")
    val = [point["val_loss"] for point in curve if "val_loss" in point]
    assert val[-1] < val[0]


def test_a_wallclock_cap_ends_training_and_says_so(trainer, tiny, tmp_path):
    knobs = tiny | {"ITERATIONS": "100000", "MAX_WALLCLOCK_SECONDS": "1", "VAL_LOSS_EVERY": "0"}
    done = trainer(knobs, "--out", tmp_path / "out")
    result = read_result(tmp_path / "out")

    assert done.returncode == 0
    assert result["stop_reason"] == "wallclock_cap"
    assert 1.0 <= result["train_seconds"] < 3.0
    assert 0 < result["steps"] < 100_000
    assert f"step:{result['steps']}/100000" in next(
        line for line in done.stdout.splitlines() if line.startswith("stopping_early: wallclock_cap")
    )


# being stopped and going on -----------------------------------------------------------------------


def test_a_killed_run_goes_on_to_the_same_model_and_result(tiny, tmp_path):
    """kill -9 after a checkpoint, then --resume: bytes, curve and result as if nothing had happened."""
    knobs = tiny | {
        "ITERATIONS": "60",
        "WARMDOWN_ITERS": "30",
        "CHECKPOINT_EVERY": "7",
        "TRAIN_LOG_EVERY": "1",
    }
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(knobs, whole).wait() == 0

    process = start(knobs, broken)
    wait_for(lambda: (broken / "checkpoint.safetensors").exists(), process)
    points_before = len((broken / "curve.jsonl").read_text().splitlines())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert len((broken / "curve.jsonl").read_text().splitlines()) >= points_before
    assert not (broken / "result.json").exists()
    assert start(knobs, broken, "--resume").wait() == 0

    assert file_hash(broken / "model.zlib") == file_hash(whole / "model.zlib")
    assert same_curves(broken, whole)
    assert same_results(broken, whole)
    assert read_result(broken)["resumed"] == 1
    assert not (broken / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("wished", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_a_checkpoint_and_a_result(tiny, tmp_path, wished):
    knobs = tiny | {"ITERATIONS": "100000", "VAL_LOSS_EVERY": "0"}
    out = tmp_path / "out"
    process = start(knobs, out)
    wait_for(
        lambda: (out / "curve.jsonl").exists() and "train_loss" in (out / "curve.jsonl").read_text(), process
    )
    process.send_signal(wished)

    assert process.wait(timeout=180) == 3
    result = read_result(out)
    assert (result["status"], result["stop_reason"]) == ("stopped", "signal")
    assert result["steps"] > 0
    assert (out / "checkpoint.safetensors").exists()


def test_a_stopped_run_goes_on_to_the_same_model(tiny, tmp_path):
    """Every step is validated, so the stop falls between a step and its validation, or in one."""
    knobs = tiny | {"ITERATIONS": "16", "WARMDOWN_ITERS": "8", "VAL_LOSS_EVERY": "1", "TRAIN_LOG_EVERY": "1"}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(knobs, whole).wait() == 0

    process = start(knobs, broken)
    wait_for(
        lambda: (broken / "curve.jsonl").exists() and "train_loss" in (broken / "curve.jsonl").read_text(),
        process,
    )
    process.terminate()
    assert process.wait() == 3
    assert start(knobs, broken, "--resume").wait() == 0

    assert file_hash(broken / "model.zlib") == file_hash(whole / "model.zlib")
    assert same_curves(broken, whole)
    assert same_results(broken, whole)


def test_resuming_where_no_checkpoint_was_written_starts_anew(finished, trainer, tmp_path):
    """A kill before the first checkpoint must not strand the run."""
    out, _, knobs = finished
    again = tmp_path / "again"
    again.mkdir()
    (again / "curve.jsonl").write_text('{"step": 1, "train_loss": 9.9, "train_time_ms": 1.0}\n')

    assert trainer(knobs, "--out", again, "--resume").returncode == 0
    assert same_curves(again, out)


@pytest.fixture
def stopped(tiny, tmp_path):
    """A folder with the checkpoint of an unfinished run, and its knobs."""
    knobs = tiny | {"ITERATIONS": "100000", "VAL_LOSS_EVERY": "0", "CHECKPOINT_EVERY": "3"}
    out = tmp_path / "stopped"
    process = start(knobs, out)
    wait_for((out / "checkpoint.safetensors").exists, process)
    process.kill()
    process.wait()
    return out, knobs


def refused(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    """Whether a run ended as a user's mistake does: exit 2, error, hint, no traceback."""
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert any(line.startswith("error: ") for line in lines)
    assert any(line.startswith("hint: ") for line in lines)
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    return True


def test_a_checkpoint_of_another_configuration_names_the_knob(stopped, trainer):
    out, knobs = stopped

    assert refused(trainer(knobs | {"MATRIX_LR": "0.03"}, "--out", out, "--resume"), "MATRIX_LR=0.02", "0.03")


def test_only_a_deterministic_run_is_bound_to_its_threads(stopped, trainer, tiny, tmp_path):
    out, knobs = stopped
    assert not refused_for_threads(
        trainer(knobs | {"THREADS": "2", "MATRIX_LR": "0.03"}, "--out", out, "--resume")
    )

    bound = tiny | {
        "ITERATIONS": "100000",
        "VAL_LOSS_EVERY": "0",
        "CHECKPOINT_EVERY": "3",
        "DETERMINISTIC": "1",
    }
    process = start(bound, tmp_path / "bound")
    wait_for((tmp_path / "bound" / "checkpoint.safetensors").exists, process)
    process.kill()
    process.wait()
    assert refused_for_threads(trainer(bound | {"THREADS": "2"}, "--out", tmp_path / "bound", "--resume"))


def refused_for_threads(done: subprocess.CompletedProcess[str]) -> bool:
    return refused(done) and "THREADS=1, now it is 2" in done.stderr


def test_a_checkpoint_of_other_data_is_refused(stopped, trainer, tmp_path):
    out, knobs = stopped
    moved = tmp_path / "data"
    shutil.copytree(knobs["DATA_PATH"], moved)
    write_shard(moved / "fineweb_train_000003.bin", np.zeros(5000, dtype=np.uint16))

    assert refused(trainer(knobs | {"DATA_PATH": str(moved)}, "--out", out, "--resume"), "other data")


def test_a_torn_checkpoint_is_refused(stopped, trainer):
    out, knobs = stopped
    path = out / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])

    assert refused(trainer(knobs, "--out", out, "--resume"), "checkpoint.safetensors")


def test_an_unfinished_run_is_not_overwritten(stopped, trainer):
    out, knobs = stopped

    assert refused(trainer(knobs, "--out", out), "checkpoint")
    assert (out / "checkpoint.safetensors").exists()


def test_a_finished_folder_is_not_appended_to(finished, trainer, tmp_path):
    out, _, knobs = finished
    again = tmp_path / "again"
    shutil.copytree(out, again)
    done = trainer(knobs, "--out", again)

    assert done.returncode == 2
    assert same_curves(again, out)


# failing ------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_at_its_step(trainer, tiny, tmp_path):
    done = trainer(tiny | {"SCALAR_LR": "1e30", "ITERATIONS": "50"}, "--out", tmp_path / "out")
    result = read_result(tmp_path / "out")

    assert done.returncode == 4
    assert (result["status"], result["stop_reason"]) == ("failed", "failure")
    assert result["failure"]["kind"] == "nan"
    assert f"step {result['failure']['step']}" in result["failure"]["message"]
    points = [json.loads(line) for line in (tmp_path / "out" / "curve.jsonl").read_text().splitlines()]
    assert all(point["step"] <= result["failure"]["step"] for point in points)


def test_a_packed_model_that_scores_nan_is_a_failure(trainer, tiny, tmp_path):
    """Weights of 1e30 still give a finite loss, but not once their scales are fp16."""
    done = trainer(tiny | {"MATRIX_LR": "1e30"}, "--out", tmp_path / "out")

    assert done.returncode != 0
    assert "NaN" not in (tmp_path / "out" / "result.json").read_text()


def in_process(tiny, out: Path, observer: Any) -> dict[str, Any]:
    from trainer.config import load_config
    from trainer.setup import prepare
    from trainer.train import train

    out.mkdir()
    train(prepare(load_config(tiny)), out, observer=observer)
    return read_result(out)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=["python", "torch"],
)
def test_running_out_of_memory_is_told_apart(tiny, tmp_path, error):
    from trainer.train import Observer

    def fail(report: Any) -> None:
        raise error

    result = in_process(tiny, tmp_path / "out", Observer(on_step=fail))

    assert result["status"] == "failed"
    assert result["failure"]["kind"] == "out_of_memory"


def test_any_other_failure_leaves_a_result_with_its_cause(tiny, tmp_path, capfd):
    from trainer.train import Observer

    def fail(report: Any) -> None:
        if report.step == 3:
            raise ZeroDivisionError("made up")

    result = in_process(tiny, tmp_path / "out", Observer(on_step=fail))

    assert result["failure"]["kind"] == "error"
    assert "made up" in result["failure"]["message"]
    assert "Traceback" in capfd.readouterr().err


# checking before it costs anything ----------------------------------------------------------------


def test_check_prints_one_object_and_writes_nothing(trainer, tiny, tmp_path):
    done = trainer(tiny, "--check", "--out", tmp_path / "out")
    facts = json.loads(done.stdout)

    assert done.returncode == 0
    assert facts["params"] == 123_464
    assert facts["data"]["val_tokens"] == 32_768
    assert facts["data"]["val_bytes"] == 58_490
    assert "auto" not in facts["config"].values()
    assert not (tmp_path / "out").exists()


def test_the_forecast_is_within_a_tenth_of_the_artifact(finished, trainer):
    out, _, knobs = finished
    forecast = json.loads(trainer(knobs, "--check").stdout)["forecast_bytes"]

    assert forecast == pytest.approx(read_result(out)["artifact_bytes"], rel=0.1)


def test_checked_and_trained_are_the_same_configuration(finished, trainer):
    out, _, knobs = finished

    assert json.loads(trainer(knobs, "--check").stdout)["config"] == read_result(out)["config"]


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"MODEL_DIM": "abc"}, ("MODEL_DIM=abc",)),
        ({"NUM_HEADS": "7"}, ("MODEL_DIM=64", "NUM_HEADS=7")),
        ({"VOCAB_SIZE": "512"}, ("VOCAB_SIZE=512", "1024")),
        ({"DATA_PATH": "nowhere"}, ("nowhere",)),
        ({"TOKENIZER_PATH": "nowhere.model"}, ("nowhere.model",)),
        ({"TRAIN_SEQ_LEN": "65536", "TRAIN_BATCH_TOKENS": "65536", "VAL_BATCH_SIZE": "65536"}, ("65536",)),
        ({"DEVICE": "cuda"}, ("DEVICE=cuda",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("words_", [("--check",), ("--out", "out")], ids=["check", "run"])
def test_wrong_input_is_refused_before_anything_is_written(trainer, tiny, tmp_path, knobs, words, words_):
    if "DEVICE" in knobs:
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a GPU here")

    assert refused(trainer(tiny | knobs, *words_), *words)
    assert not (tmp_path / "out").exists()


def test_a_truncated_shard_is_refused_with_both_sizes(trainer, tiny, tmp_path):
    shutil.copytree(tiny["DATA_PATH"], tmp_path / "data")
    shard = tmp_path / "data" / "fineweb_train_000001.bin"
    os.truncate(shard, 61_000)

    assert refused(
        trainer(tiny | {"DATA_PATH": str(shard.parent)}, "--check"), "61,000", "61,024", shard.name
    )


def test_a_tokenizer_that_is_none_is_refused(trainer, tiny, tmp_path):
    (tmp_path / "t.model").write_text("not a model")

    assert refused(trainer(tiny | {"TOKENIZER_PATH": str(tmp_path / "t.model")}, "--check"), "t.model")


def test_training_tokens_past_the_vocabulary_are_refused(trainer, tiny, tmp_path):
    shutil.copytree(tiny["DATA_PATH"], tmp_path / "data")
    write_shard(tmp_path / "data" / "fineweb_train_000000.bin", np.full(30_000, 1024, dtype=np.uint16))

    assert refused(trainer(tiny | {"DATA_PATH": str(tmp_path / "data")}, "--check"), "1024")
