"""The script of an older trainer: made from the commit that a record names, in `submit` as in `check`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.scripts.git import fingerprint_folder
from tests.paths import ROOT

HOLE = "round_035_small_print"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This project in a small git repository of its own, with one hole that its trainer played."""
    folder = tmp_path / "checkout"
    for package in ("harness", "trainer"):
        shutil.copytree(ROOT / package, folder / package, ignore=IGNORED)
    git(folder, "init", "--quiet")
    commit(folder)
    shutil.copytree(ROOT / "runs" / HOLE, folder / "runs" / HOLE)
    (folder / "runs" / HOLE / "notes.md").unlink()  # they quote other holes, which are not here
    sha = git(folder, "rev-parse", "HEAD").strip()
    put_code(folder, git_sha=sha, source_sha256=fingerprint_folder(folder / "trainer"), dirty=False)
    return folder


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ("git", *who, *words), cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--force", "harness", "trainer")
    git(folder, "commit", "--quiet", "--message", "a state of the trainer")


def put_code(folder: Path, **code: Any) -> None:
    path = folder / "runs" / HOLE / "attempt_01" / "record.json"
    record = json.loads(path.read_text())
    record["code"] |= code
    path.write_text(json.dumps(record))


def change_trainer(folder: Path) -> None:
    """Another trainer, whose script would be larger."""
    with (folder / "trainer" / "script.py").open("a") as file:
        file.write("\n\nPOEM = '" + " ".join(f"{n * n:x}" for n in range(2_000)) + "'\nprint(POEM)\n")
    commit(folder)


def submit(folder: Path) -> dict[str, Any]:
    """Return the report of `harness submit` there; it fails, since git keeps no logs."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "submit", "35", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 13, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["code"] = next(rule for rule in report["rules"] if rule["name"] == "code")
    return report


def test_an_older_hole_has_the_script_of_its_own_trainer(checkout: Path) -> None:
    before = submit(checkout)
    change_trainer(checkout)
    after = submit(checkout)

    assert (before["code"]["outcome"], after["code"]["outcome"]) == ("pass", "pass")
    assert before["code_bytes"] == after["code_bytes"] > 10_000


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ({"dirty": True}, "are not kept here"),
        ({"git_sha": "a" * 40}, "git worktree add ../as-played aaaaaaaaaaaa"),
        ({"git_sha": None, "dirty": None}, "--repeat"),
    ],
)
def test_a_trainer_that_is_nowhere_is_refused(code: dict[str, Any], hint: str, checkout: Path) -> None:
    put_code(checkout, **code)
    change_trainer(checkout)

    rule = submit(checkout)["code"]

    assert rule["outcome"] == "fail"
    assert "is not the one that made attempt 1" in rule["what"]
    assert hint in rule["hint"]
