"""harness decide: what was decided on a hole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import HoleArgument, Json, Runs, SeasonCommand, app, print_json

if TYPE_CHECKING:
    pass


@app.command(cls=SeasonCommand, short_help="Keep, drop or invalidate a hole")
def decide(
    reference: HoleArgument,
    choice: Annotated[str, typer.Argument(metavar="keep|drop|invalid", help="What becomes of the hole.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in your words.")],
    by: Annotated[str, typer.Option("--by", help="Who decides; else the name that git commits with.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Keep, drop or invalidate a hole, with the reason; earlier decisions stay on file."""
    import datetime as dt

    from harness.records.intent import decide as take
    from harness.records.intent import decision_data
    from harness.records.store import Store
    from harness.scripts.git import run_git

    # The name that stands in every commit, not that of the account, which pages would show.
    by = by or (run_git(Path(), "config", "user.name") or "").strip() or "unknown"
    hole = Store(runs).get(reference)
    decision = take(hole, choice, reason, by, dt.datetime.now(dt.UTC).replace(microsecond=0))
    if as_json:
        print_json("decide", hole=hole.name.folder, decision=decision_data(decision))
    else:
        typer.echo(f"{hole.name.folder}: {decision.decision} ({decision.reason})")
