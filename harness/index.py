"""The index of a season: what each hole came to when its files were last read, so that `ls` need not read them.

Derived and disposable: one file in the cache folder, never under `runs/`. A hole's line in it is believed only
while the size, inode and times of every file behind it are as they were; whatever is in doubt is read again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from harness.forked import share
from harness.listed import Marks
from harness.records.names import mark_hole, misnamed
from harness.records.store import Hole, Store
from harness.sealed import SETTLED_NS, read_sealed, sealed_path, write_sealed
from harness.season.hole import Glance, PlayedHole, load_hole, read_files
from harness.season.season import Season

SMALL = 100  # holes: fewer are read at once
FORK_WORTHY = 200  # holes for a process of their own
HELD = 32  # holes whose files are kept in memory at once


def glance_season(runs: Path, looked: Marks | None = None) -> Season:
    """Return a season whose holes' files are read only where the index does not know them, or something asks.

    Messages hold paths as they were given, so each way of naming the season has an index of its own. A cache folder
    that cannot be written costs time, no more. looked: what `mark_hole` has just said of the holes, if it was asked.
    """
    holes = Store(runs).holes()
    place = sealed_path("seasons", f"{runs.resolve()}\n{runs}") if len(holes) >= SMALL else None
    known = {folder: (mark, glance) for folder, mark, glance in read_sealed(place) or ()}
    began = time.time_ns()
    looked = looked or {}
    marks = [looked.get(hole.name.folder) or mark_hole(str(hole.path)) for hole in holes]
    unknown = [
        hole
        for hole, (mark, _) in zip(holes, marks, strict=True)
        if not mark or known.get(hole.name.folder, ("",))[0] != mark
    ]
    read = chain.from_iterable(share(_glances, unknown, fewest=FORK_WORTHY))
    found = dict(zip((hole.name.folder for hole in unknown), read, strict=True))
    glances = [
        found[name] if (name := hole.name.folder) in found else _remembered(known[name][1]) for hole in holes
    ]
    if place and (unknown or len(known) != len(holes)):
        kept = {
            hole.name.folder: (mark, glance)
            for hole, (mark, touched), glance in zip(holes, marks, glances, strict=True)
            if mark and not glance.problems and touched < began - SETTLED_NS
        }
        if kept != known:
            write_sealed(place, [(folder, *line) for folder, line in kept.items()])
    read_lately = lru_cache(HELD)(read_files)
    problems = (*misnamed(runs), *(problem for glance in glances for problem in glance.problems))
    return Season(
        runs,
        tuple(
            PlayedHole(hole, glance, read=read_lately) for hole, glance in zip(holes, glances, strict=True)
        ),
        problems,
    )


def _remembered(kept: list[Any]) -> Glance:
    """JSON knows no tuples; a glance is the same wherever it comes from."""
    return Glance._make(tuple(value) if isinstance(value, list) else value for value in kept)


def _glances(holes: Sequence[Hole]) -> list[Glance]:
    return [load_hole(hole).glance for hole in holes]
