"""Which run of a log an event belongs to: where a run begins, is set up, goes on, is printed twice, ends.

A file may hold several runs; the last one is its result. What a run is made of is
`harness.field.logged_run`'s, and how lines become events `harness.field.log_parser`'s.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.field.log_events import (
    Crash,
    Event,
    Marker,
    ResultLine,
    Setting,
    Size,
    StepLine,
    StopLine,
    Summary,
    TrainLine,
    ValLine,
    Warn,
)
from harness.field.log_prefix import MAX_LEARN_LINES
from harness.field.logged_run import MAX_SETTINGS, LoggedRun
from harness.field.size_lines import more_sizes

MAX_RUNS = 64  # of one file; the oldest are dropped, and counted
MAX_WARNINGS = 200
CLOSED_RUN_POINTS = 10_000  # per curve, once another run follows

Sink = Callable[[Event], None]

# A flat line with one of these, after a run has made steps, may belong to the next run.
_SETUP_KEYS = frozenset(
    {
        "seed",
        "world_size",
        "model_params",
        "val_tokens",
        "train_batch_tokens",
        "iterations",
        "train_loader",
        "tie_embeddings",
        "val_bpb",
        "train_shards",
    }
)
_MEASURED = frozenset({"peak_memory_mib", "total_eval_seconds"})
_LATE_KEYS = _SETUP_KEYS | _MEASURED


@dataclass
class _NextSetup:
    """Setup lines after a run's end, which may be the head of another run."""

    line: int
    settings: list[Setting] = field(default_factory=list)


class RunTracker:
    """Adds each event to the run it belongs to; the run so far is `run`, those before it `runs`.

    sink: called with every event. collected: a list that takes them as well, while there is one.
    last_step_line: as it was printed, to pass over a line printed twice.
    pending: what may be the head of another run. idle_shapes: shapes of lines that change nothing more in
    this run.
    """

    def __init__(self, sink: Sink | None) -> None:
        self.run = LoggedRun()
        self.runs: list[LoggedRun] = []
        self.runs_left_out = 0
        self.warnings: list[Warn] = []
        self.sink = sink
        self.collected: list[Event] | None = None
        self.last_step_line = b""
        self.pending: _NextSetup | None = None
        self.idle_shapes: set[bytes] = set()
        self._warnings_left_out = 0
        self._passed_on: set[int] = set()  # lines at the head whose events were passed on
        self._seen_before: frozenset[int] = frozenset()
        self._resumed_at: int | None = None
        self._printed_again: list[tuple[TrainLine | ValLine | StepLine, bytes]] = []
        self._warmed_up = self._has_section = False

    def take(self, event: Event, line: bytes) -> None:
        """Let an event change the run it belongs to, then pass it on. line: as it was printed."""
        kind = type(event)
        if kind is TrainLine or kind is ValLine or kind is StepLine:
            if line == self.last_step_line and self.pending is None:
                return  # printed twice in a row
            self._take_point(event, line)  # type: ignore[arg-type]
        elif isinstance(event, Setting):
            self._take_setting(event)
        elif isinstance(event, ResultLine):
            if self.run.has_label(event.label) and any(run.has_printed(event) for run in self.runs):
                return  # another run's result in a recap
            result = self.run.add_result(event)
            if result is not None:
                self.emit(result)
            return
        elif isinstance(event, Size):
            self.run.add_size(event)
            for more in more_sizes(line, event.line):
                self.run.add_size(more)
                self.emit(more)
        elif isinstance(event, Summary):
            self.run.add_summary(event)
        elif isinstance(event, StopLine):
            self.run.add_stop(event)
        elif isinstance(event, Crash):
            self.run.add_crash(event)
        elif isinstance(event, Marker):
            self._take_marker(event)
        self.emit(event)

    def restarted(self) -> RunTracker:
        """Return a tracker for the same log from its first line on; it passes no event on again."""
        again = RunTracker(self.sink)
        again.collected = self.collected
        again._passed_on, again._seen_before = self._passed_on, frozenset(self._passed_on)
        return again

    def emit(self, event: Event) -> None:
        """Pass an event on that changes no run."""
        if (self.sink is None and self.collected is None) or event.line in self._seen_before:
            return
        if event.line <= MAX_LEARN_LINES:
            self._passed_on.add(event.line)
        if self.sink is not None:
            self.sink(event)
        if self.collected is not None:
            self.collected.append(event)

    def _take_point(self, point: TrainLine | ValLine | StepLine, line: bytes) -> None:
        """Add a step line to the current run, or to a new one when its number goes back."""
        run = self.run
        before = run.steps
        inner = before is not None and point.form not in run.forms and self.pending is None
        if inner and (run.ended or point.step < (before or 0)):
            return  # a loop inside the run, such as adaptation on the text that is scored
        if before is not None and point.step <= before and self._is_printed_again(point):
            self._printed_again.append((point, line))
            return
        again, self._printed_again = self._printed_again, []
        if before is not None and point.step <= before and self._goes_back(point, before):
            self._new_run(self.pending.line if self.pending else point.line)
            run = self.run
            for first, text in again:  # the other run began with the same numbers
                if first.step < point.step:
                    self._add_point(first, text)
        elif self.pending is not None and point.step != before:
            self.pending = None
        self._add_point(point, line)

    def _add_point(self, point: TrainLine | ValLine | StepLine, line: bytes) -> None:
        run = self.run
        self.last_step_line = line
        run.curve_mark = zlib.crc32(line, run.curve_mark)
        if isinstance(point, TrainLine):
            run.add_train(point)
        elif isinstance(point, ValLine):
            run.add_val(point)
        else:
            run.add_step(point)

    def _is_printed_again(self, point: TrainLine | ValLine | StepLine) -> bool:
        """Whether a step line is one of this run's once more, or after its end any run's, as in a recap."""
        if self.pending is not None or self._resumed_at is not None:
            return False
        runs = (self.run, *self.runs) if self.run.ended else (self.run,)
        return any(run.holds(point) for run in runs)

    def _goes_back(self, point: TrainLine | ValLine | StepLine, before: int) -> bool:
        """Whether a step number shows that another run has begun."""
        if self._resumed_at is not None and self._resumed_at <= point.step <= before:
            self.warn(point.line, f"the run resumed at step {self._resumed_at} after step {before}")
            self._resumed_at = None
            return False
        return point.step < before or (point.step == before and self.pending is not None)

    def _take_setting(self, setting: Setting) -> None:
        if setting.inline and self.run.progressed:
            self.run.add_late(setting)
            return
        if setting.indented or setting.inline:
            self.run.add_setting(setting)
            return
        keys = {key.lower() for key, _ in setting.values}
        if not keys.isdisjoint(_MEASURED):
            self._take_measured(setting)
        elif any(key.endswith("eval_mode") for key in keys):
            self.run.eval_mode = next(value for key, value in setting.values if key.endswith("eval_mode"))
        elif not self.run.progressed:
            self.run.add_setting(setting)
        elif not keys.isdisjoint(_SETUP_KEYS):
            if self.pending is None:
                self.pending = _NextSetup(setting.line)
            if len(self.pending.settings) < MAX_SETTINGS:
                self.pending.settings.append(setting)

    def _take_measured(self, setting: Setting) -> None:
        for key, value in setting.values:
            if key == "peak_memory_mib":
                self.run.peak_memory_mib = float(value)
                self.run.lines[key] = setting.line
            elif key == "total_eval_seconds":
                seconds = float(value)
                if 0 <= seconds < 1e12:
                    self.run.total_eval_ms = seconds * 1000
                    self.run.lines[key] = setting.line

    def _take_marker(self, marker: Marker) -> None:
        if marker.what in ("python", "hyperparameters"):
            seen_before = self.run.python is not None if marker.what == "python" else self._has_section
            if self.run.progressed or (seen_before and self._is_set_up()):
                self._new_run(marker.line)
        if marker.what == "python" and self.run.python is None:
            self.run.python = marker.text
        elif marker.what == "hyperparameters":
            self._has_section = True
        elif marker.what == "warmup":
            self._warmed_up = True
        elif marker.what == "resume":
            self._resumed_at = int(marker.text)

    def is_idle(self, event: Event) -> bool:
        """Whether lines of this shape change nothing for the rest of the run."""
        if isinstance(event, Marker):
            return event.what == "rule" or (event.what == "warmup" and self._warmed_up)
        return (
            isinstance(event, Setting)
            and self.run.progressed
            and not event.indented
            and (
                event.inline
                or not any(key.lower() in _LATE_KEYS or key.endswith("eval_mode") for key, _ in event.values)
            )
        )

    def _is_set_up(self) -> bool:
        """Whether the run got as far as a model or a warm-up, which an aborted start may not."""
        return self.run.model_params is not None or self._warmed_up

    def _new_run(self, line: int) -> None:
        """Close the current run; what was pending becomes the head of the next."""
        pending = self.pending
        self.close_run(final=False)
        self.run = LoggedRun(first_line=line)
        self.pending, self._resumed_at, self.last_step_line = None, None, b""
        self._printed_again = []
        self.idle_shapes.clear()
        self._warmed_up = self._has_section = False
        for setting in pending.settings if pending else ():
            self.run.add_setting(setting)

    def close_run(self, final: bool) -> None:
        """Put the current run with the others, or with its earlier copy."""
        run = self.run
        run.last_line = max(run.last_line, run.first_line)
        if final and self.pending is not None:  # no run followed; a closing summary of this one
            for setting in self.pending.settings:
                run.add_late(setting)
        run.take_inline()
        run.take_summary()
        whole = next((earlier for earlier in reversed(self.runs) if earlier.repeats(run)), None)
        if whole is not None:
            whole.take_recap(run, self.runs)
            return
        if (
            self.runs
            and not self.runs[-1].progressed
            and self.runs[-1].crash is None
            and run.same_head(self.runs[-1])
        ):
            self.runs.pop()  # the head was printed twice, to the console and to the file
        if not run.progressed and (not self._is_set_up() or (final and self.runs)):
            if self._is_set_up():
                self.warn(run.first_line, "a run that made no step; the one before it is the result")
            return
        mark = run.mark
        for earlier in self.runs:
            if mark == earlier.mark:
                run.fill_from(earlier)
                self.runs.remove(earlier)
                self.warn(run.first_line, "the same run is printed again; it counts once")
                break
        if not final:
            run.train.thin(CLOSED_RUN_POINTS)
            run.val.thin(CLOSED_RUN_POINTS)
        self.runs.append(run)
        if len(self.runs) > MAX_RUNS:
            del self.runs[0]
            self.runs_left_out += 1

    def warn(self, line: int, text: str) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(Warn(line, text))
            self.emit(self.warnings[-1])
        else:
            self._warnings_left_out += 1

    def report(self) -> None:
        """Say what is odd about the file's result."""
        if len(self.runs) > 1:
            before = len(self.runs) - 1 + self.runs_left_out
            self.warn(0, f"{before} earlier run(s) in the file; the last one is its result")
        if self.runs:
            for text in oddities(self.runs[-1]):
                self.warn(0, text)
        if self._warnings_left_out:
            self.warnings.append(Warn(0, f"{self._warnings_left_out} more warnings"))
            self._warnings_left_out = 0


def oddities(run: LoggedRun) -> list[str]:
    """Say what a reader of a run should know."""
    odd = []
    if run.params_are_rounded:
        odd.append(f"the parameters are printed rounded only: {run.model_params:,}")
    if run.sizes_add_up is False:
        odd.append(
            f"model {run.bytes_model:,} + code {run.bytes_code:,} bytes is not the total {run.bytes_total:,}"
        )
    if run.sizes.vague and run.bytes_total is None:
        odd.append(f"sizes only in megabytes: {run.sizes.vague[-1]}")
    if run.nan_step is not None:
        since, again = run.nan_step, run.finite_step
        when = (
            f"from step {since} on" if again is None else f"at step {since}, and is one again at step {again}"
        )
        odd.append(f"the training loss is not a number {when}")
    if run.results_left_out:
        odd.append(f"{run.results_left_out} result lines beyond the first {len(run.results)} were not kept")
    if run.train.stride > 1 or run.val.stride > 1:
        odd.append(f"the curve of {run.train.count + run.val.count:,} points was thinned")
    official = run.official
    if official is None and any(line.stage != "pre_quantization" for line in run.results):
        labels = ", ".join(sorted({line.label for line in run.results})[:5])
        odd.append(f"no result line with a known label; not taken for a score: {labels}")
    elif official is not None and run.choice.doubt:
        odd.append(f"the score {official.label} is not sure: {run.choice.doubt}")
    if run.status == "completed" and run.stop is None and (run.steps or 0) < (run.planned_steps or 0):
        odd.append(f"no stop line, and the last step line is {run.steps} of {run.planned_steps}")
    return odd
