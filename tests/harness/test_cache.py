"""The cache only saves time: when its file is missing, damaged, locked or unwritable, nothing is known."""

import os
import sqlite3
import subprocess
import sys

import pytest

from harness import cache
from harness.cache import FILE, CacheEntry, is_unchanged, load_entries, mark_files, save_entries

ENTRIES = {"round_001": CacheEntry("a 1", "first"), "round_002": CacheEntry("b 2", "secönd")}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / FILE


def test_entries_come_back_as_they_were_saved(file):
    save_entries("mine", ENTRIES)
    save_entries("another's", {"round_001": CacheEntry("c 3", "third")})
    save_entries("mine", {"round_001": CacheEntry("a 9", "changed")}, removed=["round_002", "round_003"])

    assert load_entries("mine") == {"round_001": CacheEntry("a 9", "changed")}
    assert load_entries("another's") == {"round_001": CacheEntry("c 3", "third")}
    assert load_entries("nobody's") == {}


HARMS = {
    "emptied": lambda content: b"",
    "torn": lambda content: content[:-700],
    "one letter changed": lambda content: content.replace(b"first", b"fifth"),
    "another kind of file": lambda content: b"\x00" * 9 + b"none of ours",
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_damaged_file_is_not_believed_and_made_again(harm, file):
    save_entries("mine", ENTRIES)
    file.write_bytes(harm(file.read_bytes()))

    assert load_entries("mine").get("round_001") in (None, ENTRIES["round_001"])

    save_entries("mine", ENTRIES)
    assert load_entries("mine") == ENTRIES


def test_table_of_another_form_is_made_again(file):
    file.parent.mkdir()
    with sqlite3.connect(file) as base:
        base.execute("CREATE TABLE entry (owner TEXT, what TEXT)")

    assert load_entries("mine") == {}
    save_entries("mine", ENTRIES)
    assert load_entries("mine") == ENTRIES


def test_entries_of_another_version_of_the_code_are_not_believed(file, monkeypatch):
    save_entries("mine", ENTRIES)
    monkeypatch.setattr(cache, "_code_version", lambda: "another")

    assert load_entries("mine") == {}


def test_locked_file_is_done_without(file, monkeypatch):
    monkeypatch.setattr(cache, "_WAIT_SECONDS", 0.01)
    save_entries("mine", ENTRIES)
    other = sqlite3.connect(file)
    other.execute("BEGIN EXCLUSIVE")

    assert load_entries("mine") == {}
    save_entries("mine", {"round_003": CacheEntry("c 3", "third")})
    other.close()

    assert load_entries("mine") == ENTRIES


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_file_that_cannot_be_written_is_read(file):
    save_entries("mine", ENTRIES)
    file.chmod(0o400)
    file.parent.chmod(0o500)

    save_entries("mine", {"round_003": CacheEntry("c 3", "third")})

    assert load_entries("mine") == ENTRIES


def test_cache_without_a_folder_costs_nothing_but_time(monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", "/dev/null/none")

    save_entries("mine", ENTRIES)

    assert load_entries("mine") == {}


MANY = """
import sys
from harness.cache import CacheEntry, save_entries
for number in range(40):
    save_entries(sys.argv[1], {str(number): CacheEntry("m", "t" * 1000)})
"""


def test_two_processes_write_at_once(file):
    writers = [subprocess.Popen([sys.executable, "-c", MANY, owner]) for owner in ("one", "two")]

    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert len(load_entries("one")) == len(load_entries("two")) == 40


def test_mark_tells_every_change_of_its_files(tmp_path):
    (tmp_path / "a").write_text("one")
    mark, _ = mark_files(str(tmp_path), ["a", "b"])
    assert is_unchanged(str(tmp_path), mark)

    (tmp_path / "b").write_text("")
    assert not is_unchanged(str(tmp_path), mark)

    (tmp_path / "b").unlink()
    assert is_unchanged(str(tmp_path), mark)
    state = (tmp_path / "a").stat()
    (tmp_path / "a").write_text("two")
    os.utime(tmp_path / "a", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert not is_unchanged(str(tmp_path), mark)
