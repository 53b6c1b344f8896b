"""harness brief: the season in one small object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import Json, PlainCommand, Runs, Strict, app, open_season, print_json, report_problems

if TYPE_CHECKING:
    pass


@app.command(cls=PlainCommand, short_help="Sum up the season")
def brief(
    course: Annotated[
        str | None, typer.Option("--course", metavar="NAME", help="Course; default: the newest.")
    ] = None,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Sum up the season: best, last five, dead ends, open questions, noise, budget used."""
    from harness.courses.course import load_course
    from harness.season.brief import as_data, brief_season, describe

    if course is not None:
        load_course(course, runs)  # an unknown name is refused, not taken for an empty season
    season = open_season(runs)
    summed = brief_season(season, course)
    if as_json:
        print_json("brief", **as_data(summed), problems=list(season.problems))
    else:
        typer.echo("\n".join(describe(summed)))
    report_problems(season.problems, strict)
