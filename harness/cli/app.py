"""The command line: the app, the options that commands share, how seasons are opened and results printed.

A command lies in a module of its own and parses, calls one function and prints; `harness.cli.commands` has
them all. Whatever is slow to import is imported inside the command that needs it: `harness --help` feels
instant.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import __version__
from harness.errors import Exit, HarnessError, UsageError
from harness.records.store import Attempt, half_attempts

if TYPE_CHECKING:
    from harness.season.season import Season, Standing

JSON_SCHEMA = 1  # of every object that --json prints

app = typer.Typer(
    name="harness",
    help="Train small models under hard limits; keep every run, compare it fairly, publish its scorecard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Runs = Annotated[
    Path, typer.Option("--runs", help="Folder of the season.", envvar="HARNESS_RUNS", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
HoleArgument = Annotated[str, typer.Argument(metavar="ROUND", help="A hole: round_006, its full name, or 6.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 when a file could not be read.")]


def main() -> None:
    """Run the command line. The only place where a HarnessError is caught."""
    try:
        if sys.argv[1:2] == ["ls"]:  # what is typed most often need not wait for the other commands
            importlib.import_module("harness.cli.ls")
        else:
            importlib.import_module("harness.cli.commands")
        app()
    except HarnessError as error:
        _print_error(error.message, error.hint)
        if "--json" in sys.argv:
            print_json("error", error=error.message, hint=error.hint, exit_code=int(error.exit_code))
        sys.exit(int(error.exit_code))
    except SystemExit as leaving:
        # Raised while typer handled what it could not parse: it has printed a text for people, but no JSON.
        unparsed = getattr(leaving.__context__, "format_message", None)
        if unparsed is not None and "--json" in sys.argv:
            print_json("error", error=unparsed(), hint="", exit_code=leaving.code)
        raise
    except KeyboardInterrupt:
        sys.exit(130)  # as typer ends, and shells do
    except BrokenPipeError:  # `harness ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except OSError as error:  # of a file that nobody expected to fail: still no traceback
        _print_error(
            f"{error.filename or 'a file'}: {error.strerror or error}",
            "check the disk's space and the folder's permissions",
        )
        sys.exit(Exit.FAILED)


def _print_error(error: str, hint: str) -> None:
    print(f"error: {error}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# Seasons ------------------------------------------------------------------------------------------


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


# What is printed ----------------------------------------------------------------------------------


def report_problems(problems: Sequence[str], strict: bool) -> None:
    for problem in problems:
        warn(problem)
    if strict and problems:
        sys.exit(Exit.FAILED)


def report_unfinished(runs: Path, folders: Iterable[str]) -> None:
    """Warn of attempts of these holes that ended without a record, and say what to type."""
    half = [(folder, name) for folder in folders for name in half_attempts(f"{runs}/{folder}")]
    if not half:
        return
    from harness.run.unfinished import inspect_attempt

    for folder, name in half:
        attempt = inspect_attempt(folder, Attempt(runs / folder / name, int(name[8:])))
        if not attempt.running:
            warn(attempt.what_to_do)


def print_result(text: str) -> None:
    """Print a result. Flushed at once: that nobody reads any more is noticed here, not when Python ends."""
    print(text, flush=True)


def print_json(command: str, **data: Any) -> None:
    print_result(
        json.dumps({"schema": JSON_SCHEMA, "command": command, **data}, ensure_ascii=False, indent=2)
    )


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


class CourseProgress:
    """Shows how the preparation of a course goes, on standard error; silent if nothing needs preparing."""

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
