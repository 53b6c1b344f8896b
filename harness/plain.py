"""Opens files of a season as what they are: a link is refused, since it could lead anywhere outside of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO, cast

_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)  # a system without it has no such links either


def open_plain(path: Path, mode: str = "rb") -> BinaryIO:
    """Open a file in a binary mode. Raises OSError, for a link too."""
    try:
        return cast("BinaryIO", open(path, mode, opener=_open))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "it is a link, and links are not followed", str(path)) from error
        raise


def read_plain(path: Path) -> bytes:
    """Read a whole file. Raises OSError, for a link too."""
    with open_plain(path) as file:
        return file.read()


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | _NO_LINKS, 0o666)
