"""Errors a user can act on, and the exit codes of every command.

A `HarnessError` is raised where a fact is known and caught once, in `harness.cli`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pydantic takes 70 ms, and `harness --help` has no use for it
    from pydantic import ValidationError


class Exit(IntEnum):
    """What a process tells its caller. Scripts rely on these numbers; they never change meaning."""

    DONE = 0
    FAILED = 1  # could not do it
    USAGE = 2
    CRASHED = 10  # the training run failed
    TIMED_OUT = 11
    OVER_CAP = 12
    NOT_COMPARABLE = 13  # or not compliant
    BUDGET = 14
    DUPLICATE = 15  # or a no-op, or an override nobody reads


class HarnessError(Exception):
    """A user's mistake or a fact in the way: what is wrong, then what to type next.

    message: lower case, with the value and the place.
    hint: what was expected and the next thing to do.
    exit_code: what the process ends with.
    """

    def __init__(self, message: str, hint: str = "", exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


class UsageError(HarnessError):
    """What was typed cannot mean anything; exit 2."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Exit.USAGE)


_MOST_PROBLEMS = 5  # of one file that are named


def explain(error: ValidationError) -> str:
    """Return what a model refused as `place: what is wrong with it (found VALUE)`, the first ones."""
    problems = error.errors(include_url=False)
    lines = []
    for item in problems[:_MOST_PROBLEMS]:
        where = ".".join(str(part)[:80] for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")[:300]
        value = "" if isinstance(item["input"], dict) else f" (found {item['input']!r:.80})"
        lines.append(f"{where}: {what}{value}" if where else what)
    if len(problems) > _MOST_PROBLEMS:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS} more")
    return "; ".join(lines)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was most likely meant to be, or None when nothing is close."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None
