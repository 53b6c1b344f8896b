"""`harness new`: the next hole, before it is played."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import run_options
from harness.cli.app import Json, Runs, SeasonCommand, app, print_json
from harness.cli.run_options import WHAT


@app.command(cls=SeasonCommand, short_help="Make the next hole, to be played")
def new(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What the hole tries, in a few words.")],
    hypothesis: run_options.Hypothesis = "",
    inherit: run_options.From = None,
    parent: Annotated[
        str | None,
        typer.Option(
            metavar="HOLE",
            help="The hole that it varies, or a public run: field:NAME, pr:NUMBER; else that of --from.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    predict: run_options.Predict = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="safe tweak, architecture, schedule, optimizer, tokenizer, export, long shot or reference.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    override: run_options.Overrides = None,
    preset: run_options.Preset = None,
    course: run_options.Course = None,
    script: run_options.Script = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Make the next hole with its round.toml and the headings of its notes; nothing is played.

    It gets the next free number. With --from it has that hole's settings, and that hole as its parent.
    """
    from harness.records.intent import load_intent
    from harness.records.prediction import parse_prediction
    from harness.records.store import Store
    from harness.run.new_hole import NewHole, make_new_hole

    asked = NewHole(
        title=title,
        hypothesis=hypothesis,
        strategy=strategy,
        inherit=inherit,
        parent=parent,
        prediction=parse_prediction(predict) if predict else None,
        course=course,
        preset=preset,
        script=script,
        overrides=tuple(override or ()),
    )
    hole = make_new_hole(asked, Store(runs))
    if as_json:
        intent = load_intent(hole.intent_path).model_dump(mode="json")
        print_json("new", hole=hole.name.folder, path=str(hole.path), intent=intent)
        return
    typer.echo(f"{hole.path}/: {hole.name.position}, with round.toml and notes.md")
    typer.echo(
        f"  check it: harness run {hole.name.folder} --dry-run    play it: harness run {hole.name.folder}"
    )
