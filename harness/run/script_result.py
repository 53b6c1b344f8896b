"""The record of a script's attempt: from what it printed, the files it left in its folder, and how it ended.

The log is the whole truth, so this works as well when nobody was there at the end (`harness resume HOLE`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.courses.course import UNKNOWN, Course, name_split
from harness.field.closest_line import say_closest
from harness.field.log_parser import ParsedLog, parse_log
from harness.field.logged_run import LoggedRun
from harness.field.to_record import curve_lines, facts_of_log
from harness.files import open_plain, write_whole
from harness.records.launch import Launch
from harness.records.record import Data, Environment, Failure, RunRecord, Status, hash_config, over_cap
from harness.records.store import Attempt
from harness.run.capture import ProcessEnd
from harness.scripts.snapshot import load_snapshot

MAX_LOG_BYTES = 512_000_000  # that are read of a log: seconds of noise; the file stays whole
MAX_FILES = 1_000  # that are listed of what a script left
# What scripts of the field call their artifact, best first; raw checkpoints are no artifacts.
_ARTIFACT = re.compile(
    r"(?:model|artifact|submission|quant|int\d)[^/]*\.(?:ptz|zst|zstd|br|xz|lzma|zlib|gz|bin|pkl\.\w+)$", re.I
)


@dataclass(frozen=True)
class EndReasons:
    """failure: why it is no success, whatever it printed. no_score_reason: why there may be no score."""

    failure: Failure | None
    no_score_reason: Failure


def record_script(
    launch: Launch, attempt: Attempt, end: ProcessEnd, course: Course, reasons: EndReasons
) -> RunRecord:
    """Put together the record of a script's attempt, and write its curve."""
    produced = list_files(attempt.work_dir)
    log = _find_log(attempt, produced)
    fields = known_at_launch(launch, launch.config)
    fields |= {
        "produced": produced,
        "wall_seconds": end.wall_seconds or None,
        "environment": Environment.model_validate(
            {"python": platform.python_version(), "harness": launch.harness}
            | launch.interpreter.model_dump(exclude_none=True)
            | {
                "platform": f"{platform.system()} {platform.machine()}",
                "world_size": launch.nproc if launch.nproc > 1 else None,
            }
        ),
    }
    if log.result is not None and reasons.failure is None:
        log.result.take_last_validation()
    no_score_reason = _with_closest_line(reasons.no_score_reason, Path(log.source))
    if log.result is None:
        return RunRecord(**fields, status=status_of(no_score_reason), failure=no_score_reason)
    lines = list(curve_lines(log.result))
    if lines:
        write_whole(attempt.curve_path, ("\n".join(lines) + "\n").encode())
    facts, warnings, badge = facts_of_log(log, course)
    environment = fields["environment"]
    fields |= {name: value for name, value in facts.items() if value is not None}
    fields["split"] = launch.split or name_split(course, badge, launch.course_named, launch.data.val_sha256)
    if fields["split"] == UNKNOWN and facts["official"] is not None:
        warnings.append(
            f"nothing shows that the text of {course.name} was scored, so it is compared with nothing: "
            "let the script print its number of validation tokens, or name the course with "
            f"--course {course.name}"
        )
    fields["seed"] = launch.seed if launch.seed is not None else facts["seed"]
    fields["environment"] = Environment.model_validate(
        facts["environment"].model_dump(exclude_none=True) | environment.model_dump(exclude_none=True)
    )
    fields["data"] = Data.model_validate(
        facts["data"].model_dump(exclude_none=True) | launch.data.model_dump(exclude_none=True)
    )
    fields["tokens_seen"] = _tokens_seen(launch, log.result)
    warnings += _contradictions(launch, log.result)
    fields |= weigh(attempt, launch, log.result, produced, warnings)
    failure = reasons.failure or (no_score_reason if facts["official"] is None else None)
    if failure is not None:
        fields["failure"] = (
            failure if failure.step is not None else failure.model_copy(update={"step": log.result.steps})
        )
        fields["status"] = status_of(failure)
    else:
        over = over_cap(fields["artifact_bytes"], launch.cap_bytes)
        fields["status"] = "over_cap" if over else "ok"
    return RunRecord(**fields, warnings=tuple(dict.fromkeys(warnings)))


def _with_closest_line(reason: Failure, log: Path) -> Failure:
    """Say of a run that ended well but without a score what in its log came closest."""
    if reason.kind != "no_result":
        return reason
    return reason.model_copy(update={"message": f"{reason.message}; {say_closest(log)}"})


def status_of(failure: Failure) -> Status:
    """An attempt that was asked to stop has not failed."""
    return "stopped" if failure.kind in ("interrupted", "aborted") else "failed"


def known_at_launch(launch: Launch, config: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a record that need no result, of an attempt that ends now.

    config: the part of the effective configuration that is recorded.
    """
    return {
        "hole": launch.hole,
        "attempt": launch.attempt,
        "course": launch.course,
        "split": launch.split,
        "started_at": launch.started_at,
        "ended_at": max(dt.datetime.now(dt.UTC), launch.started_at),
        "cap_bytes": launch.cap_bytes,
        "overrides": launch.overrides,
        "config": config,
        "config_hash": hash_config(config),
        "seed": launch.seed,
        "arguments": launch.arguments,
        "planned_seeds": launch.planned_seeds,
        "purpose": launch.purpose,
        "rate_per_hour": launch.rate_per_hour,
        "command": launch.command,
        "code": launch.code,
        "data": launch.data,
        "evaluated_from": launch.evaluated_from,
    }


def _find_log(attempt: Attempt, produced: dict[str, int]) -> ParsedLog:
    """Return what the script printed; where that tells no run, the newest log file it wrote that does."""
    printed = parse_log(attempt.log_path, max_bytes=MAX_LOG_BYTES)
    if printed.result is not None:
        return printed
    written = [attempt.work_dir / name for name in produced if name.endswith((".log", ".txt"))]
    for path in sorted(written, key=lambda path: path.stat().st_mtime, reverse=True)[:20]:
        log = parse_log(path, max_bytes=MAX_LOG_BYTES)
        if log.result is not None:
            return log
    return printed


def list_files(folder: Path) -> dict[str, int]:
    """Return the files below a folder with their bytes; links are not followed, caches left out."""
    sizes: dict[str, int] = {}
    for root, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".git"))
        for name in sorted(names):
            path = Path(root, name)
            if not path.is_symlink() and path.is_file() and len(sizes) < MAX_FILES:
                sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    return sizes


def weigh(
    attempt: Attempt, launch: Launch, run: LoggedRun, produced: dict[str, int], warnings: list[str]
) -> dict[str, Any]:
    """Return the sizes that count: the snapshot's code, and the model as printed or as the file weighs."""
    code = load_snapshot(attempt.source_dir, launch.script or "").code_bytes
    if run.bytes_code is not None and run.bytes_code != code:
        warnings.append(f"the log says {run.bytes_code:,} bytes of code; the files that ran have {code:,}")
    name = _find_artifact(run, produced)
    model = run.bytes_model if run.bytes_model is not None else produced.get(name or "")
    sizes: dict[str, Any] = {"code_bytes": code, "model_bytes": model, "artifact_bytes": None}
    if model is None:
        if run.bytes_total is not None:
            sizes |= {"code_bytes": None, "artifact_bytes": run.bytes_total}
        else:
            warnings.append("no artifact was found: the log prints no size, and no file looks like one")
        return sizes
    sizes["artifact_bytes"] = code + model
    if name is not None:
        sizes["model_file"] = f"{attempt.work_dir.name}/{name}"
        sizes["model_sha256"] = _sha256(attempt.work_dir / name)
        if produced[name] != model:
            warnings.append(f"the log says {model:,} bytes of model; {name} has {produced[name]:,}")
    return sizes


def _find_artifact(run: LoggedRun, produced: dict[str, int]) -> str | None:
    """Return the file that is the artifact: of the size that the log prints, else by its name."""
    same = [name for name, size in produced.items() if size == run.bytes_model]
    by_name = [name for name in produced if _ARTIFACT.search(name)]
    return next(iter([name for name in same if name in by_name] or same or by_name), None)


def _tokens_seen(launch: Launch, run: LoggedRun) -> int | None:
    batch = launch.config.get("TRAIN_BATCH_TOKENS", "")
    return run.steps * int(batch) if run.steps and batch.isdecimal() else None


def _contradictions(launch: Launch, run: LoggedRun) -> list[str]:
    """Say which overrides the log shows with another value than the one handed over."""
    printed_settings = {name.upper(): value for name, value in run.hyperparameters.items()}
    warnings = []
    for name, value in launch.overrides.items():
        printed = printed_settings.get(name)
        if printed is not None and not _equal(printed, value):
            warnings.append(f"override {name}={value}, but the script says it has {printed}")
    if run.seed is not None and launch.seed is not None and run.seed != launch.seed:
        warnings.append(f"seed {launch.seed} was handed over, but the script says it has {run.seed}")
    return warnings


def _equal(a: str, b: str) -> bool:
    words = {"true": "1", "false": "0"}
    a, b = (words.get(text.strip().lower(), text.strip()) for text in (a, b))
    try:
        return a == b or float(a) == float(b)
    except ValueError:
        return Path(a).name == Path(b).name  # a path that was made absolute


def _sha256(path: Path) -> str:
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
