"""Folders that may be written, and those that may not."""

import pytest

from harness.errors import HarnessError
from harness.files import refuse_used


def test_folder_with_something_in_it_and_a_file_are_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")

    for name in ("full", "file"):
        with pytest.raises(HarnessError, match="exists and is not empty") as refused:
            refuse_used(tmp_path / name, "--out")
        assert refused.value.hint == "name a new folder with --out DIR"


def test_empty_and_absent_folders_may_be_written(tmp_path):
    (tmp_path / "empty").mkdir()

    for name in ("empty", "absent"):
        refuse_used(tmp_path / name, "--out")
