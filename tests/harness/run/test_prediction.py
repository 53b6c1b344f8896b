"""What is predicted of a hole is sealed when its first attempt starts, and held against what came out."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from harness.records.prediction import Prediction, load_seals, make_seal, parse_prediction
from harness.season.prediction import Measured, judge
from tests.fake.command_line import SMALL

WHY = "Half the rate, since the loss jumps."


def seals(hole: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((hole / "prediction.json").read_text())["history"]
    return found


def shown(play: Any, hole: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(play("show", hole, "--json").stdout)["prediction"]
    return found


@pytest.fixture
def hole(play: Any, tmp_path: Path) -> Path:
    """A hole whose prediction is sealed; the fake's scores lie 0.06 bpb apart at most."""
    assert play("run", "1", *SMALL, "--seeds", "7,8,9").returncode == 0
    words = ("--parent", "round_001", "--hypothesis", WHY, "--predict", "val_bpb lower 1 parent")
    done = play("run", "2", *SMALL, "-o", "MATRIX_LR=0.5", "--seeds", "7,8,9", *words)
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "round_002"


def test_the_first_attempt_seals_what_is_predicted(hole):
    (one,) = seals(hole)
    launch = json.loads((hole / "attempt_01" / "launch.json").read_text())

    assert (one["hypothesis"], one["parent"], one["sealed_at"]) == (WHY, "round_001", launch["started_at"])
    assert one["prediction"] == {
        "metric": "val_bpb",
        "direction": "lower",
        "size": 1.0,
        "against": "parent",
    }
    text = (hole / "round.toml").read_text()
    assert f'hypothesis = "{WHY}"' in text
    assert "[prediction]" in text


def test_a_prediction_that_missed_is_told_with_its_numbers(play, hole):
    told = shown(play, "2")

    assert (told["state"], told["outcome"], told["reference"]) == ("sealed", "missed", "round_001")
    low, high = told["interval"]
    assert low < told["delta"] < high
    assert abs(told["delta"]) < 0.06
    text = play("show", "2").stdout
    assert "prediction: missed: val_bpb lower by at least 1 than round_001 (sealed " in text
    counted = json.loads(play("brief", "--json").stdout)["predictions"]
    assert (counted["scored"], counted["held"], counted["missed"]) == (1, 0, 1)
    assert "predicted   0 of 1 prediction held" in play("brief").stdout


def test_a_later_change_is_told_and_the_seal_counts(play, hole):
    path = hole / "round.toml"
    path.write_text(path.read_text().replace('direction = "lower"', 'direction = "higher"'))

    told = shown(play, "2")

    assert (told["state"], told["outcome"]) == ("changed", "missed")
    day = dt.datetime.fromisoformat(told["sealed_at"]).date().isoformat()
    line = f"changed after the first attempt began: sealed {day}: {WHY[:-1]}; val_bpb lower by at least 1"
    assert told["change"].startswith(line)
    assert line in " ".join(play("show", "2").stdout.split())

    again = play("run", "2", "--seed", "10")
    assert again.returncode == 0, again.stderr
    assert [one["prediction"]["direction"] for one in seals(hole)] == ["lower", "higher"]
    assert shown(play, "2")["prediction"]["direction"] == "lower"


def test_another_parent_named_later_cannot_make_it_hold(play, hole):
    path = hole / "round.toml"
    path.write_text(path.read_text().replace('parent = "round_001"', 'parent = "round_002"'))

    told = shown(play, "2")

    assert (told["state"], told["outcome"]) == ("changed", "cannot tell")
    assert "the parent was round_001 when it was sealed" in told["not_measured"]


@pytest.mark.parametrize("breakage", ["the words", "the hash", "no JSON", "the date", "none"])
def test_a_seal_that_cannot_be_trusted_is_none(breakage, play, hole):
    path = hole / "prediction.json"
    content = json.loads(path.read_text())
    one = content["history"][0]
    if breakage == "the words":
        one["prediction"]["direction"] = "higher"
    elif breakage == "the hash":
        one["sha256"] = "0" * 64
    elif breakage == "the date":  # sealed anew after the scores were known
        seal = make_seal(
            dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), WHY, Prediction(**one["prediction"]), "round_001"
        )
        content["history"][0] = seal.model_dump(mode="json")
    path.write_text("{" if breakage == "no JSON" else json.dumps(content))
    if breakage == "none":
        path.unlink()

    told = shown(play, "2")

    assert (told["state"], told["outcome"]) == ("not sealed", None)
    assert "prediction: not sealed: " in play("show", "2").stdout
    assert json.loads(play("brief", "--json").stdout)["predictions"]["scored"] == 0


def test_a_hole_that_was_played_unsealed_is_never_sealed_later(play, tmp_path):
    assert play("run", "1", *SMALL).returncode == 0
    hole = tmp_path / "runs" / "round_001"
    text = (hole / "round.toml").read_text()
    (hole / "round.toml").write_text(f'hypothesis = "I knew it."\n{text}')

    assert play("run", "1", "--seed", "3").returncode == 0

    assert not (hole / "prediction.json").exists()
    assert shown(play, "1")["state"] == "not sealed"


def test_an_attempt_that_failed_has_sealed_and_one_that_never_began_has_not(play, tmp_path):
    words = ("--hypothesis", WHY, "--predict", "val_bpb lower")
    assert play("run", "1", *SMALL, *words, "--dry-run").returncode == 0
    assert not (tmp_path / "runs").exists()

    assert play("run", "1", *SMALL, *words, fate="nan").returncode == 10

    assert len(seals(tmp_path / "runs" / "round_001")) == 1
    assert shown(play, "1")["outcome"] == "open"


def test_a_broken_seal_stops_the_next_attempt_before_it_starts(play, hole):
    (hole / "prediction.json").write_text("{")

    done = play("run", "2", "--seed", "10")

    assert done.returncode == 1
    assert "prediction.json" in done.stderr
    assert sorted(path.name for path in hole.glob("attempt_*")) == ["attempt_01", "attempt_02", "attempt_03"]


def test_no_outcome_is_told_while_planned_seeds_are_missing(play, tmp_path):
    assert play("run", "1", *SMALL, "--seeds", "7,8").returncode == 0
    words = ("--parent", "round_001", "--predict", "val_bpb lower")
    assert play("run", "2", *SMALL, "-o", "MATRIX_LR=0.5", "--seeds", "7,8", *words).returncode == 0
    (tmp_path / "runs" / "round_002" / "attempt_02" / "record.json").unlink()

    assert shown(play, "2")["outcome"] == "open"


def test_bytes_of_the_same_weights_are_judged_exactly(play, tmp_path):
    assert play("run", "1", *SMALL, "--seed", "7").returncode == 0
    words = ("--predict", "artifact_bytes lower 1")
    assert play("evaluate", "1", "-o", "COMPRESSOR=lzma", *words).returncode == 0

    told = shown(play, "2")

    assert told["prediction"]["metric"] == "artifact_bytes"
    assert (told["delta"], told["interval"], told["outcome"]) == (0.0, [0.0, 0.0], "missed")


def test_a_launch_bundle_is_sealed_when_it_leaves(play, tmp_path):
    words = ("--hypothesis", WHY, "--emit", str(tmp_path / "bundle"))
    done = play("run", "1", *SMALL, *words)

    assert done.returncode == 0, done.stderr
    assert seals(tmp_path / "runs" / "round_001")[0]["hypothesis"] == WHY


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--predict", "val_bpb"], "is no prediction"),
        (["--predict", "val_bbp lower"], "did you mean val_bpb?"),
        (["--predict", "val_bpb down"], "use lower, higher"),
        (["--predict", "val_bpb lower much"], "the size is not a number of at least 0"),
        (["--predict", "val_bpb lower -1"], "the size is not a number of at least 0"),
        (["--predict", "val_bpb lower nan"], "the size is not a number of at least 0"),
        (["--predict", "val_bpb lower 1 sota"], "the size is not a number of at least 0"),
    ],
)
def test_a_prediction_that_says_nothing_is_refused_with_the_form(words, error, play, tmp_path):
    done = play("run", "1", *SMALL, *words)

    assert done.returncode == 2
    assert error in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_hole_that_is_there_predicts_in_its_round_toml(play, tmp_path):
    assert play("run", "1", *SMALL).returncode == 0

    done = play("run", "1", "--seed", "3", "--predict", "val_bpb lower")

    assert done.returncode == 2
    assert "round.toml" in done.stderr


@pytest.mark.parametrize(
    ("text", "interval", "outcome", "direction"),
    [
        ("val_bpb lower 0.005", (-0.009, -0.006), "held", "held"),
        ("val_bpb lower 0.005", (-0.009, -0.005), "held", "held"),
        ("val_bpb lower 0.005", (-0.009, -0.001), "cannot tell", "held"),
        ("val_bpb lower 0.005", (-0.004, -0.001), "missed", "held"),
        ("val_bpb lower 0.005", (-0.004, 0.001), "missed", "cannot tell"),
        ("val_bpb lower 0.005", (-0.009, 0.001), "cannot tell", "cannot tell"),
        ("val_bpb lower", (0.001, 0.002), "missed", "missed"),
        ("val_bpb lower", (0.0, 0.0), "missed", "missed"),
        ("step_ms higher 10", (11.0, 20.0), "held", "held"),
        ("step_ms higher 10", (-20.0, -11.0), "missed", "missed"),
        ("artifact_bytes higher", (-1.0, 1.0), "cannot tell", "cannot tell"),
    ],
)
def test_a_prediction_holds_when_the_whole_interval_does(text, interval, outcome, direction):
    prediction = parse_prediction(text)
    measured = Measured(sum(interval) / 2, interval)

    assert judge(prediction, measured) == outcome
    assert judge(prediction, measured, direction_alone=True) == direction


def test_a_difference_without_a_spread_decides_nothing():
    assert judge(parse_prediction("val_bpb lower"), Measured(-0.5, None)) == "cannot tell"


def test_the_season_says_how_often_predictions_hold(play, hole, tmp_path):
    assert play("publish", "--out", str(tmp_path / "site"), "--no-pictures").returncode == 0

    index = (tmp_path / "site" / "index.html").read_text()
    card = (tmp_path / "site" / "holes" / "round_002.html").read_text()
    assert "Sealed predictions: 0 of 1 prediction held; " in index
    assert 'data-el="prediction-outcome">Missed</b>' in card
    assert "val_bpb lower by at least 1 than round_001" in card
    feed = json.loads((tmp_path / "site" / "holes.json").read_text())["holes"]
    assert [one["prediction"]["outcome"] for one in feed] == [None, "missed"]

    path = hole / "round.toml"
    path.write_text(path.read_text().replace(WHY, "Whatever comes."))
    assert play("publish", "--out", str(tmp_path / "site"), "--no-pictures").returncode == 0
    card = (tmp_path / "site" / "holes" / "round_002.html").read_text()
    assert "changed after the first attempt began: sealed" in card
    assert WHY[:-1] in card


def test_seals_are_read_back_as_they_were_written(tmp_path):
    assert load_seals(tmp_path / "prediction.json").history == ()
