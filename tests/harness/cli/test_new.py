"""`harness new` and `--from`: the next hole, with the settings of another one."""

import json

import pytest

from harness.records.intent import load_intent
from harness.records.notes import SECTIONS, parse_notes
from tests.fake.command_line import SMALL, call


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_a_new_hole_has_the_next_number_its_intent_and_the_headings_of_its_notes(runs):
    first = call("new", "Wider Embedding", "--hypothesis", "more room", "-o", "MODEL_DIM=64")
    second = call("new", "The  second")

    assert (first.returncode, second.returncode) == (0, 0)
    intent = load_intent(runs / "round_001_wider_embedding" / "round.toml")
    assert (intent.title, intent.hypothesis) == ("Wider Embedding", "more room")
    assert intent.overrides == {"MODEL_DIM": "64"}
    notes = parse_notes((runs / "round_002_the_second" / "notes.md").read_text())
    assert set(notes.sections) == SECTIONS.keys() - {"verdict"}
    assert notes.other == ()


def test_a_new_hole_does_not_take_the_number_of_a_removed_one(runs):
    call("new", "First")
    call("new", "Second")
    call("rm", "2")

    assert json.loads(call("new", "Third", "--json").stdout)["hole"] == "round_003_third"


def test_from_takes_over_the_settings_and_names_the_parent(runs):
    assert call("run", "1", "--title", "Base", *SMALL, "--seeds", "42,7").returncode == 0
    call("new", "Faster", "--from", "1", "-o", "MATRIX_LR=0.02")
    played = call("run", "3", "--from", "round_001", "--title", "Slower", "-o", "MATRIX_LR=0.01")

    base = load_intent(runs / "round_001_base" / "round.toml")
    for name, rate in (("round_002_faster", "0.02"), ("round_003_slower", "0.01")):
        intent = load_intent(runs / name / "round.toml")
        assert intent.parent == "round_001_base"
        assert (intent.course, intent.preset, intent.seeds) == (base.course, base.preset, (42, 7))
        assert intent.overrides == {**base.overrides, "MATRIX_LR": rate}
    assert played.returncode == 0, played.stderr
    assert len(list((runs / "round_003_slower").glob("attempt_*"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["  "], "a hole needs a title"),
        (["X", "--from", "9"], 'no hole matches "9"'),
        (["X", "--strategy", "long shit"], "did you mean long shot?"),
        (["X", "--preset", "practise"], "did you mean practice?"),
        (["X", "--course", "practise"], "practise"),
        (["X", "-o", "MODEL_DIMM=3"], "MODEL_DIM"),
        (["X", "--script", "nosuch.py"], "nosuch.py is not here"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_makes_no_hole(runs, words, message):
    done = call("new", *words)

    assert done.returncode == 2
    assert message in done.stderr
    assert not list(runs.glob("round_*"))


def test_from_is_refused_for_a_hole_that_is_there(runs):
    call("new", "First")
    call("new", "Second")
    done = call("run", "2", "--from", "1", *SMALL)

    assert done.returncode == 2
    assert "round_002_second is there already" in done.stderr
