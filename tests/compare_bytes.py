"""Comparisons for big values. A bare `assert a == b` makes pytest compute a diff, on big byte strings for an
hour."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

SHOWN = 40  # bytes, characters or digits shown of either side


def first_difference(left: Sequence[Any], right: Sequence[Any]) -> str:
    """Return where two byte strings, texts or lists first differ, in one short line; "" when they are
    equal."""
    if left == right:
        return ""
    if type(left) is not type(right):
        return f"{type(left).__name__} against {type(right).__name__}"
    lengths = f"lengths {len(left)} and {len(right)}"
    at = next(
        index for index, (a, b) in enumerate(zip_longest(left, right, fillvalue=_END)) if a is _END or a != b
    )
    return f"differ from position {at} ({lengths}): {_part(left, at)} against {_part(right, at)}"


def assert_same(left: Sequence[Any], right: Sequence[Any]) -> None:
    """Fail with the first difference of two byte strings, texts or lists, however long they are."""
    if difference := first_difference(left, right):
        raise AssertionError(difference)


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under a folder, by its path in it: short to compare and to show."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


_END = object()


def _part(values: Sequence[Any], at: int) -> str:
    shown = values[at : at + SHOWN] if isinstance(values, (bytes, str)) else values[at : at + 1]
    return repr(shown)[: 3 * SHOWN]
