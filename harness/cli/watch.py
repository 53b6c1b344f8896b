"""`harness watch`: look at a running attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, PlainCommand, Runs, app, print_json


@app.command(cls=PlainCommand, short_help="Watch an attempt while it trains")
def watch(
    reference: HoleArgument,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="Attempt number; default: the newest.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and leave.")] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often to look; at least 0.1.")
    ] = 1.0,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Watch an attempt while it trains, from any terminal: loss, tempo, time left, projected finish."""
    from rich.console import Console

    from harness.cli.views import watched
    from harness.run.watch import watch as watching

    watcher = watching.AttemptWatcher(runs, reference, attempt)
    if as_json:
        print_json("watch", **watching.as_data(watcher.read()))
        return
    console = Console(highlight=False)
    if once:
        watched.show_once(watcher, console)
        return
    try:
        watched.follow(watcher, console, every)
    except KeyboardInterrupt:
        typer.echo("the run goes on", err=True)
