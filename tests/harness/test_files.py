"""Folders that may be written, and those that may not."""

import errno
import os
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.files import path_below, plain_below, refuse_used, write_error
from harness.temporary import new_folder


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


def test_a_new_folder_appears_whole_and_takes_the_leftovers_of_a_dead_one_away(tmp_path):
    dead, other = tmp_path / ".out.999999999.tmp", tmp_path / ".ideas.999999999.tmp"
    for folder in (dead, other, tmp_path / "out"):  # an empty folder may be there already
        folder.mkdir()

    with new_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
        assert not any((tmp_path / "out").iterdir())

    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "out"]
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


def test_an_error_names_the_place_where_the_file_would_lie():
    path = Path("runs/.round_001_a.4711.tmp/.attempt_01.4711.tmp/record.json")

    error = write_error(path, OSError(errno.ENOSPC, "No space left on device"))

    assert error.message == "cannot write runs/round_001_a/attempt_01/record.json: No space left on device"


# Names of stored files -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", "a/../../x", "a\0b", "/"])
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(HarnessError, match="outside of its folder"):
        path_below(tmp_path, name, "record.json")
    assert plain_below(tmp_path, name) is None


def test_a_file_is_found_below_its_folder_through_no_link(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "model").write_text("weights")
    (tmp_path / "link").symlink_to("work")
    (tmp_path / "work" / "other").symlink_to("model")
    os.mkfifo(tmp_path / "pipe")

    assert plain_below(tmp_path, "work/model") == tmp_path / "work" / "model"
    for name in ("link/model", "work/other", "pipe", "work", "absent"):
        assert plain_below(tmp_path, name) is None
