"""`harness doctor` and the checks before `harness run`, from the outside."""

import json
import re

import numpy as np
import pytest

from harness.findings import Finding, Group, report
from harness.run.doctor.settings import shell_variables
from harness.run.request import field_knobs
from trainer.config import KNOBS
from trainer.data import write_shard
from trainer.names import ALIASES


def test_variables_that_look_like_knobs_are_named_and_others_are_not():
    found = shell_variables(
        {
            "MATRIX_LR": "0.5",
            "ITERATION": "5",
            "TTT_EVAL_ONLY": "1",
            "HOME": "/",
            "OMP_NUM_THREADS": "2",
            "EDITOR": "vi",
        }
    )

    assert [(f.level, f.what.split("=")[0]) for f in found] == [
        ("warning", "ITERATION"),
        ("warning", "MATRIX_LR"),
        ("note", "TTT_EVAL_ONLY"),
    ]
    assert "-o MATRIX_LR=0.5" in found[1].todo


def test_knobs_of_other_scripts_are_not_ours():
    assert len(field_knobs()) > 100
    assert not set(field_knobs()) & set(KNOBS)


def test_report_is_one_line_a_group_when_nothing_was_found():
    groups = [Group("machine", "torch 2"), Group("code", "commit abc")]

    assert report(groups).splitlines() == ["machine  torch 2", "code     commit abc", "all is well"]


def test_report_fits_the_terminal_and_counts():
    groups = [Group("run", "x", (Finding("note", "n " * 60), Finding("error", "e " * 60, "w", "t")))]
    lines = report(groups, 80).splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("  error:")
    assert lines[-1] == "1 error, 1 note"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {"HARNESS_CACHE": str(tmp_path_factory.mktemp("cache"))}


def findings(done, group=None):
    groups = json.loads(done.stdout)["groups"]
    return [(f["level"], f["what"]) for g in groups if group in (None, g["group"]) for f in g["findings"]]


@pytest.mark.slow
def test_doctor_without_a_hole_looks_at_machine_data_and_season(harness, runs, cache):
    broken = runs / "round_002_torn"
    (broken / "attempt_01").mkdir(parents=True)
    (broken / "attempt_01" / "record.json").write_text("{")
    (runs / "round_001_first").mkdir()
    (runs / "round_001_first" / "round.toml").write_text('parent = "round_044"\n')

    done = harness("doctor", "--json", env=cache)

    assert done.returncode == 1
    said = findings(done, "season")
    assert any(level == "error" and "round_002_torn" in what for level, what in said)
    assert any(level == "warning" and "round_044" in what for level, what in said)
    assert any(level == "note" and "hypothesis" in what for level, what in said)


@pytest.mark.slow
def test_doctor_of_a_run_says_what_will_not_work(harness, cache, tmp_path):
    words = (
        "round_001",
        "--preset",
        "tiny",
        "-o",
        "HEAD_LR=0.5",
        "-o",
        "WARMDOWN_ITERS=500",
        "-o",
        "MODEL_DIM=64",
    )
    done = harness("doctor", *words, "--json", env=cache)

    assert done.returncode == 0, done.stdout
    said = findings(done, "run")
    assert ("warning", "override HEAD_LR=0.5 is read by nothing here") in said
    assert any(level == "warning" and what.startswith("WARMDOWN_ITERS=500") for level, what in said)
    assert ("note", "override MODEL_DIM=64 is what the preset has already") in said
    assert not (tmp_path / "runs").exists()
    (size,) = (group["summary"] for group in json.loads(done.stdout)["groups"] if group["group"] == "size")
    assert re.search(r"untrained 0\.\d+ MB; trained 0\.\d+ to 0\.\d+ MB of 16\.0", size)


@pytest.mark.slow
def test_what_the_run_would_refuse_is_an_error(harness, cache):
    name = next(
        name for name in field_knobs() if name not in KNOBS and name not in ALIASES and name.isupper()
    )
    done = harness("doctor", "round_001", "-o", f"{name}=4", env=cache)

    assert done.returncode == 1
    assert f"{name}=4 names no knob" in done.stdout
    assert f"other scripts read {name}" in " ".join(done.stdout.split())
    assert harness("doctor", "-o", "SEED=1", env=cache).returncode == 2


@pytest.mark.slow
def test_run_warns_before_it_plays_and_refuses_a_text_that_was_trained_on(harness, runs, cache):
    ours = harness("run", "round_001", "--preset", "tiny", "--dry-run", env={**cache, "MATRIX_LR": "0.9"})
    assert ours.returncode == 0, ours.stderr
    assert "warning: MATRIX_LR=0.9 stands in the environment" in ours.stderr

    text = runs.parent / "text"
    text.mkdir()
    words = "one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    random = np.random.default_rng(3)
    for number in range(40):
        (text / f"{number}.txt").write_text(" ".join(random.choice(words, 3000)))
    made = harness("data", "prepare", "mine", "--text", "text", "--vocab", "300", env=cache)
    assert made.returncode == 0, made.stderr
    (train,) = runs.parent.rglob("fineweb_train_*.bin")
    (val,) = runs.parent.rglob("fineweb_val_*.bin")
    from trainer.data import load_shard

    tokens = np.array(load_shard(val))
    write_shard(train, np.concatenate([tokens, tokens]))

    tiny = ("--course", "mine", "--preset", "tiny")
    refused = harness("run", "round_001", *tiny, env=cache)

    assert refused.returncode == 1
    assert "validation text stands in the training data" in refused.stderr
    assert not (runs / "round_001").exists()
    assert harness("doctor", "round_001", *tiny, env=cache).returncode == 1


@pytest.mark.slow
def test_a_hole_being_played_is_no_ailment(harness, runs):
    import fcntl

    attempt = runs / "round_001" / "attempt_01"
    attempt.mkdir(parents=True)
    (attempt / "launch.json").write_text("{}")
    with (attempt / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        played = harness("doctor", "--runs", str(runs)).stdout
    left = harness("doctor", "--runs", str(runs)).stdout

    assert "attempt_01" not in played
    assert "round_001 has no record of attempt_01, and nobody is playing it" in re.sub(r"\s+", " ", left)
