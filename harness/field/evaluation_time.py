"""How long an evaluation took: all phases that a log prints after training, and what a submission states.

The official evaluation's own line is the log parser's; this module adds what stands around it: adaptation on
the validation text (`prequant_ttt:done total_time=523.6s`), evaluations of other stages, a total. Compiling
and quantizing are not evaluation, and runs were accepted whose warm-up would have broken the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.field.log_events import FINITE
from harness.field.logged_run import LoggedRun
from harness.field.submission_file import leaves, read_values
from harness.files import open_file

_TIME = rb"[:=]\s{0,4}(" + FINITE + rb")\s{0,2}(ms|s|sec|seconds)\b"
_EVALUATION = re.compile(rb"^(.{0,200}?)\b(?:eval|evaluation)_time" + _TIME, re.IGNORECASE)
_TOTAL = re.compile(rb"\btotal[ _]eval(?:uation)?[ _]time" + _TIME, re.IGNORECASE)
_PHASE = re.compile(
    rb"(?<![\w-])([\w-]{0,40}(?:ttt|test[_-]time|adapt|eval|sliding|online)[\w-]{0,40})"
    rb"(?:[: ]{1,3}(?:\w{1,20}[: ]{1,3})?(?:done|finished|completed?|took|total)\b.{0,120}?"
    rb"|_(?:time|elapsed))"
    rb"[:=( ]\s{0,4}(" + FINITE + rb")\s{0,2}(ms|s|sec|seconds)\b",
    re.IGNORECASE,
)
_PREPARES = re.compile(rb"warm-?_?up|compil", re.IGNORECASE)
_CALIBRATION = re.compile(
    rb"\b(?:gptq|calib\w*)\b.{0,40}?\b(?:generated|collected|calibrated)\b.{0,60}?\bin\s("
    + FINITE
    + rb")\s?(ms|s|sec|seconds)\b",
    re.IGNORECASE,
)
_CONTAINED = 1.02  # a phase's own clock may run on for a moment after the evaluation's that holds it

# `eval_time_seconds`, `eval_ops_seconds`, `eval_time_s_mean`; not `eval_stride` or `eval_under_600s`.
_STATED_KEY = re.compile(
    r"eval(?:uation)?_(?:\w{1,60}_)?(?:(time)|(ms|s|secs?|seconds|minutes))(?:_(ms|s|secs?|seconds|minutes))?"
    r"(?:_(?:mean|max|total|avg))?$",
    re.IGNORECASE,
)
_NO_MEASUREMENT = re.compile(r"budget|limit|cap|under|allowed|every|max_(?!.*mean)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "minutes": 60.0}


@dataclass(frozen=True)
class EvaluationTime:
    """Seconds of the evaluation of one run. counted: the official evaluation and the adaptation before it.

    every: all evaluations and adaptations that the log prints. phases: the adaptations, by name.
    """

    counted: float
    every: float
    phases: dict[str, float]


@dataclass(frozen=True)
class StatedTime:
    """What a submission file says of its evaluation: the key, and the largest number under it."""

    key: str
    seconds: float


def measure_evaluation(
    official_seconds: float | None, log: Path | None, run: LoggedRun | None
) -> EvaluationTime | None:
    """Sum what a log prints of its run's evaluation; None where nothing tells a time.

    official_seconds: of the official evaluation, as the record has it. run: the log as the parser reads it.
    """
    evaluations: list[float] = []
    phases: dict[str, float] = {}
    total = official_seconds or 0.0
    open_phases: dict[str, float] = {}
    for line in _lines_after_training(log, run) if log else ():
        if _PREPARES.search(line):
            continue
        if match := _TOTAL.search(line):
            total = max(total, _seconds(match[1], match[2]))
        elif match := _EVALUATION.search(line):
            seconds = _seconds(match[2], match[3])
            phases |= {name: time for name, time in open_phases.items() if time > seconds * _CONTAINED}
            open_phases = {}
            if seconds not in evaluations:  # a twin with more digits repeats the time
                evaluations.append(seconds)
        elif match := _PHASE.search(line):
            open_phases[match[1].decode("ascii", "replace")] = _seconds(match[2], match[3])
    phases |= {name: time for name, time in open_phases.items() if time > total * _CONTAINED}
    adapting = sum(phases.values())
    if not adapting and not evaluations and official_seconds is None and not total:
        return None
    return EvaluationTime(total + adapting, max(total, sum(evaluations)) + adapting, phases)


def measure_calibration(log: Path, run: LoggedRun | None) -> float:
    """Return the seconds after training in which weights were calibrated for packing, 0 where none are.

    They are in neither the training time nor the evaluation's: `GPTQ:collected 67 Hessians in 12.7s`.
    """
    matches = (_CALIBRATION.search(line) for line in _lines_after_training(log, run))
    return sum(_seconds(match[1], match[2]) for match in matches if match)


def _lines_after_training(log: Path, run: LoggedRun | None) -> Iterator[bytes]:
    last = max(run.lines.get("stop", 0), run.lines.get("last_val", 0), run.first_line) if run else 0
    with open_file(log) as file:
        for number, line in enumerate(file, start=1):
            if number > last:
                yield line[:1000]


def _seconds(number: bytes, unit: bytes) -> float:
    return float(number) / (1000 if unit.lower() == b"ms" else 1)


def stated_evaluation(submission: Path) -> StatedTime | None:
    """Return the longest evaluation that a submission file states, in its own or in nested keys."""
    return max(_stated(read_values(submission)), key=lambda stated: stated.seconds, default=None)


def _stated(values: object) -> Iterator[StatedTime]:
    for keys, value in leaves(values):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9:
            key = keys[-1] if keys else ""
            match = _STATED_KEY.search(key)
            if match and not _NO_MEASUREMENT.search(key):
                unit = (match[3] or match[2] or "s").lower()
                yield StatedTime(key, float(value) * _SECONDS.get(unit, 1.0))
