"""Small inline SVG, drawn from numbers: the curve, the artifact bar, the number line, the trend.

Same input, same bytes. No style attribute and no script, so a strict policy and dark mode both hold: colours
come from the classes of the stylesheet, positions from here. Words come in finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite
from operator import itemgetter
from typing import Literal

from markupsafe import Markup, escape

Point = tuple[float, float]
Role = Literal["this", "par", "previous"]
MarkRole = Literal["pin", "par", "best", "ball"]

WIDTH, HEIGHT = 1200, 560
_LABEL_WIDTH = 150  # of the last value, in its largest letters
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 1192, 40, 500
_GUTTER = 100  # left of the trend's points, where the values of its rules stand
_OFF = -9999  # the y of points above the drawing; the page's script shows no value for them
_LOSS = itemgetter(1)
_BUCKETS: dict[Role, int] = {"this": 110, "par": 56, "previous": 56}  # two points each at most


@dataclass(frozen=True)
class Series:
    """points: (step, loss) ascending by step; those that are not numbers break the line."""

    role: Role
    points: Sequence[Point]

    @cached_property
    def thinned(self) -> list[Point]:
        """As many of the points as a drawing can show."""
        return thin(self.points, _BUCKETS[self.role])


def thin(points: Sequence[Point], buckets: int) -> list[Point]:
    """Keep the lowest and the highest point of each of `buckets` equal stretches, and the first and last.

    Points that are not finite are left out.
    """
    losses = [loss for _, loss in points]
    if not all(map(isfinite, losses)):
        return thin(_finite(points), buckets)
    if len(points) <= 2 * buckets:
        return list(points)
    size = len(points) / buckets
    edges = [int(number * size) for number in range(buckets + 1)]
    kept = [0]
    for start, end in pairwise(edges):
        stretch = losses[start:end]
        low, high = stretch.index(min(stretch)), stretch.index(max(stretch))
        kept += (start + low, start + high) if low < high else (start + high, start + low)
    kept.append(len(points) - 1)
    return [points[at] for at in dict.fromkeys(kept)]


def _finite(points: Sequence[Point]) -> Sequence[Point]:
    if all(map(isfinite, map(_LOSS, points))):  # the usual case, four times as fast
        return points
    return [point for point in points if isfinite(point[1])]


def loss_range(series: Sequence[Series]) -> tuple[float, float] | None:
    """Return (low, high) of an axis that a spike in the first steps cannot ruin; None without points.

    The first of the series sets it: its losses after the first 4 % of the steps, without their top 2 % where
    these are far above the rest. Of the others at least the last point is inside.
    """
    own = _finite(series[0].points) if series else []
    shown = own or [point for one in series for point in one.points if isfinite(point[1])]
    if not shown:
        return None
    early = 0.04 * shown[-1][0]
    settled = sorted([y for x, y in shown if x >= early])
    usual, peak = settled[int(0.98 * (len(settled) - 1))], settled[-1]
    low = settled[0]
    high = peak if peak - low <= 2 * (usual - low) else usual
    for one in series:
        end = next((y for _, y in reversed(one.points) if isfinite(y)), low)
        low, high = min(low, end), max(high, end)
    if high - low < 1e-9:
        return low - 0.5, high + 0.5
    return low, high + 0.08 * (high - low)


def curve(
    series: Sequence[Series],
    val: Sequence[Point],
    end_label: str,
    axis: tuple[str, str],
    name: tuple[str, str],
) -> Markup:
    """Draw losses by step.

    val: (step, loss) of validations, drawn as rings. end_label: this hole's last value, as its record has it.
    axis: what is measured upward and along. name: the title and description read out in the picture's place.
    """
    ranged = loss_range(series)
    if ranged is None:
        return Markup("")
    low, high = ranged
    floor = low - 0.06 * (high - low)
    # Steps ascend: the last finite point of a series is its furthest.
    last_step = max(next((x for x, y in reversed(one.points) if isfinite(y)), 0) for one in series)

    across, up = max(last_step, 1) / (_RIGHT - _LEFT), (high - floor) / (_BOTTOM - _TOP)
    top = floor + (_BOTTOM - _OFF) * up  # points above it are all placed at _OFF

    def place_all(points: Sequence[Point]) -> list[tuple[int, int]]:
        return [
            (round(_LEFT + x / across), round(_BOTTOM - (y - floor) / up) if y < top else _OFF)
            for x, y in points
        ]

    def place(point: Point) -> tuple[int, int]:
        return place_all([point])[0]

    last_point = next((point for point in reversed(series[0].points) if isfinite(point[1])), None)
    end = place(last_point) if last_point else None
    lines = [place_all(one.thinned) for one in series]
    label_y = _clear_height(lines, end) if end else None
    parts = [
        _grid((floor, high), last_step, place, axis, label_y),
        f'<clipPath id="curve-clip"><path d="M0 {_TOP}H{WIDTH}V{_BOTTOM}H0z"/></clipPath>',
        '<g clip-path="url(#curve-clip)">',
    ]
    pairs = zip(series, lines, strict=True)
    for one, placed in sorted(pairs, key=lambda pair: pair[0].role == "this"):  # this hole on top
        if len(placed) == 1:
            parts.append(f'<circle class="dot {one.role}" cx="{placed[0][0]}" cy="{placed[0][1]}" r="8"/>')
        elif placed:
            parts.append(
                f'<path class="line {one.role}" fill="none" stroke="currentColor" d="{_path(placed)}"/>'
            )
    parts.append("</g>")
    inside = [point for point in val if isfinite(point[1]) and floor <= point[1] <= high]
    if len(inside) > 24:
        inside = [*inside[:: math.ceil(len(inside) / 23)], inside[-1]]
    for point in inside:
        x, y = place(point)
        parts.append(f'<circle class="ring" cx="{x}" cy="{y}" r="8" fill="none" stroke="currentColor"/>')
    if end:
        x, y = end
        side, at = ("end", min(x, _RIGHT - 4)) if x > WIDTH / 2 else ("start", x)
        parts.append(f'<circle class="dot this" cx="{x}" cy="{y}" r="9"/>')
        parts.append(
            f'<text class="end" data-el="curve-end-label" x="{at}" y="{label_y}" text-anchor="{side}">'
            f"{escape(end_label)}</text>"
        )
    # What a script needs to read values off the drawing: where the axes meet, what a unit of each stands for,
    # and the lowest value.
    scale = f"{_LEFT} {_BOTTOM} {across:.6g} {up:.6g} {floor:.6g}"
    return _svg("curve", HEIGHT, "".join(parts), name, f' data-scale="{scale}"')


def small_curve(points: Sequence[Point], low: float, high: float) -> Markup:
    """Draw losses without axes, to stand among others. The page says in words what it shows."""
    last = max(points[-1][0], 1) if points else 1
    placed = [
        (round(200 * x / last), round(min(max(78 - 76 * (y - low) / (high - low), 0), 80)))
        for x, y in points
        if isfinite(y)
    ]
    return Markup(
        f'<svg class="spark" viewBox="0 0 200 80" aria-hidden="true"><path class="line this" fill="none" '
        f'stroke="currentColor" d="{_path(placed)}"/></svg>'
    )


def _clear_height(lines: Sequence[Sequence[tuple[int, int]]], end: tuple[int, int]) -> int:
    """A height where the last value's text meets no line: above or below all there, whichever is nearer."""
    near = [y for line in lines for x, y in line if abs(x - end[0]) < _LABEL_WIDTH] + [end[1]]
    above, below = min(near) - 26, max(near) + 60
    fitting = [y for y, fits in ((above, above > _TOP + 30), (below, below < _BOTTOM - 10)) if fits]
    return min(fitting, key=lambda y: abs(y - end[1]), default=end[1] - 26)


def _grid(
    losses: tuple[float, float],
    last_step: float,
    place: Callable[[Point], tuple[int, int]],
    axis: tuple[str, str],
    label_y: int | None,
) -> str:
    """Rules with their values at the right, where a falling curve leaves room; ticks below.

    label_y: the height of the curve's own last value, which no other value may meet.
    """
    parts = []
    floor, high = losses
    for value, text in _ticks(floor, high, 5):
        y = place((0, value))[1]
        if y < _TOP + 10 or y > _BOTTOM - 10:
            continue
        parts.append(f'<path class="rule" stroke="currentColor" d="M{_LEFT} {y}H{_RIGHT}"/>')
        if label_y is None or abs(y - 8 - label_y) > 44:
            parts.append(f'<text x="{_RIGHT}" y="{y - 8}" text-anchor="end">{text}</text>')
    parts.append(f'<path class="base" stroke="currentColor" d="M{_LEFT} {_BOTTOM}H{_RIGHT}"/>')
    for value, text in _ticks(0, last_step, 4):
        x = place((value, floor))[0]
        if value == 0 or x > WIDTH - 150:
            continue
        parts.append(f'<path class="base" stroke="currentColor" d="M{x} {_BOTTOM}v8"/>')
        parts.append(f'<text x="{x}" y="{_BOTTOM + 46}" text-anchor="middle">{text}</text>')
    up, along = axis
    parts.append(f'<text class="axis" x="{_LEFT}" y="28">{escape(up)}</text>')
    parts.append(
        f'<text class="axis" x="{_RIGHT}" y="{_BOTTOM + 46}" text-anchor="end">{escape(along)}</text>'
    )
    return "".join(parts)


def _ticks(low: float, high: float, about: int) -> list[tuple[float, str]]:
    """Round values inside a range with their text: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not span > 0 or not isfinite(span):
        return []
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [(n * step, f"{n * step:,.{places}f}") for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _path(placed: Sequence[tuple[int, int]]) -> str:
    """Write a line as relative whole numbers, which is a third of the bytes of absolute decimals."""
    x, y = placed[0]
    parts = [f"M{x} {y}l"]
    separator = ""
    for next_x, next_y in placed[1:]:
        across, down = next_x - x, next_y - y
        if not across and not down:
            continue
        parts.append(f"{separator}{across}{' ' if down >= 0 else ''}{down}")
        separator = " "
        x, y = next_x, next_y
    return "".join(parts) if len(parts) > 1 else f"M{x} {y}h1"


def artifact_bar(artifact: int, code: int | None, cap: int, name: tuple[str, str]) -> Markup:
    """Draw the artifact's share of the cap as a bar that goes past the cap's mark when it is too large."""
    limit = 1040  # the cap's place; the rest of the width is for what is over it
    filled = round(min(artifact / cap * limit, WIDTH - 4))
    parts = [f'<rect class="bag" x="2" y="10" width="{limit}" height="44" rx="4"/>']
    if artifact < cap:
        parts.append(f'<rect class="fill" x="2" y="10" width="{max(filled, 2)}" height="44" rx="4"/>')
    else:
        parts.append(f'<rect class="fill" x="2" y="10" width="{limit}" height="44" rx="4"/>')
        parts.append(
            f'<rect class="spill" x="{limit}" y="10" width="{max(filled - limit, 12)}" height="44"/>'
        )
    if code and code < artifact:
        x = max(3, round(code / cap * limit))
        parts.append(f'<path class="seam" stroke="currentColor" d="M{x + 2} 10v44"/>')
    parts.append(f'<path class="limit" stroke="currentColor" d="M{limit + 2} 0v64"/>')
    return _svg("bar", 64, "".join(parts), name)


@dataclass(frozen=True)
class Mark:
    """A place on the number line. text: its label; role: pin (SOTA), par, best or ball (this hole)."""

    value: float
    text: str
    role: MarkRole


def number_line(marks: Sequence[Mark], better: str, name: tuple[str, str]) -> Markup:
    """Place scores in proportion, the better to the left. Every label has its own row, so none overlap."""
    if not marks:
        return Markup("")
    low, high = min(mark.value for mark in marks), max(mark.value for mark in marks)
    span = high - low
    ordered = sorted(marks, key=lambda mark: (mark.value, mark.role))

    def across(value: float) -> int:
        return round(60 + 1080 * ((value - low) / span)) if span > 0 else WIDTH // 2

    left = [mark for mark in ordered if across(mark.value) <= WIDTH / 2]
    right = [mark for mark in ordered if across(mark.value) > WIDTH / 2]
    # The outermost get the lowest rows, so that no leader runs through a label.
    rows = [*sorted(right, key=lambda mark: mark.value), *reversed(left)]
    # The text stands clear of the flag.
    pinned = next((across(mark.value) for mark in marks if mark.role == "pin"), 0)
    parts = [
        _better(better, pinned),
        '<rect class="fairway" x="8" y="62" width="1184" height="28" rx="14"/>',
    ]
    for row, mark in enumerate(rows):
        x, y = across(mark.value), 156 + 54 * row
        side, sign = ("start", 1) if mark in left else ("end", -1)
        parts.append(
            '<path class="leader" fill="none" stroke="currentColor" '
            f'd="M{x} 76V{y - 12}h{14 * sign}"/>'
            f'<text class="{mark.role}" x="{x + 20 * sign}" y="{y}" text-anchor="{side}">'
            f"{escape(mark.text)}</text>"
        )
    for mark in ordered:
        x = across(mark.value)
        if mark.role == "pin":
            parts.append(f'<path class="flag" d="M{x - 2} 78V8l44 15-40 15v40z"/>')
        else:
            parts.append(
                f'<circle class="{mark.role}" cx="{x}" cy="76" r="{13 if mark.role == "ball" else 10}"/>'
            )
    return _svg("field-line", 156 + 54 * (len(rows) - 1) + 22, "".join(parts), name)


def _better(text: str, pinned: int) -> str:
    """Write which way is better, at the end without the flag."""
    x, side = (1192, "end") if pinned < WIDTH / 2 else (8, "start")
    return f'<text class="axis" x="{x}" y="34" text-anchor="{side}">{escape(text)}</text>'


def trend(
    scored: Sequence[Point],
    best: Sequence[Point],
    par: float | None,
    sota: Sequence[Point],
    axis: tuple[str, str],
    name: tuple[str, str],
) -> Markup:
    """Draw scores by hole number; our best so far and the field's best as steps, par as a rule."""
    if not scored:
        return Markup("")
    values = sorted(y for _, y in scored)
    low = min([values[0], *([par] if par else []), *(y for _, y in sota)])
    usual = values[int(0.9 * (len(values) - 1))]
    top = values[-1] if values[-1] - low <= 3 * max(usual - low, 1e-9) else usual + 0.2 * (usual - low)
    top = max(top, par or top)
    air = 0.08 * (top - low) or 0.05
    floor, high = low - air, top + air
    first, last = scored[0][0], max(scored[-1][0], scored[0][0] + 1)

    def place(point: Point) -> tuple[int, int]:
        x = _GUTTER + 20 + (WIDTH - _GUTTER - 60) * (point[0] - first) / (last - first)
        y = _BOTTOM - (_BOTTOM - _TOP) * (min(point[1], high) - floor) / (high - floor)
        return round(x), round(y)

    parts = []
    for value, text in _ticks(floor, high, 5):
        y = place((first, value))[1]
        if _TOP + 10 < y < _BOTTOM - 10:
            parts.append(
                f'<path class="rule" stroke="currentColor" d="M{_LEFT} {y}H{_RIGHT}"/>'
                f'<text x="{_LEFT}" y="{y - 8}">{text}</text>'
            )
    parts.append(f'<path class="base" stroke="currentColor" d="M{_LEFT} {_BOTTOM}H{_RIGHT}"/>')
    for value, text in _ticks(first, last, 6):
        if value == int(value) and place((value, floor))[0] < WIDTH - 400:  # the axis' name is there
            parts.append(
                f'<text x="{place((value, floor))[0]}" y="{_BOTTOM + 46}" text-anchor="middle">{text}</text>'
            )
    if par is not None:
        parts.append(
            '<path class="line par" fill="none" stroke="currentColor" '
            f'd="M{_GUTTER} {place((first, par))[1]}H{_RIGHT}"/>'
        )
    for role, points in (("pin", sota), ("best", best)):
        if steps := _steps([place(point) for point in _sparse(points)]):
            parts.append(
                f'<path class="line {role}" fill="none" stroke="currentColor" d="{steps}H{_RIGHT}"/>'
            )
    dots = "".join(f"M{x} {y}h0" for x, y in map(place, _sparse(scored, 300)))
    parts.append(f'<path class="dots" fill="none" stroke="currentColor" d="{dots}"/>')
    up, along = axis
    parts.append(f'<text class="axis" x="{_LEFT}" y="28">{escape(up)}</text>')
    parts.append(
        f'<text class="axis" x="{_RIGHT}" y="{_BOTTOM + 46}" text-anchor="end">{escape(along)}</text>'
    )
    return _svg("trend", HEIGHT, "".join(parts), name)


def _sparse(points: Sequence[Point], most: int = 150) -> list[Point]:
    return list(points) if len(points) <= most else thin(points, most // 2)


def _steps(placed: Sequence[tuple[int, int]]) -> str:
    """Write a staircase: along at the old height, then to the new one. Repeats are left out."""
    if not placed:
        return ""
    x, y = placed[0]
    parts = [f"M{x} {y}"]
    for next_x, next_y in placed[1:]:
        if next_y != y:
            parts.append(f"H{next_x}V{next_y}")
            y = next_y
    return "".join(parts)


def _svg(kind: str, height: int, body: str, name: tuple[str, str], extra: str = "") -> Markup:
    title, description = name
    key = f"chart-{kind}"
    return Markup(
        f'<svg class="chart {kind}" viewBox="0 0 {WIDTH} {height}" role="img" paint-order="stroke"{extra} '
        f'aria-labelledby="{key}-title {key}-desc"><title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape(description)}</desc>{body}</svg>'
    )
