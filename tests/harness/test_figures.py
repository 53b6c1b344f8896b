"""How numbers are written: signs, places, nouns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import figures
from harness.records.record import excess_bytes

finite = st.floats(-1e6, 1e6)


@given(finite)
def test_no_figure_is_a_negative_zero(value: float) -> None:
    small = value * 1e-9
    for one in (value, small):
        texts = [
            figures.bpb(one),
            figures.delta(one),
            figures.percent(one),
            *(figures.signed(one, places) for places in range(7)),
        ]
        for text in texts:
            assert not re.fullmatch(r"-0(\.0*)?%?", text)
            assert ("-" in text) <= (one < 0)


@given(finite, st.integers(0, 6))
def test_a_signed_figure_reads_back_as_what_it_was_rounded_to(value: float, places: int) -> None:
    text = figures.signed(value, places)

    assert text[0] in "+-"
    assert float(text.replace(",", "")) == pytest.approx(value, abs=0.51 * 10**-places)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1, "1 byte"), (2, "2 bytes"), (1_000_000, "1,000,000 bytes")]
)
def test_a_noun_follows_its_number(count: int, text: str) -> None:
    assert figures.number(count, "byte") == text


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_an_artifact_without_its_excess_is_under_the_cap_by_one_byte_at_least(size: int, cap: int) -> None:
    excess = excess_bytes(size, cap)

    assert size - excess < cap
    assert excess == 0 or size - excess == cap - 1
