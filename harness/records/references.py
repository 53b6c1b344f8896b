"""How a hole is named on the command line and in round.toml: `6`, `round_006`, `round_6`, the beginning of a
name, or a path into the season, as a shell completes it.

The only owner of that rule. Knows names, not what lies in the folders.
"""

from __future__ import annotations

import difflib
import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import UsageError

FIELD_PREFIX, PR_PREFIX = "field:", "pr:"  # of a reference that means somebody else's run
FIELD_FOLDER = "field"

MAX_DIGITS = 80

# ASCII: \d is any script's digit, and a folder with others would be a second hole of the same number.
_NUMBER = re.compile(r"(round_)?(\d+)", re.ASCII)
_BEGIN = re.compile(r"round_(\d{3,80})(?![^_])", re.ASCII)
_MOST_CLOSE = 3  # names in a hint
_FOLDER_DIGITS = 3  # a folder's number has as many at least


def is_public(reference: str | None) -> bool:
    """Whether a reference is a public run, `field:SLUG` or `pr:NUMBER`, rather than a hole of ours."""
    return reference is not None and reference.startswith((FIELD_PREFIX, PR_PREFIX))


def whole_number(reference: str) -> int | None:
    """Return the hole's number that `6`, `round_6` or `round_006` means, None for other words."""
    match = _NUMBER.fullmatch(reference)
    if match is None:
        return None
    return int(match[2]) if len(match[2]) <= MAX_DIGITS else 0  # a number that no hole has


def folder_name(reference: str) -> str:
    """Return `round_006` for a number in any spelling, and other words as they are."""
    number = whole_number(reference)
    return f"round_{number:03d}" if number is not None else reference


def clean_reference(reference: str, runs: Path) -> str:
    """Return a reference without its path, its spaces and its capitals.

    A path into the season becomes the name of the hole that it leads to, one into `field/` becomes
    `field:NAME`. Raises UsageError for a path that leads elsewhere.
    """
    text = reference.strip()
    for prefix in (FIELD_PREFIX, PR_PREFIX):
        if text.lower().startswith(prefix):
            return prefix + text[len(prefix) :].strip()
    if "/" in text or os.sep in text:
        return _from_path(text, runs)
    return text.lower() if text.isascii() else text


def within_season(text: str, runs: Path) -> str | None:
    """Return the reference that a path into the season stands for: of a hole, or `field:NAME`; else None."""
    places = [Path(text), runs / text] if (runs / text).exists() else [Path(text)]
    for place in places:
        for resolve in (os.path.abspath, os.path.realpath):
            path, season = resolve(place), resolve(runs)
            if path.startswith(season.rstrip(os.sep) + os.sep):
                first, *rest = Path(path).relative_to(season).parts
                if first != FIELD_FOLDER:
                    return first.lower() if first.isascii() else first
                if rest:
                    return FIELD_PREFIX + rest[0]
    return None


def _from_path(text: str, runs: Path) -> str:
    if (reference := within_season(text, runs)) is not None:
        return reference
    bare = text.rstrip("/" + os.sep)
    if bare and "/" not in bare and os.sep not in bare and bare not in (".", ".."):
        return clean_reference(bare, runs)
    raise UsageError(
        f"{text} is no hole of the season in {runs}",
        "name one as `harness ls` does, or its season with --runs DIR",
    )


def close_holes(reference: str, names: Sequence[str]) -> list[str]:
    """Return the names that a reference which fits none was most likely meant to be, the nearest first.

    They hold its number, or their words after the number are spelled nearly like it, else their names are.
    """
    reference = reference.rstrip("/").rpartition("/")[2].lower()
    by_number = re.search(r"\d{1,6}", reference, re.ASCII)
    slugs = {name.split("_", 2)[2]: name for name in reversed(names) if name.count("_") > 1}
    close = [name for name in names if by_number and int(name.split("_")[1]) == int(by_number[0])]
    close += [slugs[slug] for slug in difflib.get_close_matches(reference, slugs, n=_MOST_CLOSE)]
    close = close or difflib.get_close_matches(reference, names, n=_MOST_CLOSE)
    return list(dict.fromkeys(close))[:_MOST_CLOSE]


class HoleIndex:
    """The names of all holes of a season, to look references up in."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._sorted = sorted(folders)
        self._known = frozenset(self._sorted)
        self._numbers: dict[int, list[str]] = {}
        for folder in self._sorted:
            if match := _BEGIN.match(folder):
                self._numbers.setdefault(int(match[1]), []).append(folder)

    def matches(self, reference: str) -> list[str]:
        """Return the folders that a clean reference may mean: the one of that name, else those of that
        number, else those whose names begin so.

        `round_1` may be hole 1 or the beginning of round_150: both are returned.
        """
        if reference in self._known:
            return [reference]
        number = whole_number(reference)
        found = [] if number is None else self._numbers.get(number, [])
        digits = reference.removeprefix("round_")
        if not reference or (number is not None and (digits == reference or len(digits) >= _FOLDER_DIGITS)):
            return found
        first, end = (bisect_left(self._sorted, text) for text in (reference, f"{reference}\U0010ffff"))
        return sorted({*found, *self._sorted[first:end]})


def is_meant(folder: str, reference: str) -> bool:
    """Whether a clean reference may mean this folder."""
    return bool(HoleIndex((folder,)).matches(reference))
