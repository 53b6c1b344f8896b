"""harness knobs: what a name means, ours and other people's."""

import json

import pytest

from trainer.config import KNOBS
from trainer.meanings import MEANINGS
from trainer.names import ALIASES


def listed(harness, word):
    done = harness("knobs", word, "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["knobs"]}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ADAM_WD", "decays the embedding here"),
        ("ADAM_WD", "since 2026-04-01 they decay the embedding by EMBED_WD (0.085 unless set)"),
        ("VALUE_RESIDUAL", "0.5 v + 0.5 v1"),
        ("VALUE_RESIDUAL", "those of 2026-03-25 mean another part by this name, v + sigmoid(alpha) v1"),
        ("GATED_ATTENTION", "open at 0.982"),
        ("GATED_ATTN_ENABLED", "no bias, so it begins half open"),
        ("QAT_ENABLED", "from the first step"),
    ],
)
def test_a_knob_says_which_meaning_of_its_name_is_ours(harness, name, told):
    shown = " ".join(harness("knobs", name).stdout.split())

    assert told in shown
    assert told in listed(harness, name)[name]["public_scripts"][name]


def test_a_knob_is_found_by_another_name_and_says_so(harness):
    row = listed(harness, "quant_bits")["MATRIX_BITS"]

    assert row["other_names"] == ["QUANT_BITS"]
    assert row["public_scripts"] == {name: MEANINGS[name] for name in ("MATRIX_BITS", "QUANT_BITS")}
    assert "also: QUANT_BITS" in harness("knobs", "QUANT_BITS").stdout


def test_every_meaning_is_shown_with_a_knob(harness):
    rows = listed(harness, "")

    assert {name for row in rows.values() for name in row["public_scripts"]} == set(MEANINGS)
    assert {name for row in rows.values() for name in row["other_names"]} == set(ALIASES)


def test_a_knob_says_what_public_scripts_play_where_it_is_not_set(harness):
    assert listed(harness, "EMBED_WD")["EMBED_WD"]["usual_default"] == "0.085"
    assert listed(harness, "MATRIX_LR")["MATRIX_LR"]["usual_default"] == ""
    assert "public scripts, where it is not set: 0.35" in harness("knobs", "ENABLE_LOOPING_AT").stdout


def test_what_a_knob_is_that_is_not_set_is_its_default(harness):
    """Records hold 0.15; QAT_ENABLED alone begins at 1."""
    assert listed(harness, "LATE_QAT_THRESHOLD")["LATE_QAT_THRESHOLD"]["default"] == "1.0"
    assert KNOBS["LATE_QAT_THRESHOLD"].default == 0.15


def test_a_knob_that_only_other_scripts_have_is_explained(harness):
    done = harness("knobs", "EMBED_CLIP_SIGMAS")

    assert done.returncode == 2
    assert "other scripts read EMBED_CLIP_SIGMAS (clip range of the embedding)" in done.stderr
