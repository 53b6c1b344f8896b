"""Submission folders, written for the test with invented numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VAL_BYTES, VAL_TOKENS = 151_080_000, 62_021_632
SCRIPT = "import os\n"


def loss_of(bpb: float) -> float:
    return bpb * math.log(2) * VAL_BYTES / VAL_TOKENS


def log_text(
    bpb: float,
    seed: int | None = None,
    *,
    head: str = "",
    label: str = "final_int6_sliding_window_exact",
    tail: str = "",
    evaluation: str = "",
    train_ms: int = 599_000,
    world_size: int = 8,
    code_bytes: int = len(SCRIPT),
) -> str:
    """A log of a whole run. evaluation: lines between training and the sizes. tail: lines at the end."""
    return (
        f"{head}val_loader:shards pattern=./own_val_*.bin tokens:{VAL_TOKENS}\n"
        f"world_size:{world_size} grad_accum_steps:1\n"
        + (f"seed:{seed}\n" if seed is not None else "")
        + f"step:1/6000 train_loss:6.9 train_time:100ms step_avg:100.00ms\n"
        f"step:6000/6000 val_loss:2.1900 val_bpb:1.2970 train_time:{train_ms}ms step_avg:100.00ms\n"
        f"{evaluation}Code size: {code_bytes} bytes\nSerialized model int6+zlib: 15000000 bytes\n"
        f"Total submission size int6+zlib: {15_000_000 + code_bytes} bytes\n"
        f"{label} val_loss:{loss_of(bpb):.8f} val_bpb:{bpb:.8f} eval_time:90000ms\n{tail}"
    )


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., str]:
    """Write a submission folder; `logs` by name, the other words are keys of its submission file."""

    def write(logs: dict[str, str], place: str = "own", **submission: Any) -> str:
        folder = tmp_path / place
        folder.mkdir(parents=True)
        about = {"author": "A", "github_id": "a", "name": "N", "date": "2026-03-19", "track": "10min_16mb"}
        about |= submission
        about = {key: value for key, value in about.items() if value is not None}
        (folder / "submission.json").write_text(json.dumps(about))
        (folder / "README.md").write_text("# N\n")
        (folder / "train_gpt.py").write_text(SCRIPT)
        for name, text in logs.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return str(folder)

    return write


@pytest.fixture
def judge(harness: Callable) -> Callable[..., dict[str, tuple[str, str]]]:
    """Call `harness check`: outcome and measured by rule."""

    def call(*words: str) -> dict[str, tuple[str, str]]:
        done = harness("check", *(words or ("1",)), "--json")
        results = json.loads(done.stdout)
        assert done.returncode == (13 if results["compliant"] is False else 0), done.stderr
        return {f["rule"]: (f["outcome"], f["measured"]) for f in results["findings"]}

    return call
