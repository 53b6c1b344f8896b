"""The parity course (90,000 tokens), a configuration of seconds, and the trainer as a real process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
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


# The last two choose a processor's instructions: tests run under them in the trainer's processes, too.
_INHERITED = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")


def file_hash(path: Path) -> str:
    """Return a file's sha256: what an assertion compares instead of the bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def first_difference(ours: Sequence[Any], theirs: Sequence[Any]) -> str | None:
    """Return where two lists part, in one line, or None: pytest takes long to compare long lists."""
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"at {place}: {one!r:.300} against {other!r:.300}"
    return None if len(ours) == len(theirs) else f"{len(ours)} entries against {len(theirs)}"


def process_env(knobs: dict[str, str]) -> dict[str, str]:
    """An environment with these knobs and no others."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | knobs


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m trainer` to its end: trainer(knobs, "--out", folder)."""

    def call(knobs: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, words)],
            env=process_env(knobs),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return call
