"""Names of holes, round.toml, notes.md."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError, UsageError
from harness.records.intent import Intent, dump_intent, load_intent
from harness.records.notes import parse_notes
from harness.records.store import parse_hole_name, require_hole_name


@pytest.mark.parametrize(
    ("folder", "position"),
    [
        ("round_006_fp16embed", "Round 1, Hole 6"),
        ("round_018", "Round 1, Hole 18"),
        ("round_019_x", "Round 2, Hole 1"),
        ("round_1000", "Round 56, Hole 10"),
    ],
)
def test_eighteen_holes_make_a_round(folder, position):
    assert parse_hole_name(folder).position == position


@pytest.mark.parametrize(
    "name",
    ["round_6", "round_000", "Round_006", "round_006_", "round_006_../x", "round_006/..", "", "x" * 99],
)
def test_other_names_are_refused_with_the_form(name):
    with pytest.raises(UsageError) as refusal:
        require_hole_name(name)

    assert "round_006_fp16embed" in refusal.value.hint


def test_overrides_are_read_as_people_write_them(tmp_path):
    path = tmp_path / "round.toml"
    path.write_text(
        'title = "X"\n[overrides]\nFP16_EMBED = true\nMATRIX_LR = 0.03\nSEED = 42\nDTYPE = "float32"\n'
    )

    assert load_intent(path).overrides == {
        "FP16_EMBED": "true",
        "MATRIX_LR": "0.03",
        "SEED": "42",
        "DTYPE": "float32",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("titel = 'x'", "titel"),
        ("title = \nseeds = [1]", "line 1"),
        ("strategy = 'hope'", "strategy"),
        ("seeds = 3", "seeds"),
    ],
)
def test_mistake_in_round_toml_is_named_with_its_place(text, said, tmp_path):
    path = tmp_path / "round.toml"
    path.write_text(text)

    with pytest.raises(HarnessError) as refusal:
        load_intent(path)

    assert "round.toml" in refusal.value.message
    assert said in refusal.value.message


@given(
    st.text(max_size=60),
    st.lists(st.integers(0, 2**31), max_size=4),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9)),
)
def test_intent_reads_back(title, seeds, overrides):
    import tomllib

    intent = Intent(title=title, seeds=tuple(seeds), overrides=overrides)

    assert Intent.model_validate(tomllib.loads(dump_intent(intent))) == intent


def test_notes_are_split_by_heading_and_nothing_is_lost():
    notes = parse_notes(
        "# Title\n\nBefore.\n\n## The Caddie’s Pick\nSafe.\n\n## The Shot: half a byte\nLong\n\n"
        "```\n## not a heading\n```\n"
        "## The Booth Reacts\n**Trent:** Well.\n\nReally.\n\n**Slice:** No!\n\n## Odd heading\nKept.\n"
    )

    assert notes.get("pick") == "Safe."
    assert notes.shot_title == "half a byte"
    assert "## not a heading" in notes.get("shot")
    assert [(turn.speaker, turn.text) for turn in notes.booth_turns()] == [
        ("Trent", "Well. Really."),
        ("Slice", "No!"),
    ]
    assert notes.other == (("", "Before."), ("Odd heading", "Kept."))
