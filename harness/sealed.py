"""Derived files in the cache folder: JSON that is believed only when it is whole and this code's own work.

And what such files are keyed by: what the file system says of the files that they were made from.
"""

from __future__ import annotations

import contextlib
import hashlib
import json  # a tenth of a kept listing's time goes into importing a faster one
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from harness.resources import PACKAGE, cache_dir

# A file touched later than this before it was read could change again within its time stamp, unseen.
SETTLED_NS = 3_000_000_000


def mark_files(folder: str, names: Iterable[str]) -> tuple[str, int]:
    """Return what the file system says of files, as text, and when the latest of them was touched, in ns.

    Size, inode and both times: a change that keeps one of them keeps no other. Raises OSError when it cannot tell.
    """
    parts, touched = [], 0
    for name in names:
        try:
            seen = os.stat(f"{folder}/{name}")  # noqa: PTH116 (a Path a file would take half the time of `ls`)
        except (FileNotFoundError, NotADirectoryError):
            parts.append(f"{name} -")
            continue
        parts.append(f"{name} {seen.st_ino} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}")
        touched = max(touched, seen.st_mtime_ns, seen.st_ctime_ns)
    return "|".join(parts), touched


def sealed_path(kind: str, key: str) -> Path | None:
    """Where the user's cache keeps a derived file; None where there is no home for it."""
    folder = cache_dir()
    return folder / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json" if folder else None


def read_sealed(path: Path | None) -> Any:
    """Return what was kept, or None when it is missing, damaged, or another harness's."""
    if path is None:
        return None
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        return json.loads(body) if head == _seal(body) else None
    except (OSError, ValueError):
        return None


def write_sealed(path: Path | None, content: Any) -> None:
    """Put a file into its place as a whole, or leave the old one: it only saves time."""
    if path is None:
        return
    body = json.dumps(content, separators=(",", ":")).encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_seal(body) + b"\n" + body)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _seal(body: bytes) -> bytes:
    return f"harness {code_hash()} {hashlib.sha256(body).hexdigest()}".encode()


@cache
def code_hash() -> str:
    """A fingerprint of this package, code and data: another harness may see other things in the same files."""
    return hash_tree(PACKAGE, skip=("__pycache__", "_share"))


def hash_tree(folder: Path, skip: tuple[str, ...] = ()) -> str:
    """A fingerprint of all files below a folder, by name and content; links to folders are not followed."""
    summed = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skip)
        for name in sorted(names):
            path = Path(place) / name
            with contextlib.suppress(OSError):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                summed.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode("utf-8", "replace"))
    return summed.hexdigest()
