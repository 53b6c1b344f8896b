"""`harness noise`: how far seeds alone move the score of a configuration on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness import figures
from harness.cli import run_options, series
from harness.cli.app import (
    HoleArgument,
    Json,
    Runs,
    SeasonCommand,
    app,
    find_standing,
    open_season,
    print_json,
)
from harness.cli.run_options import WHAT
from harness.errors import Exit

Seeds = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        help="Finished seeds to have; at least 2, by default as many as verdicts ask for: 5.",
        rich_help_panel=WHAT,
    ),
]


@app.command(cls=SeasonCommand, short_help="Measure the noise over seeds")
def noise(
    reference: HoleArgument,
    seeds: Seeds = None,
    timeout: run_options.Timeout = None,
    max_cost: run_options.MaxCost = None,
    rate: run_options.Rate = None,
    stall: run_options.Stall = None,
    slow: run_options.Slow = None,
    dry_run: series.DryRun = False,
    trust: run_options.Trust = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Play a hole's configuration with further seeds until N have finished here, and show their spread."""
    from harness.records.store import Store
    from harness.run.doctor.machine import played_here
    from harness.run.seeds import distinct_seeds, fresh_seeds, used_seeds
    from harness.season.evidence import FLOOR_SEEDS
    from harness.season.noise import as_data, describe, measure_floor

    limits = run_options.read_limits(timeout, max_cost, rate, None, stall, slow)
    hole, wanted = Store(runs).get(reference), seeds or FLOOR_SEEDS
    folder = hole.name.folder

    def here() -> int:
        return len(distinct_seeds(played_here(series.load_played(runs, folder).group)))

    fresh = fresh_seeds(used_seeds(hole), max(0, wanted - here()))
    turns = series.further_turns(series.load_played(runs, folder), fresh, limits, runs, trust)
    if turns:
        series.check_turns(turns, limits, runs)
    records = [] if dry_run else series.play_turns(turns, limits, runs, outlive=False, result="spread")

    season = open_season(runs)
    played = find_standing(season, folder).played
    floor = measure_floor(season, played, played_here(played.group))
    finished = here()
    if as_json:
        data = {
            "hole": folder,
            "seeds_wanted": wanted,
            "seeds_finished": finished,
            "to_play": [turn.as_data() for turn in turns[len(records) :]],
            "played": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in records],
        }
        print_json("noise", **data, floor=as_data(floor))
    else:
        typer.echo(f"{folder}: what seeds alone do")
        for line in describe(floor) if floor else ["no seed has finished on this machine"]:
            typer.echo(f"  {line}")
        if dry_run and turns:
            typer.echo(f"  to play             {', '.join(str(turn.seed) for turn in turns)}")
            typer.echo("nothing was started; leave out --dry-run to play")
        else:
            if finished > wanted:
                typer.echo(
                    f"  {figures.number(finished, 'seed')} finished on this machine, {wanted} were asked for"
                )
            else:
                typer.echo(f"  {finished} of {figures.number(wanted, 'seed')} finished on this machine")
    if records:
        run_options.end_with(records)
    raise typer.Exit(Exit.DONE)
