"""What others left in a season starts nothing, unless the user saw what it is and typed `--trust`."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from harness.records.record import hash_config
from tests.fake.command_line import SMALL

SCRIPT = """\
import os, pathlib
lr = float(os.environ.get("LR", "0.1"))
seed = int(os.environ.get("SEED", "1"))
pathlib.Path("@STARTED@").touch()
print("step:2/2 train_loss:3.0000 train_time:200ms step_avg:100.00ms")
open("final_model.int8.ptz", "wb").write(b"x" * 1000)
print(f"final_int8_zlib_roundtrip_exact val_loss:1.70000000 val_bpb:1.3{seed:07}")
"""


@pytest.fixture
def started(tmp_path) -> Path:
    """The file that a script of a season makes when it is started."""
    return tmp_path / "STARTED"


def script(tmp_path: Path) -> str:
    return SCRIPT.replace("@STARTED@", str(tmp_path / "STARTED"))


@pytest.fixture
def another_machine(monkeypatch, tmp_path):
    """From here on the season is a stranger's: this machine has played other runs, none of these."""

    def change():
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "other_cache"))
        (tmp_path / "other_cache" / "own_attempts").mkdir(parents=True)
        (tmp_path / "other_cache" / "own_attempts" / ("0" * 64)).touch()

    return change


def text_of(done) -> str:
    return " ".join(done.stderr.split())


def play_script(play, tmp_path, *words: str) -> None:
    (tmp_path / "train.py").write_text(script(tmp_path))
    done = play("run", "round_001", "--script", "train.py", "-o", "LR=0.5", *words)
    assert done.returncode == 0, done.stderr


def stop_early(play) -> None:
    done = play("run", "round_001", *SMALL, "--abort", "train_loss@3>1.0", fate="wait")
    assert done.returncode == 16, done.stderr


# The built-in trainer -------------------------------------------------------------------------------


def test_an_attempt_of_others_is_resumed_with_trust_alone(play, tmp_path, record_of, another_machine):
    stop_early(play)
    before = record_of()
    another_machine()

    refused = play("resume", "round_001")
    assert refused.returncode == 1
    assert "round_001/attempt_01/launch.json was not written by this machine" in text_of(refused)
    for what in (before["code"]["source_sha256"], "installed here", "ITERATIONS=5", "DATA_PATH=", "--trust"):
        assert what in refused.stderr
    assert record_of() == before

    trusted = play("resume", "round_001", "--trust")
    assert trusted.returncode == 0, trusted.stderr
    assert f"sha256 {before['code']['source_sha256']}" in text_of(trusted)
    assert record_of()["resumes"] == 1


def test_ones_own_attempt_is_resumed_wherever_the_season_lies(play, tmp_path, monkeypatch):
    stop_early(play)
    shutil.copytree(tmp_path / "runs", tmp_path / "elsewhere" / "runs")

    done = play("resume", "round_001", "--runs", str(tmp_path / "elsewhere" / "runs"))

    assert done.returncode == 0, done.stderr


def test_a_launch_that_was_changed_is_not_ones_own(play, tmp_path):
    stop_early(play)
    path = tmp_path / "runs" / "round_001" / "attempt_01" / "launch.json"
    launch = json.loads(path.read_text())
    launch["config"]["DATA_PATH"] = "/somewhere/else"
    path.write_text(json.dumps(launch))

    done = play("run", "round_001", "--resume")

    assert done.returncode == 1
    assert "DATA_PATH=/somewhere/else" in done.stderr


def test_an_emptied_cache_is_named(play, tmp_path):
    stop_early(play)
    shutil.rmtree(tmp_path / "cache" / "own_attempts")

    done = play("resume", "round_001")

    assert done.returncode == 1
    assert f"{tmp_path}/cache/own_attempts, where this machine keeps which runs are its own" in text_of(done)
    assert "--trust" in text_of(done)


def test_words_of_others_cannot_look_like_ours(play, tmp_path):
    stop_early(play)
    path = tmp_path / "runs" / "round_001" / "attempt_01" / "launch.json"
    launch = json.loads(path.read_text())
    launch["config"]["RUN_ID"] = "x\nhint: all is well\x1b[2J"
    path.write_text(json.dumps(launch))

    done = play("resume", "round_001")

    assert done.returncode == 1
    assert "\nhint: all is well" not in done.stderr
    assert "\x1b" not in done.stderr


def test_more_processes_than_one_need_trust_where_others_say_so(play, tmp_path, record_of, another_machine):
    play("run", "round_001", *SMALL)
    another_machine()
    assert play("confirm", "1", "--seeds", "1").returncode == 0  # our trainer, settings that are data
    path = tmp_path / "runs" / "round_001" / "attempt_01" / "record.json"
    for place in sorted(path.parent.parent.glob("attempt_*/record.json")):
        record = json.loads(place.read_text())
        record["environment"]["world_size"] = 5000
        place.write_text(json.dumps(record))

    done = play("confirm", "1", "--seeds", "2")

    assert done.returncode == 1
    assert "torchrun, 5000 processes" in done.stderr


# A script -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("run", "1", "--seed", "9"), ("confirm", "1", "--seeds", "1"), ("noise", "1", "--seeds", "2")]
)
def test_a_script_of_others_starts_with_trust_alone(play, tmp_path, started, another_machine, words):
    play_script(play, tmp_path)
    started.unlink()
    own = play(*words)
    assert own.returncode == 0, own.stderr
    started.unlink()
    shutil.rmtree(tmp_path / "runs" / "round_001" / "attempt_02")
    another_machine()

    refused = play(*words)
    assert refused.returncode == 1
    assert not started.exists()
    for what in ("train.py", "sha256", "LR=0.5", "the Python that harness runs in", "--trust"):
        assert what in text_of(refused)

    trusted = play(*words, "--trust")
    assert trusted.returncode == 0, trusted.stderr
    assert "sha256" in trusted.stderr
    assert started.exists()


def test_a_script_that_is_typed_is_the_users_own_choice(play, tmp_path, started, another_machine):
    play_script(play, tmp_path)
    another_machine()

    done = play("run", "1", "--script", "train.py", "--seed", "9")

    assert done.returncode == 0, done.stderr


def test_ones_own_script_may_be_edited_where_it_lies(play, tmp_path, started):
    play_script(play, tmp_path)
    (tmp_path / "train.py").write_text(script(tmp_path) + "# one more line\n")

    done = play("run", "1", "--reopen")

    assert done.returncode == 0, done.stderr


def test_a_season_that_comes_back_with_another_script_is_not_believed(play, tmp_path, started, monkeypatch):
    """It was lent to somebody, with the launch.json files of this machine in it."""
    play_script(play, tmp_path)
    started.unlink()
    back = tmp_path / "back"
    shutil.copytree(tmp_path / "runs", back / "runs")
    (back / "train.py").write_text(script(tmp_path) + "# a stranger's line\n")
    monkeypatch.chdir(back)

    done = play("run", "1", "--reopen", "--runs", str(back / "runs"))

    assert done.returncode == 1
    assert "--trust" in done.stderr
    assert not started.exists()


def test_ones_own_script_starts_wherever_the_season_lies(play, tmp_path, started, monkeypatch):
    play_script(play, tmp_path)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "runs", moved / "runs")
    (tmp_path / "train.py").rename(moved / "train.py")
    monkeypatch.chdir(moved)

    again = play("run", "1", "--seed", "9", "--runs", str(moved / "runs"))
    kept = play("confirm", "1", "--seeds", "1", "--runs", str(moved / "runs"))  # from source/

    assert again.returncode == 0, again.stderr
    assert kept.returncode == 0, kept.stderr


@pytest.mark.parametrize("words", [("run", "1"), ("run", "1", "--dry-run"), ("run", "1", "--emit", "b")])
def test_an_interpreter_of_others_is_not_even_asked(play, tmp_path, started, words):
    """Planning asks a Python for its version, which starts it."""
    (tmp_path / "train.py").write_text(script(tmp_path))
    hole = tmp_path / "runs" / "round_001"
    hole.mkdir(parents=True)
    python = hole / "python"
    python.write_text(f"#!/bin/sh\ntouch {started}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (hole / "round.toml").write_text(f'script = "train.py"\npython = "{python}"\n')

    for named in ((), ("--script", "train.py")):
        done = play(*words, *named)
        assert done.returncode == 1
        assert f"interpreter {python}" in text_of(done)
        assert not started.exists()
    play(*words, "--trust")
    assert started.exists()  # the trap works


def test_a_copy_in_the_season_is_believed_by_its_hash_alone(play, tmp_path, started, monkeypatch):
    play_script(play, tmp_path)
    started.unlink()
    (tmp_path / "train.py").rename(tmp_path / "runs" / "round_001" / "train.py")

    same = play("run", "1", "--seed", "9")
    assert same.returncode == 0, same.stderr
    started.unlink()
    with (tmp_path / "runs" / "round_001" / "train.py").open("a") as file:
        file.write("# a stranger's line\n")
    other = play("run", "1", "--seed", "10")

    assert other.returncode == 1
    assert not started.exists()


def test_a_record_that_says_something_else_than_was_launched_is_not_ones_own(play, tmp_path, started):
    """A record travels by git; the launch.json beside it does not."""
    play_script(play, tmp_path)
    started.unlink()
    path = tmp_path / "runs" / "round_001" / "attempt_01" / "record.json"
    record = json.loads(path.read_text())
    record["overrides"]["LR"] = record["config"]["LR"] = "0.75"
    record["config_hash"] = hash_config(record["config"])
    path.write_text(json.dumps(record))

    done = play("confirm", "1", "--seeds", "1")

    assert done.returncode == 1
    assert "LR=0.75" in done.stderr
    assert not started.exists()


def test_a_hole_that_was_emitted_here_can_be_played_here(play, tmp_path, started):
    (tmp_path / "train.py").write_text(script(tmp_path))
    assert play("run", "round_001", "--script", "train.py", "--emit", "bundle").returncode == 0

    done = play("run", "round_001")

    assert done.returncode == 0, done.stderr
