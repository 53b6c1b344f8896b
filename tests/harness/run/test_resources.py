"""What a run needs and what the machine has, said before it starts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.courses.course import CourseData, load_course
from harness.run.builtin import _explain_end
from harness.run.preset_choice import choose_preset
from harness.run.resources import Resources, estimate_memory, estimate_params
from trainer.artifact import forecast_bytes
from trainer.build import PLANNED_WITHOUT_NUMBERS, count_params, make_model, plan_model
from trainer.config import KNOBS, PRESETS, load_config

ROOMY = Resources(cores=2, free_bytes=20 * 10**9, all_bytes=24 * 10**9)


def own_course(folder: Path, tokens: int, vocab: int):
    """A course whose training shard is as large as so many tokens; a sparse file takes no room."""
    with (folder / "fineweb_train_000000.bin").open("wb") as shard:
        shard.truncate(2 * tokens)
    data = CourseData(path=str(folder), tokenizer="t.model", vocab_size=vocab)
    return load_course("practice").model_copy(update={"name": "mine", "data": data})


@pytest.mark.parametrize(
    ("tokens", "vocab", "gpu", "free", "expected"),
    [
        (2_000_000, 1024, False, 20e9, "practice"),
        (200_000_000, 1024, False, 20e9, "practice"),  # the baseline takes days on a CPU
        (2_000_000, 1024, True, 20e9, "practice_long"),  # the baseline would learn it by heart
        (200_000_000, 1024, True, 20e9, "baseline"),
        (200_000_000, 65_535, True, 20e9, "practice_long"),  # 50 million parameters are over the cap
        (2_000_000, 1024, False, 0.1e9, "tiny"),
    ],
)
def test_a_course_is_played_with_the_preset_that_fits(tokens, vocab, gpu, free, expected, tmp_path):
    machine = replace(ROOMY, free_bytes=int(free))

    choice = choose_preset(own_course(tmp_path, tokens, vocab), gpu, machine)

    assert choice.preset == expected
    assert f"{tokens:,} training tokens" in choice.why


def test_shipped_courses_keep_their_presets():
    assert choose_preset(load_course("fineweb"), False, ROOMY).preset == "baseline"
    assert choose_preset(load_course("practice"), True, ROOMY).preset == "practice"


@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_are_estimated_as_the_model_has_them(preset):
    settings = {name: str(knob.default) for name, knob in KNOBS.items()} | PRESETS[preset]

    estimate = estimate_params(settings)

    assert estimate == pytest.approx(count_params(make_model(load_config(PRESETS[preset]))), rel=0.01)


def test_memory_of_the_public_baseline_on_a_gpu_and_of_a_played_hole_is_near_the_measured():
    baseline = load_config({}).to_env() | {"DEVICE": "cuda"}
    practice = load_config(PRESETS["practice"]).to_env() | {"DEVICE": "cpu"}

    on_gpu = estimate_memory(baseline, 17_059_912, nproc=8)
    on_cpu = estimate_memory(practice, 361_608)

    assert on_gpu == pytest.approx(10184 * 2**20, rel=0.15)
    assert on_cpu == pytest.approx(0.706e9, rel=0.3)
    assert estimate_memory(practice | {"GRAD_ACCUM_STEPS": "0"}, 361_608, nproc=2) > 2 * 0.4e9


def test_a_large_model_is_counted_without_memory_and_as_a_real_one_is():
    large = load_config({"MODEL_DIM": "65536", "NUM_LAYERS": "100"})
    model = plan_model(large)

    assert count_params(model) > PLANNED_WITHOUT_NUMBERS
    assert next(model.parameters()).is_meta
    small = load_config({})
    with torch.device("meta"):
        hollow = make_model(small)
    whole = plan_model(small)
    assert not next(whole.parameters()).is_meta
    assert count_params(hollow) == count_params(whole)
    assert forecast_bytes(hollow.state_dict(), small) == forecast_bytes(whole.state_dict(), small)


@pytest.mark.parametrize(
    ("exit_code", "stderr", "expected"),
    [
        (-9, "", "killed (SIGKILL) while it checked the run"),
        (-11, "some line\nlast line\n\n", "ended by SIGSEGV while it checked the run: last line"),
        (1, "Traceback\nImportError: no torch\n", "exit code 1: ImportError: no torch"),
        (7, "", "exit code 7 and printed nothing"),
    ],
)
def test_a_trainer_that_dies_at_its_start_is_explained(exit_code, stderr, expected):
    error = _explain_end(exit_code, stderr)

    assert expected in error.message
    assert error.hint


@pytest.mark.slow
def test_what_is_too_big_is_refused_before_it_starts_and_what_may_be_is_warned_of(harness, tmp_path):
    cache = {"HARNESS_CACHE": str(tmp_path / "cache")}
    wide = ("-o", "MODEL_DIM=16384", "-o", "NUM_LAYERS=1000", "-o", "NUM_HEADS=128", "--dry-run")

    over_cap = harness("run", "round_001", *wide, env=cache)
    too_big = harness("run", "round_001", *wide, "--allow-over-cap", env=cache)
    batch = ("-o", f"TRAIN_BATCH_TOKENS={2**29}", "-o", "TRAIN_SEQ_LEN=1024")
    hungry = harness("run", "round_001", *batch, "--dry-run", "--json", env=cache)

    assert (over_cap.returncode, "parameters will take about" in over_cap.stderr) == (12, True)
    assert (too_big.returncode, "GB of memory for weights" in too_big.stderr) == (1, True)
    assert hungry.returncode == 0, hungry.stderr
    assert "GB of memory needed (a rough sum)" in hungry.stderr
    (memory,) = (group for group in json.loads(hungry.stdout)["checks"] if group["group"] == "memory")
    assert memory["findings"][0]["level"] == "warning"


def test_processes_and_seeds_that_no_machine_takes_are_wrong_usage(harness, tmp_path):
    (tmp_path / "train.py").write_text("import os\nprint(int(os.environ.get('SEED', '1')))\n")
    script = ("run", "round_001", "--script", "train.py", "--course", "practice", "--dry-run")
    cache = {"HARNESS_CACHE": str(tmp_path / "cache")}

    processes = harness(*script, "--nproc", "999", env=cache)
    seed = harness(*script, "--seed", "1" * 20, env=cache)
    listed = harness(*script, "--seeds", f"1,{'9' * 20}", env=cache)

    assert sys.maxsize < int("1" * 20)
    assert (processes.returncode, "--nproc 999 is more than" in processes.stderr) == (2, True)
    assert (seed.returncode, f"seed {'1' * 20} is too large" in seed.stderr) == (2, True)
    assert (listed.returncode, f"seed {'9' * 20} is too large" in listed.stderr) == (2, True)
