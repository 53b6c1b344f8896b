"""How holes and attempts are named in a season's folder, and what lies there by these names. Reads no file.

Imports little: a listing whose rows the cache knows must not wait for anything else.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from harness.cache import mark_files

HOLES_PER_ROUND = 18
MAX_NAME = 80
_HOLE = re.compile(r"round_(\d{3,6})(?:_([a-z0-9][a-z0-9_]*))?")
_ATTEMPT = re.compile(r"attempt_\d{2,6}", re.ASCII)


class HoleName(NamedTuple):
    """`round_006_fp16embed`: number 6 in the season, slug `fp16embed`."""

    folder: str
    number: int
    slug: str

    @property
    def round(self) -> int:
        """Which round of 18 the hole belongs to, from 1."""
        return (self.number - 1) // HOLES_PER_ROUND + 1

    @property
    def hole(self) -> int:
        """Its place in that round, 1 to 18."""
        return (self.number - 1) % HOLES_PER_ROUND + 1

    @property
    def position(self) -> str:
        return f"Round {self.round}, Hole {self.hole}"


def parse_hole_name(text: str) -> HoleName | None:
    """Read a hole's folder name, or return None when it is not one."""
    match = _HOLE.fullmatch(text)
    if match is None or len(text) > MAX_NAME or int(match[1]) == 0:
        return None
    return HoleName(text, int(match[1]), match[2] or "")


def hole_names(root: Path) -> list[HoleName]:
    """Return the names of all holes in the order of play; a missing folder has none. Links are not followed."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            name = parse_hole_name(entry.name)
            if name and entry.is_dir(follow_symlinks=False):
                found.append(name)
    return sorted(found, key=lambda name: (name.number, name.folder))


def misnamed(root: Path) -> list[str]:
    """Return a sentence on every folder that was surely meant as a hole and is none, in name order."""
    found = []
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if (
                entry.name.casefold().startswith("round")
                and parse_hole_name(entry.name) is None
                and entry.is_dir()
            ):
                wanted = "a hole is called round_006 or round_006_fp16embed, in small letters and digits"
                found.append(f"{root}/{entry.name} is passed over: {wanted}")
    return sorted(found)


def attempt_names(folder: str) -> tuple[set[str], list[str]]:
    """Return the names of everything in a hole's folder, and those of its attempts in order."""
    names, found = set(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.add(entry.name)
            if (
                entry.name[:8] == "attempt_"
                and _ATTEMPT.fullmatch(entry.name)
                and entry.is_dir(follow_symlinks=False)
            ):
                found.append((int(entry.name[8:]), entry.name))
    return names, [name for _, name in sorted(found)]


def half_attempts(folder: str) -> list[str]:
    """Return the names of a hole's attempts that were launched and left no record. An attempt's folder alone is none."""
    with contextlib.suppress(FileNotFoundError):
        _, attempts = attempt_names(folder)
        return [name for name in attempts if _is_half(f"{folder}/{name}")]
    return []


def _is_half(attempt: str) -> bool:
    return os.path.isfile(f"{attempt}/launch.json") and not os.path.lexists(f"{attempt}/record.json")  # noqa: PTH113


def mark_hole(folder: str) -> tuple[str, int]:
    """Return what the file system says of the files that a hole is summed up from, and when the latest was touched, in ns.

    The folder itself is one of them, so that a new file in it changes the mark. Empty when it cannot tell.
    """
    try:
        names, attempts = attempt_names(folder)
        own = [name for name in ("round.toml", "decision.json") if name in names]
        return mark_files(folder, [".", *own, *(f"{name}/record.json" for name in attempts)])
    except OSError:
        return "", 0
