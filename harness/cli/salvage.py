"""`harness salvage` and `harness drop-attempt`: what ends an attempt that nobody will finish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, Runs, SeasonCommand, app, print_json
from harness.errors import Exit

AttemptNumber = Annotated[int, typer.Argument(metavar="N", help="Number of the attempt, as `show` has it.")]


@app.command(cls=SeasonCommand, short_help="Record what an unfinished attempt left")
def salvage(
    reference: HoleArgument,
    attempt: Annotated[
        int | None,
        typer.Option(metavar="N", help="Attempt number; default: the newest without a record."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write the record that an attempt lacks, from its curve, log and checkpoint; nothing is trained."""
    from harness import figures
    from harness.cli.app import warn
    from harness.run.salvage import salvage as write_salvaged

    record = write_salvaged(reference, runs, attempt)
    if as_json:
        print_json("salvage", record=record.model_dump(mode="json", by_alias=True, exclude_none=True))
        raise typer.Exit(Exit.DONE)
    for warning in record.warnings:
        warn(warning)
    steps = "no step" if record.steps is None else figures.number(record.steps, "step")
    loss = "" if record.last_train_loss is None else f", train_loss {record.last_train_loss:.4f}"
    score = f"val_bpb {figures.bpb(record.val_bpb)}" if record.complete else "no score"
    typer.echo(f"{record.hole} attempt {record.attempt}: {record.status}, {steps}{loss}, {score}")
    raise typer.Exit(Exit.DONE)


@app.command("drop-attempt", cls=SeasonCommand, short_help="Move an unfinished attempt to the trash")
def drop_attempt(
    reference: HoleArgument,
    number: AttemptNumber,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with it in the trash.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Move an attempt without a record to the season's trash, whole; one with a record stays as evidence."""
    from harness.records.store import Store
    from harness.run.unfinished import refuse_recorded
    from harness.season.trash import remove_attempt

    store = Store(runs)
    hole = store.get(reference)
    removed = remove_attempt(store, hole, refuse_recorded(hole, number), reason)
    if as_json:
        print_json("drop-attempt", hole=hole.name.folder, attempt=number, trash=str(removed.path))
        return
    typer.echo(f"{hole.name.folder} attempt {number} lies in {removed.path}")
    typer.echo(f"  `harness restore {removed.name}` brings it back")
