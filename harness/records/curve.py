"""`curve.jsonl`: the points that an attempt logged while it trained; broken lines are passed over.

A line is `{"step", "train_loss", "train_time_ms", ...}` or `{"step", "val_loss", "val_bpb",
"train_time_ms"}`.
"""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

from harness.documents import MAX_REAL, MAX_WHOLE, FileProblem, MissingFile, read_file
from harness.figures import number

# Of a file: the longest curve of a public log has 20,000 points of 70 bytes.
MAX_BYTES, MAX_POINTS, MAX_LINE, MAX_KEYS = 16_000_000, 250_000, 2_000, 8

_Point = TypeVar("_Point")


class TrainPoint(NamedTuple):
    """loss in nats per token; may be NaN or infinite, as it was logged."""

    step: int
    loss: float
    time_ms: float | None = None


class ValPoint(NamedTuple):
    step: int
    loss: float | None
    bpb: float | None
    time_ms: float | None = None


@dataclass(frozen=True)
class Curve:
    """The points by step, ascending: those of training as columns, which are read in half the time.

    problems: what was passed over, with the reason.
    """

    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    times_ms: tuple[float | None, ...] = ()
    val: tuple[ValPoint, ...] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, train: Iterable[TrainPoint] = (), val: Iterable[ValPoint] = (), problems: Iterable[str] = ()
    ) -> Curve:
        """Return a curve of points that are in order."""
        train = tuple(train)
        return cls(
            tuple(point.step for point in train),
            tuple(point.loss for point in train),
            tuple(point.time_ms for point in train),
            tuple(val),
            tuple(problems),
        )

    @cached_property
    def train(self) -> tuple[TrainPoint, ...]:
        """The points of training, each as one."""
        return tuple(map(TrainPoint, self.steps, self.losses, self.times_ms))

    @cached_property
    def finite(self) -> list[tuple[int, float]]:
        """(step, train_loss) of every point that is a number."""
        points = list(zip(self.steps, self.losses, strict=True))
        if all(map(isfinite, self.losses)):
            return points
        return [point for point in points if isfinite(point[1])]

    @cached_property
    def by_step(self) -> dict[int, float]:
        """The same by step."""
        return dict(self.finite)

    @property
    def broken_at(self) -> int | None:
        """The first step whose training loss is not a number, or None."""
        if len(self.finite) == len(self.steps):
            return None
        return next(step for step, loss in zip(self.steps, self.losses, strict=True) if not isfinite(loss))


def load_curve(path: Path) -> Curve:
    """Read a curve. A missing file is an empty curve; a torn last line is skipped without a word.

    A step that was logged twice (a resumed run went over it again) counts once, as logged last.
    """
    try:
        content = read_file(path, MAX_BYTES)
        if (count := content.count(b"\n")) > MAX_POINTS:
            raise FileProblem(f"{path}: it has {count:,} points, and at most {MAX_POINTS:,} are read")
    except MissingFile:
        return Curve()
    except FileProblem as error:
        return Curve(problems=(error.message,))
    return _read_plain(content) or _read_any(content.decode("utf-8", errors="replace"))


def _read_plain(content: bytes) -> Curve | None:
    """Read a curve as the trainers write it, thousands of points a millisecond; None for any other."""
    try:
        lines = content.strip()
        if not _is_flat(lines, lines.count(b"\n") + 1):
            return None
        rows = orjson.loads(b"[" + lines.replace(b"\n", b",") + b"]")
        checked = [row for row in rows if len(row) != 3]
        train = [row for row in rows if len(row) == 3] if checked else rows
        steps = [row["step"] for row in train]
        losses = [row["train_loss"] for row in train]
        times = [row["train_time_ms"] for row in train]
    except (ValueError, TypeError, KeyError):
        return None
    if not train or len(rows) != lines.count(b"\n") + 1 or any("train_loss" in row for row in checked):
        return None
    plain = {*map(type, steps)} == {int} and {*map(type, losses)} == {*map(type, times)} == {float}
    if not plain or steps[0] < 0 or not all(map(operator.lt, steps, steps[1:])):
        return None
    if not all(min(column) >= -MAX_REAL and max(column) <= MAX_REAL for column in (losses, times)):
        return None
    val = _collect(checked, [])
    if val.problems or len(val.val) != len(checked):
        return None
    return Curve(tuple(steps), tuple(losses), tuple(times), val.val)


def _read_any(text: str) -> Curve:
    lines = text.split("\n")
    torn = lines.pop()  # empty when the file ends with a newline
    lines = [line for line in lines if line and not line.isspace()]
    rows, problems = _decode(lines)
    rows += _decode([torn])[0] if torn.strip() else []
    return _collect(rows, problems)


def _decode(lines: list[str]) -> tuple[list[Any], list[str]]:
    """Decode all lines at once, which is twice as fast; one by one only when a line is broken."""
    text = ",".join(lines)
    try:
        if _is_flat(text.encode(), len(lines)) and len(rows := json.loads(f"[{text}]")) == len(lines):
            return rows, []
    except (ValueError, RecursionError):
        pass
    rows, bad = [], 0
    for line in lines:
        try:
            if len(line) > MAX_LINE:
                raise ValueError
            rows.append(json.loads(line))
        except (ValueError, RecursionError):
            bad += 1
    return rows, [f"curve.jsonl: {number(bad, 'unreadable line')} passed over"] if bad else []


def _is_flat(text: bytes, lines: int) -> bool:
    """Whether text holds no more values than as many points have: an empty list takes 30 times its place in
    a file when it is decoded.
    """
    return b"[" not in text and text.count(b"{") <= lines and text.count(b":") <= MAX_KEYS * lines


def _collect(rows: list[Any], problems: list[str]) -> Curve:
    train: dict[int, TrainPoint] = {}
    val: dict[int, ValPoint] = {}
    odd = 0
    for row in rows:
        step = row.get("step") if type(row) is dict else None
        if type(step) is not int or not 0 <= step <= MAX_WHOLE:
            odd += 1
            continue
        loss, time_ms = _number(row.get("train_loss")), _time(row.get("train_time_ms"))
        if loss is not None:
            train[step] = TrainPoint(step, loss, time_ms)
            if "val_loss" not in row and "val_bpb" not in row:  # nearly every line
                continue
        val_loss, val_bpb = _number(row.get("val_loss")), _number(row.get("val_bpb"))
        if val_loss is not None or val_bpb is not None:
            val[step] = ValPoint(step, val_loss, val_bpb, time_ms)
        elif loss is None:
            odd += 1
    if odd:
        problems = [*problems, f"curve.jsonl: {number(odd, 'line')} held no point"]
    return Curve.of(_ascending(train), _ascending(val), problems)


def _ascending(points: dict[int, _Point]) -> tuple[_Point, ...]:
    steps = list(points)
    if all(a < b for a, b in itertools.pairwise(steps)):
        return tuple(points.values())
    return tuple(points[step] for step in sorted(points))


def _number(value: object) -> float | None:
    """A loss as it was logged; infinite where it is larger than any that a training can have."""
    if type(value) is not float and type(value) is not int:
        return None
    return float(value) if -MAX_REAL <= value <= MAX_REAL or value != value else inf


def _time(value: object) -> float | None:
    time_ms = _number(value)
    return time_ms if time_ms is not None and isfinite(time_ms) else None
