"""`harness run` before anything starts: what is refused, and the plan that is printed. No torch: a fake
trainer."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.files import PACKAGE
from tests.fake.command_line import CODE_BYTES, PARITY, SMALL
from tests.fake.fake_trainer import MODEL_BYTES


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["-o", "FP16_EMBD=1"], "FP16_EMBD", "FP16_EMBED"),
        (["-o", "fp16_embed=1"], "fp16_embed", "FP16_EMBED"),
        (["-o", "FP16_EMBED=maybe"], "FP16_EMBED=maybe", "true"),
        (["-o", "FP16_EMBED"], "KEY=VALUE", "FP16_EMBED=true"),
        (["-o", "NUM_LAYERS=2.5"], "NUM_LAYERS=2.5 is not a whole number", "1 to 1000"),
        (["-o", "NUM_LAYERS=-1"], "NUM_LAYERS=-1 is out of range", "from 1 to 1000"),
        (["-o", "MATRIX_LR=nan"], "MATRIX_LR=nan is not finite", "0 to 1e+30"),
        (["-o", "MATRIX_LR=0.1", "-o", "MATRIX_LR=0.2"], "given twice: 0.1 and 0.2", "keep one of them"),
        (["-o", "MODEL_DIM=130", "-o", "NUM_HEADS=4"], "does not divide MODEL_DIM=130", "divide the width"),
        (
            ["-o", "TRAIN_SEQ_LEN=4096", "-o", "TRAIN_BATCH_TOKENS=1024"],
            "TRAIN_SEQ_LEN=4096",
            "raise the batch",
        ),
        (["-o", "DATA_PATH=/nowhere", "--preset", "tiny"], "practice course", "--course"),
        (["--preset", "tinny"], "tinny", "tiny"),
        (["--course", "practise"], "practise", "did you mean practice?"),
        (["--seed", "1", "--seeds", "1,2"], "--seed and --seeds", "--seeds 42,1337,314"),
        (["--seed", "1", "-o", "SEED=2"], "--seed 1 and SEED=2", "keep one of them"),
        (["--seeds", "1,two"], "1,two", "42,1337,314"),
        (["--seeds", "7,7"], "seed 7 is listed twice", "name others"),
        (["--launcher", "mpi"], '"mpi"', "python or torchrun"),
        (["--nproc", "2", "--launcher", "python"], "--nproc 2", "leave --launcher out"),
        (["--abort", "loss>2"], "watches loss", "val_bpb"),
        (["--resume"], 'no hole matches "round_001"', "`harness run round_001` plays the first"),
        (["--resume", "--seed", "1"], "--seed cannot be given", "without --resume"),
    ],
)
def test_wrong_input_is_named_before_anything_is_written(words, error, hint, play, tmp_path):
    named = {"--preset", "--resume", "--course", "DATA_PATH=/nowhere"} & set(words)
    base = () if named else SMALL

    done = play("run", "round_001", *base, *words)

    assert done.returncode == 2, done.stderr
    said, _, advice = done.stderr.partition("hint:")
    assert error in said
    assert hint in advice
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_dry_run_prints_the_plan_and_writes_nothing(play, tmp_path):
    done = play("run", "round_003_wide", *SMALL, "-o", "MODEL_DIM=128.0", "--dry-run", "--json")

    plan = json.loads(done.stdout)
    assert (done.returncode, plan["hole"], plan["new"], plan["course"]) == (
        0,
        "round_003_wide",
        True,
        "fineweb",
    )
    assert (plan["preset"], plan["seeds"], plan["launcher"], plan["nproc"]) == ("tiny", [1337], "python", 1)
    assert plan["overrides"]["MODEL_DIM"] == plan["config"]["MODEL_DIM"] == "128"
    assert plan["handed"]["DATA_PATH"] == str(PARITY)
    assert (plan["params"], plan["forecast_bytes"]) == (123, MODEL_BYTES + CODE_BYTES)
    assert not (tmp_path / "runs").exists()


def test_dry_run_for_people_names_what_would_be_played(play, tmp_path):
    done = play("run", "3", *SMALL, "-o", "MATRIX_LR=0.05", "--title", "Wide", "--seeds", "1,2", "--dry-run")

    assert done.stdout.splitlines()[0] == "round_003_wide (Round 1, Hole 3): a new hole on the fineweb course"
    assert "MATRIX_LR=0.05" in done.stdout
    assert "  seeds       1, 2\n" in done.stdout
    assert done.stdout.endswith("nothing was started; leave out --dry-run to play\n")
    assert not (tmp_path / "runs").exists()


def test_several_processes_are_started_by_torchrun(play):
    plan = json.loads(play("run", "1", *SMALL, "--nproc", "2", "--dry-run", "--json").stdout)

    assert (plan["nproc"], plan["launcher"]) == (2, "torchrun")


def test_another_name_of_a_knob_is_understood_and_reported(play):
    done = play("run", "round_006", *SMALL, "-o", "FP16_EMBED_EXPORT=1", "--dry-run", "--json")

    assert json.loads(done.stdout)["overrides"]["FP16_EMBED"] == "true"
    assert "FP16_EMBED_EXPORT=1 is read as FP16_EMBED=1" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["GATED_ATTN_ENABLED=1"], ["GATED_ATTN_ENABLED=true: ", "no bias, so it begins half open", "0.982"]),
        (["VALUE_RESIDUAL=1"], ["VALUE_RESIDUAL=true: 0.5 v + 0.5 v1", "v + sigmoid(alpha) v1"]),
        (["ADAM_WD=0.02"], ["ADAM_WD=0.02: decays the embedding here", "EMBED_WD (0.085 unless set)"]),
    ],
)
def test_a_dry_run_says_which_meaning_of_a_public_name_is_ours(play, words, told):
    done = play("run", "1", *SMALL, *(part for word in words for part in ("-o", word)), "--dry-run")

    assert done.returncode == 0
    for text in told:
        assert text in done.stderr


def test_rounding_is_planned_from_the_first_step_and_a_threshold_alone_is_refused(play):
    rounded = ("-o", "INT8_KEEP_FLOAT_MAX_NUMEL=1000", "--dry-run", "--json")
    config = json.loads(play("run", "1", *SMALL, "-o", "QAT_ENABLED=1", *rounded).stdout)["config"]
    late = json.loads(play("run", "1", *SMALL, "-o", "LATE_QAT=1", *rounded).stdout)["config"]
    alone = play("run", "1", *SMALL, "-o", "LATE_QAT_THRESHOLD=0.15", *rounded)

    assert (config["QAT_ENABLED"], config["LATE_QAT_THRESHOLD"]) == ("true", "1.0")
    assert (late["QAT_ENABLED"], late["LATE_QAT_THRESHOLD"]) == ("true", "0.15")
    assert alone.returncode == 2
    assert "override LATE_QAT_THRESHOLD=0.15 does nothing without QAT_ENABLED" in alone.stderr


def test_settings_of_round_toml_are_planned_and_those_typed_win(play, runs):
    (runs / "round_004_ready").mkdir()
    (runs / "round_004_ready" / "round.toml").write_text(
        'title = "Ready"\ncourse = "fineweb"\npreset = "tiny"\nseeds = [5, 6]\n'
        f'[overrides]\nMATRIX_LR = 0.03\nSCALAR_LR = 0.02\nDATA_PATH = "{PARITY}"\n'
        f'TOKENIZER_PATH = "{PARITY}/stdlib_1024_bpe.model"\n'
    )

    done = play("run", "4", "-o", "MATRIX_LR=0.07", "--dry-run", "--json")

    plan = json.loads(done.stdout)
    assert (plan["hole"], plan["new"], plan["preset"], plan["seeds"]) == (
        "round_004_ready",
        False,
        "tiny",
        [5, 6],
    )
    assert (plan["config"]["MATRIX_LR"], plan["config"]["SCALAR_LR"]) == ("0.07", "0.02")


def test_number_of_another_hole_is_refused(play, put_record, tmp_path):
    put_record("round_001_base", val_bpb=1.3)

    done = play("run", "round_001_other", *SMALL, "--dry-run")

    assert done.returncode == 2
    assert "number 1 is taken by round_001_base" in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["round_001_base"]


@pytest.mark.parametrize(
    ("cap", "words", "code"), [(54_000, (), 12), (54_001, (), 0), (10_000, ("--allow-over-cap",), 0)]
)
def test_artifact_over_the_cap_is_refused_unless_insisted(cap, words, code, play, runs):
    """The forecast is 60,000 bytes; it may be a tenth too high, so that much over the cap is let through."""
    assert MODEL_BYTES + CODE_BYTES == 60_000
    (runs / "courses").mkdir()
    shipped = (PACKAGE / "data" / "courses" / "fineweb.toml").read_text()
    assert "16_000_000" in shipped
    (runs / "courses" / "fineweb.toml").write_text(shipped.replace("16_000_000", str(cap)))

    done = play("run", "1", *SMALL, "--dry-run", *words)

    assert done.returncode == code, done.stderr
    assert ("--allow-over-cap" in done.stderr) == (code == 12)


def test_full_disk_is_refused_before_the_run(play, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))

    done = play("run", "1", *SMALL)

    assert done.returncode == 1
    assert "are needed for checkpoints and the artifact" in done.stderr
    assert "free some space" in done.stderr
