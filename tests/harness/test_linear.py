"""A megabyte of anything is read in seconds: no pattern takes time with the square of a text.

The limit of each test is far above what it takes; with a pattern that is not linear, it takes hours.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.field.leaderboard import refresh_leaderboard
from harness.publish.words.wording import render_notes
from harness.records.curve import load_curve
from harness.records.notes import find_bindings, parse_notes
from harness.season.numerals import find_numerals

pytestmark = pytest.mark.timeout(60)

NOTES = ["`", "`` `a ", r"\`", "{{", "{{ a }}", "## a # ", "## ", "# ", "#", " ", "**a", "["]
NOTES += ["## a\n", "\n \n", "**a:** b\n\n"]
NUMBERS = ["1", "1,111", "1.", "1e", "1 ", "hole 1, ", "{{ a }} 1", "https://a ", "](", "1/", "-"]
CELLS = ["[", "[a](", "*a", "_", "`", "1", "1.", "<a ", "&", "records/", "/pull/1"]
LINES = ["| a | 1.5 | 2026-03-18 |\n", "\n", "# [\n", "\n[", "\n> "]
CURVES: dict[str, Callable[[], str]] = {
    "lists": lambda: "[],\n" * 200_000,
    "one line": lambda: "{" * 1_000_000 + "\n",
    "empty lines": lambda: "\n" * 1_000_000,
    "long lines": lambda: ('{"step": 1, "a": [' + "[]," * 10_000 + "1]}\n") * 30,
}


def repeat(pattern: str) -> str:
    """A megabyte of it; less of what becomes a line each, since objects are made of lines."""
    return pattern * ((100_000 if "\n" in pattern else 1_000_000) // len(pattern))


def odd_backticks(size: int) -> Iterator[str]:
    """Runs of backticks of which no two are of one length."""
    length = 0
    while size > 0:
        length += 1
        size -= length + 1
        yield "`" * length + "a"


@pytest.mark.parametrize("pattern", NOTES, ids=repr)
def test_notes(pattern: str) -> None:
    text = "## The booth reacts\n\n{{" + repeat(pattern)

    parse_notes(text).booth_turns()
    find_bindings(text)
    parse_notes("## a" + repeat(pattern) + "x")


def test_notes_of_backticks() -> None:
    assert len(find_bindings("{{" + "".join(odd_backticks(1_000_000)))) == 1


@pytest.mark.parametrize("end", ["x", "_"])
@pytest.mark.parametrize("pattern", NUMBERS, ids=repr)
def test_numbers_in_notes(pattern: str, end: str) -> None:
    for numeral in find_numerals(repeat(pattern) + end):
        assert numeral.paragraph


@pytest.mark.parametrize("pattern", ["[", "[a](", "[a]: b\n", "a*"], ids=repr)
def test_notes_on_a_page(pattern: str) -> None:
    text = pattern * (256_000 // len(pattern))  # the largest notes

    assert len(render_notes(text)) < 3_000_000


@pytest.mark.parametrize("pattern", CELLS, ids=repr)
def test_a_cell_of_a_leaderboard(pattern: str, tmp_path: Path) -> None:
    head, cell = "| Run | Score | Date | Info |\n|---|---|---|---|\n", repeat(pattern)
    table = tmp_path / "README.md"
    table.write_text(f"{head}| {cell} | 1.5 | 2026-03-18 | {cell} |\n")

    assert refresh_leaderboard(table, tmp_path, dry_run=True)[0].val_bpb == 1.5
    table.write_text(f"{head}| a | {cell} | {cell} |\n")
    with pytest.raises(HarnessError):
        refresh_leaderboard(table, tmp_path, dry_run=True)


@pytest.mark.parametrize("pattern", LINES, ids=repr)
def test_lines_of_a_leaderboard(pattern: str, tmp_path: Path) -> None:
    table = tmp_path / "README.md"
    table.write_text(
        "| Run | Score | Date |\n|---|---|---|\n| first | 1.5 | 2026-03-18 |\n\n" + repeat(pattern)
    )

    assert refresh_leaderboard(table, tmp_path, dry_run=True)[0].name == "first"


@pytest.mark.parametrize("text", CURVES.values(), ids=CURVES.keys())
def test_a_curve(text: Callable[[], str], tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text(text())
    curve = load_curve(path)

    assert not curve.steps
    assert any("curve.jsonl" in problem for problem in curve.problems)
