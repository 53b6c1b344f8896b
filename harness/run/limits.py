"""When a run must stop before its end: time, money, a score that is too bad, no number, silence, slow steps.

A `LimitWatcher` reads the log of one attempt line by line and says when a limit
(`harness.run.request.RunLimits`) is broken. Pure but for the clock, which is monotonic: a machine whose time
is set does not end a run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from harness import figures
from harness.field.log_events import TrainLine, ValLine
from harness.field.log_parser import LogParser
from harness.run.capture import StopReason
from harness.run.request import RunLimits

SETTLED_STEP = 20  # compilation and warm-up make the first steps slow
PATIENCE = 3  # intervals in a row that must be slow
_NANS = 2  # logged points in a row; some scripts skip one bad step


class LimitWatcher:
    """Reads the log of one attempt and says when a limit is broken."""

    def __init__(self, limits: RunLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._parser = LogParser()
        self._began = self._last_line_at = clock()
        self._stop: StopReason | None = None
        self._nans = self._slow = 0
        self._last: tuple[int, float] | None = None  # step, training time in ms

    def lines(self, texts: Sequence[str]) -> None:
        """Take in lines of the log; none at all is a sign of life, too."""
        self._last_line_at = self._clock()
        for event in self._parser.feed("".join(f"{text}\n" for text in texts)):
            if isinstance(event, TrainLine):
                self._check_number("train_loss", event.step, event.loss)
                self._check_tempo(event)
            elif isinstance(event, ValLine):
                for name, value in (("val_loss", event.loss), ("val_bpb", event.bpb)):
                    if value is not None:
                        self._check_number(name, event.step, value)

    def stop_reason(self) -> StopReason | None:
        """Return why the run must stop, or None."""
        if self._stop is not None:
            return self._stop
        limits, now = self._limits, self._clock()
        elapsed = now - self._began
        if limits.timeout is not None and elapsed > limits.timeout:
            return StopReason("timeout", f"stopped after {elapsed:.0f} s (--timeout {limits.timeout:g})")
        if limits.cost_seconds is not None and elapsed > limits.cost_seconds:
            cost = f"--max-cost {figures.money(limits.max_cost or 0.0)} at {limits.rate:g} an hour"
            return StopReason("budget", f"{cost} is used up after {elapsed:.0f} s")
        if limits.stall is not None and now - self._last_line_at > limits.stall:
            return StopReason(
                "stalled",
                f"nothing was printed for {now - self._last_line_at:.0f} s (--stall {limits.stall:g})",
            )
        return None

    def _check_number(self, metric: str, step: int, value: float) -> None:
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

    def _check_tempo(self, point: TrainLine) -> None:
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
