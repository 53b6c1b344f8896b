"""What all commands share: the app, common options, output. Errors are caught once, in `main`.

Whatever is slow to import is imported inside the command that needs it: `harness --help` feels instant.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import __version__
from harness.errors import Exit, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.listed import Marks
    from harness.played import Played
    from harness.registry import Season, Standing

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
Reference = Annotated[str, typer.Argument(metavar="ROUND", help="A hole: round_006, its full name, or 6.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 when a file could not be read.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def check_runs(runs: Path) -> None:
    """Refuse a folder that was named and is not there; the default one may be missing: an empty season."""
    if not runs.is_dir() and runs != Path("runs"):
        raise UsageError(f"there is no folder {runs}", "name the folder of the season with --runs DIR")


def open_season(runs: Path, glance: bool = False, marks: Marks | None = None) -> Season:
    """Read a season. glance: only what tables need, from the index where that is up to date; see `glance_season`."""
    check_runs(runs)
    if glance:
        from harness.index import glance_season

        return glance_season(runs, marks)
    from harness.registry import load_season

    return load_season(runs)


def standing_of(season: Season, folder: str) -> Standing:
    return season.standing(next(hole for hole in season.holes if hole.name.folder == folder))


def report_problems(problems: Sequence[str], strict: bool) -> None:
    for problem in problems:
        warn(problem)
    if strict and problems:
        raise typer.Exit(Exit.FAILED)


def report_unfinished(holes: Iterable[Played]) -> None:
    """Notice half attempts whose harness is gone: say what is there and what to type."""
    suspects = list(holes)
    if not suspects:
        return
    from harness.unfinished import find_unfinished

    for half in find_unfinished(suspects):
        if not half.running:
            warn(half.what_to_do)


def print_json(command: str, **data: Any) -> None:
    typer.echo(json.dumps({"schema": JSON_SCHEMA, "command": command, **data}, ensure_ascii=False, indent=2))


def warn(text: str) -> None:
    typer.echo(f"warning: {text}", err=True)


def course_progress() -> Callable[[str, float], None]:
    """Say how the preparation of a course goes, on standard error; silent when there is nothing to prepare."""
    last = ""

    def say(what: str, share: float) -> None:
        nonlocal last
        if sys.stderr.isatty():
            filled = int(share * 30)
            print(
                f"\r{what:40.40} [{'#' * filled}{'.' * (30 - filled)}]", end="", file=sys.stderr, flush=True
            )
            if share >= 1:
                print("\r" + " " * 74 + "\r", end="", file=sys.stderr, flush=True)
        elif what != last:
            print(what, file=sys.stderr, flush=True)
        last = what

    return say


def main() -> None:
    """Run the command line. The only place where a HarnessError is caught."""
    try:
        app()
    except HarnessError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        if "--json" in sys.argv:
            print_json("error", error=error.message, hint=error.hint, exit_code=int(error.exit_code))
        sys.exit(int(error.exit_code))
    except SystemExit as leaving:
        # Raised while typer handled what it could not parse: it has told people, programs are listening still.
        unparsed = getattr(leaving.__context__, "format_message", None)
        if unparsed is not None and "--json" in sys.argv:
            print_json("error", error=unparsed(), hint="", exit_code=leaving.code)
        raise
    except BrokenPipeError:  # `harness ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except OSError as error:  # of a file that nobody expected to fail: still no traceback
        typer.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        typer.echo("hint: check the disk's space and the folder's permissions", err=True)
        sys.exit(Exit.FAILED)
