"""What a log says of one run: scores by stage, sizes, steps, curve; and which score is official.

Fills while a log is read, so that a live view can ask at any time. Knows nothing of files;
`harness.field.log_parser` feeds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from harness.field.crash_lines import outweighs
from harness.field.log_events import (
    Crash,
    ResultLine,
    Setting,
    Size,
    StepLine,
    StopLine,
    Summary,
    SummaryFact,
    TrainLine,
    ValLine,
    read_count,
)
from harness.field.printed_sizes import PrintedSizes
from harness.field.run_facts import fact_of, read_fact
from harness.field.score_choice import TWIN_BPB, ScoreChoice, choose_score
from harness.field.size_lines import choose_code, code_words
from harness.field.stop_lines import COMPLETED
from harness.field.thinned_curve import ThinnedCurve
from harness.records.record import Stage

RunStatus = Literal["wallclock_cap", "completed", "truncated", "eval_only", "not_a_run"]

# What is kept of one run, so that a log of any size is read in constant memory.
MAX_RESULTS = 500
MAX_SETTINGS = 2_000


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
    _last_step_line: int = 0
    train: ThinnedCurve = field(default_factory=lambda: ThinnedCurve(2))  # loss, time in ms
    val: ThinnedCurve = field(default_factory=lambda: ThinnedCurve(3))  # loss, bpb, time in ms
    tags: dict[str, int] = field(default_factory=dict)  # stage in brackets -> its first step
    # By the lengths of both curves: their points, to recognise a line that is printed again.
    _known: tuple[tuple[int, int], dict[str, dict[int, tuple[float, ...]]]] | None = None
    curve_mark: int = 0  # checksum of the step lines, to recognise a second copy
    forms: set[str] = field(default_factory=set)  # of its step lines, by the word before the step
    summary: dict[SummaryFact, Summary] = field(default_factory=dict)
    nan_step: int | None = None  # the first step whose training loss is no number
    finite_step: int | None = None  # since when it is a number again, up to the end

    results: list[ResultLine] = field(default_factory=list)
    results_left_out: int = 0
    _printed_results: set[tuple[str, str, str]] = field(default_factory=set)
    total_eval_ms: float | None = None
    eval_mode: str | None = None

    model_params: int | None = None
    params_are_rounded: bool = False
    seed: int | None = None
    world_size: int | None = None
    torch: str | None = None
    python: str | None = None
    val_tokens: int | None = None
    peak_memory_mib: float | None = None
    hyperparameters: dict[str, str] = field(default_factory=dict)
    _inline: dict[str, tuple[str, int]] = field(default_factory=dict)  # name -> value and line
    _late: dict[str, tuple[str, int]] = field(default_factory=dict)
    crash: Crash | None = None

    sizes: PrintedSizes = field(default_factory=PrintedSizes)

    # What the run is ----------------------------------------------------------------------------

    @property
    def trains(self) -> bool:
        return self.steps is not None or self.stop is not None

    @property
    def ended(self) -> bool:
        """Whether training is over."""
        return self.stop is not None or bool(self.results)

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
        return "wallclock_cap" if self.stop_reason is not None else "completed"

    # Scores -------------------------------------------------------------------------------------

    @property
    def choice(self) -> ScoreChoice:
        """Which result is the score, and why."""
        return choose_score(self.results, self.sizes, self._last_step_line)

    @property
    def official(self) -> ResultLine | None:
        """The line that holds the score; None when the artifact was not evaluated."""
        return self.choice.official

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
            _, (_, bpb, _) = self.val.last
            if math.isfinite(bpb):
                return self._last_validation(stage)
        return None

    def _last_validation(self, stage: Stage) -> ResultLine:
        assert self.val.last is not None
        step, (loss, bpb, _) = self.val.last
        known_loss, digits = (loss, f"{loss:.4f}") if math.isfinite(loss) else (None, "")
        place, bpb_text = self.lines.get("last_val", 1), f"{bpb:.4f}" if digits else f"{bpb:.6g}"
        return ResultLine(place, f"val at step {step}", stage, known_loss, bpb, digits, bpb_text)

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
        """From the stop line, else as stated at the end, else from the last step line in milliseconds."""
        if self.stop is not None and self.stop.time_ms is not None:
            return self.stop.time_ms
        stated = self.summary.get("train_ms")
        return stated.value if stated else self.last_step_ms

    @property
    def derived_step_ms(self) -> float | None:
        """Training time over steps, for logs that print no average. Derived: never call it measured."""
        time = self.train_time_ms
        return time / self.steps if time is not None and self.steps else None

    @property
    def stop_reason(self) -> str | None:
        return self.stop.reason if self.stop and self.stop.reason != COMPLETED else None

    @property
    def bytes_total(self) -> int | None:
        """The last total printed that is not the raw checkpoint's; of several artifacts, the scored one's."""
        total = self.choice.total
        return total.bytes if total else None

    @property
    def bytes_model(self) -> int | None:
        """The compressed model."""
        return self.sizes.model_before(self.choice.total)

    @property
    def bytes_code(self) -> int | None:
        """The code that counts: the one that adds up to the total, else the compressed one."""
        return choose_code(self.sizes.codes, self.bytes_total, self.bytes_model)

    @property
    def code_counts(self) -> dict[str, int]:
        """Every count of the code by the log's own words: `Code size (compressed)`."""
        return {code_words(code): code.bytes or 0 for code in self.sizes.codes.values()}

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
        if math.isfinite(point.loss):
            self.finite_step = point.step if self.finite_step is None else self.finite_step
        else:
            self.nan_step, self.finite_step = point.step if self.nan_step is None else self.nan_step, None

    def add_val(self, point: ValLine) -> None:
        self.advance(point)
        values = (point.loss, point.bpb, point.time_ms)
        self.val.add(point.step, tuple(math.nan if value is None else value for value in values))
        self.lines["last_val"] = point.line

    def add_step(self, point: StepLine) -> None:
        self.advance(point)

    def advance(self, point: TrainLine | ValLine | StepLine) -> None:
        """Take what every step line has."""
        self.steps, self.last_line, self._last_step_line = point.step, point.line, point.line
        self.forms.add(point.form)
        self.planned_steps = point.planned or self.planned_steps
        if point.step_avg_ms is not None:
            self.step_avg_ms = point.step_avg_ms
        if point.time_ms is not None and (isinstance(point, StepLine) or point.time_is_ms):
            self.last_step_ms = point.time_ms

    def add_result(self, result: ResultLine) -> ResultLine | None:
        """Keep a result; return it as kept, or None for a repetition or one too many.

        Numbers that were printed before under another label are marked as its copy and share its stage:
        `final_int8_zlib_roundtrip_exact` often repeats a sliding-window score.
        """
        key = (result.label, *_printed(result))
        if key in self._printed_results:
            return None
        if len(self.results) >= MAX_RESULTS:
            self.results_left_out += 1
            return None
        self._printed_results.add(key)
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

    def add_summary(self, summary: Summary) -> None:
        """Take what the trainer states of the whole run; what the run measured itself stands."""
        if summary.fact != "params_rounded" and not self.trains:
            return
        self.summary[summary.fact], self.last_line = summary, summary.line
        if summary.fact == "peak_mib" and self.peak_memory_mib is None:
            self.peak_memory_mib = summary.value
        elif summary.fact == "steps" and self.stop is None and summary.value >= (self.steps or 0):
            self.steps = int(summary.value)
        elif summary.fact == "val_loss" and self._states_no_score_yet() and any(self.forms):
            self.val.add(self.steps or 0, (summary.value, math.nan, math.nan))
            self.lines["last_val"] = summary.line

    def _states_no_score_yet(self) -> bool:
        """Whether a loss alone is the validation of the last step, not a part of a closing summary."""
        return self.val.last is None or self.val.last[0] < (self.steps or 0)

    def take_summary(self) -> None:
        """Let the score that a trainer states at its end count, where the log shows no artifact's."""
        rounded = self.summary.get("params_rounded")
        if self.model_params is None and rounded is not None:
            self.model_params, self.params_are_rounded = round(rounded.value), True
            self.lines["model_params"] = rounded.line
        stated = self.summary.get("val_bpb") or self.summary.get("best_val_bpb")
        if (
            stated is None
            or stated.line < max(self._last_step_line, self.sizes.packed_at or 0)
            or self.official is not None
        ):
            return
        last_bpb = self.val.last[1][1] if self.val.last else math.nan
        if stated.fact == "best_val_bpb" and math.isfinite(last_bpb):
            result = self._last_validation("pre_quantization")
        else:
            loss = self.summary.get("val_loss")
            value, text = (loss.value, loss.text) if loss else (None, "")
            result = ResultLine(
                stated.line, stated.fact, "pre_quantization", value, stated.value, text, stated.text
            )
        self.add_result(result._replace(claim="stated"))

    def take_last_validation(self) -> None:
        """Let the validation of the last step count, of a program that is known to have ended well.

        The challenge's own trainers pack their weights after it: without a result, theirs has no score.
        """
        if self.val.last is None or self.official is not None or not any(self.forms):
            return
        step, (_, bpb, _) = self.val.last
        if math.isfinite(bpb) and step >= max(self.steps or 0, self.planned_steps or 0):
            self.add_result(self._last_validation("pre_quantization")._replace(claim="stated"))

    def add_stop(self, stop: StopLine) -> None:
        self.stop, self.last_line = stop, stop.line
        self.lines["stop"] = stop.line
        if stop.step is not None and stop.step >= (self.steps or 0):
            self.steps, self.planned_steps = stop.step, stop.planned or self.planned_steps

    def add_crash(self, crash: Crash) -> None:
        """Keep the line that is nearest to the reason, of those since the last step."""
        if self.crash is None or self.ended_by is None or outweighs(crash, self.crash):
            self.crash = crash

    @property
    def ended_by(self) -> Crash | None:
        """What the program ended with: an error after which no step was made."""
        return self.crash if self.crash is not None and self.crash.line > self._last_step_line else None

    def add_size(self, size: Size) -> None:
        self.last_line = size.line
        self.sizes.add(size)
        if size.bytes is not None:
            self.lines[f"bytes_{size.kind}"] = size.line

    def add_setting(self, setting: Setting) -> None:
        """Take facts and hyperparameters; the first value printed of each counts.

        What stands in the middle of a line counts only where no line of its own says it.
        """
        if setting.inline:
            for key, value in setting.values:
                self._inline.setdefault(key.lower(), (value, setting.line))
            return
        for key, value in setting.values:
            folded = key.lower()
            if folded not in _NUMBERS and (fact := fact_of(key)) and (known := read_fact(fact, value)):
                self._inline.setdefault(fact, (known, setting.line))
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

    def add_late(self, setting: Setting) -> None:
        """Take facts that are printed once training is over; what was said before counts."""
        for key, value in setting.values:
            if key.lower() in _NUMBERS:
                self._late.setdefault(key.lower(), (value, setting.line))

    def take_inline(self) -> None:
        """Fill the facts that no line of their own gave."""
        for key, (value, line) in (*self._inline.items(), *self._late.items()):
            if getattr(self, key, None) is None:
                self.add_setting(Setting(line, ((key, value),)))

    def holds(self, point: TrainLine | ValLine | StepLine) -> bool:
        """Whether a step line of a loss was printed by this run before, as far as its curve was kept."""
        if isinstance(point, StepLine):
            return False
        curve = self.train if isinstance(point, TrainLine) else self.val
        printed = (point.loss,) if isinstance(point, TrainLine) else (point.loss, point.bpb)
        if curve.last is None or point.step > curve.last[0]:
            return False
        if point.step == curve.last[0]:
            return _same_numbers(printed, curve.last[1])
        if self._known is None or self._known[0] != (self.train.count, self.val.count):
            places = {kind: dict(points) for kind, points in (("train", self.train), ("val", self.val))}
            self._known = (self.train.count, self.val.count), places
        kept = self._known[1]["train" if curve is self.train else "val"].get(point.step)
        return kept is not None and _same_numbers(printed, kept)

    def has_printed(self, result: ResultLine) -> bool:
        """Whether a result stands here with the same label and numbers."""
        return (result.label, *_printed(result)) in self._printed_results

    def has_label(self, label: str) -> bool:
        return any(line.label == label for line in self.results)

    def repeats(self, later: LoggedRun) -> bool:
        """Whether all points of a later run stand in this one, and fewer: a recap of its lines."""
        ours, theirs = (self.train.count, self.val.count), (later.train.count, later.val.count)
        if not any(theirs) or theirs == ours or theirs[0] > ours[0] or theirs[1] > ours[1]:
            return False
        return self.train.contains(later.train) and self.val.contains(later.val)

    def take_recap(self, recap: LoggedRun, others: Sequence[LoggedRun]) -> None:
        """Take what a recap of this run's lines has beyond them: results that were printed after it.

        others: the other runs of the log, whose results a recap may hold as well.
        """
        for line in recap.results:
            if not any(run.has_printed(line) for run in (self, *others)):
                self.results.append(line)
        for name in ("stop", "crash", "total_eval_ms", "peak_memory_mib", "eval_mode"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(recap, name))
        self.sizes.fill_from(recap.sizes)
        self.hyperparameters = recap.hyperparameters | self.hyperparameters

    def same_head(self, other: LoggedRun) -> bool:
        """Whether another run was set up in the same way."""
        ours, theirs = (
            (run.hyperparameters, run.model_params, run.seed, run.world_size) for run in (self, other)
        )
        return ours == theirs

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
            "total_eval_ms",
            "peak_memory_mib",
        ):
            if getattr(self, name) is None:
                setattr(self, name, getattr(copy, name))
        if len(self.results) < len(copy.results):
            self.results = copy.results
        self.sizes.fill_from(copy.sizes)
        self.hyperparameters = copy.hyperparameters | self.hyperparameters

    @property
    def mark(self) -> tuple[object, ...]:
        """Equal for two copies of one run: the same curve or, without a curve, the same results."""
        if self.train.count or self.val.count:
            return self.train.count, self.val.count, self.curve_mark
        return tuple((line.label, *_printed(line)) for line in self.results)


_NUMBERS = frozenset({"model_params", "seed", "world_size", "val_tokens"})
_NOT_KNOBS = frozenset({"val_bpb", "torch", "model_params", "val_tokens"})


def _same_numbers(printed: tuple[float | None, ...], kept: tuple[float, ...]) -> bool:
    """Whether the numbers of a line are those of a point, as far as the line prints them."""
    return all(value is None or value == old for value, old in zip(printed, kept, strict=False))


def _printed(line: ResultLine) -> tuple[str, str]:
    return line.val_loss_text, line.val_bpb_text
