"""The rows of the last listing, believed only while nothing in the season has changed: then nothing else is loaded.

Derived and disposable, in the cache folder. What a row is made of belongs to `harness.cli.views.holes_table`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from harness.forked import share
from harness.records.names import HoleName, hole_names, mark_hole, misnamed
from harness.sealed import SETTLED_NS, hash_tree, read_sealed, sealed_path, write_sealed

FORK_WORTHY = 500  # holes for a process of their own
Marks = Mapping[str, tuple[str, int]]  # of each hole's folder: what the file system says of it


class Row(NamedTuple):
    """A hole in the table. cells: as they are shown. keys: what it can be sorted by, None where not known."""

    folder: str
    course: str | None
    status: str
    cells: tuple[str, ...]
    keys: tuple[float | str | None, ...]


class Listing(NamedTuple):
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def list_season(runs: Path, make: Callable[[Marks], Listing]) -> Listing:
    """Return the rows of a season: those kept, when all its files are as they were, else what `make` makes."""
    names = hole_names(runs)
    if not names:
        return Listing((), tuple(misnamed(runs)))
    marked = share(_mark_holes, [f"{runs}/{name.folder}" for name in names], fewest=FORK_WORTHY)
    marks = dict(zip((name.folder for name in names), chain.from_iterable(marked), strict=True))
    seen, place = _fingerprint(runs, names, marks), sealed_path("listings", f"{runs.resolve()}\n{runs}")
    kept = read_sealed(place) if seen else None
    if kept and kept[0] == seen:
        rows = (
            Row(folder, course, status, tuple(cells), tuple(keys))
            for folder, course, status, cells, keys in kept[1]
        )
        return Listing(tuple(rows), ())
    listing = make(marks)
    if seen and not listing.problems:
        write_sealed(place, (seen, listing.rows))
    return listing


def _mark_holes(folders: Sequence[str]) -> list[tuple[str, int]]:
    return [mark_hole(folder) for folder in folders]


def _fingerprint(runs: Path, names: list[HoleName], marks: Marks) -> str:
    """What the rows follow from; empty when it cannot be told, or something changed a moment ago."""
    settled = time.time_ns() - SETTLED_NS
    if any(not mark or touched > settled for mark, touched in marks.values()):
        return ""
    told = [f"{name.folder} {marks[name.folder][0]}" for name in names]
    told += [*misnamed(runs), hash_tree(runs / "courses"), *(_content(runs / name) for name in _SHARED)]
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()


_SHARED = ("field.toml", "field/leaderboard.json")


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return type(error).__name__
