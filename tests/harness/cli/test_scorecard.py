"""The card in the terminal: the parent judges, the previous hole is a row, failed seeds are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]


def test_the_previous_hole_is_higher_or_lower_and_the_parent_judges(
    runs: Path, put_record: Callable[..., Path], harness: Cli
) -> None:
    for hole, score in (("round_001_base", 2.1), ("round_002_great", 1.9), ("round_003_good", 2.0)):
        put_record(hole, course="practice", seed=1, val_bpb=score)
    (runs / "round_003_good" / "round.toml").write_text('parent = "round_001_base"\n')

    card = harness("show", "round_003", "--runs", str(runs)).stdout

    assert "versus previous  +0.1000  higher" in card
    assert "versus parent    -0.1000  better" in card


def test_seeds_that_failed_are_counted(runs: Path, put_record: Callable[..., Path], harness: Cli) -> None:
    scores = {1: 2.1, 2: 2.2, 3: None}
    for seed, score in scores.items():
        failure = {"status": "failed", "failure": {"kind": "nan", "message": "the loss is nan"}}
        result = failure if score is None else {"val_bpb": score}
        put_record("round_001_base", seed, course="practice", seed=seed, config_hash="one", **result)

    card = harness("show", "round_001", "--runs", str(runs)).stdout

    assert "mean of 2 of 3 seeds, 1 failed" in card
