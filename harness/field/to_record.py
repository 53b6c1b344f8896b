"""From other people's logs and record folders to records and curves of ours.

A path names a log, a record folder, a folder of record folders, or standard input; each log becomes a record
like those of our own runs. Nothing is guessed: what a log does not say stays unmeasured. Where records are
kept is `harness.field.importing`'s.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.courses.course import Badge, Course, check_bytes
from harness.errors import HarnessError, UsageError
from harness.field.log_parser import ParsedLog, parse_log
from harness.field.logged_run import LoggedRun
from harness.field.seeds import names_a_place
from harness.field.submission_file import (
    SubmissionFile,
    compare_with_logs,
    read_submission,
    seed_in_name,
)
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
MAX_LOGS = 10_000  # in one folder
MAX_DEPTH = 4  # of record folders below the one that is named
_OTHER_ENDINGS = frozenset({"", ".out", ".stdout", ".err", ".stderr"})  # logs where their text is one
_LOG_TEXT = re.compile(
    rb"(?:step[: ]\s?|[\n\r ])\d{1,12}/\d{1,12}[ :|].{0,40}loss|val_bpb\s?[:=]\s{0,20}\d|train_loss[:=]\s?\d"
).search
_SUBMISSION_NAME = re.compile(r"submission(?:_\w+)?\.json$", re.IGNORECASE)
_NOT_LOGS = re.compile(
    r"requirements.*|readme.*|license.*|notice.*|constraints.*|.*_pr_(?:title|body).*", re.IGNORECASE
)


@dataclass(frozen=True)
class LogFile:
    """One log file, parsed. name: its path inside the record folder."""

    path: Path
    name: str
    log: ParsedLog

    @property
    def run(self) -> LoggedRun | None:
        return self.log.result


@dataclass(frozen=True)
class RecordFolder:
    """What belongs together: the logs of one experiment and its submission file, if it has one."""

    name: str
    logs: tuple[LogFile, ...]
    submission: SubmissionFile | None = None
    warnings: tuple[str, ...] = ()
    from_stdin: bool = False  # the only copy of the log is a temporary file


def read_record_folders(
    paths: Sequence[Path], progress: Callable[[str], None] = lambda name: None, by_experiment: bool = False
) -> Iterator[RecordFolder]:
    """Read what the paths name: a log, a record folder, a folder of those, or `-` for standard input.

    by_experiment: logs without a submission file are one record for each configuration that ran.

    Raises UsageError for a path that is none of these.
    """
    for path in paths:
        if str(path) == "-":
            yield _read_stdin()
        elif path.is_file():
            progress(path.name)
            yield RecordFolder(path.stem, (LogFile(path, path.name, parse_log(path)),))
        elif path.is_dir():
            yield from _read_folder(path, progress, by_experiment)
        else:
            raise UsageError(
                f"there is no {path}",
                "name a log, a record folder, a folder of them, or - for standard input",
            )


def count_record_folders(paths: Sequence[Path]) -> int:
    """Estimate how many record folders and logs the paths name, for a progress bar: a folder without logs
    counts its folders.
    """
    total = 0
    for path in paths:
        children = [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []
        total += max(1, len(children))
    return total


def _read_folder(
    folder: Path, progress: Callable[[str], None], by_experiment: bool
) -> Iterator[RecordFolder]:
    any_record = False
    for record, inner in _find_records(folder):
        any_record = True
        progress(record.name)
        try:
            yield from _read_record_folder(record, inner, by_experiment)
        except HarnessError as error:
            yield RecordFolder(record.name, (), None, (error.message,))
    if not any_record:
        raise UsageError(
            f"{folder} holds no log and no submission file", "name a folder with .log or .txt files in it"
        )


def _find_records(folder: Path, depth: int = 0) -> Iterator[tuple[Path, bool]]:
    """Find the record folders in a folder, a checkout's records/TRACK/RECORD too, each with whether the
    folders inside are a part of it.

    A folder with a submission file is a record; so is one with logs, unless records lie inside.
    """
    files = find_record_files(folder)
    inside = files.submission is None and _holds_submission(folder)
    direct = any(log.parent == folder for log in files.logs)
    if files.submission is not None or (files.logs and not inside and (direct or depth > 0)):
        yield folder, True
        return
    if direct:
        yield folder, False
    if depth < MAX_DEPTH:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                yield from _find_records(child, depth + 1)


def _holds_submission(folder: Path) -> bool:
    return any(
        _SUBMISSION_NAME.match(path.name)
        for depth in range(1, MAX_DEPTH)
        for path in folder.glob("*/" * depth + "submission*.json")
    )


def _read_record_folder(folder: Path, inner: bool, by_experiment: bool) -> Iterator[RecordFolder]:
    files = find_record_files(folder, inner)
    warnings = list(files.warnings)
    submission = None
    if files.submission is not None:
        try:
            submission = read_submission(files.submission)
            warnings += submission.warnings
        except HarnessError as error:
            warnings.append(error.message)
    logs: list[LogFile] = []
    for path in files.logs:
        name = path.relative_to(folder).as_posix()
        log = parse_log(path)
        logs.append(LogFile(path, name, log))
    warnings += compare_with_logs(submission, [(file.name, file.log) for file in logs])
    distinct: dict[str, LogFile] = {}
    for file in logs:
        distinct.setdefault(file.log.sha256, file)
    groups = [list(distinct.values())]
    if by_experiment and files.submission is None:
        groups = _by_experiment(distinct.values())
    for group in groups:
        name = folder.name if len(groups) <= 1 else f"{folder.name} {Path(group[0].name).stem}"
        yield RecordFolder(name, tuple(group), submission, tuple(dict.fromkeys(warnings)))


def _by_experiment(files: Iterable[LogFile]) -> list[list[LogFile]]:
    """Group logs by what ran: parameters, code and settings, the seed and places left out."""
    groups: dict[tuple[object, ...], list[LogFile]] = {}
    for file in files:
        groups.setdefault(_experiment(file.run), []).append(file)
    return list(groups.values()) or [[]]


def _experiment(run: LoggedRun | None) -> tuple[object, ...]:
    if run is None:
        return (None,)
    settings = {
        (name.lower(), value)
        for name, value in run.hyperparameters.items()
        if name.lower() not in ("seed", "run_id") and not names_a_place(name, value)
    }
    return run.model_params, run.bytes_code, frozenset(settings)


def _read_stdin() -> RecordFolder:
    """Standard input is kept in a temporary file while it is read, so that its log can be kept, too."""
    with tempfile.NamedTemporaryFile(prefix="harness-", suffix=".log", delete=False) as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
    path = Path(copy.name)
    return RecordFolder("stdin", (LogFile(path, "stdin.log", parse_log(path)),), from_stdin=True)


@dataclass(frozen=True)
class RecordFiles:
    """What a record folder holds. links_out: links that lead out of it; they are not read."""

    folder: Path
    submission: Path | None
    logs: tuple[Path, ...]
    links_out: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(f"{path.name} is a link out of the folder; it was not read" for path in self.links_out)


def find_record_files(folder: Path, inner_folders: bool = True) -> RecordFiles:
    """Find the submission file and the logs of a record, up to one folder deep, in name order.

    A file with another ending than .log or .txt, or with none, is a log where its text is one.

    `submission.json` is taken before `submission_<word>.json`. Links that lead out of the folder are not
    followed.
    Raises HarnessError when the folder cannot be listed or holds more than MAX_LOGS logs.
    """
    try:
        root = folder.resolve(strict=True)
        entries = sorted(root.iterdir())
        inner = [
            path
            for entry in entries
            if inner_folders and entry.is_dir() and not _leaves(entry, root)
            for path in sorted(entry.iterdir())
        ]
    except OSError as error:
        raise HarnessError(f"cannot list {folder}: {error.strerror}", "expected a record folder") from error
    submissions: list[Path] = []
    logs: list[Path] = []
    links_out: list[Path] = []
    for path in [*entries, *inner]:
        is_submission = bool(_SUBMISSION_NAME.match(path.name)) and path.parent == root
        is_log = not _NOT_LOGS.fullmatch(path.stem) and (
            path.suffix.lower() in (".log", ".txt") or _reads_as_log(path)
        )
        if not (is_submission or is_log) or path.name.startswith("."):
            continue
        place = folder / path.relative_to(root)
        if _leaves(path, root):
            links_out.append(place)
        elif path.is_file():
            (submissions if is_submission else logs).append(place)
    if len(logs) > MAX_LOGS:
        raise HarnessError(f"{folder} holds {len(logs)} logs", "name the record folder itself")
    submission = min(
        submissions, key=lambda path: (path.name.lower() != "submission.json", path.name), default=None
    )
    return RecordFiles(folder, submission, tuple(sorted(logs)), tuple(links_out))


def _reads_as_log(path: Path) -> bool:
    """Whether a file with an unusual ending begins as a log does."""
    if path.suffix.lower() not in _OTHER_ENDINGS or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(64 * 1024)
    except OSError:
        return False
    return _LOG_TEXT(head) is not None


def _leaves(path: Path, root: Path) -> bool:
    """Whether a path is a link out of a folder, or to nowhere."""
    try:
        return not path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return True


# A log as a record --------------------------------------------------------------------------------


def record_from_run(
    file: LogFile,
    course: Course,
    hole: str,
    attempt: int,
    source: str,
    day: dt.date | None,
    author: str | None,
) -> tuple[RunRecord, Badge]:
    """Turn the last run of a log into a record, and check the bytes behind its score.

    source: how the record names the log. day: the day of the run, where a submission file has it.
    Raises HarnessError when the log holds no run at all.
    """
    run = file.run
    if run is None:
        raise HarnessError(f"{source} holds no run", "it has neither step lines nor results that can be read")
    facts, warnings, badge = facts_of_log(file.log, course)
    if (seed := seed_in_name(file.name)) is not None and run.seed is not None and seed != run.seed:
        warnings.append(f"the file's name says seed {seed}, the log says {run.seed}; the log counts")
    scored, cap = facts["official"] is not None, course.caps.artifact_bytes
    record = RunRecord(
        hole=hole,
        attempt=attempt,
        course=course.name,
        status="failed" if not scored else "over_cap" if over_cap(facts["artifact_bytes"], cap) else "ok",
        failure=None if scored else _failure(run),
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


def facts_of_log(log: ParsedLog, course: Course) -> tuple[dict[str, Any], list[str], Badge]:
    """Return what the last run of a log says as fields of a record, what is odd, and where its bytes
    belong.
    """
    run = log.result
    assert run is not None
    warnings = [f"line {warn.line}: {warn.text}" if warn.line else warn.text for warn in log.warnings]
    line, scores = run.official, _scores(run)
    official = Official(stage=line.stage, label=line.label, why=run.choice.why or "") if line else None
    counted = next((s for s in counted_scores(scores, official) if line and s.line == line.line), None)
    code, model, total = run.bytes_code, run.bytes_model, run.bytes_total
    if run.sizes_add_up is False:
        warnings.append(f"model {model} + code {code} is not the total {total}; only the total is kept")
        code = model = None
    if log.other_runs:
        others = ", ".join(_describe_run(other) for other in log.other_runs)
        warnings.append(f"the file holds {len(log.runs)} runs; the last one counts. Before it: {others}")
    badge = check_bytes(
        course, run.val_tokens, counted.val_loss if counted else None, counted.val_bpb if counted else None
    )
    if badge.kind == "suspect":
        warnings.append(badge.why)
    facts = {
        "split": badge.split or (badge.kind if badge.kind == "suspect" else None),
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


def _failure(run: LoggedRun) -> Failure:
    if run.nan_step is not None:
        return Failure(kind="nan", message="the training loss stopped being a number", step=run.nan_step)
    if (crash := run.ended_by) is not None:
        return Failure(kind=crash.kind, message=f"line {crash.line}: {crash.text}", step=run.steps)
    return Failure(kind="no_result", message="the log holds no score of the artifact", step=run.steps)


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
    train = ((step, 1, _point(step, values, ("train_loss", "train_time_ms"))) for step, values in run.train)
    val = (
        (step, 0, _point(step, values, ("val_loss", "val_bpb", "train_time_ms"))) for step, values in run.val
    )
    for _, _, point in sorted([*train, *val], key=lambda item: item[:2]):
        yield json.dumps(point)


def _point(step: int, values: Sequence[float], names: Sequence[str]) -> dict[str, float]:
    pairs = zip(names, values, strict=True)
    return {"step": step} | {
        name: value for name, value in pairs if name == "train_loss" or not math.isnan(value)
    }
