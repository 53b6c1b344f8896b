"""The training curve of a hole's page: which curves share the picture, its words, its table and its download."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from markupsafe import Markup

from harness import figures
from harness.commentary import Facts, tidy
from harness.course import Course
from harness.curve import Curve, load_curve
from harness.progress import load_progress
from harness.publish.charts import Point, Series, curve, loss_range, thin
from harness.publish.evidence import Table
from harness.publish.wording import Wording
from harness.registry import Played, Season, Standing

TABLE_ROWS = 12
THINNED = 150  # stretches, two points each: finer than any picture of ours shows
_KEPT = 8


class Shelf:
    """Curves read lately: a hole's own is its neighbour's previous one, and the baseline's is everybody's."""

    def __init__(self) -> None:
        self._curves: OrderedDict[Path, Curve] = OrderedDict()
        self._lines: OrderedDict[Path, list[Point]] = OrderedDict()
        self._reference: dict[str, Played | None] = {}

    def get(self, played: Played | None) -> Curve:
        """Return the curve of the attempt that a hole shows; empty when there is none."""
        attempt = shown_attempt(played)
        if played is None or attempt is None:
            return Curve()
        if attempt not in self._curves:
            recorded = played.record is not None
            self._curves[attempt] = (
                load_curve(attempt) if recorded else load_progress(played.entries[-1].attempt)
            )
            if len(self._curves) > _KEPT:
                self._curves.popitem(last=False)
        self._curves.move_to_end(attempt)
        return self._curves[attempt]

    def line(self, played: Played | None) -> list[Point]:
        """Return a hole's losses thinned once for every picture they appear in: extremes and ends are kept."""
        attempt = shown_attempt(played)
        if attempt is None:
            return []
        if attempt not in self._lines:
            self._lines[attempt] = thin(self.get(played).finite, THINNED)
            if len(self._lines) > _KEPT:
                self._lines.popitem(last=False)
        self._lines.move_to_end(attempt)
        return self._lines[attempt]

    def reference(self, season: Season, course: Course) -> Played | None:
        """Our own hole that plays a course's published par: the first `reference` whose score is in par's band."""
        if course.par is None:
            return None
        if course.name not in self._reference:
            level, band = course.par.val_bpb, course.verdicts.par_within
            self._reference[course.name] = next(
                (
                    hole
                    for hole in season.holes
                    if hole.glance.strategy == "reference"
                    and hole.course == course.name
                    and hole.sample is not None
                    and abs(hole.sample.mean - level) <= band
                ),
                None,
            )
        return self._reference[course.name]


def shown_attempt(played: Played | None) -> Path | None:
    """The curve file of a hole: of its record's attempt, else of the newest attempt."""
    if played is None or not played.entries:
        return None
    attempt = played.attempt if played.record is not None else played.entries[-1].attempt
    return attempt.curve_path if attempt else None


@dataclass(frozen=True)
class Legend:
    """role: this, par or previous: how its line is drawn."""

    role: str
    text: str


@dataclass(frozen=True)
class CurveView:
    svg: Markup
    legend: tuple[Legend, ...]
    notes: tuple[str, ...]
    table: Table | None
    has_points: bool
    problems: tuple[str, ...]


def draw_curve(
    season: Season, standing: Standing, wording: Wording, shelf: Shelf, title: str
) -> CurveView | None:
    """Draw this hole's losses over the baseline's and the previous hole's; None when no curve was kept at all."""
    played = standing.played
    own = shelf.get(played)
    if not own.train and not own.val:
        return None
    baseline, previous = baseline_hole(season, standing, shelf), standing.comparisons["previous"].hole
    if previous is baseline:
        previous = None
    series = [Series("this", shelf.line(played))]
    legend = [Legend("this", wording.say("label", "this_hole"))]
    last = (
        own.finite[-1][0] if own.finite else math.inf
    )  # the axis is this hole's: longer curves are cut there
    values = {"title": title}
    for role, key, hole in (("par", "baseline", baseline), ("previous", "previous", previous)):
        points = shelf.line(hole) if hole else []
        if hole is None or not points:
            continue
        name = tidy(hole.title, 60)
        values |= {f"{key}_last": figures.count(int(points[-1][0]))} if points[-1][0] > last else {}
        cut = points if points[-1][0] <= last else [point for point in points if point[0] <= last]
        series.append(Series(role, cut))  # type: ignore[arg-type]
        legend.append(
            Legend(role, f"{wording.say('charts', f'key_{role}_hole')}: {name}, {hole.name.position}")
        )
        values |= {key: name, f"{key}_end": f"{points[-1][1]:.4f}"}
    if baseline is None or not shelf.line(baseline):
        legend.append(Legend("none", _why_no_baseline(standing, played, baseline, wording)))
    values |= _ends(own, played)
    val = [(point.step, point.loss) for point in own.val if point.loss is not None]
    if val:
        legend.append(Legend("ring", wording.say("charts", "key_val")))
    facts = Facts("", frozenset(), values)
    description = "".join(
        facts.fill(wording.say("charts", part)) or ""
        for part in ("curve_desc", "curve_baseline", "curve_previous")
    )
    spoken = (facts.fill(wording.say("charts", "curve_title")) or title, description)
    end = values.get("end", "")
    svg = curve(
        series, val, f"{end}", (wording.say("charts", "axis_loss"), wording.say("charts", "read_at")), spoken
    )
    return CurveView(
        svg,
        tuple(legend),
        _notes(series, own, facts, wording),
        _table(own, wording),
        bool(own.train),
        own.problems,
    )


def baseline_hole(season: Season, standing: Standing, shelf: Shelf) -> Played | None:
    """The hole of ours that plays par: the one that set it, else the course's reference; None for itself."""
    par = standing.comparisons["par"]
    if par.hole is not None:
        return par.hole
    found = shelf.reference(season, standing.course) if standing.course else None
    return None if found is standing.played else found


def _why_no_baseline(standing: Standing, played: Played, baseline: Played | None, wording: Wording) -> str:
    course = standing.course
    level = played.sample is not None and course is not None and course.par is not None
    if standing.sets_par or (level and played.intent.strategy == "reference"):
        return wording.say("charts", "key_own_baseline")
    return wording.say("hole", "curve_no_baseline")


def _ends(own: Curve, played: Played) -> dict[str, str]:
    """First, last and number of steps. The last loss is the record's, where it has one."""
    finite = own.finite
    if not finite:
        return {}
    recorded = played.record.last_train_loss if played.record else None
    end = recorded if recorded is not None else finite[-1][1]
    return {"start": f"{finite[0][1]:.4f}", "end": f"{end:.4f}", "steps": figures.count(finite[-1][0])}


def _notes(series: list[Series], own: Curve, facts: Facts, wording: Wording) -> tuple[str, ...]:
    """What a reader must know of the picture: clipped peaks, a loss that broke."""
    notes: list[tuple[str, dict[str, str]]] = []
    ranged = loss_range(series)
    peak = max((loss for _, loss in series[0].points), default=-math.inf)
    if ranged and peak > ranged[1]:
        notes.append(("curve_clipped", {"peak": f"{peak:,.2f}"}))
    notes += [
        (f"curve_longer_{key}", {}) for key in ("baseline", "previous") if f"{key}_last" in facts.values
    ]
    if (broken := own.broken_at) is not None:
        notes.append(("curve_broken", {"broken": figures.count(broken)}))
    filled = (
        Facts("", frozenset(), {**facts.values, **values}).fill(wording.say("charts", key))
        for key, values in notes
    )
    return tuple(text for text in filled if text)


def _table(own: Curve, wording: Wording) -> Table | None:
    """A dozen rows from first to last, validations among them."""
    steps = [point.step for point in own.train]
    val = {point.step: point for point in own.val[-6:]}
    chosen = set(val)
    if steps:
        wanted = min(len(steps), max(2, TABLE_ROWS - len(chosen)))
        chosen |= {steps[round(n * (len(steps) - 1) / max(wanted - 1, 1))] for n in range(wanted)}
        val |= {point.step: point for point in own.val if point.step in chosen}
    rows = []
    for step in sorted(chosen):
        place = bisect_left(steps, step)
        at = own.train[place] if place < len(steps) and steps[place] == step else None
        checked = val.get(step)
        time_ms = at.time_ms if at else checked.time_ms if checked else None
        rows.append((
            figures.count(step), f"{at.loss:.4f}" if at else "",
            f"{checked.loss:.4f}" if checked and checked.loss is not None else "",
            figures.bpb(checked.bpb) if checked and checked.bpb is not None else "",
            figures.seconds(time_ms / 1000) if time_ms is not None else "",
        ))  # fmt: skip
    if not rows:
        return None
    return Table(
        wording.say("charts", "table_caption"),
        (wording.say("charts", "read_at"), "train_loss", "val_loss", "val_bpb", wording.say("label", "time")),
        tuple(rows),
    )


def curve_csv(curve: Curve) -> bytes:
    """Return every point as CSV, one row a step; what was not measured is empty."""
    head = b"step,train_loss,val_loss,val_bpb,train_time_ms\n"
    steps, losses, times = zip(*curve.train, strict=True) if curve.train else ((), (), ())
    columns = steps, _cells(losses), _cells(times)
    rows = [b"%d,%s,,,%s\n" % row for row in zip(*columns, strict=True)]
    checks = zip(
        curve.val, _cells([p.loss for p in curve.val]), _cells([p.bpb for p in curve.val]), strict=True
    )
    for point, loss, bpb in checks:
        place = bisect_left(steps, point.step)
        if place < len(steps) and steps[place] == point.step:
            rows[place] = b"%d,%s,%s,%s,%s\n" % (point.step, columns[1][place], loss, bpb, columns[2][place])
        else:
            rows.append(b"%d,,%s,%s,%s\n" % (point.step, loss, bpb, _cells([point.time_ms])[0]))
    return head + b"".join(rows)


def _cells(values: Sequence[float | None]) -> list[bytes]:
    """Write numbers with all their digits, whole ones without a point."""
    if not values:
        return []
    if None not in values and all(map(math.isfinite, values)):  # type: ignore[arg-type]
        text: bytes = orjson.dumps(values)
        return text[1:-1].replace(b".0,", b",").removesuffix(b".0").split(b",")
    return [b"" if value is None else f"{value:.17g}".encode() if not math.isfinite(value) else _cells((value,))[0] for value in values]  # fmt: skip
