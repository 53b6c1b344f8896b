"""From what an attempt left behind to its record: the trainer's `result.json`, its log, and how it ended.

Whatever happened, a record comes out; a failure is named by a table of signs, with the last lines kept.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from harness.courses.course import Course
from harness.documents import FileProblem, naming, read_json
from harness.field.closest_line import SCORE_LINES
from harness.field.crash_lines import outweighs, read_crash
from harness.field.log_events import Crash
from harness.field.log_prefix import strip_prefix
from harness.files import open_plain
from harness.plain_text import plain
from harness.records.failures import FAILURE_SIGNS, FailureKind
from harness.records.launch import Launch
from harness.records.record import (
    Data,
    Environment,
    Failure,
    Official,
    RunRecord,
    Score,
    counted_scores,
    over_cap,
    recorded_config,
)
from harness.records.store import Attempt
from harness.run.capture import ProcessEnd
from harness.run.script_result import EndReasons, known_at_launch, record_script, status_of

MAX_RESULT_BYTES = 2_000_000
LAST_LINES = 20
_TAIL_BYTES = 64 * 1024

# Which score counts, best first: the artifact is what is submitted, so only what it scored can count.
_OFFICIAL_STAGES = {
    "test_time_training": "the artifact, adapting on tokens it had already scored",
    "sliding_window": "the artifact, each token scored with a long context",
    "round_trip": "the artifact read back from its compressed bytes: what would be submitted",
}

# What to do about each kind of failure; shown by `run` and `show`.
HINTS: dict[FailureKind, str] = {
    "out_of_memory": "lower TRAIN_BATCH_TOKENS or VAL_BATCH_SIZE, or raise GRAD_ACCUM_STEPS",
    "nan": "lower the learning rates, or set GRAD_CLIP_NORM=1.0",
    "missing_data": "check DATA_PATH and TOKENIZER_PATH",
    "missing_module": "install the module in the environment that harness runs in",
    "missing_program": "install the program, or put its folder on PATH",
    "no_gpu": "this machine has no GPU that it can use; "
    "`harness run HOLE --emit DIR` writes a bundle for one that has",
    "wrong_python": "name another interpreter with --python PATH",
    "bad_knob": "see the last lines; `harness knobs` lists types and ranges",
    "killed": "the system may have run out of memory; "
    "`harness resume HOLE --attempt ATTEMPT` goes on from the checkpoint",
    "timeout": "raise --timeout, or `harness resume HOLE --attempt ATTEMPT` to go on from the checkpoint",
    "no_result": "see the last lines of train.log",
    "interrupted": "`harness resume HOLE --attempt ATTEMPT` goes on from the checkpoint",
    "error": "see the last lines of train.log",
    "disk_full": "free some space, or name another folder with --runs DIR",
    "budget": "raise --max-cost; what was reached is kept",
    "aborted": "the rule that was given with --abort ended it; what was reached is kept",
    "stalled": "see the last lines of train.log; a slow start, such as compilation, needs a longer --stall",
    "slow": "see what else runs on the machine; --slow sets how many ms a step may take",
}

# What a script cannot be told to do, since it is not ours.
SCRIPT_HINTS: dict[FailureKind, str] = {
    "killed": "the system may have run out of memory: "
    "lower TRAIN_BATCH_TOKENS, then `harness run HOLE --repeat`",
    "timeout": "raise --timeout, or lower MAX_WALLCLOCK_SECONDS",
    "interrupted": "`harness run HOLE --seed SEED` plays it again",
    "missing_module": "install the module for the Python that ran, or name one that has it: --python PATH",
    "no_result": f"a score is read from a line like {SCORE_LINES}",
    "bad_knob": "`harness knobs --script FILE` lists what it reads, and how",
}


# For a script that has not all the knobs that the others name.
GENERAL_HINTS: dict[FailureKind, str] = {
    "out_of_memory": "let the script take smaller batches, or a smaller model",
    "nan": "lower the script's learning rates, or let it clip gradients",
    "missing_data": "check where the script looks for its data",
    "killed": "the system may have run out of memory: let the script take smaller batches, "
    "then `harness run HOLE --repeat`",
    "timeout": "raise --timeout, or let the script train for less long",
}
_KNOB = re.compile(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b")


def hint_for(record: RunRecord) -> str:
    """Return what to do about a failed attempt: it depends on whose trainer it was, and on its knobs."""
    assert record.failure is not None
    kind = record.failure.kind
    hint = HINTS[kind]
    if record.code.trainer != "builtin":
        hint = SCRIPT_HINTS.get(kind, hint)
        if any(name not in record.config for name in _KNOB.findall(hint)):
            hint = GENERAL_HINTS[kind]
    if record.seed is None:
        hint = hint.replace(" --seed SEED", "")
    values = {"HOLE": record.hole, "SEED": record.seed, "ATTEMPT": record.attempt}
    for word, value in values.items():
        hint = hint.replace(word, str(value))
    return hint


_TORCHRUN_REPORT = re.compile(
    r"torch/distributed/elastic/.* failed \(exitcode: (?!-)|Sending process \d+ closing signal"
)

# Frames of a traceback: Python starts another program; CUDA is asked for; a file of the snapshot.
_STARTS_PROGRAM = re.compile(r"in _execute_child|in execvpe?\b|in posix_spawn")
_ASKS_FOR_GPU = re.compile(r"\bassert\b.*\bcuda\.is_available|torch/cuda/__init__\.py.*in _lazy_init", re.M)
_OF_SNAPSHOT = re.compile(r"^\"[^\"<]*/source/[^\"]*\.py\"")


def build_record(launch: Launch, attempt: Attempt, end: ProcessEnd, course: Course) -> RunRecord:
    """Put together the record of an attempt that has ended, however it ended."""
    tail = last_lines(attempt.log_path)
    if launch.script is not None:
        return record_script(launch, attempt, end, course, _script_end_reasons(end, tail))
    fields = known_at_launch(launch, recorded_config(launch.config, launch.overrides))
    fields |= {"preset": launch.preset, "environment": Environment(harness=launch.harness)}
    result = read_result(attempt.result_path)
    if result is None:
        failure = _failure(end, tail, None)
        return RunRecord(**fields, status=status_of(failure), failure=failure)
    try:
        with naming("result.json does not add up"):
            return RunRecord(**fields | _measured(result, launch, end, tail))
    except FileProblem as error:
        failure = Failure(kind="no_result", message=error.message, last_lines=tail)
        return RunRecord(**fields, status="failed", failure=failure)


def _measured(
    result: dict[str, Any], launch: Launch, end: ProcessEnd, tail: tuple[str, ...]
) -> dict[str, Any]:
    """Turn the trainer's account into the record's fields."""
    copied = (
        "stop_reason",
        "params",
        "steps",
        "planned_steps",
        "train_seconds",
        "eval_seconds",
        "step_ms",
        "tokens_seen",
        "tokens_per_second",
        "peak_memory_bytes",
        "last_train_loss",
        "code_bytes",
        "model_bytes",
        "artifact_bytes",
        "model_file",
        "model_sha256",
        "weights_file",
        "weights_sha256",
        "wall_seconds",
    )
    fields: dict[str, Any] = {name: result[name] for name in copied if result.get(name) is not None}
    if "code_bytes" in fields:
        fields["code_rule"] = launch.code_rule
    fields["resumes"] = result.get("resumed") or 0
    fields["environment"] = Environment.model_validate(
        {"harness": launch.harness} | {k: v for k, v in result["environment"].items() if v is not None}
    )
    measured_data = {name: value for name, value in (result.get("data") or {}).items() if value is not None}
    fields["data"] = Data.model_validate(launch.data.model_dump(exclude_none=True) | measured_data)
    scores = tuple(Score.model_validate(score) for score in result.get("scores") or ())
    if launch.trained is not None:
        # Its time is the trainer's to say: it knows of the calibration that the new packing needed.
        fields |= launch.trained.model_dump(exclude={"score", "train_seconds"}, exclude_none=True)
        if launch.trained.score and not any(score.stage == "pre_quantization" for score in scores):
            scores = (launch.trained.score, *scores)
    fields["scores"] = scores
    if official := choose_official(scores):
        fields["official"] = official
        counted = counted_scores(scores, official)[-1]
        fields["val_bpb"], fields["val_loss"] = counted.val_bpb, counted.val_loss

    if result["status"] == "ok" and end.exit_code == 0:
        over = over_cap(fields["artifact_bytes"], launch.cap_bytes)
        fields["status"] = "over_cap" if over else "ok"
    elif result["status"] == "stopped" and end.stop is None:
        fields["status"] = "stopped"
        fields["failure"] = Failure(
            kind="interrupted", message="the run was asked to stop", step=result.get("steps"), last_lines=tail
        )
    else:
        failure = _failure(end, tail, result.get("failure"))
        fields["status"], fields["failure"] = status_of(failure), failure
    return fields


def _script_end_reasons(end: ProcessEnd, tail: tuple[str, ...]) -> EndReasons:
    """Say why a script's attempt is no success, and why it may have printed no score."""
    if end.stop or end.interrupted or end.exit_code != 0:
        failure = _failure(end, tail, None)
        return EndReasons(failure, failure)
    by_log = name_failure(tail)
    if by_log is None and end.after_harness:
        what = "the harness was killed, and the run ended with it"
        by_log = Failure(kind="killed", message=what, last_lines=tail)
    no_score = "it ended without a score of its artifact"
    return EndReasons(None, by_log or Failure(kind="no_result", message=no_score, last_lines=tail))


def choose_official(scores: tuple[Score, ...]) -> Official | None:
    """Name the score that counts: the last stage of the artifact's evaluation that was reached."""
    for stage, why in _OFFICIAL_STAGES.items():
        for score in reversed(scores):
            if score.stage == stage:
                return Official(stage=score.stage, label=score.label, why=why)
    return None


def _failure(end: ProcessEnd, tail: tuple[str, ...], account: dict[str, Any] | None) -> Failure:
    """Name a failure by the trainer's own word, else by the process' end, else by its last lines."""
    if end.stop is not None:
        return Failure(kind=end.stop.kind, message=end.stop.message, last_lines=tail)
    if account and account["kind"] == "error" and (failure := _by_signs(tail, FAILURE_SIGNS[:1])):
        return failure  # another of several processes ran out of memory, and this one lost its connection
    if account:
        return Failure(
            kind=account["kind"], message=account["message"], step=account.get("step"), last_lines=tail
        )
    if end.interrupted:
        return Failure(kind="interrupted", message="the run was asked to stop", last_lines=tail)
    # A signal tells more than any line but that memory has run out.
    if failure := name_failure(tail) if end.exit_code >= 0 else _by_signs(tail, FAILURE_SIGNS[:1]):
        return failure
    if end.disk_full and end.exit_code != 0:
        message = "the disk was full, so nothing could be written, not even why it ended"
        return Failure(kind="disk_full", message=message, last_lines=tail)
    if end.exit_code < 0:
        name = signal.Signals(-end.exit_code).name
        return Failure(kind="killed", message=f"the trainer was killed by {name}", last_lines=tail)
    message = f"the trainer ended with exit code {end.exit_code} and left no result"
    return Failure(kind="no_result", message=message, last_lines=tail)


def name_failure(tail: tuple[str, ...]) -> Failure | None:
    """Name a failure by the line that is nearest to the reason, else by any line that holds a sign."""
    lines = [_without_prefix(line) for line in tail]
    reason: Crash | None = None
    for number, line in enumerate(lines):
        crash = read_crash(line.encode(), number)
        if crash is not None and (reason is None or outweighs(crash, reason)):
            reason = crash
    if reason is None or reason.text.startswith("Traceback"):
        return _by_signs(tail, FAILURE_SIGNS)
    return Failure(kind=_kind_of(reason, lines), message=reason.text, last_lines=tail)


def _kind_of(reason: Crash, lines: list[str]) -> FailureKind:
    """Name the kind of an error by its line, by the frames above it and by what its message goes on with."""
    if reason.kind not in ("error", "missing_data"):
        return reason.kind
    start = max(
        (i for i in range(reason.line) if lines[i].startswith("Traceback")), default=max(0, reason.line - 6)
    )
    frames = "\n".join(lines[start : reason.line])
    if _STARTS_PROGRAM.search(frames) and reason.text.startswith(("FileNotFoundError", "PermissionError")):
        path = reason.text.rpartition(": ")[2]
        return "error" if f"cwd={path}" in frames.replace('"', "'") else "missing_program"
    if _OF_SNAPSHOT.search(frames.rpartition("File ")[2]) and reason.text.startswith("SyntaxError"):
        return "wrong_python"  # the file was read before it was started, so a newer Python takes it
    if _ASKS_FOR_GPU.search(frames):
        return "no_gpu"
    if reason.kind == "error":
        rest = lines[reason.line + 1 :]
        end = next((i for i, line in enumerate(rest) if line.startswith("Traceback")), len(rest))
        if more := _by_signs(tuple(rest[:end]), FAILURE_SIGNS[:-1]):
            return more.kind
    return reason.kind


def _by_signs(
    tail: tuple[str, ...], signs: tuple[tuple[FailureKind, re.Pattern[str]], ...]
) -> Failure | None:
    """Name a failure by its last lines."""
    lines = [_without_prefix(line) for line in tail]
    text = "\n".join(lines)
    for kind, pattern in signs:
        if match := pattern.search(text):
            line = next((line for line in reversed(lines) if pattern.search(line)), match[0])
            return Failure(kind=kind, message=line.strip(), last_lines=tail)
    return None


def _without_prefix(line: str) -> str:
    """Take off what torch and launchers put before a line, such as `[rank0]: `."""
    return strip_prefix(line.encode())[0].decode(errors="replace")


def read_result(path: Path) -> dict[str, Any] | None:
    try:
        result = read_json(path, MAX_RESULT_BYTES)
    except FileProblem:
        return None
    return result if isinstance(result, dict) and "status" in result else None


def last_lines(log: Path) -> tuple[str, ...]:
    """Return the last lines of a log that may be huge, each cut at 500 characters.

    torchrun reports a failed worker at length: then the lines before its report count, where the worker says
    why.
    """
    try:
        with open_plain(log) as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    cleaned = (plain(line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n"))
    lines = [line[:500] for line in cleaned if line.strip()]
    report = next((i for i, line in enumerate(lines) if _TORCHRUN_REPORT.search(line)), None)
    return tuple(lines[:report][-LAST_LINES:])
