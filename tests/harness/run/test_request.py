"""What is typed after `-o`: spellings, other names, and names that only other scripts know."""

import pytest

from harness.errors import UsageError
from harness.run.request import canonical, field_knobs, file_overrides, parse_overrides, unknown_name
from trainer.config import KNOBS
from trainer.names import ALIASES


@pytest.mark.parametrize("text", ["1", "yes", "True", " on ", "true"])
def test_every_spelling_of_a_value_is_one(text):
    assert canonical("FP16_EMBED", text) == "true"


def test_a_knob_of_other_scripts_is_explained_in_the_error():
    name = next(iter(field_knobs()))

    with pytest.raises(UsageError, match=f"override {name}=1 names no knob of the trainer") as refused:
        canonical(name, "1")

    assert refused.value.hint == f"{unknown_name(name)}; `harness knobs` lists all of them"
    assert field_knobs()[name] in unknown_name(name)
    assert unknown_name("NOBODY_READS_THIS") == ""


def test_no_knob_of_ours_is_called_one_of_other_scripts():
    assert field_knobs()
    assert not set(field_knobs()) & (set(KNOBS) | set(ALIASES))


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(UsageError) as refused:
        canonical("QQQQQQQQ", "1")

    assert refused.value.hint == "`harness knobs` lists all of them"


def test_only_other_names_of_a_knob_are_reported():
    read = parse_overrides(("FP16_EMBED_EXPORT=1", "MATRIX_LR=0.1", "NUM_LAYERS=3"))

    assert read.settings == {"FP16_EMBED": "true", "MATRIX_LR": "0.1", "NUM_LAYERS": "3"}
    assert read.notes == ("FP16_EMBED_EXPORT=1 is read as FP16_EMBED=1",)


def test_a_name_that_public_scripts_mean_otherwise_is_told_where_it_is_on():
    read = parse_overrides(("VALUE_RESIDUAL=1", "ADAM_WD=0", "QUANT_BITS=6", "MATRIX_LR=0.1"))

    assert [note.split(":")[0] for note in read.notes] == [
        "QUANT_BITS=6 is read as MATRIX_BITS=6",
        "VALUE_RESIDUAL=true",
    ]
    assert "v + sigmoid(alpha) v1" in read.notes[1]


def test_a_switch_typed_turns_on_the_number_that_the_file_holds():
    written = file_overrides({"EMA_DECAY": "0.99"}, "round_001/round.toml")

    assert parse_overrides(("EMA_ENABLED=1",), written.settings).settings == {"EMA_DECAY": "0.99"}
    assert parse_overrides(("EMA_ENABLED=0",), written.settings).settings == {"EMA_DECAY": "0.0"}


@pytest.mark.parametrize("words", [("QUANT_BITS=6", "MATRIX_BITS=5"), ("QUANT_BITS=6", "QUANT_BITS=5")])
def test_two_values_of_one_knob_are_refused_by_whatever_names(words):
    with pytest.raises(UsageError, match=r"override QUANT_BITS.*6.*5"):
        parse_overrides(words)


def test_an_error_in_a_file_names_the_file():
    with pytest.raises(UsageError, match=r"^round_001/round.toml: override NUM_LAYERS=x is not"):
        file_overrides({"NUM_LAYERS": "x"}, "round_001/round.toml")
