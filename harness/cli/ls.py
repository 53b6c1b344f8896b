"""harness ls: all holes as a table, a tree, CSV or JSON. The cache keeps the table's rows."""

from __future__ import annotations

import datetime as dt
import gc
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from harness import cache, figures
from harness.cli.app import (
    Json,
    PlainCommand,
    Runs,
    Strict,
    app,
    check_runs,
    open_season,
    print_json,
    print_result,
    report_problems,
    report_unfinished,
)
from harness.cli.views.holes_table import (
    COLUMNS,
    FACTS,
    KINDS,
    TYPES,
    Row,
    check_columns,
    holes_csv,
    holes_table,
    rows_of,
    sort_rows,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.season.season import Season


class Choice(NamedTuple):
    """Which rows are shown: those that pass all tests, in an order, so many. settings: that tests ask for."""

    tests: Sequence[Callable[[Any], bool]]
    settings: frozenset[str]
    sort: str
    limit: int | None

    def of(self, rows: Sequence[Row]) -> list[Row]:
        chosen = [row for row in rows if all(test(row.facts) for test in self.tests)]
        chosen = sort_rows(chosen, self.sort)
        return chosen if self.limit is None else chosen[: self.limit]


_HELP = f"""List all holes: score, distance to par, artifact, tempo, status.

Columns for --where, --sort and --columns: {", ".join(FACTS)}.

In --where a name in capitals is a setting: 'MATRIX_LR>0.03 and "byte" in title'. A bare word is text.
"""


@app.command("ls", cls=PlainCommand, short_help="List all holes with their scores", help=_HELP)
def list_holes(
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="CONDITION", help="Only these: 'val_bpb<1.2 and status==ok'."),
    ] = None,
    course: Annotated[str | None, typer.Option("--course", metavar="NAME", help="Only this course.")] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="WORD", help="Only holes with this tag.")
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Archived holes, too.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Played on this day (2026-11-28) or later.")
    ] = None,
    sort: Annotated[str, typer.Option("--sort", metavar="COLUMN", help="Lowest first.")] = "hole",
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="The first N of them.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="NAMES", help="Show these, separated by commas.")
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Each hole under its parent.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, numbers in full.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With --json: records and all comparisons as well.")
    ] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """List the season's holes, one a line."""
    names = [name.strip() for name in columns.split(",") if name.strip()] if columns is not None else []
    check_columns(names, FACTS if as_csv else COLUMNS, "--columns")
    check_columns([sort], FACTS, "--sort")
    _check_together(tree=tree, csv=as_csv, json=as_json, full=full, columns=columns is not None, limit=limit)
    choice = read_choice(where or [], course, tag, since, sort, limit)
    check_runs(runs)
    if tree or full or choice.settings:
        season = open_season(runs, summaries=not full)
        problems: Sequence[str] = season.problems
        rows = rows_of([season.standing(hole, KINDS) for hole in season.holes])
        rows = _with_settings(season, rows, choice.settings)
    else:
        gc.disable()  # looking for garbage takes a tenth of the time, and the process ends with the table
        season = None
        rows, problems = _load_rows(runs)
    hidden = 0 if archived else sum(row.facts["archived"] for row in rows)
    rows = choice.of([row for row in rows if archived or not row.facts["archived"]])
    nothing = "" if rows else _no_holes(runs, course, filtered=bool(where or since or tag or hidden))
    if tree and season:
        _print_tree(season, rows, as_json, nothing)
    elif full and season:
        _print_full(season, rows)
    elif as_json:
        print_json("ls", holes=[_as_data(row) for row in rows], problems=list(problems))
    elif as_csv:
        print_result(holes_csv(rows, names))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print_result(holes_table(rows, width, names) if rows else nothing)
        if hidden:
            print_result(f"{figures.number(hidden, 'archived hole')} left out; --archived lists all")
    report_unfinished(runs, [row.folder for row in rows if row.facts["status"] == "unfinished"])
    report_problems(problems, strict)


def _check_together(**given: bool | int | None) -> None:
    """Raise UsageError for options that exclude each other."""
    for one, other in map(str.split, ("tree csv", "csv json", "tree columns", "json columns", "tree full")):
        if given[one] and given[other]:
            raise UsageError(f"--{one} and --{other} do not go together", f"leave out --{one} or --{other}")
    if given["full"] and not given["json"]:
        raise UsageError("--full is for --json", "add --json, or leave out --full")


def read_choice(
    where: Sequence[str],
    course: str | None,
    tag: str | None,
    since: str | None,
    sort: str,
    limit: int | None,
) -> Choice:
    """Return which rows are shown. Raises UsageError for what is no condition, no column and no day."""
    tests: list[Callable[[Any], bool]] = []
    settings: frozenset[str] = frozenset()
    if where:
        from harness.cli.where import read_condition

        conditions = [read_condition(text, TYPES) for text in where]
        tests = [condition.test for condition in conditions]
        settings = frozenset().union(*(condition.settings for condition in conditions))
    if course is not None:
        tests.append(lambda facts: facts["course"] == course)
    if tag is not None:
        tests.append(lambda facts: tag.casefold() in facts["tags"])
    if since is not None:
        first = _read_day(since)
        tests.append(lambda facts: facts["date"] is not None and facts["date"] >= first)
    return Choice(tests, settings, sort, limit)


def _read_day(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"--since {text!r} is no day", f"write it as {dt.date.today()}") from None


def _print_full(season: Season, rows: Sequence[Row]) -> None:
    from harness.cli.views import scorecard
    from harness.season.differences import claims_data

    holes = {hole.name.folder: hole for hole in season.holes}
    shown = [scorecard.as_data(season, season.standing(holes[row.folder])) for row in rows]
    print_json("ls", claims=claims_data(season), holes=shown, problems=list(season.problems))


def _print_tree(season: Season, rows: Sequence[Row], as_json: bool, nothing: str) -> None:
    from harness.season import lineage

    holes = {hole.name.folder: hole for hole in season.holes}
    branches = lineage.branches(season, [season.standing(holes[row.folder]) for row in rows])
    if as_json:
        shown = [lineage.as_data(season, branch) for branch in branches]
        print_json("tree", holes=shown, problems=list(season.problems))
    else:
        print_result("\n".join(map(lineage.describe, branches)) or nothing)


def _as_data(row: Row) -> dict[str, Any]:
    from harness.season.schema import ListedHole

    facts = row.facts
    return ListedHole(**{name: facts[name] for name in ListedHole.model_fields}).model_dump(mode="json")


def _no_holes(runs: Path, course: str | None, filtered: bool) -> str:
    """Say that there is nothing to list. Raises UsageError when `course` is no course at all."""
    if course is not None:
        from harness.courses.course import load_course
        from harness.records.store import Store
        from harness.season.aliases import next_number

        load_course(course, runs)  # an unknown name is refused, not taken for an empty season
        number = next_number(Store(runs))
        return f"no holes on {course} in {runs}/ yet; `harness run {number} --course {course}` plays one"
    if filtered:
        return f"no hole in {runs}/ is like that; `harness ls` lists all"
    return f"no holes in {runs}/ yet; `harness run round_001` plays the first"


# Rows ---------------------------------------------------------------------------------------------


def _with_settings(season: Season, rows: Sequence[Row], names: frozenset[str]) -> list[Row]:
    """Add what these settings were in the record shown of each hole, None where it does not tell."""
    if not names:
        return list(rows)
    holes = {hole.name.folder: hole for hole in season.holes}

    def read(folder: str, name: str) -> str | None:
        record = holes[folder].record
        return (record.config.get(name) or record.overrides.get(name)) if record else None

    return [Row({**row.facts, **{name: read(row.folder, name) for name in names}}) for row in rows]


def _load_rows(runs: Path) -> tuple[list[Row], Sequence[str]]:
    """Return the rows of a season in the order of play, and its problems; with problems no rows are kept."""
    owner = f"rows {runs.resolve()}\n{runs}"
    entry = cache.load_entries(owner).get("")
    if entry and cache.is_unchanged(str(runs), entry.mark):
        return [Row(facts) for facts in json.loads(entry.text)], ()
    settled = time.time_ns() - cache.SETTLED_NS
    shared, touched = _mark_shared(runs)
    season = open_season(runs, summaries=True)
    rows = rows_of([season.standing(hole, KINDS) for hole in season.holes])
    if touched < settled and rows and len(season.marks) == len(rows) and not season.problems:
        mark = cache.join_marks({".": shared, **season.marks})
        cache.save_entries(owner, {"": cache.CacheEntry(mark, json.dumps([row.facts for row in rows]))})
    return rows, season.problems


def _mark_shared(runs: Path) -> tuple[str, int]:
    """Mark what all rows follow from: which folders there are, and the user's additions to the courses."""
    courses = sorted(path.name for path in runs.glob("courses/*.toml"))
    names = (".", "field.toml", "field/leaderboard.json", "courses", *(f"courses/{name}" for name in courses))
    return cache.mark_files(str(runs), names)
