"""Commands that read a season: ls, show, compare, brief, knobs; and `decide`, which notes a verdict beside one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import table
from harness.cli.app import Json, Runs, Strict, app
from harness.cli.output import (
    open_season,
    print_json,
    report_problems,
    report_unfinished,
)

if TYPE_CHECKING:
    pass


@app.command("ls")
def list_holes(
    course: Annotated[str | None, typer.Option("--course", help="Only this course.")] = None,
    sort: Annotated[str, typer.Option("--sort", help="number, val_bpb, artifact, tempo or date.")] = "number",
    tree: Annotated[bool, typer.Option("--tree", help="Each hole under its parent.")] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """List all holes: score, distance to par, artifact, tempo, status."""
    if not tree and not as_json:
        table.print_holes(runs, course, sort, strict)
        return
    from harness.cli.views import holes_table, scorecard
    from harness.season import lineage

    holes_table.check_sort(sort)
    season = open_season(runs, glance=not as_json)
    shown = [hole for hole in season.holes if course in (None, hole.course)]
    standings = {hole.name.folder: season.standing(hole) for hole in shown}
    ordered = [
        standings[row.folder]
        for row in holes_table.sort_rows(map(holes_table.row_of, standings.values()), sort)
    ]
    if not shown and as_json:
        table.no_holes(runs, course)
    if not tree:
        print_json("ls", holes=[scorecard.as_data(s) for s in ordered], problems=list(season.problems))
    else:
        grown = lineage.branches(season, ordered)
        if as_json:
            rows = [lineage.as_data(branch) for branch in grown]
            print_json("tree", holes=rows, problems=list(season.problems))
        else:
            typer.echo("\n".join(map(lineage.describe, grown)) or table.no_holes(runs, course))
    report_unfinished(runs, (hole.name.folder for hole in shown if hole.status == "unfinished"))
    report_problems(season.problems, strict)
