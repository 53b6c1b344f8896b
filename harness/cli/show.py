"""harness show: one hole with every comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import (
    HoleArgument,
    Json,
    PlainCommand,
    Runs,
    Strict,
    app,
    find_standing,
    open_season,
    print_json,
    report_problems,
    report_unfinished,
)
from harness.cli.terminal import console

if TYPE_CHECKING:
    from harness.season.hole import PlayedHole
    from harness.season.season import Season
    from harness.season.standing import Standing


@app.command(cls=PlainCommand, short_help="Show one hole's scorecard")
def show(
    reference: HoleArgument,
    why: Annotated[bool, typer.Option("--why", help="Why it failed: the cause and the last lines.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="How its code differs from its parent's.")] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Show one hole's scorecard, with every comparison computed against the field of its day."""
    from harness.cli.views import scorecard
    from harness.records.store import Store
    from harness.season import pairs, prediction
    from harness.season.selection import describe_selection, selection_data, selection_of

    folder = Store(runs).get(reference).name.folder
    season = open_season(runs)
    standing = find_standing(season, folder)
    record = standing.played.record
    whiff = pairs.parent_whiff(season, standing.played)
    predicted = prediction.forecast(season, standing)
    selection = selection_of(season, standing.played)
    changed = _diff_to_parent(season, standing.played) if diff else None
    if as_json:
        print_json(
            "show",
            **scorecard.as_data(season, standing),
            selection=selection_data(selection).model_dump() if selection else None,
            prediction=prediction.as_data(predicted),
            whiff=whiff.why if whiff else None,
            code_diff=changed,
        )
    else:
        scorecard.print_card(standing)
        if selection:
            typer.echo(f"  {describe_selection(selection)}")
        if claim := _describe_claim(season, standing):
            typer.echo(f"  {claim}")
        if whiff:
            typer.echo(f"  {pairs.describe_whiff(whiff)}")
        for line in prediction.describe(predicted):
            typer.echo(f"  prediction: {line}")
        if len(standing.played.entries) > 1:
            console().print(scorecard.attempts_table(standing.played))
        if record and record.scores:
            if len(standing.played.group) > 1:
                typer.echo(f"  {scorecard.shown_attempt(standing.played)}:")
            for score in record.scores:
                typer.echo(f"  {score.stage:20} {score.val_bpb:.8f} bpb  {score.label}")
        if record and record.official and record.official.doubt:
            typer.echo(f"  the score is not sure: {record.official.doubt}")
        if why and record and record.failure:
            typer.echo("\n".join(record.failure.last_lines))
        if changed is not None:
            typer.echo(changed)
    report_unfinished(runs, [folder])
    report_problems(season.problems, strict)


def _describe_claim(season: Season, standing: Standing) -> str:
    """Say that the hole's story is one of many claims and does not survive that; empty where it does."""
    from harness.season.differences import describe_survival

    played, difference = standing.played, standing.story.difference
    comparisons = season.claims.of_course(played.course).comparisons
    if difference is None or not (
        text := describe_survival(difference, season.survives(played), comparisons)
    ):
        return ""
    return f"versus {standing.story.kind}: {text}"


def _diff_to_parent(season: Season, played: PlayedHole) -> str:
    from harness.records.references import is_public
    from harness.season.code_diff import code_diff

    parent = season.parent(played)
    if parent is None:
        reference = played.intent.parent
        if is_public(reference):
            return f"the parent {reference} is a public run: its code is not kept here"
        return (
            f'the parent "{reference}" is not here'
            if reference
            else "round.toml names no parent to differ from"
        )
    return code_diff(played, parent)
