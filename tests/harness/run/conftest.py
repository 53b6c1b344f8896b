"""The command line with the fake trainer, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake import command_line
from tests.paths import ROOT

Play = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run the command line in an empty folder: play("run", "1", *SMALL, fate="nan")."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_RUNS", str(tmp_path / "runs"))  # courses are kept in memory by this path
    monkeypatch.setenv("COLUMNS", "160")

    def call(*words: str, fate: str = "") -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("FAKE_TRAINER", fate)
        return command_line.call(*words)

    return call


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command line without waiting for its end; what still runs at the end of the test is
    killed."""
    started = []

    def call(*words: str, fate: str = "") -> subprocess.Popen[str]:
        env = {"FAKE_TRAINER": fate, "HARNESS_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fake.command_line", *words],
            cwd=tmp_path,
            env=os.environ | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def record_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Read a record: record_of("round_001", 2)."""

    def read(hole: str = "round_001", attempt: int = 1) -> dict[str, Any]:
        path = tmp_path / "runs" / hole / f"attempt_{attempt:02d}" / "record.json"
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    return read
