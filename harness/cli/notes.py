"""Notes: the numbers in them held against the records, and what a note may bind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import HoleArgument, Json, PlainCommand, Runs, app, open_season, print_error, print_json
from harness.errors import Exit

if TYPE_CHECKING:
    from harness.season.hole import PlayedHole
    from harness.season.numerals import NotesReport
    from harness.season.season import Season

notes = typer.Typer(name="notes", help="Hold notes against the records.", no_args_is_help=True)
app.add_typer(notes)


@notes.command(cls=PlainCommand, short_help="Find numbers that no record holds")
def check(
    reference: Annotated[
        str | None, typer.Argument(metavar="[HOLE]", help="One hole; default: all of the season.")
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Find numbers in notes that match nothing in the records of their hole.

    Also looked at: the holes it is compared with and those that a paragraph mentions. Exit 1 when one matches
    nothing, or when a binding fails.
    """
    from harness.season.numerals import check_notes

    season = open_season(runs)
    holes = [_find(season, runs, reference)] if reference else list(season.holes)
    reports = [check_notes(season, played) for played in holes]
    ok = not any(report.unmatched or report.problems for report in reports)
    if as_json:
        print_json("notes check", ok=ok, holes=[_as_data(*one) for one in zip(holes, reports, strict=True)])
    else:
        _print(reports)
    raise typer.Exit(Exit.DONE if ok else Exit.FAILED)


def _print(reports: list[NotesReport]) -> None:
    for report in reports:
        for match in report.unmatched:
            typer.echo(match.message)
    for report in reports:
        for problem in report.problems:
            print_error(problem.message, problem.hint)
    typed = sum(len(report.matches) for report in reports)
    unmatched = [match for report in reports for match in report.unmatched]
    bound = sum(report.bound for report in reports)
    typer.echo(
        f"{bound} bound to records, {typed - len(unmatched)} typed as a record has them, "
        f"{len(unmatched)} that no record holds"
    )
    if unmatched:
        typer.echo(
            "correct them, or bind them: `harness notes values HOLE` lists what a hole's notes may name; "
            f"{{{{ cited = {unmatched[0].numeral} }}}} is a number from elsewhere"
        )


def _as_data(played: PlayedHole, report: NotesReport) -> dict[str, object]:
    return {
        "hole": played.name.folder,
        "bound": report.bound,
        "problems": [
            {"place": one.place, "binding": one.binding, "problem": one.reason, "hint": one.hint}
            for one in report.problems
        ],
        "typed": [
            {
                "place": one.place,
                "numeral": one.numeral,
                "matches": one.found,
                "binding": one.binding or None,
                "record": one.record or None,
            }
            for one in report.matches
        ],
    }


@notes.command(cls=PlainCommand, short_help="List what a hole's notes may name")
def values(reference: HoleArgument, runs: Runs = Path("runs"), as_json: Json = False) -> None:
    """List every figure that the notes of a hole may bind, with its value and its meaning."""
    from harness.season.quantities import list_known

    season = open_season(runs)
    played = _find(season, runs, reference)
    known = list(list_known(season, played))
    if as_json:
        print_json(
            "notes values",
            hole=played.name.folder,
            values=[
                {"binding": one.name, "value": one.value, "meaning": one.quantity.meaning} for one in known
            ],
        )
        return
    texts = [one.quantity.write(one.value) for one in known]
    names = max((len(one.name) for one in known), default=0)
    for one, text in zip(known, texts, strict=True):
        typer.echo(f"{one.name:{names}}  {text:>14}  {one.quantity.meaning}")


def _find(season: Season, runs: Path, reference: str) -> PlayedHole:
    from harness.records.store import Store

    folder = Store(runs).get(reference).name.folder
    return next(hole for hole in season.holes if hole.name.folder == folder)
