"""The index counts its claims, and tells the lowest score as one that was picked from many."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

    assert "Gains and losses beyond the noise: 1 of 30 comparisons." in text
    assert "5 % false): 0." in text
    assert re.search(r"These may be luck:\s+Lucky\.", text)


def test_the_shipped_season_counts_as_brief_does(tmp_path: Path, harness: Callable[..., Any]) -> None:
    runs = str(ROOT / "runs")
    counted = json.loads(harness("brief", "--json", "--course", "practice", "--runs", runs).stdout)["claims"]

    text = index_of(ROOT / "runs", tmp_path / "s")

    assert counted["exact"]
    assert f"the noise: {counted['claims']} of {counted['comparisons']} comparisons." in text
    assert f"5 % false): {counted['survivors']}. " in text
    assert f"exactly and without luck: {counted['exact']}." in text


def test_a_claim_that_does_not_stand_is_marked_in_the_scorecard_and_the_lowest_on_the_board(
    runs: Path, put_record: Callable[..., Path], tmp_path: Path
) -> None:
    put_record("round_001_base", course="practice", seed=1, val_bpb=2.07)
    for number in range(2, 31):
        put_record(f"round_{number:03d}_same", course="practice", seed=1, val_bpb=2.07 + 0.0001 * number)
    put_record("round_031_lucky", course="practice", seed=1, val_bpb=2.07 - 0.0254)
    put_record("round_032_lost", course="practice", seed=1, val_bpb=2.3)
    out = tmp_path / "site"
    publish(runs, out, PublishOptions(pictures=False))

    for page in ("index.html", "round-2.html"):
        rows = re.findall(r"<tr class.*?</tr>", (out / page).read_text(), re.S)
        marked = [row for row in rows if ">?</abbr>" in row]
        assert len(marked) == 1
        assert "Lucky" in marked[0]
    lucky = (out / "holes" / "round_031_lucky.html").read_text()
    assert re.search(
        r"Verdict\..*(but|mind that|note that) among all comparisons of the season it does not stand", lucky
    )
    assert "season" in next(
        one["content_text"]
        for one in json.loads((out / "feed.json").read_text())["items"]
        if "Lucky" in one["title"]
    )
    assert "A ? marks a gain or a loss that does not stand" in (out / "index.html").read_text()
    board = (out / "field-practice.html").read_text()
    assert board.count("the lowest of 32, not confirmed by fresh seeds") == 1
    card = (out / "holes" / "round_005_same.html").read_text()
    assert re.search(r"cannot tell yet: \d more seeds a side would show 0\.01", card)


def test_a_mark_goes_when_the_other_holes_say_so(
    runs: Path, put_record: Callable[..., Path], tmp_path: Path
) -> None:
    """The lucky hole's own files stay as they were; its row and card do not."""
    put_record("round_001_base", course="practice", seed=1, val_bpb=2.07)
    put_record("round_002_lucky", course="practice", seed=1, val_bpb=2.07 - 0.0260)
    out = tmp_path / "site"
    publish(runs, out, PublishOptions(pictures=False))
    alone, card = (out / "round-1.html").read_text(), out / "holes" / "round_002_lucky.html"
    assert "does not stand" not in card.read_text()
    for number in range(3, 10):
        put_record(f"round_{number:03d}_same", course="practice", seed=1, val_bpb=2.07 + 0.0001 * number)
    publish(runs, out, PublishOptions(pictures=False))

    assert ">?</abbr>" not in alone
    assert ">?</abbr>" in (out / "round-1.html").read_text()
    assert "does not stand" in card.read_text()
