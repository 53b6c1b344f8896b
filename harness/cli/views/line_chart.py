"""A line chart in braille characters, two by four dots each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # by column, then row from above
_BLANK = 0x2800


def draw(
    points: Sequence[tuple[float, float]], width: int, height: int, right: float | None = None
) -> list[str]:
    """Draw (x, y) points, x ascending, into `height` rows of `width` characters with the scale at their left.

    right: where the x axis ends, if beyond the last point. The scale's top is the 95th percentile, so that a
    spike leaves the rest readable. No point that is a number: no rows.
    """
    points = [(x, y) for x, y in points if isfinite(y)]
    if not points:
        return []
    low = min(y for _, y in points)
    high = sorted(y for _, y in points)[int(0.95 * (len(points) - 1))]
    labels = (f"{high:.3f}", f"{low:.3f}")
    margin = max(map(len, labels)) + 1
    columns, rows = max(2, (width - margin) * 2), height * 4
    first, last = points[0][0], max(points[-1][0], right or points[-1][0])
    cells = [[_BLANK] * (columns // 2) for _ in range(height)]
    before: tuple[int, int] | None = None
    for x, y in _thin(points, first, last, columns):
        share = 1 - (min(y, high) - low) / (high - low) if high > low else 0.5
        row = min(rows - 1, max(0, round(share * (rows - 1))))
        for column, at in _line(before, (x, row)):
            cells[at // 4][column // 2] |= _DOTS[column % 2][at % 4]
        before = (x, row)
    scale = [labels[0], *[""] * (height - 2), labels[1]] if height > 1 else [labels[1]]
    return [
        f"{label:>{margin - 1}} " + "".join(map(chr, row)).rstrip(chr(_BLANK))
        for label, row in zip(scale, cells, strict=True)
    ]


def _thin(
    points: Sequence[tuple[float, float]], first: float, last: float, columns: int
) -> list[tuple[int, float]]:
    """Return one mean for every column that has a point."""
    span = (last - first) or 1.0
    values_by_column: dict[int, list[float]] = {}
    for x, y in points:
        values_by_column.setdefault(
            min(columns - 1, int((x - first) / span * (columns - 1) + 0.5)), []
        ).append(y)
    return [(column, sum(values) / len(values)) for column, values in values_by_column.items()]


def _line(start: tuple[int, int] | None, end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots from one place to another, the first one left out."""
    if start is None:
        return [end]
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    (x0, y0), (x1, y1) = start, end
    return [
        (round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps))
        for step in range(1, steps + 1)
    ]
