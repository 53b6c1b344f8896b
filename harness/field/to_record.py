"""From a run of somebody else's log to a record and a curve like those of our own runs.

Nothing is guessed: what a log does not say stays unmeasured. Which runs a folder holds is
`harness.field.record_folders`', where records are kept `harness.field.importing`'s.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness import __version__
from harness.courses.course import Badge, Course, check_bytes, name_split
from harness.errors import HarnessError
from harness.field.closest_line import SCORE_LINES, say_closest
from harness.field.experiments import LogFile
from harness.field.log_parser import ParsedLog
from harness.field.logged_run import LoggedRun
from harness.field.row_record import record_from_row
from harness.field.run_tracker import oddities
from harness.field.seeds import seed_in_name
from harness.records.origin import Provenance
from harness.records.record import (
    Data,
    Environment,
    Failure,
    Official,
    RunRecord,
    Score,
    counted_scores,
    over_cap,
)

IMPORTER = f"harness {__version__}"


def record_from_run(
    file: LogFile,
    course: Course,
    hole: str,
    attempt: int,
    source: str,
    day: dt.date | None,
    author: str | None,
    course_named: bool = True,
) -> tuple[RunRecord, Badge]:
    """Turn a run of a log into a record, and check the bytes behind its score.

    source: how the record names the log. day: the day of the run, where a submission file has it.
    course_named: whether somebody named the course, or it is merely the default.
    Raises HarnessError when the log holds no run at all.
    """
    if file.row is not None:
        record = record_from_row(file.row, course, hole, attempt, source, IMPORTER, author)
        badge = check_bytes(course, None, record.val_loss, record.val_bpb)
        return record.model_copy(update={"split": name_split(course, badge, course_named)}), badge
    run = file.run
    if run is None:
        raise HarnessError(f"{source} holds no run", "it has neither step lines nor results that can be read")
    facts, warnings, badge = facts_of_log(file.log, course, file.number)
    facts["split"] = name_split(course, badge, course_named)
    if (seed := seed_in_name(file.name)) is not None and run.seed is not None and seed != run.seed:
        warnings.append(f"the file's name says seed {seed}, the log says {run.seed}; the log counts")
    scored, cap = facts["official"] is not None, course.caps.artifact_bytes
    record = RunRecord(
        hole=hole,
        attempt=attempt,
        course=course.name,
        status="failed" if not scored else "over_cap" if over_cap(facts["artifact_bytes"], cap) else "ok",
        failure=None if scored else _failure(run, file.path),
        started_at=dt.datetime.combine(day, dt.time(), dt.UTC) if day else None,
        cap_bytes=cap,
        config=dict(sorted(run.hyperparameters.items())),
        **facts,
        provenance=Provenance(
            source=source,
            sha256=file.log.sha256,
            importer=IMPORTER,
            author=author,
            lines={fact: line for fact, line in sorted(run.lines.items()) if line > 0},
        ),
        warnings=tuple(warnings),
    )
    return record, badge


def facts_of_log(
    log: ParsedLog, course: Course, number: int | None = None
) -> tuple[dict[str, Any], list[str], Badge]:
    """Return what a run of a log says as fields of a record, what is odd, and where its bytes belong.

    number: which of the log's runs, from 1, where each is an attempt of its own; None: the last, as the
    log's result.
    """
    run = log.result if number is None else log.runs[number - 1]
    assert run is not None
    warnings = [
        f"line {warn.line}: {warn.text}" if warn.line else warn.text
        for warn in log.warnings
        if number is None or run.first_line <= warn.line <= run.last_line
    ]
    line, scores = run.official, _scores(run)
    choice, official = run.choice, None
    if line:
        official = Official(stage=line.stage, label=line.label, why=choice.why or "", doubt=choice.doubt)
    counted = next((s for s in counted_scores(scores, official) if line and s.line == line.line), None)
    code, model, total = run.bytes_code, run.bytes_model, run.bytes_total
    if total is not None and model is not None and code is not None and model + code != total:
        warnings.append(f"model {model} + code {code} is not the total {total}; only the total is kept")
        code = model = None
    if number is not None:
        where = f"lines {run.first_line}-{run.last_line}"
        warnings.append(f"run {number} of the {len(log.runs)} in the file: {where}")
        warnings += oddities(run)
    elif log.other_runs:
        others = ", ".join(_describe_run(other) for other in log.other_runs)
        warnings.append(f"the file holds {len(log.runs)} runs; the last one counts. Before it: {others}")
    badge = check_bytes(
        course, run.val_tokens, counted.val_loss if counted else None, counted.val_bpb if counted else None
    )
    if badge.kind == "suspect":
        warnings.append(badge.why)
    facts = {
        "val_bpb": counted.val_bpb if counted else None,
        "val_loss": counted.val_loss if counted else None,
        "official": official if counted else None,
        "scores": scores,
        "artifact_bytes": total,
        "code_bytes": code,
        "model_bytes": model,
        "params": run.model_params,
        "steps": run.steps,
        "planned_steps": run.planned_steps,
        "step_ms": _finite(run.step_avg_ms),
        "train_seconds": _scaled(run.train_time_ms),
        "eval_seconds": _scaled(run.eval_ms),
        "peak_memory_bytes": int(run.peak_memory_mib * 2**20) if run.peak_memory_mib else None,
        "last_train_loss": _finite(run.train.last[1][0]) if run.train.last else None,
        "stop_reason": run.stop_reason,
        "seed": run.seed,
        "environment": Environment(torch=run.torch, python=run.python, world_size=run.world_size),
        "data": Data(val_tokens=run.val_tokens),
    }
    return facts, warnings, badge


def _scores(run: LoggedRun) -> tuple[Score, ...]:
    """Every evaluation in the log's order; the last validation replaces a missing pre-quantization line."""
    lines = list(run.results)
    before = run.stage_score("pre_quantization")
    if before is not None and before not in lines:
        lines.insert(0, before)
    return tuple(
        Score(
            stage=line.stage,
            label=line.label,
            val_bpb=line.val_bpb,
            val_loss=_finite(line.val_loss),
            seconds=_scaled(line.eval_ms),
            line=line.line,
            text=line.val_bpb_text,
        )
        for line in lines
        if line.val_bpb is not None and math.isfinite(line.val_bpb) and line.val_bpb >= 0
    )


def _failure(run: LoggedRun, path: Path) -> Failure:
    if run.nan_step is not None and run.finite_step is None:
        return Failure(kind="nan", message="the training loss stopped being a number", step=run.nan_step)
    if (crash := run.ended_by) is not None:
        return Failure(kind=crash.kind, message=f"line {crash.line}: {crash.text}", step=run.steps)
    message = f"the log holds no score of the artifact; {say_closest(path)}; a score is {SCORE_LINES}"
    return Failure(kind="no_result", message=message, step=run.steps)


def _describe_run(run: LoggedRun) -> str:
    score = f"val_bpb {run.final_val_bpb}" if run.final_val_bpb is not None else run.status
    return f"lines {run.first_line}-{run.last_line} ({run.steps or 0} steps, {score})"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _scaled(milliseconds: float | None) -> float | None:
    value = _finite(milliseconds)
    return None if value is None else value / 1000


def curve_lines(run: LoggedRun) -> Iterable[str]:
    """Yield a run's points as `curve.jsonl` has them, in the order of steps."""
    train = [(step, 1, _point(step, values, _TRAIN_NAMES)) for step, values in run.train]
    val = [(step, 0, _point(step, values, _VAL_NAMES)) for step, values in run.val]
    for _, _, point in sorted(train + val, key=_STEP_AND_KIND):
        yield point


_TRAIN_NAMES = ("train_loss", "train_time_ms")
_VAL_NAMES = ("val_loss", "val_bpb", "train_time_ms")
_STEP_AND_KIND = operator.itemgetter(0, 1)


def _point(step: int, values: Sequence[float], names: Sequence[str]) -> str:
    """Write one point as JSON, with floats as `json` writes them, at a third of its time."""
    text = f'{{"step": {step}'
    for name, value in zip(names, values, strict=True):
        if math.isfinite(value):
            text += f', "{name}": {value!r}'
        elif name == "train_loss" or not math.isnan(value):
            text += f', "{name}": {json.dumps(value)}'
    return text + "}"
