"""What can be made again, kept to save time: one SQLite file in the cache folder, nothing under `runs/`.

An entry is a text with the mark of the files that it was made from; whoever loads it compares the mark and
makes the text anew when it differs. The file may be missing, damaged, locked or unwritable at any time: then
nothing is known and nothing is kept. Entries that another version of this package wrote are not believed.
Delete the file at will.

Imports little, since `harness ls` waits for it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from harness.files import PACKAGE, cache_dir

FILE = "derived.sqlite3"
# A file touched later than this before it was read could change again within its time stamp, unseen.
SETTLED_NS = 3_000_000_000
_WAIT_SECONDS = 1.0  # for another process that writes; ten thousand entries take a tenth of that
_TABLE = """CREATE TABLE IF NOT EXISTS entry (
    owner TEXT, name TEXT, version TEXT, mark TEXT, text TEXT, checksum INTEGER, PRIMARY KEY (owner, name)
) WITHOUT ROWID"""
# Where the file itself is at fault, a new one mends it; a lock or a full disk it does not.
_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR")


class CacheEntry(NamedTuple):
    """mark: what the text was made from, see `mark_files`."""

    mark: str
    text: str


def load_entries(owner: str) -> dict[str, CacheEntry]:
    """Return the entries of an owner by name, such as a season's by hole; none when there is any doubt."""
    path = _path()
    if path is None:
        return {}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", _WAIT_SECONDS, uri=True)) as base:
            rows = base.execute(
                "SELECT name, mark, text, checksum FROM entry WHERE owner = ? AND version = ?",
                (owner, _code_version()),
            ).fetchall()
    except (sqlite3.Error, UnicodeError):  # a path may hold bytes that are no text
        return {}
    return {
        name: CacheEntry(mark, text)
        for name, mark, text, checksum in rows
        if checksum == _checksum(mark, text)
    }


def save_entries(owner: str, entries: Mapping[str, CacheEntry], removed: Iterable[str] = ()) -> None:
    """Add or replace entries of an owner, and remove others by name; when that fails, only time is lost."""
    path = _path()
    if path is None:
        return
    for attempt in (1, 2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, owner, entries, removed)
            return
        except (OSError, UnicodeError):
            return
        except sqlite3.Error as error:
            if attempt == 2 or error.sqlite_errorname not in _DAMAGED:
                return
            with contextlib.suppress(OSError):
                path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
                path.unlink()


def _write(path: Path, owner: str, entries: Mapping[str, CacheEntry], removed: Iterable[str]) -> None:
    version = _code_version()
    rows = [
        (owner, name, version, mark, text, _checksum(mark, text)) for name, (mark, text) in entries.items()
    ]
    with contextlib.closing(sqlite3.connect(path, _WAIT_SECONDS)) as base, base:
        base.execute("PRAGMA synchronous = OFF")  # a file lost with the system is made again
        base.execute(_TABLE)
        base.execute("DELETE FROM entry WHERE version <> ?", (version,))
        base.executemany(
            "DELETE FROM entry WHERE owner = ? AND name = ?", [(owner, name) for name in removed]
        )
        base.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)", rows)


def _path() -> Path | None:
    folder = cache_dir()
    return folder / FILE if folder else None


def _checksum(mark: str, text: str) -> int:
    """SQLite keeps no checksum of its own, so that a damaged text would be taken for a good one."""
    return zlib.crc32(f"{mark}\n{text}".encode("utf-8", "surrogatepass"))


# What entries are made from ------------------------------------------------------------------------


def mark_files(folder: str, names: Iterable[str]) -> tuple[str, int]:
    """Return what the file system says of files, as text, and when the latest of them was touched, in ns.

    Size, inode and both times: a change that keeps one of them keeps no other. Raises OSError when it cannot
    tell.
    """
    parts, touched = [], 0
    for name in names:
        try:
            # A Path for each file would take half the time of `ls`.
            state = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            parts.append(f"{name} -")
            continue
        parts.append(f"{name} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}")
        touched = max(touched, state.st_mtime_ns, state.st_ctime_ns)
    return "|".join(parts), touched


def is_unchanged(folder: str, mark: str) -> bool:
    """Whether the files that a mark names are as they were; false when that cannot be told."""
    try:
        return mark_files(folder, [part.partition(" ")[0] for part in mark.split("|")])[0] == mark
    except OSError:
        return False


def join_marks(marks: Mapping[str, str]) -> str:
    """Join the marks of files in several folders to one mark for the folder above. marks: by folder."""
    return "|".join(f"{folder}/{part}" for folder, mark in marks.items() for part in mark.split("|"))


@cache
def _code_version() -> str:
    """This package's files by size and time: other code may make something else of the same files."""
    states = []
    for folder, folders, names in os.walk(PACKAGE):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", "_share"))
        states.append(mark_files(folder, sorted(names))[0])
    return f"{zlib.crc32('|'.join(states).encode('utf-8', 'surrogatepass')):08x} {len(states)}"
