"""`harness evaluate`: the same training, packed or scored another way; last, with the real trainer."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.fake.command_line import SMALL


@pytest.fixture
def hole(play: Any, tmp_path: Path) -> Path:
    """A hole with two seeds, played before."""
    done = play("run", "round_001", *SMALL, "--seeds", "7,8", "--title", "Two Balls")
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "round_001_two_balls"


def read(folder: Path, attempt: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"attempt_{attempt:02d}" / "record.json").read_text())
    return found


def losses(folder: Path, attempt: int = 1) -> list[str]:
    return (folder / f"attempt_{attempt:02d}" / "curve.jsonl").read_text().splitlines()


def test_every_seed_becomes_an_attempt_of_a_new_hole(play, hole):
    done = play("evaluate", "1", "-o", "COMPRESSOR=lzma")

    assert done.returncode == 0, done.stderr
    new = hole.parent / "round_002_compressor_lzma"
    for attempt in (1, 2):
        record, source = read(new, attempt), read(hole, attempt)
        assert record["evaluated_from"] == {
            "hole": hole.name,
            "attempt": attempt,
            "weights": "artifact",
            "file": "model.zlib",
            "sha256": source["model_sha256"],
            "source_sha256": source["code"]["source_sha256"],
        }
        assert losses(new, attempt) == losses(hole, attempt)
        for fact in ("seed", "steps", "train_seconds", "step_ms", "last_train_loss", "tokens_seen"):
            assert record[fact] == source[fact], fact
        assert record["scores"][0] == source["scores"][0]
        assert record["model_file"] == "model.lzma"
        assert record["config"]["COMPRESSOR"] == record["overrides"]["COMPRESSOR"] == "lzma"
        assert record["command"][:3] == ["harness", "evaluate", hole.name]
    text = (new / "round.toml").read_text()
    assert f'parent = "{hole.name}"' in text
    assert 'title = "Two Balls, COMPRESSOR=lzma"' in text
    shown = play("show", "2").stdout
    assert "evaluated from the weights of hole 1, attempts 1 and 2" in shown
    budget = json.loads(play("brief", "--json").stdout)["budget"]
    assert budget["train_seconds"] == pytest.approx(sum(read(hole, n)["train_seconds"] for n in (1, 2)))


def test_packing_anew_takes_the_unrounded_weights(play, hole):
    done = play("evaluate", "1", "-o", "FP16_EMBED=yes", "--seed", "8", "--new", "40", "--title", "Half")

    assert done.returncode == 0, done.stderr
    origin = read(hole.parent / "round_040_half")["evaluated_from"]
    content = (hole / "attempt_02" / "weights.safetensors").read_bytes()
    assert (origin["weights"], origin["attempt"]) == ("unrounded", 2)
    assert origin["sha256"] == read(hole, 2)["weights_sha256"] == hashlib.sha256(content).hexdigest()


def test_an_evaluation_is_evaluated_again_from_the_weights_of_its_training(play, hole):
    assert play("evaluate", "1", "-o", "COMPRESSOR=lzma").returncode == 0

    done = play("evaluate", "2", "-o", "MATRIX_BITS=6")

    assert done.returncode == 0, done.stderr
    record = read(hole.parent / "round_003_matrix_bits_6")
    assert record["evaluated_from"]["hole"] == hole.name
    assert (record["config"]["MATRIX_BITS"], record["config"]["COMPRESSOR"]) == ("6", "lzma")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-o", "MATRIX_LR=0.5"], "MATRIX_LR=0.5 cannot be evaluated: MATRIX_LR acts in training"),
        (["-o", "GPTQ_ENABLED=1", "-o", "ITERATIONS=9"], "ITERATIONS=9 cannot be evaluated"),
        (["-o", "SEED=9"], "the weights were trained with the seeds that they have"),
        (["-o", "EVAL_STRIDES=64"], "names no knob"),
        (["-o", "COMPRESSOR=rar"], "is not known"),
        (["-o", "EVAL_STRIDE=64", "--seed", "9"], "no complete attempt with seed 9"),
        (["-o", "EVAL_STRIDE=64", "--new", "1"], "is not this evaluation"),
    ],
)
def test_what_evaluation_cannot_do_is_refused_before_anything_is_written(words, error, play, hole):
    done = play("evaluate", "1", *words)

    assert done.returncode == 2, done.stderr
    assert error in done.stderr
    assert [path.name for path in hole.parent.iterdir() if path.is_dir()] == [hole.name]


def test_the_command_that_trains_is_named_whole(play, hole):
    done = play("evaluate", "1", "-o", "MATRIX_LR=0.5")

    hint = done.stderr.partition("hint: ")[2]
    command = hint[hint.index("`") + 1 : hint.rindex("`")].split()
    assert command[:5] == ["harness", "run", "round_002", "--parent", hole.name]
    assert "MATRIX_LR=0.5" in command
    assert play(*command[1:]).returncode == 0
    assert read(hole.parent / "round_002")["config"]["MATRIX_LR"] == "0.5"


def test_a_knob_of_the_packing_that_training_reads_too_is_refused(play, tmp_path):
    words = ("QAT_ENABLED=1", "MAX_WALLCLOCK_SECONDS=600", "INT8_KEEP_FLOAT_MAX_NUMEL=1000")
    settings = [part for word in words for part in ("-o", word)]
    assert play("run", "1", *SMALL, *settings).returncode == 0

    rounded = play("evaluate", "1", "-o", "MATRIX_BITS=6")
    reserve = play("evaluate", "1", "-o", "GPTQ_ENABLED=1")

    assert "with QAT_ENABLED=true the matrices are rounded in training, too" in rounded.stderr
    assert "GPTQ_RESERVE_SECONDS is taken off MAX_WALLCLOCK_SECONDS" in reserve.stderr
    assert (rounded.returncode, reserve.returncode) == (2, 2)


def test_the_same_evaluation_counts_once_and_other_seeds_join_it(play, hole):
    assert play("evaluate", "1", "-o", "COMPRESSOR=lzma", "--seed", "7").returncode == 0

    rest = play("evaluate", "1", "-o", "COMPRESSOR=lzma")
    again = play("evaluate", "1", "-o", "COMPRESSOR=lzma")
    nothing = play("evaluate", "1", "-o", "COMPRESSOR=zlib")

    assert rest.returncode == 0, rest.stderr
    assert "seed 7 was not played: it was played before" in rest.stderr
    assert [read(hole.parent / "round_002_compressor_lzma", n)["seed"] for n in (1, 2)] == [7, 8]
    assert (again.returncode, nothing.returncode) == (15, 15)
    assert f"equals {hole.name} attempt" in nothing.stderr


def test_a_dry_run_names_the_weights_and_writes_nothing(play, hole):
    done = play("evaluate", "1", "-o", "EVAL_STRIDE=64", "--dry-run", "--json")

    plan = json.loads(done.stdout)
    assert done.returncode == 0
    assert (plan["hole"], plan["changed"]) == ("round_002_eval_stride_64", {"EVAL_STRIDE": "64"})
    assert [(one["seed"], one["attempt"], one["weights"]) for one in plan["weights"]] == [
        (7, 1, "artifact"),
        (8, 2, "artifact"),
    ]
    assert not (hole.parent / plan["hole"]).exists()


def test_weights_that_are_gone_or_changed_are_named_with_the_way_to_keep_them(play, hole):
    (hole / "attempt_01" / "weights.safetensors").unlink()
    (hole / "attempt_02" / "weights.safetensors").write_text("another file")

    none = play("evaluate", "1", "-o", "FP16_EMBED=1")
    one = play("evaluate", "1", "-o", "EVAL_STRIDE=64")
    shutil.rmtree(hole / "attempt_02")
    (hole / "attempt_01" / "model.zlib").unlink()
    no_artifact = play("evaluate", "1", "-o", "EVAL_STRIDE=32")

    assert none.returncode == 1
    assert "FP16_EMBED needs unrounded weights" in none.stderr
    assert "is not the file that its record names" in none.stderr
    assert "KEEP_WEIGHTS" in none.stderr
    assert one.returncode == 0, one.stderr
    assert "an artifact is needed" in no_artifact.stderr


def test_a_season_of_others_cannot_lead_out_of_its_folder(play, hole):
    path = hole / "attempt_02" / "record.json"
    record = read(hole, 2) | {"model_file": "../../../secret"}
    path.write_text(json.dumps(record))

    done = play("evaluate", "1", "-o", "EVAL_STRIDE=64", "--seed", "8")

    assert done.returncode == 0, done.stderr  # from the unrounded weights
    assert "secret" not in done.stderr
    new = hole.parent / "round_002_eval_stride_64" / "attempt_01" / "record.json"
    broken = json.loads(new.read_text())
    broken["evaluated_from"]["file"] = "../../../secret"
    new.write_text(json.dumps(broken))
    assert "evaluated_from.file" in play("show", "2").stderr


def test_a_script_of_ones_own_is_told_to_train(play, tmp_path):
    script = tmp_path / "train_gpt.py"
    script.write_text(
        "import os\nprint('step:1/1 val_loss:2.0 val_bpb:1.2')\n"
        "print('final_int8_zlib_roundtrip_exact val_loss:2.0 val_bpb:1.2', os.environ.get('SEED', '1'))\n"
    )
    assert play("run", "1", "--script", str(script)).returncode == 0

    done = play("evaluate", "1", "-o", "EVAL_STRIDE=64")

    assert done.returncode == 2
    assert "a script of your own trains, packs and scores in one go" in done.stderr
    assert "`harness run 2 --parent round_001 --script" in done.stderr


def test_an_evaluation_that_was_killed_is_evaluated_again_by_resume(play, hole):
    assert play("evaluate", "1", "-o", "COMPRESSOR=lzma", "--seed", "7").returncode == 0
    attempt = hole.parent / "round_002_compressor_lzma" / "attempt_01"
    before = read(attempt.parent)
    for name in ("record.json", "result.json"):
        (attempt / name).unlink()

    done = play("resume", "2")

    assert done.returncode == 0, done.stderr
    after = read(attempt.parent)
    assert after["evaluated_from"] == before["evaluated_from"]
    assert after["val_bpb"] == before["val_bpb"]


@pytest.mark.slow
def test_the_real_trainer_gives_what_a_whole_training_gives(harness, tmp_path):
    """Sliding windows over a smaller artifact: played whole, and evaluated from the weights."""
    env = {"HARNESS_CACHE": str(tmp_path / "cache")}
    tiny = ("--preset", "tiny", "-o", "THREADS=1", "--seed", "5")
    changed = ("-o", "EVAL_STRIDE=64", "-o", "FP16_EMBED=1", "-o", "COMPRESSOR=lzma")
    assert harness("run", "1", *tiny, env=env).returncode == 0
    assert harness("run", "2", *tiny, *changed, env=env).returncode == 0

    pair = json.loads(harness("compare", "2", "1", "--json", env=env).stdout)["pairs"][0]
    assert pair["difference"]["exact"] is True  # though another stage counts

    equal = harness("evaluate", "1", *changed, env=env)
    done = harness("evaluate", "1", *changed, "--repeat", "--json", env=env)

    assert equal.returncode == 15, equal.stderr
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["hole"]
    whole, evaluated = (read(tmp_path / "runs" / one) for one in ("round_002", name))
    for fact in ("val_bpb", "val_loss", "official", "model_sha256", "artifact_bytes", "config_hash", "steps"):
        assert evaluated[fact] == whole[fact], fact
    assert [(s["stage"], s["val_bpb"]) for s in evaluated["scores"]] == [
        (s["stage"], s["val_bpb"]) for s in whole["scores"]
    ]
    assert losses(tmp_path / "runs" / name) == losses(tmp_path / "runs" / "round_001")
    bits = harness("compare", name, "2", "--json", env=env)
    assert json.loads(bits.stdout)["pairs"][0]["difference"]["delta"] == 0
