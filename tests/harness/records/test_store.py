"""Names of folders: what is a hole, what was meant as one, and what a reference may say."""

import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.records.references import whole_number
from harness.records.store import Store, attempt_names, misnamed, slugify


def test_digits_of_another_script_are_no_number(runs: Path) -> None:
    """`\\d` and `int` take them: two folders would be one hole."""
    (runs / "round_001").mkdir()
    (runs / "round_001/attempt_٠١").mkdir()
    (runs / "round_٠٠١_swing").mkdir()

    assert [hole.name.folder for hole in Store(runs).holes()] == ["round_001"]
    assert attempt_names(str(runs / "round_001"))[1] == []
    assert len(misnamed(runs)) == 1
    assert whole_number("٠٠١") is None


def test_a_name_that_no_terminal_can_show_is_named_in_plain_characters(runs: Path) -> None:
    (runs / "round_\x1b[31m").mkdir()
    os.mkdir(os.fsencode(runs) + b"/round_\xff")  # noqa: PTH102 (no text)

    assert all(problem.isascii() and problem.isprintable() for problem in misnamed(runs))
    assert len(misnamed(runs)) == 2


@pytest.mark.parametrize("reference", ["9" * 5000, "round_" + "9" * 5000, "x" * 100_000, "٣"])
def test_a_reference_that_no_hole_can_have_is_refused(reference: str, runs: Path) -> None:
    (runs / "round_001").mkdir()

    with pytest.raises(UsageError, match="no hole matches"):
        Store(runs).get(reference)


@pytest.mark.parametrize(
    ("title", "tail"),
    [
        ("Un été", "un_ete"),
        ("Привет, мир", "privet_mir"),
        ("中文 3", "zhong_wen_3"),
        ("MATRIX_LR=0.03", "matrix_lr_0_03"),
        ("Größer & schneller", "grosser_schneller"),
        ("⛳", ""),
        ("a" * 60, "a" * 40),
    ],
)
def test_a_title_in_any_script_gives_a_folder_name(title, tail):
    assert slugify(title) == tail


def test_a_number_that_another_command_took_meanwhile_makes_no_second_hole(tmp_path):
    store = Store(tmp_path)
    store.create("round_002_first", "")

    with pytest.raises(UsageError, match="number 2 is taken by round_002_first"):
        store.create("round_002_second", "")

    assert [hole.name.folder for hole in store.holes()] == ["round_002_first"]
    assert store.create("round_002_first", "other").intent_path.read_text() == ""
