"""harness preview: serve the season and follow it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import Json, PlainCommand, Runs, app, print_json


@app.command(cls=PlainCommand, short_help="Serve the website to this machine")
def preview(
    site: Annotated[
        Path | None, typer.Argument(metavar="[SITE]", help="A published folder, to be served as it is.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes any free port.")
    ] = 8000,
    theme: Annotated[
        Path | None, typer.Option("--theme", help="Folder whose templates, assets and copy win over ours.")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="Another name it is asked under, such as a proxy's; repeatable.",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Serve the club to this machine only, until Ctrl-C; pages follow season, theme and running attempt."""
    from harness.publish import preview as watching

    def ready(address: str) -> None:
        if as_json:
            print_json("preview", url=address)
        else:
            typer.echo(address)
        sys.stdout.flush()

    def built(one: watching.Built) -> None:
        for problem in one.problems:
            typer.echo(f"{'error' if one.failed else 'warning'}: {problem}".rstrip(), err=True)
        what = "not built" if one.failed else f"{one.changed} file{'' if one.changed == 1 else 's'} built"
        typer.echo(f"{what} in {one.seconds:.1f} s", err=True)

    if site is not None:
        watching.preview_site(site, port, ready, host or ())
    else:
        watching.preview_season(runs, theme, port, ready, built, host or ())
