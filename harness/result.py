"""From what an attempt left behind to its record: the trainer's `result.json`, its log, and how it ended.

Whatever happened, a record comes out; a failure is named by a table of signs, with the last lines kept.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.capture import Outcome
from harness.launch import Launch
from harness.record import (
    Data,
    Environment,
    Failure,
    FailureKind,
    Official,
    RunRecord,
    Score,
    hash_config,
)
from harness.store import Attempt

_PLACES = frozenset({"DATA_PATH", "TOKENIZER_PATH"})
LAST_LINES = 20
_TAIL_BYTES = 64 * 1024

# Which score counts, best first: the artifact is what is submitted, so only what it scored can count.
_OFFICIAL_STAGES = {
    "test_time_training": "the artifact, adapting on tokens it had already scored",
    "sliding_window": "the artifact, each token scored with a long context",
    "round_trip": "the artifact read back from its compressed bytes: what would be submitted",
}

# Signs in the last lines of a log, the first that fits names the failure.
_SIGNS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    ("out_of_memory", re.compile(r"out of memory|can't allocate memory|MemoryError|CUBLAS_STATUS_ALLOC_FAILED", re.I)),
    ("missing_module", re.compile(r"ModuleNotFoundError|No module named")),
    ("missing_data", re.compile(r"FileNotFoundError|No such file or directory|[Nn]o files found")),
    ("nan", re.compile(r"\b(?:loss|grad\w*) (?:is|became) (?:nan|inf)", re.I)),
    ("bad_knob", re.compile(r"^error: .*(?:is not|out of range|does not)", re.M)),
)  # fmt: skip

# What to do about each kind of failure; shown by `run` and `show`.
HINTS: dict[FailureKind, str] = {
    "out_of_memory": "lower TRAIN_BATCH_TOKENS or VAL_BATCH_SIZE, or raise GRAD_ACCUM_STEPS",
    "nan": "lower the learning rates, or set GRAD_CLIP_NORM=1.0",
    "missing_data": "check DATA_PATH and TOKENIZER_PATH",
    "missing_module": "install the module in the environment that harness runs in",
    "bad_knob": "see the last lines; `harness knobs` lists types and ranges",
    "killed": "the system may have run out of memory; `harness run ROUND --resume` goes on from the checkpoint",
    "timeout": "raise --timeout, or `harness run ROUND --resume` to go on from the checkpoint",
    "no_result": "see the last lines of train.log",
    "interrupted": "`harness run ROUND --resume` goes on from the checkpoint",
    "error": "see the last lines of train.log",
}


def build_record(launch: Launch, attempt: Attempt, outcome: Outcome) -> RunRecord:
    """Put together the record of an attempt that has ended, however it ended."""
    # Where a course keeps its data is this machine's business; what it holds is fingerprinted.
    config = {k: v for k, v in launch.config.items() if k not in _PLACES or k in launch.overrides}
    known: dict[str, Any] = {
        "hole": launch.hole, "attempt": launch.attempt, "course": launch.course, "split": launch.split,
        "started_at": launch.started_at, "ended_at": max(dt.datetime.now(dt.UTC), launch.started_at),
        "cap_bytes": launch.cap_bytes, "preset": launch.preset, "overrides": launch.overrides,
        "config": config, "config_hash": hash_config(config), "seed": launch.seed,
        "command": launch.command, "code": launch.code, "data": launch.data,
        "environment": Environment(harness=launch.harness),
    }  # fmt: skip
    tail = _tail(attempt.log_path)
    result = _read_result(attempt.result_path)
    if result is None:
        return RunRecord(**known, status="failed", failure=_failure(outcome, tail, None))
    try:
        return RunRecord(**known | _measured(result, launch, outcome, tail))
    except (ValidationError, KeyError, TypeError) as error:
        problem = f"result.json does not add up: {error}"
        return RunRecord(
            **known, status="failed", failure=Failure(kind="no_result", message=problem, last_lines=tail)
        )


def _measured(
    result: dict[str, Any], launch: Launch, outcome: Outcome, tail: tuple[str, ...]
) -> dict[str, Any]:
    """Turn the trainer's account into the record's fields."""
    copied = (
        "stop_reason", "params", "steps", "planned_steps", "train_seconds", "eval_seconds", "step_ms",
        "tokens_seen", "tokens_per_second", "peak_memory_bytes", "last_train_loss", "code_bytes",
        "model_bytes", "artifact_bytes", "model_file", "model_sha256", "wall_seconds",
    )  # fmt: skip
    fields: dict[str, Any] = {name: result[name] for name in copied if result.get(name) is not None}
    fields["resumes"] = result.get("resumed") or 0
    fields["environment"] = Environment.model_validate(
        {"harness": launch.harness} | {k: v for k, v in result["environment"].items() if v is not None}
    )
    measured_data = {name: value for name, value in (result.get("data") or {}).items() if value is not None}
    fields["data"] = Data.model_validate(launch.data.model_dump(exclude_none=True) | measured_data)
    scores = tuple(Score.model_validate(score) for score in result.get("scores") or ())
    fields["scores"] = scores
    if official := choose_official(scores):
        fields["official"] = official
        counted = [
            score for score in scores if (score.stage, score.label) == (official.stage, official.label)
        ]
        fields["val_bpb"], fields["val_loss"] = counted[-1].val_bpb, counted[-1].val_loss

    if result["status"] == "ok" and outcome.exit_code == 0:
        over = fields["artifact_bytes"] >= launch.cap_bytes
        fields["status"] = "over_cap" if over else "ok"
    elif result["status"] == "stopped" and not outcome.timed_out:
        fields["status"] = "stopped"
        fields["failure"] = Failure(
            kind="interrupted", message="the run was asked to stop", step=result.get("steps"), last_lines=tail
        )
    else:
        fields["status"] = "failed"
        fields["failure"] = _failure(outcome, tail, result.get("failure"))
    return fields


def choose_official(scores: tuple[Score, ...]) -> Official | None:
    """Name the score that counts: the last stage of the artifact's evaluation that was reached."""
    for stage, why in _OFFICIAL_STAGES.items():
        for score in reversed(scores):
            if score.stage == stage:
                return Official(stage=score.stage, label=score.label, why=why)
    return None


def _failure(outcome: Outcome, tail: tuple[str, ...], said: dict[str, Any] | None) -> Failure:
    """Name a failure by the trainer's own word, else by how the process ended, else by signs in its last lines."""
    if outcome.timed_out:
        return Failure(kind="timeout", message=f"stopped after {outcome.wall_seconds:.0f} s", last_lines=tail)
    if said:
        return Failure(kind=said["kind"], message=said["message"], step=said.get("step"), last_lines=tail)
    text = "\n".join(tail)
    for sign, pattern in _SIGNS:
        if match := pattern.search(text):
            line = next((line for line in reversed(tail) if match[0] in line), match[0])
            return Failure(kind=sign, message=line.strip(), last_lines=tail)
    if outcome.exit_code < 0:
        name = signal.Signals(-outcome.exit_code).name
        return Failure(kind="killed", message=f"the trainer was killed by {name}", last_lines=tail)
    message = f"the trainer ended with exit code {outcome.exit_code} and left no result"
    return Failure(kind="no_result", message=message, last_lines=tail)


def _read_result(path: Path) -> dict[str, Any] | None:
    try:
        result = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and "status" in result else None


def _tail(log: Path) -> tuple[str, ...]:
    """Return the last lines of a log that may be huge, each cut at 500 characters."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(line[:500] for line in text.splitlines()[-LAST_LINES:])
