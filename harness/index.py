"""The index of a season: what each hole came to when its files were last read, so that `ls` need not read them.

Derived and disposable: one file in the cache folder, never under `runs/`. A hole's line in it is believed only
while the size, inode and times of every file behind it are as they were; whatever is in doubt is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from harness.forked import share
from harness.played import Glance, Played, load_hole
from harness.registry import Season
from harness.resources import PACKAGE, cache_dir
from harness.store import Hole, Store, attempt_names

SMALL = 100  # holes: fewer are read at once
FORK_WORTHY = 200  # holes for a process of their own
# A file touched later than this before it was read could change again within its time stamp, unseen.
SETTLED_NS = 3_000_000_000


def glance_season(runs: Path, cache: Path | None = None) -> Season:
    """Return a season whose holes' files are read only where the index does not know them.

    cache: the folder that keeps indexes; the user's own when None. A folder that cannot be written costs time, no more.
    """
    holes = Store(runs).holes()
    place = _index_path(runs, cache) if len(holes) >= SMALL else None
    known = _read(place) if place else {}
    began = time.time_ns()
    marks = [_mark(hole) for hole in holes]
    unknown = [
        hole
        for hole, (mark, _) in zip(holes, marks, strict=True)
        if not mark or known.get(hole.name.folder, ("",))[0] != mark
    ]
    read = chain.from_iterable(share(_glances, unknown, fewest=FORK_WORTHY))
    found = dict(zip((hole.name.folder for hole in unknown), read, strict=True))
    glances = [
        found[name] if (name := hole.name.folder) in found else Glance._make(known[name][1]) for hole in holes
    ]
    if place and (unknown or len(known) != len(holes)):
        kept = {
            hole.name.folder: (mark, glance)
            for hole, (mark, touched), glance in zip(holes, marks, glances, strict=True)
            if mark and not glance.problems and touched < began - SETTLED_NS
        }
        if kept != known:
            _write(place, kept)
    problems = tuple(problem for glance in glances for problem in glance.problems)
    return Season(runs, tuple(map(Played, holes, glances)), problems)


def _glances(holes: Sequence[Hole]) -> list[Glance]:
    return [load_hole(hole).glance for hole in holes]


def _mark(hole: Hole) -> tuple[str, int]:
    """Return what the file system says of a hole's files, and when the latest was touched; nothing if it cannot tell."""
    folder = str(hole.path)
    parts, touched = [], 0
    try:
        names, attempts = attempt_names(folder)
        for name in [
            *(name for name in _OWN if name in names),
            *(f"{name}/record.json" for name in attempts),
        ]:
            try:
                seen = os.stat(f"{folder}/{name}")  # noqa: PTH116 (a Path a file would take half the time of `ls`)
            except FileNotFoundError:
                parts.append(f"{name} -")
                continue
            parts.append(f"{name} {seen.st_ino} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}")
            touched = max(touched, seen.st_mtime_ns, seen.st_ctime_ns)
    except OSError:
        return "", 0
    return "|".join(parts) or "empty", touched


_OWN = ("round.toml", "decision.json")


def _index_path(runs: Path, cache: Path | None) -> Path | None:
    """One file a season and way of naming it, since messages hold paths as they were given."""
    folder = cache or cache_dir()
    key = hashlib.sha256(f"{runs.resolve()}\n{runs}".encode()).hexdigest()[:16]
    return folder / "seasons" / f"{key}.json" if folder else None


def _code() -> str:
    """What the file system says of the code that reads holes: another harness makes its own index."""
    with os.scandir(PACKAGE) as entries:
        seen = sorted((entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py"))
    return hashlib.sha256(repr([(n, s.st_size, s.st_mtime_ns) for n, s in seen]).encode()).hexdigest()


def _read(path: Path) -> dict[str, tuple[str, Any]]:
    """Return the lines of an index by hole; none when it is missing, damaged or another harness's."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        if head.decode() != _head(body):
            return {}
        lines = json.loads(body)
    except (OSError, ValueError):
        return {}
    return {folder: (mark, glance) for folder, mark, glance in lines}


def _write(path: Path, lines: dict[str, tuple[str, Any]]) -> None:
    """Put the index into its place as a whole, or leave the old one."""
    body = json.dumps([(folder, *line) for folder, line in lines.items()], separators=(",", ":")).encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_head(body).encode() + b"\n" + body)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _head(body: bytes) -> str:
    return f"harness season index 1 {_code()} {hashlib.sha256(body).hexdigest()}"
