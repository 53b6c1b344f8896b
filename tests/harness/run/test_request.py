"""What is typed after `-o`: spellings, other names, and names that only other scripts know."""

import pytest

from harness.errors import UsageError
from harness.run.request import alias_notices, canonical, canonical_all, field_knobs, unknown_name
from trainer.config import ALIASES, KNOBS


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
    notices = alias_notices(("FP16_EMBED_EXPORT=1", "MATRIX_LR=0.1", "NUM_LAYERS=3"))

    assert notices == ("FP16_EMBED_EXPORT=1 is read as FP16_EMBED=1",)


def test_an_error_in_a_file_names_the_file():
    with pytest.raises(UsageError, match=r"^round_001/round.toml: override NUM_LAYERS=x is not"):
        canonical_all({"NUM_LAYERS": "x"}, "round_001/round.toml")
