"""Shared set-up: records typed by hand, a season in a folder, the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile(
    "long", max_examples=20_000, deadline=None
)  # by hand, see tests/harness/test_reader_fuzz.py

# The flat form of the first scorecard page, with its published numbers.
SEED_PAGE: dict[str, Any] = {
    "run_id": "round_006_fp16embed",
    "date": "2026-03-18",
    "val_bpb": 1.4141,
    "val_loss": 2.3876,
    "params": 17059912,
    "artifact_bytes": 13678772,
    "wall_time_s": 300,
    "steps": 1300,
    "step_avg_ms": 231,
    "status": "ok",
    "backend": "cuda",
    "overrides": {"FP16_EMBED": "true"},
    "sota": 1.2197,
    "baseline": 1.2244,
}

SLOW_SECONDS = 900  # time limit of a test marked slow; the others have that of pyproject.toml


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time than the rest, unless they say how much themselves."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def put_record(runs: Path) -> Callable[..., Path]:
    """Write a record by hand: put_record("round_001_base", val_bpb=1.3, ...)."""

    def put(hole: str, attempt: int = 1, **fields: Any) -> Path:
        folder = runs / hole / f"attempt_{attempt:02d}"
        folder.mkdir(parents=True)
        record = {"schema": 2, "hole": hole, "attempt": attempt, "course": "fineweb", "status": "ok"} | fields
        path = folder / "record.json"
        path.write_text(json.dumps(record))
        return path

    return put


@pytest.fixture
def harness(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command line in an empty folder."""

    def call(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "160", **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, "-m", "harness", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=options.pop("cwd", tmp_path),
            env=env,
            timeout=options.pop("timeout", 300),
            **options,
        )

    return call
