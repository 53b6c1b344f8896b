"""harness ls: all holes as a table, a tree, or JSON. The cache keeps the table's rows."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
from harness.errors import UsageError
from harness.plain_text import plain_line

if TYPE_CHECKING:  # the cache's rows are printed without it
    from harness.season.standing import Comparison, ComparisonKind, Standing


class Row(NamedTuple):
    """A hole in the table. cells: as they are shown. keys: what it can be sorted by, None where not known.

    Plain values only, so that the cache can keep it as JSON, which knows no tuples.
    """

    folder: str
    course: str | None
    status: str
    archived: bool
    cells: Sequence[str]
    keys: Sequence[float | str | None]


KINDS: tuple[ComparisonKind, ...] = ("par", "parent", "previous")  # the comparisons that a row shows
NOT_AMONG_MANY = "?"
LEGEND = f"{NOT_AMONG_MANY} better or worse by itself, but not among all comparisons (see `harness brief`)"

GAP = "   "
NARROWEST_TITLE = 16

# Heading, whether the column is set to the right, what stands in it.
_PARENT, _DECISION, _TAGS = "vs parent", "decision", "tags"  # columns that are left out where they are empty
_COLUMNS: tuple[tuple[str, bool, Callable[[Standing], str]], ...] = (
    ("hole", False, lambda s: s.played.name.folder.split("_")[1]),
    ("title", False, lambda s: plain_line(s.played.title)),
    ("course", False, lambda s: plain_line(s.played.course or "")),
    ("val_bpb", True, lambda s: figures.bpb(s.played.sample.mean) if s.played.sample else "-"),
    ("vs par", True, lambda s: short_delta(s.comparisons["par"])),
    (_PARENT, True, lambda s: short_delta(s.comparisons["parent"])),
    ("vs previous", True, lambda s: short_delta(s.comparisons["previous"])),
    (
        "artifact",
        True,
        lambda s: (
            figures.megabytes(s.played.summary.artifact_bytes) if s.played.summary.artifact_bytes else "-"
        ),
    ),
    (
        "steps",
        True,
        lambda s: figures.count(s.played.summary.steps) if s.played.summary.steps is not None else "-",
    ),
    (
        "ms/step",
        True,
        lambda s: (
            figures.tempo(s.played.summary.step_ms).removesuffix(" ms") if s.played.summary.step_ms else "-"
        ),
    ),
    ("status", False, lambda s: s.played.status),
    ("attempts", True, lambda s: str(s.played.summary.attempts)),
    ("verdict", False, lambda s: s.verdict.name),
    (_DECISION, False, lambda s: s.played.summary.decision or "-"),
    (_TAGS, False, lambda s: " ".join(s.played.summary.tags) or "-"),
)

# What `--sort` can sort by; lower is better for every measure here, and what is missing comes last.
SORT_KEYS: dict[str, Callable[[Standing], float | str | None]] = {
    "number": lambda s: s.played.name.number,
    "val_bpb": lambda s: s.played.sample.mean if s.played.sample else None,
    "artifact": lambda s: s.played.summary.artifact_bytes,
    "tempo": lambda s: s.played.summary.step_ms,
    "date": lambda s: s.played.summary.day,
}


@app.command("ls", cls=PlainCommand, short_help="List all holes with their scores")
def list_holes(
    course: Annotated[str | None, typer.Option("--course", metavar="NAME", help="Only this course.")] = None,
    sort: Annotated[
        str, typer.Option("--sort", metavar="KEY", help="number, val_bpb, artifact, tempo or date.")
    ] = "number",
    tree: Annotated[bool, typer.Option("--tree", help="Each hole under its parent.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Archived holes, too.")] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """List all holes: score, distance to par, artifact, tempo, status."""
    check_sort(sort)
    check_runs(runs)
    if tree or as_json:
        unfinished, problems = _print_season(runs, course, sort, tree, as_json, archived)
    else:
        unfinished, problems = _print_table(runs, course, sort, archived)
    report_unfinished(runs, unfinished)
    report_problems(problems, strict)


def _print_table(
    runs: Path, course: str | None, sort: str, archived: bool
) -> tuple[list[str], Sequence[str]]:
    """Print the table; return the folders of unfinished holes, and the season's problems."""
    gc.disable()  # looking for garbage takes a tenth of the time, and the process ends with the table
    rows, problems = _load_rows(runs)
    rows = sort_rows((row for row in rows if course in (None, row.course)), sort)
    hidden = 0 if archived else sum(row.archived for row in rows)
    rows = [row for row in rows if archived or not row.archived]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    left_out = f"{figures.number(hidden, 'archived hole')} left out; --archived lists all" if hidden else ""
    print_result(holes_table(rows, width) if rows else left_out or _no_holes(runs, course))
    if rows and left_out:
        print_result(left_out)
    return [row.folder for row in rows if row.status == "unfinished"], problems


def _print_season(
    runs: Path, course: str | None, sort: str, tree: bool, as_json: bool, archived: bool
) -> tuple[list[str], Sequence[str]]:
    """Print the tree or the JSON object; return the folders of unfinished holes and the season's problems."""
    from harness.cli.views import scorecard
    from harness.season import lineage
    from harness.season.differences import claims_data

    season = open_season(runs, summaries=not as_json)
    listed = [
        hole
        for hole in season.holes
        if course in (None, hole.course) and (archived or not hole.summary.archived)
    ]
    standings = {hole.name.folder: season.standing(hole) for hole in listed}
    rows = sort_rows(map(row_of, standings.values()), sort)
    ordered = [standings[row.folder] for row in rows]
    if not listed and as_json:
        _no_holes(runs, course)
    branches = lineage.branches(season, ordered) if tree else []
    if not tree:
        shown = [scorecard.as_data(season, standing) for standing in ordered]
        print_json("ls", claims=claims_data(season), holes=shown, problems=list(season.problems))
    elif as_json:
        print_json(
            "tree", holes=[lineage.as_data(season, one) for one in branches], problems=list(season.problems)
        )
    else:
        print_result("\n".join(map(lineage.describe, branches)) or _no_holes(runs, course))
    return [hole.name.folder for hole in listed if hole.status == "unfinished"], season.problems


def _no_holes(runs: Path, course: str | None) -> str:
    """Say that there is nothing to list. Raises UsageError when `course` is no course at all."""
    if course is None:
        return f"no holes in {runs}/ yet; `harness run round_001` plays the first"
    from harness.courses.course import load_course

    load_course(course, runs)  # an unknown name is refused, not taken for an empty season
    return f"no holes on {course} in {runs}/ yet; `harness run round_NNN --course {course}` plays one"


# Rows ---------------------------------------------------------------------------------------------


def _load_rows(runs: Path) -> tuple[list[Row], Sequence[str]]:
    """Return the rows of a season in the order of play, and its problems; with problems no rows are kept."""
    owner = f"rows {runs.resolve()}\n{runs}"
    entry = cache.load_entries(owner).get("")
    if entry and cache.is_unchanged(str(runs), entry.mark):
        return [Row(*fields) for fields in json.loads(entry.text)], ()
    settled = time.time_ns() - cache.SETTLED_NS
    shared, touched = _mark_shared(runs)
    season = open_season(runs, summaries=True)
    rows = rows_of([season.standing(hole, KINDS) for hole in season.holes])
    if touched < settled and rows and len(season.marks) == len(rows) and not season.problems:
        mark = cache.join_marks({".": shared, **season.marks})
        cache.save_entries(owner, {"": cache.CacheEntry(mark, json.dumps(rows))})
    return rows, season.problems


def _mark_shared(runs: Path) -> tuple[str, int]:
    """Mark what all rows follow from: which folders there are, and the user's additions to the courses."""
    courses = sorted(path.name for path in runs.glob("courses/*.toml"))
    names = (".", "field.toml", "field/leaderboard.json", "courses", *(f"courses/{name}" for name in courses))
    return cache.mark_files(str(runs), names)


def rows_of(standings: Sequence[Standing]) -> list[Row]:
    """Return the rows of a whole season; claims that do not survive their number are marked."""
    from harness.season.claims import Claims

    claims = Claims((s.played.name.folder, s.played.course, s.story.difference) for s in standings)
    return [_mark_claim(row_of(s), s, claims.survives(s.played.name.folder)) for s in standings]


def _mark_claim(row: Row, standing: Standing, survives: bool | None) -> Row:
    if survives is not False:
        return row
    marked = {_PARENT if standing.story.kind == "parent" else "vs par"}
    par, parent = standing.comparisons["par"], standing.comparisons["parent"]
    if parent.difference and par.hole is parent.hole:  # it set par: one comparison in two columns
        marked = {_PARENT, "vs par"}
    cells = zip((head for head, _, _ in _COLUMNS), row.cells, strict=True)
    return row._replace(
        cells=tuple(NOT_AMONG_MANY + cell if head in marked else cell for head, cell in cells)
    )


def row_of(standing: Standing) -> Row:
    played = standing.played
    return Row(
        played.name.folder,
        played.course,
        played.status,
        played.summary.archived,
        tuple(cell(standing) for _, _, cell in _COLUMNS),
        tuple(key(standing) for key in SORT_KEYS.values()),
    )


def check_sort(by: str) -> None:
    """Raise UsageError unless the table can be sorted by this."""
    if by not in SORT_KEYS:
        raise UsageError(f'cannot sort by "{by}"', f"sort by one of {', '.join(SORT_KEYS)}")


def sort_rows(rows: Iterable[Row], by: str) -> list[Row]:
    """Sort by full precision; equal ones stay in the order of play."""
    at = list(SORT_KEYS).index(by)
    rows = list(rows)
    present = [row for row in rows if row.keys[at] is not None]
    present.sort(key=lambda row: row.keys[at])  # type: ignore[arg-type, return-value]
    return present + [row for row in rows if row.keys[at] is None]


# The table: plain text, since a table library takes a millisecond a row and a season may have thousands ----


def holes_table(rows: Sequence[Row], width: int | None = None) -> str:
    """Return the season as text. width: of the terminal, titles are folded to it; None: no line is folded."""
    cells_by_column = list(zip(*(row.cells for row in rows), strict=True))
    shown = [
        (column, cells)
        for column, cells in zip(_COLUMNS, cells_by_column, strict=True)
        if column[0] not in (_PARENT, _DECISION, _TAGS) or any(cell != "-" for cell in cells)
    ]
    columns = [column for column, _ in shown]
    filled = [[head, *cells] for (head, _, _), cells in shown]
    widths = [max(map(_width_function(cells), cells)) for cells in filled]
    if width is not None:
        others = sum(widths) - widths[1] + len(GAP) * (len(widths) - 1)
        widths[1] = min(widths[1], max(NARROWEST_TITLE, width - others))
    padded = [
        cells if at == 1 else _pad_column(cells, wide, right)
        for at, (cells, wide, (_, right, _)) in enumerate(zip(filled, widths, columns, strict=True))
    ]
    lines = []
    for row in zip(*padded, strict=True):
        title, *more = _fold(row[1], widths[1])
        lines.append(GAP.join((row[0], _pad(title, widths[1], False), *row[2:])).rstrip())
        lines += [" " * (widths[0] + len(GAP)) + line for line in more]
    lines.insert(1, "─" * (sum(widths) + len(GAP) * (len(widths) - 1)))
    if any(cell.startswith(NOT_AMONG_MANY) for cells in cells_by_column[4:6] for cell in cells):
        lines.append(LEGEND)
    return "\n".join(lines)


def short_delta(comparison: Comparison) -> str:
    """A difference in the width of a column; ~ marks what may be luck."""
    if comparison.difference is None:
        return "-"
    mark = "~" if comparison.difference.outcome in ("within noise", "cannot tell") else ""
    return mark + figures.delta(comparison.difference.delta)


def _pad_column(cells: list[str], width: int, right: bool) -> list[str]:
    if _width_function(cells) is len:
        return [cell.rjust(width) for cell in cells] if right else [cell.ljust(width) for cell in cells]
    return [_pad(cell, width, right) for cell in cells]


def _width_function(texts: Iterable[str]) -> Callable[[str], int]:
    """Return what counts the places of these texts: `len` for plain ones, as most are."""
    return len if "".join(texts).isascii() else _width


def _pad(text: str, width: int, right: bool) -> str:
    padding = " " * (width - _width(text))
    return padding + text if right else text + padding


def _width(text: str) -> int:
    """How many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _fold(text: str, width: int) -> list[str]:
    if len(text) <= width // 2 or _width(text) <= width:
        return [text]
    wide = width if text.isascii() else width // 2  # characters of two places, at the worst
    return textwrap.wrap(text, wide) or [""]
