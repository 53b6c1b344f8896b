"""A write that fails leaves the old state or the new one, a true record, and an error that names the file."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.paths import ROOT

WALKS = {
    "an import on a full disk": ("import-folder", "--error", "ENOSPC", "--at", "train.log"),
    "a site on a broken disk": ("publish", "--error", "EIO", "--most", "3"),
    "a run whose curve cannot be written": ("run", "--error", "EIO", "--at", "curve.jsonl", "--most", "2"),
    "a run that cannot be made ready": ("run", "--error", "EROFS", "--at", "launch.json", "--most", "2"),
    "points of the built-in trainer": ("points", "--error", "ENOSPC", "--at", "curve.jsonl"),
    "an interrupted call": ("import", "--error", "EINTR", "--most", "6"),
}

SLOW = ("publish", "run")


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
@pytest.mark.parametrize(
    "walk", [pytest.param(walk, marks=[pytest.mark.slow] * (WALKS[walk][0] in SLOW)) for walk in WALKS]
)
def test_a_write_that_fails(walk):
    command = (sys.executable, "-m", "benchmarks.faults", *WALKS[walk])

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 half-written files" in f" {done.stdout.splitlines()[-1]}"
    assert int(done.stdout.splitlines()[1].split()[-3]) > 0  # some write failed
