"""Opens files of a season as what they are: a link is refused, since it could lead anywhere outside of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO, cast

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
