"""The table of holes that `harness ls` prints: plain text, a hole a line. Places strings; computes nothing.

Laid out here because a table library takes a millisecond a row, and a season may have thousands.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness import figures
from harness.errors import UsageError

if TYPE_CHECKING:  # rows that were kept are set without any of it
    from harness.season.season import Comparison, Kind, Standing


class Row(NamedTuple):
    """A hole in the table. cells: as they are shown. keys: what it can be sorted by, None where not known.

    Plain values only, so that the cache can keep it as JSON, which knows no tuples.
    """

    folder: str
    course: str | None
    status: str
    cells: Sequence[str]
    keys: Sequence[float | str | None]


KINDS: tuple[Kind, ...] = ("par", "previous")  # the comparisons that a row shows
GAP = "   "
NARROWEST_TITLE = 16

# Head, whether it is set to the right, what stands there.
_COLUMNS: tuple[tuple[str, bool, Callable[[Standing], str]], ...] = (
    ("hole", False, lambda s: s.played.name.folder.split("_")[1]),
    ("title", False, lambda s: printable(s.played.title)),
    ("course", False, lambda s: printable(s.played.course or "")),
    ("val_bpb", True, lambda s: figures.bpb(s.played.sample.mean) if s.played.sample else "-"),
    ("vs par", True, lambda s: short(s.comparisons["par"])),
    ("vs previous", True, lambda s: short(s.comparisons["previous"])),
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
    ("decision", False, lambda s: s.played.summary.decision or "-"),
)

# What `--sort` can sort by; lower is better for every measure here, and what is missing comes last.
SORT_KEYS: dict[str, Callable[[Standing], float | str | None]] = {
    "number": lambda s: s.played.name.number,
    "val_bpb": lambda s: s.played.sample.mean if s.played.sample else None,
    "artifact": lambda s: s.played.summary.artifact_bytes,
    "tempo": lambda s: s.played.summary.step_ms,
    "date": lambda s: s.played.summary.day,
}


def row_of(standing: Standing) -> Row:
    played = standing.played
    return Row(
        played.name.folder,
        played.course,
        played.status,
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
    present = sorted((row for row in rows if row.keys[at] is not None), key=lambda row: row.keys[at])  # type: ignore[arg-type, return-value]
    return present + [row for row in rows if row.keys[at] is None]


def holes_table(rows: Sequence[Row], width: int | None = None) -> str:
    """Return the season as text. width: of the terminal, titles are folded to it; None where nobody folds lines."""
    decided = any(row.cells[-1] != "-" for row in rows)
    columns = _COLUMNS if decided else _COLUMNS[:-1]
    cells_by_column = zip(*(row.cells for row in rows), strict=True)
    filled = [[head, *cells] for (head, _, _), cells in zip(columns, cells_by_column, strict=False)]
    widths = [max(map(_cells_of(cells), cells)) for cells in filled]
    if width is not None:
        others = sum(widths) - widths[1] + len(GAP) * (len(widths) - 1)
        widths[1] = min(widths[1], max(NARROWEST_TITLE, width - others))
    set_cells = [
        cells if at == 1 else _set_column(cells, wide, right)
        for at, (cells, wide, (_, right, _)) in enumerate(zip(filled, widths, columns, strict=True))
    ]
    lines = []
    for row in zip(*set_cells, strict=True):
        title, *more = _fold(row[1], widths[1])
        lines.append(GAP.join((row[0], _set(title, widths[1], False), *row[2:])).rstrip())
        lines += [" " * (widths[0] + len(GAP)) + line for line in more]
    lines.insert(1, "─" * (sum(widths) + len(GAP) * (len(widths) - 1)))
    return "\n".join(lines)


def short(comparison: Comparison) -> str:
    """A difference in the width of a column; ~ marks what may be luck."""
    if comparison.difference is None:
        return "-"
    mark = "~" if comparison.difference.outcome in ("within noise", "cannot tell") else ""
    return mark + figures.delta(comparison.difference.delta)


def printable(text: str) -> str:
    """Return text without the characters that could move a terminal's cursor or colour it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _set_column(cells: list[str], width: int, right: bool) -> list[str]:
    if _cells_of(cells) is len:
        return [cell.rjust(width) for cell in cells] if right else [cell.ljust(width) for cell in cells]
    return [_set(cell, width, right) for cell in cells]


def _cells_of(texts: Iterable[str]) -> Callable[[str], int]:
    """What counts the places of these texts: mostly they are plain, and a season has tens of thousands."""
    return len if "".join(texts).isascii() else _cells


def _set(text: str, width: int, right: bool) -> str:
    air = " " * (width - _cells(text))
    return air + text if right else text + air


def _cells(text: str) -> int:
    """How many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _fold(text: str, width: int) -> list[str]:
    if len(text) <= width // 2 or _cells(text) <= width:
        return [text]
    wide = width if text.isascii() else width // 2  # characters of two places, at the worst
    return textwrap.wrap(text, wide) or [""]
