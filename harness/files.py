"""Files: those of a season, opened without links and written whole; those that ship with the package.

Knows nothing of what the files mean. `templates/`, `site/` and `harness/data` lie in a checkout beside or in
the package, in an installed wheel `templates/` and `site/` lie under `harness/_share` (see `force-include` in
pyproject.toml); nothing else may know that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tomllib
from pathlib import Path
from typing import Any, BinaryIO, cast

from harness.errors import HarnessError

PACKAGE = Path(__file__).resolve().parent
_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)  # a system without it has no such links either
_CHUNK = 1 << 16  # bytes


def open_plain(path: Path, mode: str = "rb") -> BinaryIO:
    """Open a file in a binary mode. Raises OSError, for a link too."""
    return cast("BinaryIO", open(path, mode, opener=_open))


def read_plain(path: Path) -> bytes:
    """Read a whole file. Raises OSError, for a link too."""
    file = _open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # half the time of a file object
    try:
        return b"".join(iter(lambda: os.read(file, _CHUNK), b""))
    finally:
        os.close(file)


def _open(path: str | Path, flags: int) -> int:
    try:
        return os.open(path, flags | _NO_LINKS, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "it is a link, and links are not followed", str(path)) from error
        raise


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file that people write. Raises HarnessError with the place of a mistake."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}") from error
    return parse_toml(content, path)


def parse_toml(content: bytes, path: Path) -> dict[str, Any]:
    """Read what people wrote in a file. Raises HarnessError with the place of a mistake."""
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path} is not UTF-8 text: {error.reason}", "save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise HarnessError(f"{path} is not valid TOML: {error}", "mend that line") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file next to its place, flush it, then rename it there. Raises HarnessError with the path."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> HarnessError:
    return HarnessError(
        f"cannot write {path}: {error.strerror or error}",
        "check the disk's space and the folder's permissions, or name another folder with --runs DIR",
    )


# Folders ------------------------------------------------------------------------------------------


def is_used(folder: Path) -> bool:
    """Whether something is at this path that must not be written over: all but an empty folder."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def refuse_used(folder: Path, option: str) -> None:
    """Raise HarnessError unless the folder is empty or not there. option: names another folder."""
    if is_used(folder):
        raise HarnessError(f"{folder} exists and is not empty", f"name a new folder with {option} DIR")


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
