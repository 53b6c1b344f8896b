"""The table of holes: what is known of each as plain values, and those values as columns of text.

Plain text, since a table library takes a millisecond a row and a season may have thousands of holes.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import figures
from harness.errors import UsageError, nearest
from harness.plain_text import plain_line

if TYPE_CHECKING:  # the cache's rows are printed without it
    from harness.season.standing import Comparison, ComparisonKind, Standing

KINDS: tuple[ComparisonKind, ...] = ("par", "parent", "previous")  # the comparisons that a row shows
NOT_AMONG_MANY = "?"
LEGEND = f"{NOT_AMONG_MANY} better or worse by itself, but not among all comparisons (see `harness brief`)"

GAP = "   "
NARROWEST_TITLE = 16

Value = float | str | list[str] | None


class Row(NamedTuple):
    """What is known of a hole, by the names of FACTS. Plain values, so that the cache can keep it as JSON."""

    facts: Mapping[str, Any]

    @property
    def folder(self) -> str:
        return str(self.facts["hole"])


def _delta(comparison: Comparison) -> float | None:
    return comparison.difference.delta if comparison.difference else None


def _outcome(comparison: Comparison) -> str | None:
    return comparison.difference.outcome if comparison.difference else None


# What is known of a hole: the type for conditions and sorting, and where it comes from.
FACTS: dict[str, tuple[type, Callable[[Standing], Value]]] = {
    "hole": (str, lambda s: s.played.name.folder),
    "title": (str, lambda s: s.played.title),
    "course": (str, lambda s: s.played.course),
    "date": (str, lambda s: s.played.summary.day),
    "status": (str, lambda s: s.played.status),
    "verdict": (str, lambda s: s.verdict.name),
    "decision": (str, lambda s: s.played.summary.decision),
    "parent": (str, lambda s: s.played.summary.parent),
    "tags": (list, lambda s: list(s.played.summary.tags)),
    "attempts": (float, lambda s: s.played.summary.attempts),
    "configurations": (float, lambda s: len(s.played.summary.earlier) + bool(s.played.sample)),
    "val_bpb": (float, lambda s: s.played.sample.mean if s.played.sample else None),
    "std": (float, lambda s: s.played.sample.std if s.played.sample else None),
    "seeds": (float, lambda s: s.played.sample.n if s.played.sample else 0),
    "vs_par": (float, lambda s: _delta(s.comparisons["par"])),
    "par_outcome": (str, lambda s: _outcome(s.comparisons["par"])),
    "vs_parent": (float, lambda s: _delta(s.comparisons["parent"])),
    "parent_outcome": (str, lambda s: _outcome(s.comparisons["parent"])),
    "vs_previous": (float, lambda s: _delta(s.comparisons["previous"])),
    "previous_outcome": (str, lambda s: _outcome(s.comparisons["previous"])),
    "artifact_bytes": (float, lambda s: s.played.summary.artifact_bytes),
    "headroom_bytes": (float, lambda s: s.headroom_bytes),
    "steps": (float, lambda s: s.played.summary.steps),
    "step_ms": (float, lambda s: s.played.summary.step_ms),
    "cost": (float, lambda s: s.played.summary.cost),
}
TYPES = {name: type_ for name, (type_, _) in FACTS.items()}


class Column(NamedTuple):
    """keep: columns of a lower number are left out first in a narrow terminal; None: shown on request.

    right: set to the right. sparse: left out where nothing stands in it.
    """

    heading: str
    keep: int | None
    text: Callable[[Mapping[str, Any]], str]
    right: bool = False
    sparse: bool = False


def _number_column(
    name: str, heading: str, keep: int | None, write: Callable[[Any], str], sparse: bool = False
) -> Column:
    def text(facts: Mapping[str, Any]) -> str:
        return "-" if facts[name] is None else write(facts[name])

    return Column(heading, keep, text, right=True, sparse=sparse)


def _text_column(name: str, heading: str, keep: int | None, sparse: bool = False) -> Column:
    return Column(heading, keep, lambda facts: plain_line(facts[name] or "-"), sparse=sparse)


def _difference_column(kind: str, keep: int, sparse: bool = False) -> Column:
    """A difference in the width of a column: ~ marks what may be luck, ? what is none among many."""
    value, outcome = f"vs_{kind}", f"{kind}_outcome"

    def text(facts: Mapping[str, Any]) -> str:
        if facts[value] is None:
            return "-"
        mark = NOT_AMONG_MANY if kind in facts["doubtful"] else ""
        mark += "~" if facts[outcome] in ("within noise", "cannot tell") else ""
        return mark + figures.delta(facts[value])

    return Column(f"vs {kind}", keep, text, right=True, sparse=sparse)


def _several(count: int) -> str:
    """One configuration is the rule and needs no mention."""
    return figures.count(count) if count > 1 else "-"


_ALWAYS = 99
COLUMNS: dict[str, Column] = {
    "hole": Column("hole", _ALWAYS, lambda facts: facts["hole"].split("_")[1]),
    "title": _text_column("title", "title", _ALWAYS),
    "course": _text_column("course", "course", 2),
    "date": _text_column("date", "date", None),
    "val_bpb": _number_column("val_bpb", "val_bpb", _ALWAYS, figures.bpb),
    "std": _number_column("std", "std", None, figures.bpb),
    "seeds": _number_column("seeds", "seeds", None, figures.count),
    "vs_par": _difference_column("par", 9),
    "vs_parent": _difference_column("parent", 6, sparse=True),
    "vs_previous": _difference_column("previous", 3),
    "artifact_bytes": _number_column("artifact_bytes", "artifact", 5, figures.megabytes),
    "headroom_bytes": _number_column("headroom_bytes", "headroom", None, figures.count),
    "steps": _number_column("steps", "steps", 1, figures.count),
    "step_ms": _number_column(
        "step_ms", "ms/step", 4, lambda value: figures.tempo(value).removesuffix(" ms")
    ),
    "cost": _number_column("cost", "cost", 4, figures.money, sparse=True),
    "status": _text_column("status", "status", 7),
    "attempts": _number_column("attempts", "attempts", 0, figures.count),
    "configurations": Column(
        "configurations", 8, lambda facts: _several(facts["configurations"]), right=True, sparse=True
    ),
    "verdict": _text_column("verdict", "verdict", 10),
    "decision": _text_column("decision", "decision", 8, sparse=True),
    "parent": _text_column("parent", "parent", None),
    "tags": Column("tags", 8, lambda facts: plain_line(" ".join(facts["tags"])) or "-", sparse=True),
}


# Rows ---------------------------------------------------------------------------------------------


def rows_of(standings: Sequence[Standing]) -> list[Row]:
    """Return the rows of a whole season; claims that do not survive their number are marked."""
    from harness.season.claims import Claims

    claims = Claims((s.played.name.folder, s.played.course, s.story.difference) for s in standings)
    return [_row_of(s, claims.survives(s.played.name.folder)) for s in standings]


def _row_of(standing: Standing, survives: bool | None) -> Row:
    facts: dict[str, Any] = {name: read(standing) for name, (_, read) in FACTS.items()}
    par, parent = standing.comparisons["par"], standing.comparisons["parent"]
    doubtful: list[str] = []
    if survives is False:
        same = parent.difference and par.hole is parent.hole  # it set par: one comparison in two columns
        doubtful = ["par", "parent"] if same else [standing.story.kind]
    rest = {"archived": standing.played.summary.archived, "story": standing.story.kind, "survives": survives}
    return Row({**facts, **rest, "doubtful": doubtful})


def check_columns(names: Iterable[str], known: Iterable[str], option: str) -> None:
    """Raise UsageError for a name that is no column."""
    known = list(known)
    for name in names:
        if name not in known:
            near = nearest(name, known)
            raise UsageError(
                f"{option}: no column is called {name!r}",
                f"did you mean {near}?" if near else f"one or more of {', '.join(known)}",
            )


def sort_rows(rows: Iterable[Row], by: str) -> list[Row]:
    """Sort by full precision; equal ones stay in the order of play, what is not known comes last.

    So does an invalid score, which is none.
    """
    ranked: list[Row] = []
    last: list[Row] = []
    for row in rows:
        invalid = by == "val_bpb" and row.facts["decision"] == "invalid"
        (last if row.facts[by] is None or invalid else ranked).append(row)
    return sorted(ranked, key=lambda row: row.facts[by]) + last


# Text ---------------------------------------------------------------------------------------------


def holes_table(rows: Sequence[Row], width: int | None = None, columns: Sequence[str] = ()) -> str:
    """Return the season as text.

    width: of the terminal in characters; titles are folded and columns left out to fit. None: nothing is.
    columns: to show, in this order, and none of them is left out; empty for the usual ones.
    """
    names = list(columns) or [name for name, column in COLUMNS.items() if column.keep is not None]
    filled = {name: [COLUMNS[name].text(row.facts) for row in rows] for name in names}
    if not columns:
        sparse = [name for name in names if COLUMNS[name].sparse]
        for name in sparse:
            if all(cell == "-" for cell in filled[name]):
                del filled[name]
    widths = {
        name: max(map(_width_function(cells), [COLUMNS[name].heading, *cells]))
        for name, cells in filled.items()
    }
    left_out = [] if columns or width is None else _leave_out(filled, widths, width)
    if width is not None and "title" in widths:
        others = sum(widths.values()) - widths["title"] + len(GAP) * (len(widths) - 1)
        widths["title"] = min(widths["title"], max(NARROWEST_TITLE, width - others))
    lines = _draw(filled, widths)
    if any(cell.startswith(NOT_AMONG_MANY) for name in filled if name[:3] == "vs_" for cell in filled[name]):
        lines += _fill(LEGEND, width)
    if left_out:
        lines += _fill(f"left out for want of room: {', '.join(left_out)} (`--columns` chooses)", width)
    return "\n".join(lines)


def _leave_out(filled: dict[str, list[str]], widths: dict[str, int], width: int) -> list[str]:
    """Take columns away until the rest fits beside a title of the smallest width; return their headings."""
    gone: set[str] = set()
    for name in sorted(filled, key=lambda name: COLUMNS[name].keep or 0):
        title = min(widths["title"], NARROWEST_TITLE)
        needed = sum(widths.values()) - widths["title"] + title + len(GAP) * (len(widths) - 1)
        if needed <= width or COLUMNS[name].keep == _ALWAYS:
            break
        gone.add(name)
        del filled[name], widths[name]
    return [column.heading for name, column in COLUMNS.items() if name in gone]


def _draw(filled: Mapping[str, list[str]], widths: Mapping[str, int]) -> list[str]:
    padded = {
        name: [COLUMNS[name].heading, *cells]
        if name == "title"
        else _pad_column([COLUMNS[name].heading, *cells], widths[name], COLUMNS[name].right)
        for name, cells in filled.items()
    }
    at = list(padded).index("title") if "title" in padded else None
    before = 0 if at is None else sum(list(widths.values())[:at]) + len(GAP) * at
    lines = []
    for row in zip(*padded.values(), strict=True):
        cells, more = list(row), []
        if at is not None:
            title, *more = _fold(cells[at], widths["title"])
            cells[at] = _pad(title, widths["title"], False)
        lines.append(GAP.join(cells).rstrip())
        lines += [" " * before + line for line in more]
    lines.insert(1, "─" * (sum(widths.values()) + len(GAP) * (len(widths) - 1)))
    return lines


def holes_csv(rows: Sequence[Row], columns: Sequence[str] = ()) -> str:
    """Return the rows as CSV with full precision (RFC 4180, line feeds); what is not known is empty."""
    names = list(columns) or list(FACTS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(row.facts[name]) for name in names] for row in rows)
    return text.getvalue().removesuffix("\n")


def _csv_cell(value: Value) -> float | str | None:
    if isinstance(value, list):
        return " ".join(value)
    return plain_line(value) if isinstance(value, str) else value


def _fill(text: str, width: int | None) -> list[str]:
    return [text] if width is None else textwrap.wrap(text, width)


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
