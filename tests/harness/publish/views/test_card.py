"""What a hole's page says: the numbers of the example page, and the words that go with them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.publish.views.card import HoleCard, build_card
from harness.publish.views.curve import CurveCache
from harness.publish.words.wording import load_wording
from harness.season.season import load_season
from tests.paths import DATA

SEASON = DATA / "season"


def built(runs: Path) -> list[HoleCard]:
    season, wording, curve_cache = load_season(runs), load_wording(None), CurveCache()
    return [build_card(season, season.standing(played), wording, curve_cache) for played in season.holes]


@pytest.fixture(scope="module")
def cards() -> dict[str, HoleCard]:
    return {card.name: card for card in built(SEASON)}


@pytest.fixture(scope="module")
def example(cards: dict[str, HoleCard]) -> HoleCard:
    return cards["round_006_fp16embed"]


def test_the_example_page_comes_out_exactly(example: HoleCard) -> None:
    assert example.score == "1.4141"
    assert (example.position, example.verdict, example.result.label) == (
        "Round 1, Hole 6",
        "Triple Bogey",
        "Encouraging Miss",
    )
    assert (example.par_delta.value, example.par_delta.word) == ("+0.1897", "worse")
    assert (example.sota_delta.value, example.sota_delta.reference) == ("+0.1944", "1.2197")
    assert (example.previous_delta.value, example.previous_delta.word) == ("+0.0002", "within noise")
    assert (example.artifact, example.headroom, example.tempo, example.tempo_note) == (
        "13.68 MB",
        "2.32 MB",
        "231 ms",
        "1,300 steps",
    )
    assert "2,321,228 bytes" in example.headroom_note
    assert "0.0002" in example.summary
    assert "2,321,228" in example.summary
    values = {row.label: row.value for row in example.results}
    assert values == {
        "val_bpb": "1.4141",
        "val_loss": "2.3876",
        "tokens a byte": "0.41053",
        "params": "17,059,912",
        "artifact": "13,678,772 bytes",
        "wall time": "300 s",
        "steps": "1,300",
        "step avg": "231 ms",
    }
    assert example.cap_check == "passes the 16MB cap"
    assert example.day == "March 18, 2026"
    assert example.overrides == (
        "FP16_EMBED=true",
        "MAX_WALLCLOCK_SECONDS=300",
        "TRAIN_BATCH_TOKENS=131072",
    )


def test_references_carry_their_date_and_source(example: HoleCard) -> None:
    assert example.sota_delta.day == "March 18, 2026"
    assert "openai/parameter-golf" in example.sota_delta.source
    assert example.par_delta.name == "Naive Baseline"


def test_the_comparison_names_the_changed_setting(example: HoleCard) -> None:
    assert example.comparison is not None
    assert example.comparison.heads == ("Measure", "Hole 5", "Hole 6: FP16_EMBED=true", "Change")
    assert ("val_bpb", "1.4139", "1.4141", "~+0.0002") in example.comparison.rows
    assert "inside the noise" in example.comparison_verdict


@pytest.mark.parametrize(
    ("rule", "cell"),
    [
        ("script", "+500 bytes of weights; the code is counted by another rule"),
        ("packed", "-29,500 bytes (weights +500, code -30,000)"),
    ],
)
def test_code_that_is_counted_by_another_rule_is_no_saving(
    rule: str, cell: str, runs: Path, put_record: Callable[..., Path]
) -> None:
    shared = {"val_bpb": 1.3, "seed": 1, "course": "practice"}
    sizes = {"code_bytes": 69_000, "model_bytes": 1_000_000, "artifact_bytes": 1_069_000}
    put_record("round_001_before", **shared, **sizes, code_rule=rule)
    sizes = {"code_bytes": 39_000, "model_bytes": 1_000_500, "artifact_bytes": 1_039_500}
    put_record("round_002_after", **shared, **sizes, code_rule="packed")

    card = built(runs)[1]

    assert card.comparison is not None
    assert ("artifact", "1.07 MB", "1.04 MB", cell) in card.comparison.rows


def test_no_win_is_claimed_inside_the_noise(tmp_path: Path) -> None:
    """A score a shade lower than the previous hole's, which is 1.4139; the noise of one seed is larger."""
    runs = Path(shutil.copytree(SEASON, tmp_path / "runs"))
    path = runs / "round_006_fp16embed" / "attempt_01" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"val_bpb": 1.4137}))

    card = next(card for card in built(runs) if card.name == "round_006_fp16embed")

    assert (card.previous_delta.value, card.previous_delta.word) == ("-0.0002", "within noise")
    assert card.result.label == "Lipped Out"
    assert "inside the noise" in card.comparison_verdict
    said = " ".join([card.summary, card.comparison_verdict, card.result.headline]).lower()
    assert not re.search(r"\b(improve|better|beyond the noise|more than luck)", said)


def test_the_curve_ends_at_the_recorded_loss(example: HoleCard) -> None:
    assert example.curve is not None
    assert ">2.3685</text>" in example.curve.svg
    assert [line.role for line in example.curve.legend] == ["this", "par", "previous", "ring"]
    assert example.curve.table is not None
    assert example.curve.table.rows[-1][:2] == ("1,300", "2.3685")


@pytest.mark.parametrize(
    ("name", "verdict", "result"),
    [
        ("round_001_baseline", "Par", "All Square"),
        ("round_002_hot_hands", "failed (Did Not Finish)", "Lost Ball"),
        ("round_003_wide_fairway", "Over the Cap", "One Club Too Many"),
        ("round_004_longer_irons", "unplayed (Awaiting Tee Time)", "Awaiting Tee Time"),
        ("round_005_more_swings", "Triple Bogey", "Found the Bunker"),
        ("round_007_traveling_light", "Triple Bogey", "Clean Strike"),
        ("round_008_still_walking", "unfinished (Still Out)", "Still on the Course"),
        ("round_009_practice_green", "Sets Par", "Sets the Standard"),
        ("round_019_back_nine_again", "Birdie", "Low Card So Far"),
    ],
)
def test_every_fate_has_its_names(cards: dict[str, HoleCard], name: str, verdict: str, result: str) -> None:
    assert (cards[name].verdict, cards[name].result.label) == (verdict, result)


def test_over_the_cap_is_said_in_words_and_drawn(cards: dict[str, HoleCard]) -> None:
    card = cards["round_003_wide_fairway"]
    assert card.headroom == "4.11 MB too many"
    assert "4,114,904 bytes too many" in card.headroom_note
    assert card.cap_check == "fails the 16MB cap"
    assert card.bag is not None
    assert card.bag.over
    assert 'class="spill"' in card.bag.svg


def test_a_failed_hole_tells_what_happened(cards: dict[str, HoleCard]) -> None:
    card = cards["round_002_hot_hands"]
    assert card.failure is not None
    kind, message, lines = card.failure
    assert (kind, message) == ("nan", "the training loss is nan at step 412")
    assert "step:412/20000 train_loss:nan" in lines
    assert card.score == "no score"
    assert any("412" in note for note in card.curve.notes) if card.curve else False


def test_several_seeds_show_mean_and_spread(cards: dict[str, HoleCard]) -> None:
    card = cards["round_007_traveling_light"]
    assert card.score == "1.3985"
    assert card.score_note == "mean of 3 seeds, spread 0.0006"
    assert card.attempts is not None
    assert len(card.attempts.rows) == 3


def test_a_first_hole_gives_the_reason_for_no_comparison(cards: dict[str, HoleCard]) -> None:
    card = cards["round_001_baseline"]
    assert card.previous_delta.value == ""
    assert card.previous_delta.reason == "this is the first hole"
    assert card.previous is None


def test_whiff_and_decision_stand_on_the_card(runs: Path, put_record: Callable[..., Path]) -> None:
    for hole, knob in (("round_001_plain", "0.04"), ("round_002_swing", "0.02")):
        record = put_record(hole, val_bpb=1.2, seed=7, config={"MATRIX_LR": knob})
        points = ({"step": step, "train_loss": 6.0 - step, "train_time_ms": 50 * step} for step in (1, 2, 3))
        record.with_name("curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    taken = {
        "decision": "invalid",
        "reason": "<b>no effect</b>",
        "who": "ann",
        "when": "2026-04-01T12:00:00Z",
    }
    (runs / "round_002_swing" / "decision.json").write_text(json.dumps({"schema": 1, "history": [taken]}))

    plain, swing = built(runs)

    assert (plain.whiff, plain.decision) == ("", None)
    assert "MATRIX_LR did nothing" in swing.whiff
    assert swing.result.label == "Struck From the Card"
    assert swing.decision == ("Ruled invalid", "<b>no effect</b> (ann, April 1, 2026)")


@pytest.mark.parametrize(
    ("essay", "stands"), [("A swing.", True), ("1.9254 over three seeds.", False), ("", False)]
)
def test_a_number_is_not_torn_apart_by_a_large_initial(
    runs: Path, put_record: Callable[..., Path], essay: str, stands: bool
) -> None:
    put_record("round_001", val_bpb=1.2)
    (runs / "round_001" / "notes.md").write_text(f"## The Shot: a test\n\nDoes it?\n\n{essay}\n")

    assert built(runs)[0].shot_initial is stands
