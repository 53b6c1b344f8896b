"""Files: those of a season, opened without links and written whole; those that ship with the package.

Knows nothing of what the files mean. `templates/`, `site/` and `harness/data` lie in a checkout beside or in
the package, in an installed wheel `templates/` and `site/` lie under `harness/_share` (see `force-include` in
pyproject.toml); nothing else may know that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from harness.errors import HarnessError, UsageError
from harness.temporary import final_path, lock_path, temporary_path, unlock

PACKAGE = Path(__file__).resolve().parent
_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)  # a system without it has no such links either
_NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes would be waited for
_CHUNK = 1 << 16  # bytes
_HERE, _NO_REPLACE, _EXCHANGE = -100, 1, 2  # AT_FDCWD, RENAME_NOREPLACE and RENAME_EXCHANGE of Linux
_NO_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe, no file"),
    (stat.S_ISCHR, "a device, no file"),
    (stat.S_ISBLK, "a device, no file"),
)


def open_plain(path: Path, mode: str = "rb", root: Path | None = None) -> BinaryIO:
    """Open a file in a binary mode, without waiting for anybody.

    root: a folder above it; no part of the path below that folder may be a link.
    Raises OSError, for a link, a folder, a pipe, a socket and a device too.
    """
    return cast("BinaryIO", open(path, mode, opener=lambda _, flags: _open(path, flags, root)))


def open_file(path: Path) -> BinaryIO:
    """Open a file that a user named, or that lies in a folder which a user named: links are followed.

    Raises OSError, without waiting for anybody, for a folder, a pipe, a socket and a device too.
    """
    return cast("BinaryIO", open(path, "rb", opener=lambda _, flags: _open(path, flags, follows=True)))


def path_below(folder: Path, name: str, place: Path | str) -> Path:
    """Return the path that a stored file means by a name. place: the stored file, for the error.

    Raises HarnessError for a name that leads out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise HarnessError(f"{place} names {name!r:.200}, outside of its folder", "nothing was taken from it")
    return folder / path


def plain_below(folder: Path, name: str) -> Path | None:
    """Return a file below a folder by the name that a stored file has for it.

    None where it is missing or no plain file, where a part of its path is a link, or where it lies elsewhere.
    """
    try:
        path = path_below(folder, name, folder)
        os.close(_open(path, os.O_RDONLY, folder))
    except (OSError, HarnessError):
        return None
    return path


def read_plain(path: Path, max_bytes: int | None = None, root: Path | None = None) -> bytes:
    """Read a whole file, as `open_plain` opens it. Raises OSError, for one larger than `max_bytes` too."""
    file = _open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0), root)  # half the time of a file object
    try:
        parts, size = [], 0
        while part := os.read(file, _CHUNK):
            size += len(part)
            if max_bytes is not None and size > max_bytes:
                size = max(size, os.fstat(file).st_size)
                raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {max_bytes:,} are read")
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def _open(path: Path, flags: int, root: Path | None = None, follows: bool = False) -> int:
    flags |= _NO_WAIT | (0 if follows else _NO_LINKS)
    try:
        if root is None:
            file = os.open(path, flags, 0o666)
        else:
            file = _open_below(root, path.relative_to(root).parts, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "it is a link, and links are not followed", str(path)) from error
        if error.errno == errno.ENXIO:  # a socket, or a pipe that nobody reads
            raise OSError(error.errno, "it is no file", str(path)) from error
        raise
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        os.close(file)
        what = next((name for is_kind, name in _NO_FILES if is_kind(mode)), "no file")
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO, f"it is {what}", str(path))
    return file


def _open_below(root: Path, parts: Sequence[str], flags: int) -> int:
    """Open a file part by part, each in the folder that was opened before it: none can be made a link."""
    if ".." in parts:
        raise OSError(errno.EINVAL, "it leads out of its folder", str(root.joinpath(*parts)))
    if os.open not in os.supports_dir_fd:  # Windows, where a link needs a privilege
        return os.open(root.joinpath(*parts), flags, 0o666)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=folder)
            except NotADirectoryError as error:  # so is a link called where a folder is asked for
                if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
                raise
            os.close(folder)
            folder = inner
        return os.open(parts[-1], flags, 0o666, dir_fd=folder)
    finally:
        os.close(folder)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file next to its place, flush it, then rename it there. Raises HarnessError with the path."""
    temporary, lock = temporary_path(path), None
    try:
        with temporary.open("wb") as file:
            lock = lock_path(temporary)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise write_error(path, error) from error
    finally:
        unlock(lock)


class WriteError(HarnessError):
    """A file or folder could not be written."""


def write_error(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"cannot write {final_path(path)}: {error.strerror or error}",
        "check the disk's space and the folder's permissions, or name another folder with --runs DIR",
    )


def exchange(a: Path, b: Path) -> bool:
    """Let two paths change places in one step, so that neither is ever missing.

    False where the system or the disk cannot; nothing is changed then. Raises OSError for other reasons.
    """
    return _rename(a, b, _EXCHANGE)


def move_new(source: Path, target: Path) -> None:
    """Move a file or folder to a place where nothing is, by one rename.

    Raises FileExistsError when something is there, be it an empty folder; OSError for other reasons.
    """
    if _rename(source, target, _NO_REPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def _rename(a: Path, b: Path, flags: int) -> bool:
    """Rename as Linux does with flags; False, and nothing is changed, where the system or the disk cannot."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    if call(_HERE, os.fsencode(a), _HERE, os.fsencode(b), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(b))


# Folders ------------------------------------------------------------------------------------------


def is_used(folder: Path) -> bool:
    """Whether something is at this path that must not be written over: all but an empty folder."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def refuse_used(folder: Path, option: str) -> None:
    """Raise UsageError unless the folder is empty or not there. option: names another folder."""
    if is_used(folder):
        raise UsageError(f"{folder} exists and is not empty", f"name a new folder with {option} DIR")


def shared_dir(name: str) -> Path:
    """Return the folder `templates` or `site`, wherever this installation keeps it.

    Raises FileNotFoundError when the installation is incomplete.
    """
    for candidate in (PACKAGE / "_share" / name, PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}/ is missing from this installation of harness")


def data_path(*parts: str) -> Path:
    """Return the path of a data file that ships inside the package."""
    return PACKAGE.joinpath("data", *parts)


def cache_dir() -> Path | None:
    """Return the folder for what can be made again: `$HARNESS_CACHE`, else the XDG cache; or None."""
    own, xdg = os.environ.get("HARNESS_CACHE"), Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        if own:
            return Path(own).expanduser().absolute()
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "parameter-golf"
    except RuntimeError:
        return None
