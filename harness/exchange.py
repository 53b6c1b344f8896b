"""Other people's logs and submissions in, ours out.

A log becomes a record like those of our own runs (`record_from_run`); a record folder becomes an entry of the
field or a hole of ours (`import_paths`). Reading the lines is `harness.logs`' work, submission files
`harness.submission`'s. Nothing is guessed: what a log does not say stays unmeasured.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness import __version__
from harness.courses.course import Badge, Course, check_bytes, load_course
from harness.errors import HarnessError, UsageError
from harness.field import ClaimedNumbers, FieldEntry, FieldStore
from harness.files import write_whole
from harness.logged_run import LoggedRun
from harness.logs import ParsedLog, parse_log
from harness.records.intent import Intent, slugify
from harness.records.record import Data, Environment, Failure, Official, Provenance, RunRecord, Score
from harness.records.store import Attempt, Store
from harness.submission import (
    Submission,
    compare_with_logs,
    find_record_files,
    read_submission,
    seed_in_name,
)

IMPORTER = f"harness {__version__}"
As = Literal["auto", "field", "hole"]
KeepLog = Literal["copy", "reference"]


@dataclass(frozen=True)
class ReadLog:
    """One log file, parsed. name: its path inside the record folder."""

    path: Path
    name: str
    log: ParsedLog

    @property
    def run(self) -> LoggedRun | None:
        return self.log.result


@dataclass(frozen=True)
class Bundle:
    """What belongs together: the logs of one experiment and its submission file, if it has one."""

    name: str
    logs: tuple[ReadLog, ...]
    submission: Submission | None = None
    warnings: tuple[str, ...] = ()
    spooled: bool = False  # from standard input: the only copy lies in a temporary file


@dataclass(frozen=True)
class Imported:
    """What became of one bundle. state: new, extended (more logs of a known one), unchanged, or skipped."""

    name: str
    place: str
    state: Literal["new", "extended", "unchanged", "skipped"]
    records: tuple[RunRecord, ...] = ()
    badges: tuple[Badge, ...] = ()
    claimed: ClaimedNumbers | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class ImportReport:
    bundles: list[Imported] = field(default_factory=list)

    @property
    def added(self) -> int:
        return sum(1 for bundle in self.bundles if bundle.state in ("new", "extended"))


# Reading ------------------------------------------------------------------------------------------


def read_bundles(
    paths: Sequence[Path], progress: Callable[[str], None] = lambda name: None
) -> Iterator[Bundle]:
    """Read what the paths name: a log, a record folder, a folder of record folders, or `-` for standard input.

    Raises UsageError for a path that is none of these.
    """
    for path in paths:
        if str(path) == "-":
            yield _read_stdin()
        elif path.is_file():
            progress(path.name)
            yield Bundle(path.stem, (ReadLog(path, path.name, parse_log(path)),))
        elif path.is_dir():
            yield from _read_folder(path, progress)
        else:
            raise UsageError(
                f"there is no {path}",
                "name a log, a record folder, a folder of them, or - for standard input",
            )


def count_bundles(paths: Sequence[Path]) -> int:
    """Estimate how many bundles the paths hold, for a progress bar: a folder without logs counts its folders."""
    total = 0
    for path in paths:
        children = [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []
        total += max(1, len(children))
    return total


def _read_folder(folder: Path, progress: Callable[[str], None]) -> Iterator[Bundle]:
    files = find_record_files(folder)
    holds_record = files.submission is not None or any(log.parent == folder for log in files.logs)
    if holds_record:
        progress(folder.name)
        yield _read_record_folder(folder)
        return
    children = sorted(child for child in folder.iterdir() if child.is_dir() and not child.is_symlink())
    found = False
    for child in children:
        files = find_record_files(child)
        if files.submission is not None or files.logs:
            found = True
            progress(child.name)
            yield _read_record_folder(child)
    if not found:
        raise UsageError(
            f"{folder} holds no log and no submission file", "name a folder with .log or .txt files in it"
        )


def _read_record_folder(folder: Path) -> Bundle:
    files = find_record_files(folder)
    warnings = list(files.warnings)
    submission = None
    if files.submission is not None:
        try:
            submission = read_submission(files.submission)
            warnings += submission.warnings
        except HarnessError as error:
            warnings.append(error.message)
    logs: list[ReadLog] = []
    seen: dict[str, str] = {}
    for path in files.logs:
        name = path.relative_to(folder).as_posix()
        log = parse_log(path)
        logs.append(ReadLog(path, name, log))
    warnings += compare_with_logs(submission, [(read.name, read.log) for read in logs])
    counted = [read for read in logs if seen.setdefault(read.log.sha256, read.name) == read.name]
    return Bundle(folder.name, tuple(counted), submission, tuple(dict.fromkeys(warnings)))


def _read_stdin() -> Bundle:
    """Standard input is kept in a temporary file while it is read, so that its log can be kept, too."""
    with tempfile.NamedTemporaryFile(prefix="harness-", suffix=".log", delete=False) as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
    path = Path(spool.name)
    return Bundle("stdin", (ReadLog(path, "stdin.log", parse_log(path)),), spooled=True)


# A log as a record --------------------------------------------------------------------------------


def record_from_run(
    read: ReadLog,
    course: Course,
    hole: str,
    attempt: int,
    source: str,
    day: dt.date | None,
    author: str | None,
) -> tuple[RunRecord, Badge]:
    """Turn the last run of a log into a record, and check the bytes behind its score.

    source: how the record names the log. day: the day of the run, where a submission file tells it.
    Raises HarnessError when the log holds no run at all.
    """
    run = read.run
    if run is None:
        raise HarnessError(f"{source} holds no run", "it has neither step lines nor results that can be read")
    facts, warnings, badge = facts_of_log(read.log, course)
    if (named := seed_in_name(read.name)) is not None and run.seed is not None and named != run.seed:
        warnings.append(f"the file's name says seed {named}, the log says {run.seed}; the log counts")
    scored, total, cap = facts["official"] is not None, facts["artifact_bytes"], course.caps.artifact_bytes
    record = RunRecord(
        hole=hole,
        attempt=attempt,
        course=course.name,
        status="failed" if not scored else "over_cap" if total is not None and total >= cap else "ok",
        failure=None if scored else _failure(run),
        started_at=dt.datetime.combine(day, dt.time(), dt.UTC) if day else None,
        cap_bytes=cap,
        config=dict(sorted(run.hyperparameters.items())),
        **facts,
        provenance=Provenance(
            source=source,
            sha256=read.log.sha256,
            importer=IMPORTER,
            author=author,
            lines={fact: line for fact, line in sorted(run.lines.items()) if line > 0},
        ),
        warnings=tuple(warnings),
    )
    return record, badge


def facts_of_log(log: ParsedLog, course: Course) -> tuple[dict[str, Any], list[str], Badge]:
    """Return what the last run of a log says as fields of a record, what is odd, and where its bytes belong."""
    run = log.result
    assert run is not None
    warnings = [f"line {warn.line}: {warn.text}" if warn.line else warn.text for warn in log.warnings]
    official, scores = run.official, _scores(run)
    counted = next(
        (s for s in scores if official and s.line == official.line and s.label == official.label), None
    )
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
    why = run.why_official or ""
    facts = {
        "split": badge.split or (badge.kind if badge.kind == "suspect" else None),
        "val_bpb": counted.val_bpb if counted else None,
        "val_loss": counted.val_loss if counted else None,
        "official": Official(stage=counted.stage, label=counted.label, why=why) if counted else None,
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
    """Every evaluation the log prints, in order; the last validation stands for a missing pre-quantization line."""
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


# Keeping ------------------------------------------------------------------------------------------


def import_paths(
    paths: Sequence[Path],
    runs: Path,
    kind: As = "auto",
    course_name: str = "fineweb",
    keep_log: KeepLog = "copy",
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> ImportReport:
    """Read what the paths name and keep it under `runs/`; what is there already is left as it is.

    kind: "field" for entries of the field, "hole" for holes of ours; "auto" takes bundles with a submission
    file for the field's, bare logs for ours.
    """
    course = load_course(course_name, runs)
    report = ImportReport()
    for bundle in read_bundles(paths, progress):
        as_field = kind == "field" or (kind == "auto" and bundle.submission is not None)
        keep = _keep_in_field if as_field else _keep_as_hole
        try:
            report.bundles.append(keep(bundle, runs, course, "copy" if bundle.spooled else keep_log, dry_run))
        finally:
            if bundle.spooled:
                bundle.logs[0].path.unlink(missing_ok=True)
    return report


def _keep_in_field(bundle: Bundle, runs: Path, course: Course, keep_log: KeepLog, dry_run: bool) -> Imported:
    slug = field_slug(bundle.name)
    store = FieldStore(runs)
    place = f"field/{slug}"
    known_entry = store.load(slug)
    known = known_entry.log_hashes if known_entry else frozenset()
    submission = bundle.submission
    entry = FieldEntry(
        name=(submission.name if submission else None) or bundle.name,
        course=course.name,
        author=submission.author if submission else None,
        github_id=submission.github_id if submission else None,
        date=submission.date if submission else None,
        source=bundle.name,
        submission_sha256=submission.sha256 if submission else None,
        claimed=_claimed(submission),
        warnings=bundle.warnings,
    )
    new = [read for read in bundle.logs if read.log.sha256 not in known]
    same_entry = known_entry is not None and known_entry.entry.submission_sha256 == entry.submission_sha256
    if same_entry and not new:
        return Imported(bundle.name, place, "unchanged")
    first = known_entry.next_attempt if known_entry else 1
    made, skipped = _records(new, course, slug, first, bundle, entry.author)
    if not made and not entry.claimed:
        return Imported(bundle.name, place, "skipped", warnings=(*bundle.warnings, *skipped))
    if not dry_run:
        folder = store.write_entry(slug, entry)
        for read, record, _ in made:
            _write_attempt(
                Attempt(folder / f"attempt_{record.attempt:02d}", record.attempt), read, record, keep_log
            )
    return _imported(bundle, place, "extended" if known_entry else "new", made, skipped, entry.claimed)


def _keep_as_hole(bundle: Bundle, runs: Path, course: Course, keep_log: KeepLog, dry_run: bool) -> Imported:
    store = Store(runs)
    known = _known_logs(store)
    new = [read for read in bundle.logs if read.log.sha256 not in known]
    if bundle.logs and not new:
        return Imported(bundle.name, known[bundle.logs[0].log.sha256], "unchanged")
    title = (bundle.submission.name if bundle.submission else None) or bundle.name
    number = max((hole.name.number for hole in store.holes()), default=0) + 1
    folder = "_".join(filter(None, [f"round_{number:03d}", slugify(title)]))
    author = bundle.submission.author if bundle.submission else None
    made, skipped = _records(new, course, folder, 1, bundle, author)
    if not made:
        return Imported(bundle.name, folder, "skipped", warnings=(*bundle.warnings, *skipped))
    if not dry_run:
        seeds = tuple(dict.fromkeys(record.seed for _, record, _ in made if record.seed is not None))
        day = bundle.submission.date if bundle.submission else None
        hole = store.create(folder, Intent(title=title, course=course.name, seeds=seeds, created=day))
        for read, record, _ in made:
            _write_attempt(hole.new_attempt(), read, record, keep_log)
    return _imported(bundle, folder, "new", made, skipped, None)


def _records(
    reads: Sequence[ReadLog], course: Course, hole: str, first: int, bundle: Bundle, author: str | None
) -> tuple[list[tuple[ReadLog, RunRecord, Badge]], list[str]]:
    """Make records of the logs that hold a run; say of the others that they do not."""
    made: list[tuple[ReadLog, RunRecord, Badge]] = []
    skipped = []
    day = bundle.submission.date if bundle.submission else None
    for read in reads:
        source = (
            read.name if len(bundle.logs) == 1 and bundle.submission is None else f"{bundle.name}/{read.name}"
        )
        try:
            record, badge = record_from_run(read, course, hole, first + len(made), source, day, author)
        except HarnessError as error:
            skipped.append(error.message)
            continue
        made.append((read, record, badge))
    return made, skipped


def _imported(
    bundle: Bundle,
    place: str,
    state: Literal["new", "extended"],
    made: list[tuple[ReadLog, RunRecord, Badge]],
    skipped: list[str],
    claimed: ClaimedNumbers | None,
) -> Imported:
    return Imported(
        bundle.name,
        place,
        state,
        tuple(record for _, record, _ in made),
        tuple(badge for _, _, badge in made),
        claimed,
        (*bundle.warnings, *skipped),
    )


def _write_attempt(attempt: Attempt, read: ReadLog, record: RunRecord, keep_log: KeepLog) -> None:
    """Write the curve and the log first, the record last: an attempt with a record is whole."""
    attempt.path.mkdir(parents=True, exist_ok=True)
    assert read.run is not None
    lines = list(curve_lines(read.run))
    if lines:
        write_whole(attempt.curve_path, ("\n".join(lines) + "\n").encode())
    if keep_log == "copy":
        shutil.copyfile(read.path, attempt.log_path)
    attempt.write_record(record)


def _known_logs(store: Store) -> dict[str, str]:
    """Return which log (by sha256) is in which hole."""
    known = {}
    for hole, attempts in store.load_all():
        for attempt in attempts:
            try:
                record = attempt.load_record()
            except HarnessError:
                continue
            if record is not None and record.provenance is not None:
                known[record.provenance.sha256] = hole.name.folder
    return known


def _claimed(submission: Submission | None) -> ClaimedNumbers | None:
    if submission is None:
        return None
    return ClaimedNumbers(
        val_bpb=submission.val_bpb,
        val_loss=submission.val_loss,
        artifact_bytes=submission.bytes_total,
        code_bytes=submission.bytes_code,
        n_seeds=submission.n_seeds,
    )


def field_slug(name: str) -> str:
    """Return a folder name for an entry: letters, digits, dot, dash, underscore; never empty, never hidden.

    A name that had to be changed or cut gets a few digits of its hash, so that two never meet.
    """
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:100]
    if clean and clean == name:
        return clean
    return f"{clean or 'entry'}_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def describe(bundle: Imported) -> str:
    """Return a bundle's fate in a few lines: where it went, its scores, sizes and badges, what was odd."""
    lines = [f"{bundle.state:9} {bundle.name}" + (f" -> {bundle.place}" if bundle.state != "skipped" else "")]
    for record, badge in zip(bundle.records, bundle.badges, strict=True):
        score = f"{record.val_bpb:.8g} bpb" if record.val_bpb is not None else "no score"
        label = f" ({record.official.label})" if record.official else ""
        size = f", {record.artifact_bytes:,} bytes" if record.artifact_bytes is not None else ""
        over = " OVER THE CAP" if record.status == "over_cap" else ""
        source = record.provenance.source if record.provenance else ""
        lines.append(f"            {Path(source).name}: {score}{label}{size}{over}, split {badge.kind}")
        lines += [f"            warning: {warning}" for warning in record.warnings]
    if (
        not bundle.records
        and bundle.claimed
        and bundle.claimed.val_bpb is not None
        and bundle.state != "unchanged"
    ):
        lines.append(f"            claimed: {bundle.claimed.val_bpb} bpb; no log shows it")
    lines += [f"            warning: {warning}" for warning in bundle.warnings]
    return "\n".join(lines)


def as_data(bundle: Imported) -> dict[str, object]:
    """Return what `--json` says of a bundle."""
    return {
        "name": bundle.name,
        "place": bundle.place,
        "state": bundle.state,
        "records": [
            record.model_dump(mode="json", by_alias=True, exclude_none=True) for record in bundle.records
        ],
        "badges": [{"kind": b.kind, "why": b.why, "implied_bytes": b.implied_bytes} for b in bundle.badges],
        "claimed": bundle.claimed.model_dump(exclude_none=True) if bundle.claimed else None,
        "warnings": list(bundle.warnings),
    }
