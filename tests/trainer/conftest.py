"""The parity course (90,000 tokens), a configuration of seconds, and the trainer as a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

PARITY = ROOT / "tests" / "data" / "parity"


@pytest.fixture(scope="session")
def parity() -> Path:
    """The folder of the reference's shards, tokenizer and trajectories."""
    return PARITY


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PARITY / "reference.json").read_text())
    return found


@pytest.fixture
def tiny() -> dict[str, str]:
    """Knobs of a run of seconds on one thread."""
    from trainer.config import PRESETS

    return PRESETS["tiny"] | {
        "DATA_PATH": str(PARITY),
        "TOKENIZER_PATH": str(PARITY / "stdlib_1024_bpe.model"),
        "DEVICE": "cpu",
        "DTYPE": "float32",
        "THREADS": "1",
        "CHECKPOINT_SECONDS": "0",
    }


def process_env(knobs: dict[str, str]) -> dict[str, str]:
    """An environment with these knobs and no others."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ
    }
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | knobs


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m trainer` to its end: trainer(knobs, "--out", folder)."""

    def call(knobs: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, words)],
            env=process_env(knobs), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return call
