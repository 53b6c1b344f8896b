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
    """What a process tells its caller. Scripts rely on these numbers; they never change meaning.

    docs/exit-codes.md is `exit_table()`, and a test holds the two equal.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    CRASHED = 10
    TIMED_OUT = 11
    OVER_CAP = 12
    NOT_COMPARABLE = 13
    BUDGET = 14
    DUPLICATE = 15
    RULE = 16
    INTERNAL = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


EXIT_MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAILED: "could not be done: a file that cannot be read or written, nothing to show, another command "
    "in the way; of a command that checks: a fault was found",
    Exit.USAGE: "usage: what was typed, or what `round.toml` says, cannot be meant: an unknown option, hole, "
    "course or override, a value of the wrong kind, an override that nothing reads",
    Exit.CRASHED: "the training failed: an error, no memory, a loss that is no number, no score; its record "
    "says which",
    Exit.TIMED_OUT: "`--timeout` ended the training",
    Exit.OVER_CAP: "the artifact is over the cap of its course, or would be",
    Exit.NOT_COMPARABLE: "not comparable (`compare`), not compliant (`check`, `submit`), or not the code and "
    "settings of the record",
    Exit.BUDGET: "`--max-cost` is not enough, or is used up",
    Exit.DUPLICATE: "the same was played before, or there is nothing left to do",
    Exit.RULE: "a rule of yours ended the training: `--abort`, `--stall` or `--slow`",
    Exit.INTERNAL: "an error inside the harness itself; the traceback is on standard error",
    Exit.INTERRUPTED: "interrupted, by Ctrl-C or SIGTERM; a training that was going on has its record",
}


def exit_table() -> str:
    """Return the exit codes as a table in Markdown."""
    rows = [f"| {int(code)} | {EXIT_MEANINGS[code]} |" for code in Exit]
    return "\n".join(["| code | meaning |", "| ---: | --- |", *rows]) + "\n"


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
