"""harness compare: holes against holes or references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import Json, Runs, Strict, app
from harness.cli.output import (
    open_season,
    print_json,
    report_problems,
)
from harness.errors import Exit

if TYPE_CHECKING:
    pass


@app.command()
def compare(
    references: Annotated[
        list[str],
        typer.Argument(metavar="A [B ...]", help="A hole, and holes or entries of runs/field beside it."),
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="par, sota, best, prev, parent: with commas, of A's own day.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show how the code differs, too.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curves: .svg, .png or .pdf.")
    ] = None,
    across_stages: Annotated[
        bool, typer.Option("--across-stages", help="Subtract official scores even of different stages.")
    ] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compare holes: by how much, in which unit, and whether that is more than noise."""
    from harness.cli.views import comparison
    from harness.records.store import Store
    from harness.season.code_diff import code_diff
    from harness.season.pairs import find_other, pairs_of, parse_kinds

    asked = parse_kinds(to) if to is not None else ()
    if plot is not None:
        comparison.check_plot(plot)
    season = open_season(runs)
    by_folder = {hole.name.folder: hole for hole in season.holes}
    played = by_folder[Store(runs).get(references[0]).name.folder]
    others = [find_other(season, reference) for reference in references[1:]]
    pairs = pairs_of(season, played, others, asked, across_stages)
    rivals = [pair.b.name for pair in pairs if diff and pair.b.name in by_folder]
    codes = {name: code_diff(played, by_folder[name]) for name in rivals}

    if as_json:
        code = {"code": codes} if diff else {}
        print_json("compare", hole=played.name.folder, pairs=[comparison.as_data(p) for p in pairs], **code)
    else:
        typer.echo("\n\n".join("\n".join(comparison.describe(pair)) for pair in pairs))
        for folder, text in codes.items():
            typer.echo(f"\n{played.name.folder} against {folder}\n{text}")
    if plot is not None:
        comparison.plot(pairs, plot)
        typer.echo(f"wrote {plot}", err=True)
    report_problems(season.problems, strict)
    if any(pair.difference is None for pair in pairs):
        raise typer.Exit(Exit.NOT_COMPARABLE)
