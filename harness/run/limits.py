"""When a run must stop before its end: time, money, a score that is too bad, no number, silence, slow steps.

`RunLimits` is what was asked for; a `LimitWatcher` hears the lines of one attempt and says when one is broken. Pure but for
the clock, which is monotonic: a machine whose time is set does not end a run.
"""

from __future__ import annotations

import math
import operator
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import Exit, HarnessError, UsageError
from harness.field.log_lines import TrainLine, ValLine
from harness.field.log_parser import LogParser
from harness.run.capture import StopReason

METRICS = ("val_bpb", "val_loss", "train_loss")
SETTLED_STEP = 20  # compilation and warm-up make the first steps slow
PATIENCE = 3  # intervals in a row that must be slow
_NANS = 2  # logged points in a row; some scripts skip one bad step
_RULE = re.compile(r"\s*(\w+)\s*(?:@\s*(\d+))?\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class AbortRule:
    """`val_bpb@1000>1.45`: from step 1000 on, a val_bpb above 1.45 ends the run."""

    metric: str
    step: int
    sign: str
    limit: float
    text: str

    def breaks(self, step: int, value: float) -> bool:
        return step >= self.step and _SIGNS[self.sign](value, self.limit)


def parse_abort(text: str) -> AbortRule:
    """Read a rule. Raises UsageError with the form that is expected."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f'--abort "{text}" is no rule', "write it like --abort 'val_bpb@1000>1.45'")
    metric, step, sign, limit = match.groups()
    if metric not in METRICS:
        raise UsageError(
            f'--abort "{text}" watches {metric}, which is not logged', f"use {', '.join(METRICS)}"
        )
    try:
        number = float(limit)
    except ValueError:
        raise UsageError(
            f'--abort "{text}": {limit} is not a number', "write it like val_bpb@1000>1.45"
        ) from None
    return AbortRule(metric, int(step or 0), sign, number, text.strip())


@dataclass(frozen=True)
class RunLimits:
    """timeout, stall: seconds. max_cost: in the money of `rate`, which is per hour. slow: ms per step."""

    timeout: float | None = None
    max_cost: float | None = None
    rate: float | None = None
    aborts: tuple[AbortRule, ...] = ()
    stall: float | None = None
    slow: float | None = None

    @property
    def cost_seconds(self) -> float | None:
        """Seconds that the money buys."""
        if self.max_cost is None or not self.rate:
            return None
        return self.max_cost / self.rate * 3600

    def check_budget(self, planned_seconds: float | None, attempts: int) -> None:
        """Refuse a run that cannot be paid for. planned_seconds: training time of one attempt, where it is known.

        Raises UsageError without a rate, HarnessError (exit 14) when the money cannot be enough.
        """
        if self.max_cost is not None and not self.rate:
            raise UsageError(
                f"--max-cost {self.max_cost:g} needs to know what an hour costs",
                "add --rate 3.29 (per hour), or set HARNESS_RATE",
            )
        affordable = self.cost_seconds
        if affordable is None or planned_seconds is None or planned_seconds * attempts <= affordable:
            return
        price = planned_seconds * attempts / 3600 * (self.rate or 0)
        raise HarnessError(
            f"{attempts} x {planned_seconds:.0f} s of training cost {price:.2f} at {self.rate:g} an hour; "
            f"--max-cost is {self.max_cost:g}",
            "raise --max-cost, or lower MAX_WALLCLOCK_SECONDS",
            Exit.BUDGET,
        )

    def after(self, spent_seconds: float) -> RunLimits:
        """Return what is left for the next attempt of the same command."""
        if self.max_cost is None or not self.rate:
            return self
        left = max(0.0, self.max_cost - spent_seconds / 3600 * self.rate)
        return RunLimits(self.timeout, left, self.rate, self.aborts, self.stall, self.slow)


class LimitWatcher:
    """Hears one attempt and says when a limit is broken."""

    def __init__(self, limits: RunLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._parser = LogParser()
        self._began = self._heard = clock()
        self._stop: StopReason | None = None
        self._nans = self._slow = 0
        self._last: tuple[int, float] | None = None  # step, training time in ms

    def line(self, text: str) -> None:
        """Hear one line of the log."""
        self._heard = self._clock()
        for event in self._parser.feed_line(text):
            if isinstance(event, TrainLine):
                self._hear_number("train_loss", event.step, event.loss)
                self._hear_tempo(event)
            elif isinstance(event, ValLine):
                self._hear_number("val_loss", event.step, event.loss)
                self._hear_number("val_bpb", event.step, event.bpb)

    def judge(self) -> StopReason | None:
        """Return why the run must stop, or None."""
        if self._stop is not None:
            return self._stop
        limits, now = self._limits, self._clock()
        gone = now - self._began
        if limits.timeout is not None and gone > limits.timeout:
            return StopReason("timeout", f"stopped after {gone:.0f} s (--timeout {limits.timeout:g})")
        if limits.cost_seconds is not None and gone > limits.cost_seconds:
            what = (
                f"--max-cost {limits.max_cost:.2f} at {limits.rate:g} an hour is used up after {gone:.0f} s"
            )
            return StopReason("budget", what)
        if limits.stall is not None and now - self._heard > limits.stall:
            return StopReason(
                "stalled", f"nothing was printed for {now - self._heard:.0f} s (--stall {limits.stall:g})"
            )
        return None

    def _hear_number(self, metric: str, step: int, value: float) -> None:
        if not math.isfinite(value):
            self._nans += 1
            if metric != "train_loss" or self._nans >= _NANS:
                self._stop = self._stop or StopReason("nan", f"{metric} became {value} at step {step}")
            return
        if metric == "train_loss":
            self._nans = 0
        for rule in self._limits.aborts:
            if rule.metric == metric and rule.breaks(step, value):
                what = f"{metric} is {value:g} at step {step} (--abort '{rule.text}')"
                self._stop = self._stop or StopReason("aborted", what)

    def _hear_tempo(self, point: TrainLine) -> None:
        if self._limits.slow is None or point.time_ms is None:
            return
        before, self._last = self._last, (point.step, point.time_ms)
        if before is None or point.step <= before[0] or point.step <= SETTLED_STEP:
            return
        step_ms = (point.time_ms - before[1]) / (point.step - before[0])
        self._slow = self._slow + 1 if step_ms > self._limits.slow else 0
        if self._slow >= PATIENCE:
            what = f"{step_ms:.0f} ms a step at step {point.step} (--slow {self._limits.slow:g})"
            self._stop = self._stop or StopReason("slow", what)
