"""`harness watch`: look at a running attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, PlainCommand, Runs, app, print_json
from harness.cli.terminal import console


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
    from harness.cli.views import watched
    from harness.run.watch import watch as watching

    watcher = watching.AttemptWatcher(runs, reference, attempt)
    if as_json:
        print_json("watch", **watching.as_data(watcher.read()))
        return
    screen = console()
    if once:
        watched.show_once(watcher, screen)
        return
    try:
        watched.follow(watcher, screen, every)
    except KeyboardInterrupt:
        typer.echo("the run goes on", err=True)
