"""The index counts its claims, and tells the lowest score as one that was picked from many."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from harness.publish.build import PublishOptions, publish
from tests.paths import ROOT


def index_of(runs: Path, out: Path) -> str:
    publish(runs, out, PublishOptions(pictures=False))
    return re.sub(r"<[^>]+>", "", (out / "index.html").read_text())


def test_the_lowest_of_many_is_told_with_what_luck_does(
    runs: Path, put_record: Callable[..., Path], tmp_path: Path
) -> None:
    luck = random.Random(7)
    for number in range(1, 13):
        score = 2.07 + luck.gauss(0, 0.0091)
        put_record(f"round_{number:03d}_same", course="practice", seed=number, val_bpb=score)

    text = index_of(runs, tmp_path / "site")

    assert "our lowest of 12" in text
    assert "not confirmed by fresh seeds yet; of 12 equal holes the lowest would look 0.0148 too low" in text
    assert "our best" not in text


def test_fresh_seeds_confirm_the_lowest(runs: Path, put_record: Callable[..., Path], tmp_path: Path) -> None:
    for attempt, seed in enumerate((1, 2, 3), start=1):
        put_record("round_001_base", attempt, course="practice", seed=seed, val_bpb=2.1 + 0.001 * seed)
        put_record("round_002_low", attempt, course="practice", seed=seed, val_bpb=1.9 + 0.001 * seed)
        fresh = {"seed": 10 + seed, "val_bpb": 1.905 + 0.001 * seed, "purpose": "confirm"}
        put_record("round_002_low", attempt + 3, course="practice", **fresh)

    assert "confirmed by fresh seeds" in (text := index_of(runs, tmp_path / "site"))
    assert "not confirmed" not in text


def test_claims_that_may_be_luck_are_named(
    runs: Path, put_record: Callable[..., Path], tmp_path: Path
) -> None:
    """One of thirty equal holes lies just beyond the noise; among so many that is no wonder."""
    put_record("round_001_base", course="practice", seed=1, val_bpb=2.07)
    for number in range(2, 31):
        put_record(f"round_{number:03d}_same", course="practice", seed=1, val_bpb=2.07 + 0.0001 * number)
    put_record("round_031_lucky", course="practice", seed=1, val_bpb=2.07 - 0.0254)

    text = index_of(runs, tmp_path / "site")

    assert "Gains and losses beyond the noise: 1 of 30 holes" in text
    assert "0 of them stand" in text
    assert re.search(r"These may be luck:\s+Lucky\.", text)


def test_the_shipped_season_counts_its_claims(tmp_path: Path) -> None:
    assert re.search(
        r"Gains and losses beyond the noise: \d+ of \d+ holes", index_of(ROOT / "runs", tmp_path / "s")
    )
