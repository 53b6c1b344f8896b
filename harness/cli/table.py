"""The plain table of `harness ls`. Loads next to nothing where the rows were kept: no typer, no pydantic, no rich."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness import listed
from harness.cli.output import check_runs, open_season, report_problems, report_unfinished, say
from harness.cli.views import holes_table


class Asked(NamedTuple):
    """What `ls` is to show."""

    runs: Path
    course: str | None
    sort: str
    strict: bool


def read_words(words: Sequence[str], runs: str | None) -> Asked | None:
    """Read a command line that asks for the plain table; None for any other, and for any that typer has to judge.

    runs: the season's folder where `--runs` names none.
    """
    if words[:1] != ["ls"]:
        return None
    given = {"--runs": runs or "runs", "--course": None, "--sort": "number"}
    rest = iter(words[1:])
    strict = False
    for word in rest:
        if word == "--strict":
            strict = True
            continue
        value = next(rest, "")
        if word not in given or not value or value.startswith("-"):
            return None
        given[word] = value
    return Asked(Path(str(given["--runs"])), given["--course"], str(given["--sort"]), strict)


def print_holes(runs: Path, course: str | None, sort: str, strict: bool) -> None:
    """Print the table; from the rows that were kept, when nothing changed."""

    def make(marks: listed.Marks) -> listed.Listing:
        season = open_season(runs, glance=True, marks=marks)
        rows = tuple(holes_table.row_of(season.standing(hole, holes_table.KINDS)) for hole in season.holes)
        return listed.Listing(rows, season.problems)

    holes_table.check_sort(sort)
    check_runs(runs)
    found = listed.list_season(runs, make)
    rows = holes_table.sort_rows((row for row in found.rows if course in (None, row.course)), sort)
    say(holes_table.holes_table(rows, _width()) if rows else no_holes(runs, course))
    report_unfinished(runs, (row.folder for row in rows if row.status == "unfinished"))
    report_problems(found.problems, strict)


def no_holes(runs: Path, course: str | None) -> str:
    """Say that there is nothing to list. Raises UsageError when `course` is no course at all."""
    if course is None:
        return f"no holes in {runs}/ yet; `harness run round_001` plays the first"
    from harness.courses.course import load_course

    load_course(course, runs)  # an unknown name is refused, not taken for an empty season
    return f"no holes on {course} in {runs}/ yet; `harness run round_NNN --course {course}` plays one"


def _width() -> int | None:
    """Of the terminal, if there is one."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns
