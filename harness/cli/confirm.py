"""`harness confirm`: whether our best is as good with seeds that had no part in choosing it."""

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
from harness.errors import Exit, UsageError

Seeds = Annotated[
    int,
    typer.Option(metavar="N", min=1, help="Fresh seeds to have finished; at least 1.", rich_help_panel=WHAT),
]


@app.command("confirm", cls=SeasonCommand, short_help="Confirm a score with fresh seeds")
def confirm_hole(
    reference: HoleArgument,
    seeds: Seeds = 3,
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
    """Play seeds that a hole has not seen and judge it by these alone: was it chosen for its luck?"""
    from harness.records.store import Store
    from harness.run.seeds import distinct_seeds, fresh_seeds, used_seeds
    from harness.season.confirmation import (
        as_data,
        confirm,
        describe,
        describe_claim,
        is_fresh,
        state_claim,
    )
    from harness.season.series import find_series

    limits = run_options.read_limits(timeout, max_cost, rate, None, stall, slow)
    hole = Store(runs).get(reference)
    folder = hole.name.folder
    season = open_season(runs)
    played = find_standing(season, folder).played
    claim = state_claim(season, played)
    if played.invalid:
        raise UsageError(
            f"{played.why_invalid}: there is nothing to confirm",
            f'take that back first: `harness decide {folder} keep --reason "..."`',
        )
    if claim is None:
        raise UsageError(
            f"{folder} has no score that could be confirmed", f"play it first: `harness run {folder}`"
        )
    done = len(distinct_seeds([record for record in played.group if is_fresh(record)]))
    fresh = fresh_seeds(used_seeds(hole), max(0, seeds - done))
    turns = series.further_turns(played, fresh, limits, runs, trust, "confirm")
    if turns:
        series.check_turns(turns, limits, runs)
    for line in describe_claim(claim):
        typer.echo(line, err=as_json)
    records = [] if dry_run else series.play_turns(turns, limits, runs, outlive=False)
    left = turns[len(records) :]

    season = open_season(runs)
    played = find_standing(season, folder).played
    confirmation = confirm(season, played)
    assert confirmation is not None
    plan = find_series(played.records)
    no_verdict = plan.no_verdict if plan and not dry_run else ""
    if as_json:
        data = as_data(confirmation) | {
            "hole": folder,
            "seeds_wanted": seeds,
            "to_play": [turn.as_data() for turn in left],
            "played": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in records],
        }
        if no_verdict:
            data |= {"outcome": None, "outcome_why": no_verdict, "to_claim": None, "to_reference": None}
        print_json("confirm", **data)
    elif dry_run and left:
        typer.echo(f"fresh seeds to play: {', '.join(str(turn.seed) for turn in left)}")
        typer.echo("nothing was started; leave out --dry-run to play")
    elif no_verdict:
        typer.echo(f"{no_verdict}; `harness confirm {folder} --seeds {seeds}` plays the rest")
    else:
        typer.echo("\n".join(describe(confirmation)))
        finished = confirmation.fresh.n if confirmation.fresh else 0
        typer.echo(f"{finished} of {figures.number(seeds, 'fresh seed')} finished")
    if records:
        run_options.end_with(records)
    raise typer.Exit(Exit.DONE)
