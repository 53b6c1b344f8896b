"""Text of logs without what steers a terminal: laws, and the sequences that logs really hold."""

from __future__ import annotations

import json
import unicodedata
import xml.dom.minidom
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plain_text import escape_json, plain, plain_line

EVIL = "\x00\x07\x08\x0b\r\x1b[]()0;m\\\x7f\x84\x9b\x9d\u061c\u200e\u200f\u2028\u202e\u2066\ufeff\ud800\uffff"
texts = st.text(st.sampled_from(EVIL + "ab \n\t") | st.characters())


def is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(char) in (
        *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
    )


@given(texts)
def test_no_control_character_is_left(text: str) -> None:
    assert [char for char in plain(text) if is_control(char) and char not in "\n\t"] == []
    assert [char for char in plain_line(text) if is_control(char)] == []
    assert plain(plain(text)) == plain(text)


@given(texts)
def test_any_text_stands_in_a_feed(text: str) -> None:
    xml.dom.minidom.parseString(f"<feed>{escape(plain(text))}</feed>".encode())


@given(st.dictionaries(texts, texts))
def test_json_keeps_its_values(value: dict[str, str]) -> None:
    written = escape_json(json.dumps(value, ensure_ascii=False, indent=1))

    assert json.loads(written) == value
    assert written == plain(written)


@given(st.text(st.characters(categories=("L", "N", "P", "S")) | st.sampled_from(" \n\t")))
def test_words_in_any_script_stay_as_they_are(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[1;31mRuntimeError\x1b[0m: no", "RuntimeError: no"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0;0;0\x1b\\sixel", "sixel"),
        ("\x9b31mred", "red"),
        ("\x1b(Bplain\x1b=", "plain"),
        ("status ok\rstatus failed", "status ok status failed"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("\x1b]0;never closed\nnext", "\nnext"),
        ("val\u202e9999.0\u202c", "val 9999.0 "),
    ],
)
def test_a_terminals_sequences_go_as_a_whole(printed: str, shown: str) -> None:
    assert plain(printed) == shown
