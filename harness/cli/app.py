"""The command line: the app, the options that commands share, how seasons are opened and results printed.

A command lies in a module of its own and parses, calls one function and prints; `harness.cli.commands` has
them all. Whatever is slow to import is imported inside the command that needs it: `harness --help` feels
instant.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness import JSON_SCHEMA, __version__
from harness.cli.completion import complete_hole
from harness.cli.terminal import answer_once, guard_streams, unguarded
from harness.errors import Exit, HarnessError, UsageError
from harness.plain_text import escape_json, plain_line
from harness.records.store import Attempt, Store, attempts_without_record

if TYPE_CHECKING:
    from harness.season.season import Season
    from harness.season.standing import Standing


# The commands as `harness --help` lists them, by what one does with them.
GROUPS: dict[str, tuple[str, ...]] = {
    "Begin": ("season", "doctor", "data", "courses", "presets", "knobs"),
    "Play": ("new", "run", "evaluate", "resume", "noise", "confirm"),
    "While it plays": ("watch", "wait", "stop"),
    "Look and compare": ("ls", "show", "compare", "brief", "check", "notes"),
    "Keep in order": ("decide", "tag", "archive", "rename", "rm", "restore", "salvage", "drop-attempt"),
    "Others' runs, and handing in": ("import", "export", "submit"),
    "The website": ("publish", "preview"),
}


class Commands(TyperGroup):
    """The commands of the app, listed by what one does with them.

    Ctrl-C is an error like others; typer would end without a word.
    """

    def format_commands(self, ctx, formatter) -> None:  # type: ignore[no-untyped-def]
        others = [name for name in self.list_commands(ctx) if name not in set().union(*GROUPS.values())]
        for heading, names in (GROUPS | {"Other commands": tuple(others)}).items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, self._summary(command)) for name, command in commands if command]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    @staticmethod
    def _summary(command: Any) -> str:
        """Return a command's whole summary: what click returns is cut to a width."""
        text: str = (command.short_help or command.help or "").strip().partition("\n")[0]
        return text.removesuffix(".")

    def invoke(self, ctx) -> Any:  # type: ignore[no-untyped-def]
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise HarnessError("interrupted", exit_code=Exit.INTERRUPTED) from None


app = typer.Typer(
    name="harness",
    cls=Commands,
    help="Train small models under hard limits; keep every run, compare it fairly, publish its scorecard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _find_runs(ctx: typer.Context, runs: Path) -> Path:
    """Return the season's folder: as named, else `runs` here or in a folder above."""
    source = ctx.get_parameter_source("runs")
    if source is None or source.name != "DEFAULT" or runs.is_dir():
        return runs
    from harness.season.own_season import find_season

    return find_season(Path())


Runs = Annotated[
    Path,
    typer.Option(
        "--runs",
        metavar="DIR",
        help="Folder of the season; looked for here, then in the folders above.",
        envvar="HARNESS_RUNS",
        show_default=True,
        callback=_find_runs,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
HoleArgument = Annotated[
    str,
    typer.Argument(
        metavar="HOLE", help="A hole: round_006, its full name, or 6.", autocompletion=complete_hole
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 when a file could not be read.")]


# ClickException, raised for a command line that cannot be parsed; where it lies depends on typer's version.
ParseError: type[Any] = typer.BadParameter.__mro__[2]

_METAVARS = {"<str>": "TEXT", "<int>": "NUMBER", "<path>": "PATH", "<list[str]>": "TEXT"}
_RANGE = re.compile(r"(?:; )?(?:(?<![\d.])[\d.]++<=?)?x[<>]=?[\d.]+")  # as in "[default: 1; x>=1]"


class PlainCommand(TyperCommand):
    """A command with plain help: options under their `rich_help_panel`, no Python types, no ranges."""

    def collect_usage_pieces(self, ctx) -> list[str]:  # type: ignore[no-untyped-def]
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return ["[OPTIONS]", *(str(getattr(one, "metavar", one.name)) for one in arguments)]

    def format_options(self, ctx, formatter) -> None:  # type: ignore[no-untyped-def]
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is None:
                continue
            name, text = row[0], _RANGE.sub("", row[1]).removesuffix("  []")
            default = "Options"
            if parameter.param_type_name == "argument":
                default, metavar = "Arguments", str(getattr(parameter, "metavar", parameter.name))
                name = metavar[1:-1] if metavar.startswith("[") else metavar
            for kind, metavar in _METAVARS.items():
                name = name.replace(kind, metavar)
            heading = getattr(parameter, "rich_help_panel", None) or default
            sections.setdefault(heading, []).append((name, text))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def invoke(self, ctx) -> Any:  # type: ignore[no-untyped-def]
        for words in (ctx.params.get("reference"), ctx.params.get("references")):
            for reference in [words] if isinstance(words, str) else words or ():
                note_former_name(Path(ctx.params.get("runs") or "runs"), reference)
        return super().invoke(ctx)


class SeasonCommand(PlainCommand):
    """A command that writes: first it removes what killed ones left in the season."""

    def invoke(self, ctx) -> Any:  # type: ignore[no-untyped-def]
        if not ctx.params.get("dry_run"):
            from harness.records.leftovers import sweep

            _note_example(ctx)

            sweep(Path(ctx.params["runs"]))
        return super().invoke(ctx)


_ADDS_HOLES = {"new", "run", "evaluate", "import"}


def _note_example(ctx: Any) -> None:
    """Say so when a hole would be added to the season that ships with the harness, unless it was named."""
    from harness.season.own_season import is_example

    runs = Path(ctx.params["runs"])
    source = ctx.get_parameter_source("runs")
    if ctx.info_name in _ADDS_HOLES and source and source.name == "DEFAULT" and is_example(runs):
        typer.echo(
            f"note: {runs}/ is the example season that ships with the harness; "
            "`harness season init DIR` begins one of your own",
            err=True,
        )


class ScriptCommand(SeasonCommand):
    """A command that hands the words after `--` to a script; see `script_arguments`."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:  # type: ignore[no-untyped-def]
        if "--" in args:
            at = args.index("--")
            ctx.meta[_AFTER_DASHES] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx) -> list[str]:  # type: ignore[no-untyped-def]
        return [*super().collect_usage_pieces(ctx), "[-- ARGUMENTS]"]


_AFTER_DASHES = "harness.after_dashes"


def script_arguments(context: typer.Context) -> tuple[str, ...] | None:
    """Return the words after `--`; None where there was none."""
    words: tuple[str, ...] | None = context.meta.get(_AFTER_DASHES)
    return words


def main() -> None:
    """Run the command line. The only place where a HarnessError is caught.

    With `--json` one object goes to standard output, whatever happens; all other text to standard error.
    """
    as_json = _asks_json()
    guard_streams(for_json=as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, with what that cleans up
    code = _run()
    if as_json:
        try:
            answer_once(json_text("end", exit_code=code))
        except BrokenPipeError:
            _close_output()
    sys.exit(code)


def _run() -> int:
    """Run what was typed and return the exit code."""
    try:
        sys.argv[1:] = map(read_argument, sys.argv[1:])
        if sys.argv[1:2] == ["ls"]:  # what is typed most often need not wait for the other commands
            importlib.import_module("harness.cli.ls")
        else:
            importlib.import_module("harness.cli.commands")
        return int(app(prog_name="harness", standalone_mode=False) or 0)
    except SystemExit as end:
        return int(end.code or 0)
    except HarnessError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except ParseError as error:  # an option or argument that is missing, unknown or no value
        return _explain_unparsed(error)
    except (KeyboardInterrupt, typer.Abort):  # outside of any command
        return _fail("interrupted", "", Exit.INTERRUPTED)
    except BrokenPipeError:  # `harness ls | head`
        _close_output()
        return Exit.FAILED
    except OSError as error:  # of a file that nobody expected to fail: still no traceback
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        return _fail(what, "check the disk's space and the folder's permissions", Exit.FAILED)
    except Exception as error:
        traceback.print_exc()
        what = f"internal error: {type(error).__name__}: {error}"
        return _fail(what, "a fault of the harness: report it with the lines above", Exit.INTERNAL)


def _fail(error: str, hint: str, code: Exit) -> int:
    """Tell of an error on standard error, and as an object where a program listens."""
    print_error(error, hint)
    if _asks_json():
        try:
            answer_once(json_text("error", error=error, hint=hint, exit_code=int(code)))
        except BrokenPipeError:
            _close_output()
    return code


def _close_output() -> None:
    """Nobody reads any more: let nothing be written when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def read_argument(word: str) -> str:
    """Return a word of the command line as text, whatever the locale. Raises UsageError where it is none."""
    try:
        return os.fsencode(word).decode()
    except UnicodeDecodeError:
        shown = os.fsencode(word).decode(errors="backslashreplace")
        raise UsageError(
            f"{shown} is not UTF-8 text", "type it in UTF-8, or rename the file that it names"
        ) from None


def _asks_json() -> bool:
    """Whether `--json` was typed, and not for a script."""
    words = sys.argv[1:]
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _explain_unparsed(error: Any) -> int:
    """Tell of a command line that could not be parsed; a bare `harness` shows the help instead."""
    context: Any = getattr(error, "ctx", None)
    if "NoArgs" in type(error).__name__:
        print(context.get_help(), file=sys.stderr)
        return Exit.USAGE
    message = _name_value(error) or error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    hint = f"`{context.command_path} --help` lists what it takes" if context else ""
    unknown = message.startswith(("no such option", "got unexpected extra"))
    if context and unknown and isinstance(context.command, ScriptCommand) and "--" not in sys.argv:
        hint += "; what is meant for the script goes behind `--`: -- --depth 12"
    return _fail(message, hint, Exit.USAGE)


def _name_value(error: Any) -> str:
    """Say which value of which option was refused and why; empty where the error is of another kind."""
    options, reason = (
        getattr(getattr(error, "param", None), "opts", None) or [],
        getattr(error, "message", ""),
    )
    if not str(reason).startswith("Input should be"):
        return ""
    words = [word for text in sys.argv[1:] for word in (text.split("=", 1) if text[:2] == "--" else (text,))]
    values = [f"{name} {value}" for name, value in itertools.pairwise(words) if name in options]
    what = str(reason).rstrip(".").removeprefix("Input should be ").split(",")[0]
    what = what.replace("greater than or equal to", "at least").replace("a valid integer", "a whole number")
    return f"{values[-1]} is not {what}" if values else ""


def print_error(error: str, hint: str) -> None:
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
    """Read a season to show it. summaries: only what tables need, from the cache where that is up to date."""
    check_runs(runs)
    from harness.season.season import load_season, summarise_season

    return summarise_season(runs, shown=True) if summaries else load_season(runs, shown=True)


def note_former_name(runs: Path, reference: str) -> None:
    """Say so when a hole is meant by a name that it had before."""
    if (runs / reference).is_dir() or not runs.is_dir():
        return
    from harness.season.aliases import former_name

    if name := former_name(Store(runs), reference):
        typer.echo(f"note: {reference} is {name.folder} now", err=True)


def find_standing(season: Season, folder: str) -> Standing:
    return season.standing(next(hole for hole in season.holes if hole.name.folder == folder))


# What is printed ----------------------------------------------------------------------------------


def report_problems(problems: Sequence[str], strict: bool) -> None:
    for problem in problems:
        warn(problem)
    if strict and problems:
        sys.exit(Exit.FAILED)


def report_unfinished(runs: Path, folders: Iterable[str]) -> None:
    """Warn of attempts of these holes that ended without a record, and say what to type."""
    unfinished = [
        (folder, name) for folder in folders for name in attempts_without_record(f"{runs}/{folder}")
    ]
    if not unfinished:
        return
    from harness.run.unfinished import inspect_attempt

    for folder, name in unfinished:
        attempt = inspect_attempt(folder, Attempt(runs / folder / name, int(name[8:])))
        if not attempt.running:
            warn(attempt.what_to_do)


def print_result(text: str) -> None:
    """Print a result. Flushed at once: that nobody reads any more is noticed here, not when Python ends."""
    print(text, flush=True)


def print_json(command: str, /, **data: Any) -> None:
    """Print the one object of a command. Whatever else it prints goes to standard error."""
    answer_once(json_text(command, **data))


def json_text(command: str, /, **data: Any) -> str:
    head = {"schema": JSON_SCHEMA, "command": command}
    return escape_json(json.dumps({**head, **data, **head}, ensure_ascii=False, indent=2))


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


class CourseProgress:
    """Shows how the preparation of a course goes, on standard error; silent if nothing needs preparing."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, share: float) -> None:
        if sys.stderr.isatty():
            filled = int(share * 30)
            bar = f"\r{plain_line(what):40.40} [{'#' * filled}{'.' * (30 - filled)}]"
            print(bar, end="", file=unguarded(sys.stderr), flush=True)
            if share >= 1:
                print("\r" + " " * 74 + "\r", end="", file=unguarded(sys.stderr), flush=True)
        elif what != self._last:
            print(what, file=sys.stderr, flush=True)
        self._last = what
