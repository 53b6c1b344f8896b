"""The app and its common options; what all commands say is in `harness.cli.output`.

Whatever is slow to import is imported inside the command that needs it: `harness --help` feels instant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness import __version__

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
