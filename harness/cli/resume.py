"""`harness resume`: go on with an attempt that ended early."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, Runs, SeasonCommand, app
from harness.cli.run_options import (
    Abort,
    MaxCost,
    Rate,
    Slow,
    Stall,
    Timeout,
    Trust,
    read_limits,
    resume_attempt,
    show_result,
)


@app.command(cls=SeasonCommand, short_help="Resume a stopped attempt")
def resume(
    reference: HoleArgument,
    attempt: Annotated[
        int | None,
        typer.Option(metavar="N", help="Attempt number; default: the newest unfinished one."),
    ] = None,
    timeout: Timeout = None,
    max_cost: MaxCost = None,
    rate: Rate = None,
    abort: Abort = None,
    stall: Stall = None,
    slow: Slow = None,
    trust: Trust = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Go on with a hole's newest unfinished attempt from its checkpoint, or write the record it lacks."""
    limits = read_limits(timeout, max_cost, rate, abort, stall, slow)
    show_result([resume_attempt(reference, runs, limits, trust, attempt)], reference, runs, as_json, "resume")
