"""`harness season init`: a season of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import Json, PlainCommand, app, print_json

season = typer.Typer(name="season", help="Begin a season of your own.", no_args_is_help=True)
app.add_typer(season)


@season.command(cls=PlainCommand, short_help="Begin a season in a new folder")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the season; made if missing.")],
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Name of your club; else the folder's.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Begin a season: runs/ with field.toml, a README, .gitignore, a theme, a workflow that publishes it.

    Commands that are called in DIR, or below it, play and show this season.
    """
    from harness.season.own_season import init_season

    written = init_season(folder, title)
    if as_json:
        print_json("season init", folder=str(folder), files=[str(path) for path in written])
        return
    for path in written:
        typer.echo(f"  {path}")
    enter = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    typer.echo(f'{folder}: a new season. Next: {enter}harness run 1 --title "First Tee"')
