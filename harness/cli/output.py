"""What all commands share beside the app: how a season is opened, and how results, warnings and problems are said.

Knows nothing of typer, which takes longer to import than a listing of thousands of attempts takes to print.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import Exit, UsageError
from harness.records.names import half_attempts

if TYPE_CHECKING:
    from harness.season.season import Season, Standing

JSON_SCHEMA = 1  # of every object that --json prints


def say(text: str) -> None:
    """Print a result. Flushed at once: that nobody reads any more is noticed here, not when Python ends."""
    print(text, flush=True)


def check_runs(runs: Path) -> None:
    """Refuse a folder that was named and is not there; the default one may be missing: an empty season."""
    if not runs.is_dir() and runs != Path("runs"):
        raise UsageError(f"there is no folder {runs}", "name the folder of the season with --runs DIR")


def open_season(runs: Path, summaries: bool = False) -> Season:
    """Read a season. summaries: only what tables need, from the cache where that is up to date."""
    check_runs(runs)
    from harness.season.season import load_season, summarise_season

    return summarise_season(runs) if summaries else load_season(runs)


def standing_of(season: Season, folder: str) -> Standing:
    return season.standing(next(hole for hole in season.holes if hole.name.folder == folder))


def report_problems(problems: Sequence[str], strict: bool) -> None:
    for problem in problems:
        warn(problem)
    if strict and problems:
        sys.exit(Exit.FAILED)


def report_unfinished(runs: Path, folders: Iterable[str]) -> None:
    """Notice half attempts whose harness is gone, in holes by their folders: say what is there and what to type."""
    half = [(folder, name) for folder in folders for name in half_attempts(f"{runs}/{folder}")]
    if not half:
        return
    from harness.records.store import Attempt
    from harness.run.unfinished import look_at

    for folder, name in half:
        seen = look_at(folder, Attempt(runs / folder / name, int(name[8:])))
        if not seen.running:
            warn(seen.what_to_do)


def print_json(command: str, **data: Any) -> None:
    import json

    say(json.dumps({"schema": JSON_SCHEMA, "command": command, **data}, ensure_ascii=False, indent=2))


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


class CourseProgress:
    """Say how the preparation of a course goes, on standard error; silent when there is nothing to prepare."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, share: float) -> None:
        if sys.stderr.isatty():
            filled = int(share * 30)
            bar = f"\r{what:40.40} [{'#' * filled}{'.' * (30 - filled)}]"
            print(bar, end="", file=sys.stderr, flush=True)
            if share >= 1:
                print("\r" + " " * 74 + "\r", end="", file=sys.stderr, flush=True)
        elif what != self._last:
            print(what, file=sys.stderr, flush=True)
        self._last = what
