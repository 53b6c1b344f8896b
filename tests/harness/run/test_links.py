"""Paths of a season that came from others lead nowhere else, and wait for nobody."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.fake.command_line import SMALL

SCRIPT = """\
import os
lr = float(os.environ.get("LR", "0.1"))
print("step:2/2 train_loss:3.0000 train_time:200ms step_avg:100.00ms")
open("final_model.int8.ptz", "wb").write(b"x" * 1000)
print("final_int8_zlib_roundtrip_exact val_loss:1.70000000 val_bpb:1.30000000")
"""
SECRET = "the user's own words"


@pytest.fixture
def secret(tmp_path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "train.py").write_text(f"# {SECRET}\n{SCRIPT}")
    (folder / "train.log").write_text(f"{SECRET}\n")
    return folder


def play_two(play, tmp_path) -> Path:
    """Play two holes with different scripts and return the attempt of the first."""
    for hole, more in (("round_001", ""), ("round_002", "# other\n")):
        (tmp_path / "train.py").write_text(SCRIPT + more)
        done = play("run", hole, "--script", "train.py")
        assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "round_001" / "attempt_01"


def stop_early(play) -> None:
    done = play("run", "round_001", *SMALL, "--abort", "train_loss@3>1.0", fate="wait")
    assert done.returncode == 16, done.stderr


@pytest.mark.parametrize("name", ["source", "train.log", "source/train.py"])
def test_nothing_outside_of_a_season_is_handed_in_or_shown(play, tmp_path, secret, name):
    place = play_two(play, tmp_path) / name
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(secret if name == "source" else secret / Path(name).name)

    printed = [
        play("submit", "1", "--write", "handed_in", "--author", "Ann", "--github-id", "ann"),
        play("export", "1", "--out", "exported"),
        play("compare", "2", "1", "--diff"),
        play("check", "1"),
        play("confirm", "1", "--seeds", "1"),
    ]

    assert not [done for done in printed if SECRET in done.stdout + done.stderr]
    folders = [tmp_path / "handed_in", tmp_path / "exported", tmp_path / "runs"]
    files = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    ]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", ["train.log", "curve.jsonl", "checkpoint.safetensors", "result.json"])
def test_an_attempt_with_a_pipe_is_not_resumed(play, tmp_path, name):
    stop_early(play)
    path = tmp_path / "runs" / "round_001" / "attempt_01" / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    done = play("resume", "round_001", "--trust")

    assert done.returncode == 1
    assert f"{name} is a pipe or a device" in " ".join(done.stderr.split())


def test_weights_are_those_of_the_season_or_none(play, tmp_path, record_of):
    """The file that a half evaluation names is looked for through no link, and must have its hash."""
    play("run", "round_001", *SMALL)
    play("evaluate", "1", "-o", "COMPRESSOR=lzma", "--new", "round_002_again")
    runs = tmp_path / "runs"
    (runs / "round_002_again" / "attempt_01" / "record.json").unlink()
    (runs / "round_002_again" / "attempt_01" / "result.json").unlink()
    launch = json.loads((runs / "round_002_again" / "attempt_01" / "launch.json").read_text())
    weights = runs / "round_001" / "attempt_01" / launch["evaluated_from"]["file"]
    moved = tmp_path / "moved"
    weights.rename(moved)
    weights.symlink_to(moved)

    linked = play("resume", "2")
    assert linked.returncode == 1
    assert "links are not followed" in " ".join(linked.stderr.split())
    weights.unlink()
    weights.write_bytes(b"others")
    other = play("resume", "2")
    assert other.returncode == 1
    assert "is not the file that its record names" in " ".join(other.stderr.split())
    moved.rename(weights)
    assert play("resume", "2").returncode == 0


@pytest.mark.parametrize("name", ["../../../private/weights", "/etc/passwd", ".hidden", "a/b"])
def test_a_launch_names_weights_by_a_plain_name_alone(play, tmp_path, name):
    play("run", "round_001", *SMALL)
    play("evaluate", "1", "-o", "COMPRESSOR=lzma", "--new", "round_002_again")
    path = tmp_path / "runs" / "round_002_again" / "attempt_01" / "launch.json"
    path.with_name("record.json").unlink()
    path.with_name("result.json").unlink()
    for key, value in (("file", name), ("hole", "../round_001")):
        launch = json.loads(path.read_text())
        launch["evaluated_from"][key] = value
        path.write_text(json.dumps(launch))
        done = play("resume", "2", "--trust")
        assert done.returncode == 1
        assert f"evaluated_from.{key}" in done.stderr
