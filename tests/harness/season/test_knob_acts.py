"""One rule says whether a knob acts in training: for our trainer's knobs, and for those of scripts."""

import pytest

from harness.season.knob_acts import acts_in
from trainer.config import KNOBS


@pytest.mark.parametrize(
    ("knob", "acts"),
    [
        ("MATRIX_LR", "training"),
        ("COMPRESSOR", "export"),
        ("MATRIX_BITS", "export"),  # no beginning of a name would tell it
        ("VAL_BATCH_SIZE", "evaluation"),
        ("EVAL_STRIDE", "evaluation"),
        ("eval_stride", "evaluation"),
        ("INT6_ROWS", "export"),
        ("TTT_ADAPTER", "evaluation"),
        ("QAT_ENABLED", "training"),
    ],
)
def test_a_knob_acts_where_it_says(knob, acts):
    assert acts_in(knob) == acts


def test_every_knob_of_the_trainer_goes_by_its_own_mark():
    assert {name: acts_in(name) for name in KNOBS} == {name: knob.acts for name, knob in KNOBS.items()}
