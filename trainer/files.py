"""Writes a file whole or not at all.

A file that is not finished lies next to its place as `.NAME.PID.tmp`, locked by the process that fills it, so
that what a dead process left can be told from what a living one writes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, flush to disk, rename. Raises OSError; nothing is left beside then."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    lock = None
    try:
        with temporary.open("wb") as file:
            lock = _lock(temporary)
            file.write(content)
            file.flush()
            # The rename must not reach the disk before the content does.
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _lock(path: Path) -> int | None:
    """Lock a file until the number that is returned is closed; None where there are no locks."""
    try:
        import fcntl

        lock = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock
