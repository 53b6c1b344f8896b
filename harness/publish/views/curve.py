"""The training curve of a hole's page: which curves share the drawing, its words, its table, its download."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
from markupsafe import Markup

from harness import figures
from harness.courses.course import Course
from harness.publish.drawings.charts import Role, Series, curve, loss_range, thin
from harness.publish.views.tables import Table
from harness.publish.words.commentary import Facts, tidy
from harness.publish.words.wording import Wording
from harness.records.curve import Curve, load_curve
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.season.standing import Standing

TABLE_ROWS = 12
THINNED = 150  # stretches, two points each: finer than any picture of ours shows
_CURVES_KEPT = 8


class CurveCache:
    """The curves read last: a hole's own is its neighbour's previous one, and all share the baseline's.

    get: the curve that a hole shows. line: its losses thinned once for every picture they appear in.
    """

    def __init__(self) -> None:
        self.get = lru_cache(_CURVES_KEPT)(_shown_curve)
        self.line = lru_cache(_CURVES_KEPT)(lambda played: thin(self.get(played).finite, THINNED))
        self._series = lru_cache(3 * _CURVES_KEPT)(lambda played, role: Series(role, self.line(played)))
        self._reference: dict[str, PlayedHole | None] = {}

    def series(self, played: PlayedHole, role: Role, last: float = math.inf) -> Series:
        """Return a hole's line for a picture whose axis ends with the step `last`."""
        line = self.line(played)
        if not line or line[-1][0] <= last:
            return self._series(played, role)
        return Series(role, [point for point in line if point[0] <= last])

    def reference(self, season: Season, course: Course) -> PlayedHole | None:
        """Our own hole that plays a published par: the first `reference` with a score in par's band."""
        if course.par is None:
            return None
        if course.name not in self._reference:
            level, band = course.par.val_bpb, course.verdicts.par_within
            self._reference[course.name] = next(
                (
                    hole
                    for hole in season.holes
                    if hole.summary.strategy == "reference"
                    and hole.course == course.name
                    and hole.sample is not None
                    and hole.comparable
                    and abs(hole.sample.mean - level) <= band
                ),
                None,
            )
        return self._reference[course.name]


def _shown_curve(played: PlayedHole | None) -> Curve:
    """Read the curve of the attempt behind a hole's record, else of its newest attempt, else an empty one."""
    if played is None or not played.entries:
        return Curve()
    if played.record is None:
        from harness.season.progress import load_progress  # reads logs, which few holes need

        return load_progress(played.entries[-1].attempt)
    return load_curve(played.attempt.curve_path) if played.attempt else Curve()


@dataclass(frozen=True)
class Legend:
    """role: this, par or previous: how its line is drawn."""

    role: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CurveView:
    svg: Markup
    legend: tuple[Legend, ...]
    notes: tuple[str, ...]
    table: Table | None
    has_points: bool


def draw_curve(
    season: Season, standing: Standing, wording: Wording, curve_cache: CurveCache, title: str
) -> CurveView | None:
    """Draw this hole's losses over the baseline's and the previous hole's; None when it has no curve."""
    played = standing.played
    own = curve_cache.get(played)
    if not own.steps and not own.val:
        return None
    baseline, previous = baseline_hole(season, standing, curve_cache), standing.comparisons["previous"].hole
    if previous is baseline:
        previous = None
    series = [curve_cache.series(played, "this")]
    legend = [Legend("this", wording.say("label", "this_hole"))]
    # The axis is this hole's: longer curves are cut at its last step.
    last = own.finite[-1][0] if own.finite else math.inf
    values = {"title": title}
    others: list[tuple[Role, str, PlayedHole | None]] = [
        ("par", "baseline", baseline),
        ("previous", "previous", previous),
    ]
    for role, key, hole in others:
        points = curve_cache.line(hole) if hole else []
        if hole is None or not points:
            continue
        name = tidy(hole.title, 60)
        values |= {f"{key}_last": figures.count(int(points[-1][0]))} if points[-1][0] > last else {}
        series.append(curve_cache.series(hole, role, last))
        legend.append(
            Legend(role, f"{wording.say('charts', f'key_{role}_hole')}: {name}, {hole.name.position}")
        )
        values |= {key: name, f"{key}_end": f"{points[-1][1]:.4f}"}
    if baseline is None or not curve_cache.line(baseline):
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
    svg = curve(
        series,
        val=val,
        end_label=values.get("end", ""),
        axis=(wording.say("charts", "axis_loss"), wording.say("charts", "read_at")),
        name=(facts.fill(wording.say("charts", "curve_title")) or title, description),
    )
    return CurveView(
        svg=svg,
        legend=tuple(legend),
        notes=_notes(series, own, facts, wording),
        table=_table(own, wording),
        has_points=bool(own.steps),
    )


def baseline_hole(season: Season, standing: Standing, curve_cache: CurveCache) -> PlayedHole | None:
    """The hole of ours that plays par: the one that set it, else the course's reference; None for itself."""
    par = standing.comparisons["par"]
    if par.hole is not None:
        return par.hole
    reference = curve_cache.reference(season, standing.course) if standing.course else None
    return None if reference is standing.played else reference


def _why_no_baseline(
    standing: Standing, played: PlayedHole, baseline: PlayedHole | None, wording: Wording
) -> str:
    course = standing.course
    level = played.sample is not None and course is not None and course.par is not None
    if standing.sets_par or (level and played.intent.strategy == "reference"):
        return wording.say("charts", "key_own_baseline")
    return wording.say("hole", "curve_no_baseline")


def _ends(own: Curve, played: PlayedHole) -> dict[str, str]:
    """First, last and number of steps. The last loss is the record's, where it has one."""
    finite = own.finite
    if not finite:
        return {}
    recorded = played.record.last_train_loss if played.record else None
    end = recorded if recorded is not None else finite[-1][1]
    return {
        "start": f"{finite[0][1]:.4f}",
        "end": f"{end:.4f}",
        "steps": figures.number(finite[-1][0], "step"),
    }


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
    steps = own.steps
    val = {point.step: point for point in own.val[-6:]}
    shown = set(val)
    if steps:
        count = min(len(steps), max(2, TABLE_ROWS - len(shown)))
        shown |= {steps[round(n * (len(steps) - 1) / max(count - 1, 1))] for n in range(count)}
        val |= {point.step: point for point in own.val if point.step in shown}
    rows = []
    for step in sorted(shown):
        place = bisect_left(steps, step)
        trained = place < len(steps) and steps[place] == step
        checked = val.get(step)
        time_ms = own.times_ms[place] if trained else checked.time_ms if checked else None
        rows.append(
            (
                figures.count(step),
                f"{own.losses[place]:.4f}" if trained else "",
                f"{checked.loss:.4f}" if checked and checked.loss is not None else "",
                figures.bpb(checked.bpb) if checked and checked.bpb is not None else "",
                figures.seconds(time_ms / 1000) if time_ms is not None else "",
            )
        )
    if not rows:
        return None
    return Table(
        wording.say("charts", "table_caption"),
        (wording.say("charts", "read_at"), "train_loss", "val_loss", "val_bpb", wording.say("label", "time")),
        tuple(rows),
    )


def curve_csv(curve: Curve) -> bytes:
    """Return every point as CSV, one row a step; what was not measured is empty."""
    steps, losses, times = curve.steps, _cells(curve.losses), _cells(curve.times_ms)
    rows = [f"{step},{loss},,,{time}" for step, loss, time in zip(steps, losses, times, strict=True)]
    checks = zip(
        curve.val, _cells([p.loss for p in curve.val]), _cells([p.bpb for p in curve.val]), strict=True
    )
    for point, loss, bpb in checks:
        place = bisect_left(steps, point.step)
        if place < len(steps) and steps[place] == point.step:
            rows[place] = f"{point.step},{losses[place]},{loss},{bpb},{times[place]}"
        else:
            rows.append(f"{point.step},,{loss},{bpb},{_cells([point.time_ms])[0]}")
    return "\n".join(["step,train_loss,val_loss,val_bpb,train_time_ms", *rows, ""]).encode()


def _cells(values: Sequence[float | None]) -> list[str]:
    """Write numbers with all their digits, whole ones without a point."""
    if not values:
        return []
    text = orjson.dumps(values).decode()
    if "null" not in text:  # what is not measured, or no number
        return text[1:-1].replace(".0,", ",").removesuffix(".0").split(",")
    return [
        "" if value is None else f"{value:.17g}" if not math.isfinite(value) else _cells((value,))[0]
        for value in values
    ]
