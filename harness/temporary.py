"""Files and folders that are not finished: each is made next to its place and moved there by one rename.

They are hidden and carry the number of the process that fills them, `.record.json.4711.tmp`, so that no
reader takes one for what it is to become. A lock tells whether that process lives: what a dead one left can
be removed at any time. Knows nothing of what is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

UNLOCKED_SECONDS = 60.0  # that something new of a living process may wait for its lock
_NAME = re.compile(r"\.(.+)\.(\d{1,9})\.tmp", re.ASCII | re.DOTALL)
_RETRY_SECONDS = 0.02


def temporary_path(target: Path) -> Path:
    """Return where this process makes what is to be moved to `target`."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def final_path(path: Path) -> Path:
    """Return where a path will lie once all that is not finished has its place."""
    return Path(*(match[1] if (match := _NAME.fullmatch(part)) else part for part in path.parts))


@contextlib.contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Make a folder that is to be moved to `target`; what still lies there afterwards is removed.

    Raises OSError when it cannot be made.
    """
    folder = temporary_path(target)
    shutil.rmtree(folder, ignore_errors=True)  # of a dead process that had this number
    folder.mkdir(parents=True)
    lock = lock_path(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        unlock(lock)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Make a folder next to its place; it is moved there whole at the end, over an empty folder if need be.

    What a killed command left of the same folder is removed first. Raises OSError when it cannot be made.
    """
    target = target.absolute()
    remove_leftovers(target.parent, target.name.__eq__)
    with temporary_folder(target) as folder:
        yield folder
        folder.replace(target)


def discard_folder(folder: Path) -> None:
    """Remove a folder so that no reader sees a part of it; it stays whole where it cannot be moved away."""
    hidden = temporary_path(folder)
    with contextlib.suppress(OSError):
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


# Locks --------------------------------------------------------------------------------------------


def lock_path(path: Path) -> int | None:
    """Lock a file or folder for as long as this process lives; None where that is not possible.

    Somebody else holds the lock, or the disk or the system has none. `unlock` takes what is returned.
    """
    try:
        import fcntl

        file = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def unlock(lock: int | None) -> None:
    if lock is not None:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_UN)  # a fork that still has the file must not keep the lock
        os.close(lock)


@contextlib.contextmanager
def locked_folder(folder: Path, seconds: float) -> Iterator[None]:
    """Hold a folder's lock, which the system frees when the process dies, however it dies.

    Without any lock where the disk or the system has none. Raises TimeoutError when somebody else holds it
    for so long, OSError when the folder cannot be opened.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    file: int | None = os.open(folder, os.O_RDONLY)
    until = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError from None
                time.sleep(_RETRY_SECONDS)
            except OSError:  # a disk without locks
                break
        yield
    finally:
        with contextlib.suppress(OSError):
            unlock(file)


# What dead processes left -------------------------------------------------------------------------


def remove_leftovers(folder: str | Path, is_target: Callable[[str], bool]) -> None:
    """Remove what dead processes left in a folder. is_target: whether a name is one of ours to write."""
    for path in find_leftovers(folder, is_target):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def find_leftovers(folder: str | Path, is_target: Callable[[str], bool]) -> list[Path]:
    """Return the unfinished files and folders of dead processes in a folder, in name order."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name[:1] == ".")
        found = [(Path(folder, name), match) for name in names if (match := _NAME.fullmatch(name))]
        return [path for path, match in found if is_target(match[1]) and not is_in_use(path, int(match[2]))]
    return []


def is_in_use(path: Path, pid: int) -> bool:
    """Whether a living process fills this file or folder; something that is neither counts as in use.

    Its lock tells, since a number may be another process's by now, or of one that another container hides;
    the number tells where there are no locks, and of what is so new that it is not locked yet.
    """
    try:
        state = path.lstat()
    except OSError:
        return True
    if not (stat.S_ISDIR(state.st_mode) or stat.S_ISREG(state.st_mode)):
        return True
    is_locked = _is_locked(path)
    if is_locked is None:
        return _is_alive(pid)
    if is_locked:
        return True
    return pid != os.getpid() and _is_alive(pid) and time.time() - state.st_mtime < UNLOCKED_SECONDS


def _is_locked(path: Path) -> bool | None:
    """Whether somebody has the lock of a file or folder; None where the disk or the system has no locks."""
    try:
        import fcntl

        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has asked for its exit status yet."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_bytes()
        return state.rpartition(b")")[2].split()[:1] == [b"Z"]
    return False
