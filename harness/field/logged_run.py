"""What a log says of one run: scores by stage, sizes, steps, curve; and which score is official.

Fills while a log is read, so that a live view can ask at any time. Knows nothing of files;
`harness.field.log_parser` feeds it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from harness.field.log_lines import (
    ResultLine,
    Setting,
    Size,
    StepLine,
    StopLine,
    TrainLine,
    ValLine,
    read_count,
)
from harness.records.record import Stage

RunStatus = Literal["wallclock_cap", "completed", "truncated", "eval_only", "not_a_run"]

TWIN_BPB = 5e-5  # values this close are one result at two precisions
RULE = "the lowest val_bpb among post-quantization result lines, read from its most precise twin"

# What is kept of one run, so that a log of any size is read in constant memory.
MAX_POINTS = 50_000  # per curve; beyond it every second point is dropped, over and over
MAX_RESULTS = 500
MAX_SETTINGS = 2_000


class ThinnedCurve:
    """Points in compact arrays: step, then values. Thinned evenly when full; the last point is always there.

    count: how many points were added, kept or not. A value that was not printed is NaN.
    """

    def __init__(self, columns: int) -> None:
        self.count = 0
        self.first: tuple[int, tuple[float, ...]] | None = None
        self.last: tuple[int, tuple[float, ...]] | None = None
        self.stride = 1  # every how many points one is kept
        self._steps = array("q")
        self._values = tuple(array("d") for _ in range(columns))

    def add(self, step: int, values: tuple[float, ...]) -> None:
        """Append a point."""
        self.last = (step, values)
        if self.first is None:
            self.first = self.last
        if self.count % self.stride == 0:
            self._keep(step, values)
            if len(self._steps) > MAX_POINTS:
                self._halve()
        self.count += 1

    def due(self) -> slice:
        """Return which of the points to come will be kept."""
        return slice(-self.count % self.stride, None, self.stride)

    def add_many(self, count: int, columns: Sequence[Sequence[bytes]]) -> None:
        """Append `count` points by columns of digits (steps, then values): those due, then the last."""
        steps, *values = columns
        self._steps.extend(map(int, steps[:-1]))
        for column, texts in zip(self._values, values, strict=True):
            column.extend(map(float, texts[:-1]))
        self.last = (int(steps[-1]), tuple(float(texts[-1]) for texts in values))
        if self.first is None:
            self.first = (int(steps[0]), tuple(float(texts[0]) for texts in values))
        self.count += count
        self.thin(MAX_POINTS)

    def thin(self, limit: int) -> None:
        """Keep at most about `limit` points."""
        while len(self._steps) > limit:
            self._halve()

    def __len__(self) -> int:
        return len(self._steps) + self._last_is_extra

    def __iter__(self) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Yield (step, values) in the order printed, the last point included."""
        for index, step in enumerate(self._steps):
            yield step, tuple(column[index] for column in self._values)
        if self.last is not None and self._last_is_extra:
            yield self.last

    @property
    def _last_is_extra(self) -> bool:
        return self.count > 0 and (self.count - 1) % self.stride != 0

    def _keep(self, step: int, values: tuple[float, ...]) -> None:
        self._steps.append(step)
        for column, value in zip(self._values, values, strict=True):
            column.append(value)

    def _halve(self) -> None:
        self._steps = self._steps[::2]
        self._values = tuple(column[::2] for column in self._values)
        self.stride *= 2


@dataclass(frozen=True)
class Gap:
    """What a stage changed, in bits per byte; positive is worse."""

    before: Stage
    after: Stage
    bpb: float


@dataclass
class LoggedRun:
    """One run of a log. Every number is as printed; None: the log does not say."""

    first_line: int = 1
    last_line: int = 0
    copies: int = 1  # how often the file prints this same run
    lines: dict[str, int] = field(default_factory=dict)  # fact -> the line it was read from

    steps: int | None = None
    planned_steps: int | None = None
    step_avg_ms: float | None = None
    last_step_ms: float | None = None
    stop: StopLine | None = None
    train: ThinnedCurve = field(default_factory=lambda: ThinnedCurve(2))  # loss, time in ms
    val: ThinnedCurve = field(default_factory=lambda: ThinnedCurve(3))  # loss, bpb, time in ms
    tags: dict[str, int] = field(default_factory=dict)  # stage in brackets -> its first step
    curve_mark: int = 0  # checksum of the step lines, to recognise a second copy
    nan_step: int | None = None  # the first step whose training loss is no number

    results: list[ResultLine] = field(default_factory=list)
    results_left_out: int = 0
    total_eval_ms: float | None = None
    eval_mode: str | None = None

    model_params: int | None = None
    seed: int | None = None
    world_size: int | None = None
    torch: str | None = None
    python: str | None = None
    val_tokens: int | None = None
    peak_memory_mib: float | None = None
    hyperparameters: dict[str, str] = field(default_factory=dict)

    bytes_raw_model: int | None = None
    codec: str | None = None
    _models: list[tuple[int, str | None]] = field(default_factory=list)
    _codes: dict[str, int] = field(default_factory=dict)
    _totals: list[tuple[int, str | None]] = field(default_factory=list)
    vague_sizes: list[str] = field(default_factory=list)  # size lines in megabytes only

    # What the run is ----------------------------------------------------------------------------

    @property
    def trains(self) -> bool:
        return self.steps is not None or self.stop is not None

    @property
    def progressed(self) -> bool:
        """Whether the run got beyond its setup; what looks like a setup line after that is another run's."""
        return self.trains or bool(self.results)

    @property
    def status(self) -> RunStatus:
        """How the run ended, as far as the log shows.

        truncated: no result of the artifact. A run with such a result and no stop line counts as completed
        even when its last step line stands before the planned step, since evaluation comes after training.
        """
        if self.official is None:
            return "truncated"
        if not self.trains:
            return "eval_only"
        return "wallclock_cap" if self.stop is not None else "completed"

    # Scores -------------------------------------------------------------------------------------

    @property
    def official(self) -> ResultLine | None:
        """The line that holds the score, by `RULE`; None when the artifact was not evaluated."""
        scored = [line for line in self.results if line.post_quantization]
        if not scored:
            return None
        lowest = min(line.val_bpb for line in scored if line.val_bpb is not None)
        twins = [line for line in scored if line.val_bpb is not None and line.val_bpb - lowest <= TWIN_BPB]
        return max(twins, key=lambda line: (line.decimals, -(line.val_bpb or 0), -line.line))

    @property
    def why_official(self) -> str | None:
        """One sentence: which rule chose the official line, out of how many."""
        official = self.official
        if official is None:
            return None
        scored = sum(1 for line in self.results if line.post_quantization)
        return f"{RULE}: line {official.line}, {official.label} (of {scored})"

    @property
    def final_val_bpb(self) -> float | None:
        return self.official.val_bpb if self.official else None

    @property
    def final_val_loss(self) -> float | None:
        return self.official.val_loss if self.official else None

    def stage_score(self, stage: Stage) -> ResultLine | None:
        """Return the last result of a stage, from its most precise twin.

        Before quantization, a run without such a line falls back on its last validation step.
        """
        results_of_stage = [line for line in self.results if line.stage == stage and line.val_bpb is not None]
        if results_of_stage:
            last = results_of_stage[-1].val_bpb or 0.0
            twins = [line for line in results_of_stage if abs((line.val_bpb or 0.0) - last) <= TWIN_BPB]
            return max(twins, key=lambda line: line.decimals)
        if stage == "pre_quantization" and self.val.last is not None:
            step, (loss, bpb, _) = self.val.last
            if math.isfinite(loss) and math.isfinite(bpb):
                place = self.lines.get("last_val", 1)
                label = f"val at step {step}"
                return ResultLine(place, label, stage, loss, bpb, f"{loss:.4f}", f"{bpb:.4f}")
        return None

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The change from each measured stage to the next measured one."""
        order: tuple[Stage, ...] = ("pre_quantization", "round_trip", "sliding_window", "test_time_training")
        scores = [(stage, line.val_bpb) for stage in order if (line := self.stage_score(stage))]
        known = [(stage, bpb) for stage, bpb in scores if bpb is not None]
        return tuple(Gap(a, b, after - before) for (a, before), (b, after) in pairwise(known))

    @property
    def eval_ms(self) -> float | None:
        """Time of the official evaluation, from the total where one is printed, else from a twin's suffix."""
        if self.total_eval_ms is not None or self.official is None:
            return self.total_eval_ms
        best = self.official.val_bpb or 0.0
        times = [
            line.eval_ms
            for line in self.results
            if line.eval_ms is not None
            and line.stage == self.official.stage
            and line.val_bpb is not None
            and abs(line.val_bpb - best) <= TWIN_BPB
        ]
        return times[-1] if times else None

    # Time and sizes -----------------------------------------------------------------------------

    @property
    def train_time_ms(self) -> float | None:
        """From the stop line, else from the last step line in milliseconds."""
        return self.stop.time_ms if self.stop and self.stop.time_ms is not None else self.last_step_ms

    @property
    def derived_step_ms(self) -> float | None:
        """Training time over steps, for logs that print no average. Derived: never call it measured."""
        time = self.train_time_ms
        return time / self.steps if time is not None and self.steps else None

    @property
    def stop_reason(self) -> str | None:
        return self.stop.reason if self.stop else None

    @property
    def bytes_total(self) -> int | None:
        """The last total printed that is not the raw checkpoint's."""
        raw = self.bytes_raw_model
        raw_totals = {raw + code for code in self._codes.values()} if raw is not None else set()
        counted = [item for item in self._totals if item[1] is not None or item[0] not in raw_totals]
        printed = [size for size, codec in counted if codec != "wrapper"]
        return printed[-1] if printed else counted[-1][0] if counted else None

    @property
    def bytes_model(self) -> int | None:
        """The compressed model."""
        return self._models[-1][0] if self._models else None

    @property
    def bytes_code(self) -> int | None:
        """The code that counts: the one that adds up to the total, else the compressed one."""
        total, model = self.bytes_total, self.bytes_model
        if total is not None and model is not None and total - model in self._codes.values():
            return total - model
        for variant in ("compressed", "", "uncompressed"):
            if variant in self._codes:
                return self._codes[variant]
        return next(reversed(self._codes.values()), None)

    @property
    def sizes_add_up(self) -> bool | None:
        """Whether model + code = total; None when one is missing."""
        total, model, code = self.bytes_total, self.bytes_model, self.bytes_code
        return None if total is None or model is None or code is None else model + code == total

    # Filling ------------------------------------------------------------------------------------

    def add_train(self, point: TrainLine) -> None:
        self.advance(point)
        self.train.add(point.step, (point.loss, math.nan if point.time_ms is None else point.time_ms))
        if point.tag is not None and len(self.tags) < 100:
            self.tags.setdefault(point.tag, point.step)
        if self.nan_step is None and not math.isfinite(point.loss):
            self.nan_step = point.step

    def add_val(self, point: ValLine) -> None:
        self.advance(point)
        time = math.nan if point.time_ms is None else point.time_ms
        self.val.add(point.step, (point.loss, point.bpb, time))
        self.lines["last_val"] = point.line

    def add_step(self, point: StepLine) -> None:
        self.advance(point)

    def advance(self, point: TrainLine | ValLine | StepLine) -> None:
        """Take what every step line has."""
        self.steps, self.planned_steps, self.last_line = point.step, point.planned, point.line
        if point.step_avg_ms is not None:
            self.step_avg_ms = point.step_avg_ms
        if point.time_ms is not None and (isinstance(point, StepLine) or point.time_is_ms):
            self.last_step_ms = point.time_ms

    def add_result(self, result: ResultLine) -> ResultLine | None:
        """Keep a result; return it as kept, or None for a repetition of the line before or one too many.

        Numbers that were printed before under another label are marked as its copy and share its stage:
        `final_int8_zlib_roundtrip_exact` often repeats a sliding-window score.
        """
        if self.results:
            before = self.results[-1]
            if _printed(before) == _printed(result) and before.label == result.label:
                return None
        if len(self.results) >= MAX_RESULTS:
            self.results_left_out += 1
            return None
        if result.stage == "round_trip" and self.eval_mode and "sliding" in self.eval_mode:
            result = result._replace(stage="sliding_window")
        if result.decimals >= 6:
            for earlier in self.results:
                if _printed(earlier) == _printed(result) and earlier.label != result.label:
                    result = result._replace(copy_of=earlier.line, stage=earlier.stage)
                    break
        self.results.append(result)
        self.last_line = result.line
        return result

    def add_stop(self, stop: StopLine) -> None:
        self.stop, self.last_line = stop, stop.line
        self.lines["stop"] = stop.line
        if self.steps is None and stop.step is not None:
            self.steps, self.planned_steps = stop.step, stop.planned

    def add_size(self, size: Size) -> None:
        self.last_line = size.line
        if size.bytes is None:
            if len(self.vague_sizes) < 20:
                self.vague_sizes.append(size.text)
            return
        self.lines[f"bytes_{size.kind}"] = size.line
        if size.kind == "raw_model":
            self.bytes_raw_model = size.bytes
        elif size.kind == "model":
            self._models = [*self._models[-3:], (size.bytes, size.codec)]
            self.codec = size.codec
        elif size.kind == "code":
            if len(self._codes) < 20:
                self._codes[(size.codec or "").lower()] = size.bytes
        else:
            self._totals = [*self._totals[-7:], (size.bytes, size.codec)]

    def add_setting(self, setting: Setting) -> None:
        """Take facts and hyperparameters; the first value printed of each counts."""
        for key, value in setting.values:
            folded = key.lower()
            if folded in _NUMBERS and getattr(self, folded) is None:
                count = read_count(value.encode("ascii", "ignore"))
                if count is not None:
                    setattr(self, folded, count)
                    self.lines.setdefault(folded, setting.line)
            elif folded == "torch" and self.torch is None:
                self.torch = value
                self.lines["torch"] = setting.line
            if folded not in _NOT_KNOBS and len(self.hyperparameters) < MAX_SETTINGS:
                self.hyperparameters.setdefault(key, value)

    def fill_from(self, copy: LoggedRun) -> None:
        """Take what only an earlier copy of the same run has."""
        self.copies += copy.copies
        for name in (
            "torch",
            "python",
            "seed",
            "world_size",
            "model_params",
            "val_tokens",
            "stop",
            "step_avg_ms",
            "last_step_ms",
            "bytes_raw_model",
            "codec",
            "total_eval_ms",
            "peak_memory_mib",
        ):
            if getattr(self, name) is None:
                setattr(self, name, getattr(copy, name))
        if len(self.results) < len(copy.results):
            self.results = copy.results
        self._models, self._totals = self._models or copy._models, self._totals or copy._totals
        self._codes = self._codes or copy._codes
        self.hyperparameters = copy.hyperparameters | self.hyperparameters

    @property
    def mark(self) -> tuple[object, ...]:
        """Equal for two copies of one run: the same curve or, without a curve, the same results."""
        if self.train.count or self.val.count:
            return self.train.count, self.val.count, self.curve_mark
        return tuple((line.label, *_printed(line)) for line in self.results)


_NUMBERS = frozenset({"model_params", "seed", "world_size", "val_tokens"})
_NOT_KNOBS = frozenset({"val_bpb", "torch", "model_params", "val_tokens"})


def _printed(line: ResultLine) -> tuple[str, str]:
    return line.val_loss_text, line.val_bpb_text
