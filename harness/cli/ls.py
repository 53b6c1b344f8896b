"""harness ls: all holes as a table, a tree, or JSON. The table's rows are kept in the cache while no file changes."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness import cache
from harness.cli.app import Json, Runs, Strict, app
from harness.cli.output import check_runs, open_season, print_json, report_problems, report_unfinished, say
from harness.cli.views import holes_table
from harness.cli.views.holes_table import Row


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
    holes_table.check_sort(sort)
    check_runs(runs)
    if tree or as_json:
        unfinished, problems = _print_season(runs, course, sort, tree, as_json)
    else:
        unfinished, problems = _print_table(runs, course, sort)
    report_unfinished(runs, unfinished)
    report_problems(problems, strict)


def _print_table(runs: Path, course: str | None, sort: str) -> tuple[list[str], Sequence[str]]:
    """Print the table; return the folders of unfinished holes, and the season's problems."""
    gc.disable()  # looking for garbage takes a tenth of the time, and the process ends with the table
    rows, problems = _load_rows(runs)
    rows = holes_table.sort_rows((row for row in rows if course in (None, row.course)), sort)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    say(holes_table.holes_table(rows, width) if rows else _no_holes(runs, course))
    return [row.folder for row in rows if row.status == "unfinished"], problems


def _print_season(
    runs: Path, course: str | None, sort: str, tree: bool, as_json: bool
) -> tuple[list[str], Sequence[str]]:
    """Print the tree or the JSON object; return the folders of unfinished holes, and the season's problems."""
    from harness.cli.views import scorecard
    from harness.season import lineage

    season = open_season(runs, summaries=not as_json)
    shown = [hole for hole in season.holes if course in (None, hole.course)]
    standings = {hole.name.folder: season.standing(hole) for hole in shown}
    rows = holes_table.sort_rows(map(holes_table.row_of, standings.values()), sort)
    ordered = [standings[row.folder] for row in rows]
    if not shown and as_json:
        _no_holes(runs, course)
    branches = lineage.branches(season, ordered) if tree else []
    if not tree:
        print_json("ls", holes=[scorecard.as_data(s) for s in ordered], problems=list(season.problems))
    elif as_json:
        print_json("tree", holes=list(map(lineage.as_data, branches)), problems=list(season.problems))
    else:
        say("\n".join(map(lineage.describe, branches)) or _no_holes(runs, course))
    return [hole.name.folder for hole in shown if hole.status == "unfinished"], season.problems


def _no_holes(runs: Path, course: str | None) -> str:
    """Say that there is nothing to list. Raises UsageError when `course` is no course at all."""
    if course is None:
        return f"no holes in {runs}/ yet; `harness run round_001` plays the first"
    from harness.courses.course import load_course

    load_course(course, runs)  # an unknown name is refused, not taken for an empty season
    return f"no holes on {course} in {runs}/ yet; `harness run round_NNN --course {course}` plays one"


# Rows ---------------------------------------------------------------------------------------------


def _load_rows(runs: Path) -> tuple[list[Row], Sequence[str]]:
    """Return the rows of a season in the order of play, and its problems; the rows of one with problems are not kept."""
    owner = f"rows {runs.resolve()}\n{runs}"
    entry = cache.load_entries(owner).get("")
    if entry and cache.is_unchanged(str(runs), entry.mark):
        return [Row(*fields) for fields in json.loads(entry.text)], ()
    settled = time.time_ns() - cache.SETTLED_NS
    shared, touched = _mark_shared(runs)
    season = open_season(runs, summaries=True)
    rows = [holes_table.row_of(season.standing(hole, holes_table.KINDS)) for hole in season.holes]
    if touched < settled and rows and len(season.marks) == len(rows) and not season.problems:
        mark = cache.join_marks({".": shared, **season.marks})
        cache.save_entries(owner, {"": cache.Entry(mark, json.dumps(rows))})
    return rows, season.problems


def _mark_shared(runs: Path) -> tuple[str, int]:
    """Mark what all rows follow from: which folders there are, and the user's additions to the courses."""
    courses = sorted(path.name for path in runs.glob("courses/*.toml"))
    names = (".", "field.toml", "field/leaderboard.json", "courses", *(f"courses/{name}" for name in courses))
    return cache.mark_files(str(runs), names)
