"""`harness resume` goes on with the code that an attempt began with. Real git repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run import builtin, resume
from tests.fake.command_line import SMALL
from tests.paths import ROOT
from tests.waiting import wait_for


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=Bobby", "-c", "user.email=bobby@example.org")
    done = subprocess.run(("git", *names, *words), cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")


def copy_package(name: str, place: Path) -> Path:
    return Path(shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A repository of its own with the trainer, taken for the harness' own."""
    folder = tmp_path / "checkout"
    trainer = copy_package("trainer", folder)
    git(folder, "init", "--quiet")
    for module in (builtin, resume):
        monkeypatch.setattr(module, "TRAINER_FOLDER", trainer)
    return folder


def announce(checkout: Path, text: str) -> None:
    """Let the trainer of the checkout print something whenever it starts."""
    with (checkout / "trainer" / "config.py").open("a") as file:
        file.write(f"\nprint({text!r})\n")


def stop_early(play):
    done = play("run", "round_001", *SMALL, "--abort", "train_loss@3>1.0", fate="wait")
    assert done.returncode == 16, done.stderr


def test_an_attempt_goes_on_with_the_code_it_began_with(checkout, play, record_of, tmp_path):
    announce(checkout, "the trainer of commit A")
    first = commit(checkout)
    stop_early(play)
    began = record_of()
    announce(checkout, "the trainer of commit B")
    commit(checkout)

    done = play("resume", "round_001")

    assert done.returncode == 0, done.stderr
    log = (tmp_path / "runs" / "round_001" / "attempt_01" / "train.log").read_text()
    assert "the trainer of commit A" in log
    assert "the trainer of commit B" not in log
    record = record_of()
    assert (record["status"], record["resumes"], record["steps"]) == ("ok", 1, 5)
    assert record["code"] == began["code"]
    assert record["code"]["git_sha"] == first
    assert [warning for warning in record["warnings"] if first in warning]
    assert first in done.stderr


def test_a_damaged_copy_of_the_old_code_is_made_again(checkout, play, record_of, tmp_path):
    commit(checkout)
    stop_early(play)
    announce(checkout, "the trainer of commit B")
    commit(checkout)
    folder = tmp_path / "cache" / "trainers" / record_of()["code"]["source_sha256"][:16] / "trainer"
    folder.mkdir(parents=True)
    (folder / "config.py").write_text("raise SystemExit('half a file')")

    done = play("resume", "round_001")

    assert done.returncode == 0, done.stderr
    assert (folder / "config.py").read_bytes() == git_file(checkout, "HEAD~1", "trainer/config.py")


def git_file(folder: Path, sha: str, name: str) -> bytes:
    return subprocess.run(
        ("git", "show", f"{sha}:{name}"), cwd=folder, check=True, capture_output=True
    ).stdout


def test_code_that_was_not_committed_is_asked_for(checkout, play):
    first = commit(checkout)
    announce(checkout, "a change that nobody committed")
    stop_early(play)
    announce(checkout, "another change")

    done = play("resume", "round_001")

    assert done.returncode == 1
    assert "the trainer's code has changed since attempt_01 was started" in done.stderr
    assert f"`git worktree add ../as-played {first}`" in done.stderr
    assert "uncommitted.diff" in done.stderr
    assert "`harness run round_001 --repeat`" in done.stderr


def test_a_commit_that_git_here_does_not_have_is_asked_for(checkout, play):
    first = commit(checkout)
    stop_early(play)
    shutil.rmtree(checkout / ".git")
    git(checkout, "init", "--quiet")
    announce(checkout, "the trainer of commit B")
    commit(checkout)

    done = play("resume", "round_001")

    assert done.returncode == 1
    assert f"`git fetch` commit {first}, then `harness resume round_001 --attempt 1`" in done.stderr


def test_the_option_of_run_is_the_same_command_and_says_so(checkout, play, record_of):
    commit(checkout)
    stop_early(play)

    done = play("run", "round_001", "--resume")

    assert done.returncode == 0, done.stderr
    assert "`harness resume round_001`" in done.stderr
    assert record_of()["resumes"] == 1


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_trainer_of_its_commit(tmp_path):
    """The real trainer in a checkout of its own: commit A trains and is killed, commit B would not start."""
    checkout = tmp_path / "checkout"
    for name in ("harness", "trainer", "templates", "site"):
        copy_package(name, checkout)
    git(checkout, "init", "--quiet")
    first = commit(checkout)
    env = os.environ | {"PYTHONPATH": str(checkout), "HARNESS_CACHE": str(tmp_path / "cache")}
    harness = (sys.executable, "-m", "harness")
    small = [word.replace("ITERATIONS=5", "ITERATIONS=60") for word in SMALL]
    words = (*small, "-o", "CHECKPOINT_EVERY=5", "-o", "VAL_LOSS_EVERY=0")
    process = subprocess.Popen((*harness, "run", "round_001", *words), cwd=tmp_path, env=env)
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    wait_for(
        lambda: process.poll() is not None or (attempt / "checkpoint.safetensors").exists(), "a checkpoint"
    )
    process.kill()
    process.wait()
    wait_for((attempt / "result.json").exists, "the trainer's end")
    (checkout / "trainer" / "train.py").write_text("raise SystemExit('the trainer of commit B')\n")
    commit(checkout)

    done = subprocess.run(
        (*harness, "resume", "round_001", "--json"), cwd=tmp_path, env=env, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    record = (attempt / "record.json").read_text()
    assert f'"git_sha": "{first}"' in record
    assert '"resumes": 1' in record
    assert '"steps": 60' in record
