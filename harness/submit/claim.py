"""What a referee is shown: the runs behind a score with their files, from a hole, a public entry or a submission folder.

Gathers and reads; judges nothing (`harness.submit.referee` does).
"""

from __future__ import annotations

import datetime as dt
import math
import re
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import trainer
from harness.courses.course import Course, load_course
from harness.errors import HarnessError, UsageError
from harness.field.entries import StoredEntry
from harness.field.submission_file import SubmissionFile
from harness.field.to_record import LogFile, read_record_folders, record_from_run
from harness.records.record import RunRecord
from harness.records.store import Attempt
from harness.scripts.git import fingerprint_folder, read_commit
from harness.scripts.snapshot import Snapshot, fingerprint, load_snapshot, take_snapshot
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.stats import Sample

LOG_HEAD = 1_000_000  # the table stands before the first step
_NVIDIA_SMI = re.compile(rb"^\|\s+\d+\s+(NVIDIA [^|]+?)\s{2,}", re.MULTILINE)
SCRIPT = "train_gpt.py"  # what a submission's code is called


@dataclass(frozen=True)
class ClaimedRun:
    """One run with what lies on disk of it. name: how it is called in sentences."""

    name: str
    record: RunRecord
    log: Path | None = None
    model: Path | None = None

    @cached_property
    def gpu(self) -> str | None:
        """The device's name: the record's, else that of the table which nvidia-smi left in the log."""
        if self.record.environment.device_name or self.log is None:
            return self.record.environment.device_name
        with self.log.open("rb") as file:
            named = _NVIDIA_SMI.search(file.read(LOG_HEAD))
        return named[1].decode("ascii", "replace").strip() if named else None


@dataclass(frozen=True)
class CodeOnDisk:
    """The code that ran, as it lies here. script: its files. total: their bytes. why: what is missing, else ""."""

    script: Snapshot | None = None
    total: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Claim:
    """runs: what the score is the mean of. others: the remaining attempts. published: somebody else's."""

    name: str
    title: str
    course: Course
    day: dt.date | None
    runs: tuple[ClaimedRun, ...]
    others: tuple[ClaimedRun, ...] = ()
    code: CodeOnDisk = field(default_factory=CodeOnDisk)
    folder: Path | None = None
    submission: SubmissionFile | None = None
    published: bool = False
    played: PlayedHole | None = None

    @property
    def sample(self) -> Sample | None:
        values = tuple(run.record.val_bpb for run in self.runs if run.record.val_bpb is not None)
        return Sample(values) if values else None

    @property
    def bytes_a_token(self) -> float | None:
        """Mean bytes that a scored token stands for, as losses and scores imply them."""
        ratios = [
            run.record.val_loss / (math.log(2) * run.record.val_bpb)
            for run in self.runs
            if run.record.val_loss and run.record.val_bpb
        ]
        return sum(ratios) / len(ratios) if ratios else None


def show_hole(season: Season, played: PlayedHole) -> Claim:
    """Show a hole of ours. Raises HarnessError when none of its attempts was completed."""
    runs = [_attempt_run(entry.attempt, entry.record) for entry in played.entries if entry.record]
    counted = [run for run in runs if run.record in played.group]
    if not counted:
        fate = {0: "no attempt"}.get(len(played.entries), "no complete attempt")
        problem = f": {played.problems[0]}" if played.problems and not runs else ""
        raise HarnessError(
            f"{played.name.folder} has {fate}{problem}",
            f"`harness show {played.name.folder} --why` says what happened" if runs else "play it first",
        )
    course = season.course(played.course)
    if course is None:
        raise HarnessError(
            f'the course "{played.course}" is not known', "restore its file under runs/courses"
        )
    others = tuple(run for run in runs if run.record not in played.group)
    code = _code_of(counted[-1].record, played.attempt)
    published = counted[-1].record.provenance is not None
    return Claim(
        played.name.folder,
        played.title,
        course,
        played.day,
        tuple(counted),
        others,
        code,
        published=published,
        played=played,
    )


def show_entry(season: Season, entry: StoredEntry) -> Claim:
    """Show a public run that was imported. Raises HarnessError when no log of it shows a score."""
    if not entry.complete:
        raise HarnessError(f"{entry.slug}: no log of it shows a score", "nothing can be checked without one")
    runs = [
        _attempt_run(Attempt(entry.path / f"attempt_{r.attempt:02d}", r.attempt), r) for r in entry.records
    ]
    return Claim(
        entry.slug,
        entry.entry.name,
        load_course(entry.entry.course, season.runs),
        entry.entry.date,
        tuple(run for run in runs if run.record.complete),
        tuple(run for run in runs if not run.record.complete),
        CodeOnDisk(why="the code of a public run is not kept here"),
        published=True,
    )


def show_folder(folder: Path, runs_folder: Path, course_name: str = "fineweb") -> Claim:
    """Show a submission folder: its logs, its submission file, its script.

    Raises UsageError when it holds no log and no submission file, HarnessError when no log shows a score.
    """
    course = load_course(course_name, runs_folder)
    bundles = list(read_record_folders([folder]))
    if len(bundles) != 1 or bundles[0].name != folder.name:
        raise UsageError(f"{folder} holds {len(bundles)} records", "name the folder of one submission")
    bundle = bundles[0]
    day = bundle.submission.date if bundle.submission else None
    shown = [
        _log_run(read, course, folder.name, number, day) for number, read in enumerate(bundle.logs, start=1)
    ]
    runs = [run for run in shown if run is not None]
    complete = tuple(run for run in runs if run.record.complete)
    if not complete:
        raise HarnessError(f"no log in {folder} shows a score", "a submission proves its claim by its logs")
    others = tuple(run for run in runs if not run.record.complete)
    title = (bundle.submission.name if bundle.submission else None) or folder.name
    return Claim(
        folder.name,
        title,
        course,
        day,
        complete,
        others,
        _script_in(folder),
        folder,
        bundle.submission,
    )


def _attempt_run(attempt: Attempt, record: RunRecord) -> ClaimedRun:
    log = attempt.log_path if attempt.log_path.is_file() else None
    model = attempt.path / record.model_file if record.model_file else None
    inside = model is not None and model.is_file() and not model.is_symlink() and model.parent == attempt.path
    return ClaimedRun(attempt.path.name, record, log, model if inside else None)


def _log_run(read: LogFile, course: Course, hole: str, number: int, day: dt.date | None) -> ClaimedRun | None:
    try:
        record, _ = record_from_run(read, course, hole, number, read.name, day, None)
    except HarnessError:  # a log without a run, such as a summary
        return None
    return ClaimedRun(read.name, record, read.path)


def _code_of(record: RunRecord, attempt: Attempt | None) -> CodeOnDisk:
    """Find the code that a record's attempt ran: its own snapshot, or our trainer at that commit."""
    if record.provenance is not None and not (attempt and attempt.source_dir.is_dir()):
        return CodeOnDisk(why="the code of an imported run is not kept here")
    if record.code.trainer != "builtin":
        if attempt is None or not (attempt.source_dir / record.code.trainer).is_file():
            return CodeOnDisk(why=f"the snapshot of {record.code.trainer} is not beside the record")
        script = load_snapshot(attempt.source_dir, record.code.trainer)
        return CodeOnDisk(script, script.code_bytes)
    folder = Path(trainer.__file__).parent
    if record.code.source_sha256 == fingerprint_folder(folder):
        return _as_handed_in(record, folder)
    if record.code.git_sha and record.code.dirty is False:
        files = read_commit(folder, record.code.git_sha)
        if files and fingerprint(files) == record.code.source_sha256:
            package = Snapshot("__main__.py", files)
            if package.code_bytes == record.code_bytes:  # as records once counted it
                return CodeOnDisk(package, package.code_bytes)
            with tempfile.TemporaryDirectory() as made:
                then = Path(made, folder.name)
                for name, content in files.items():
                    (then / name).parent.mkdir(parents=True, exist_ok=True)
                    (then / name).write_bytes(content)
                return _as_handed_in(record, then)
    return CodeOnDisk(why="the trainer has changed since, and git does not have the code that ran")


def _as_handed_in(record: RunRecord, trainer_folder: Path) -> CodeOnDisk:
    """Return the one script that a submission of this record would have."""
    from harness.scripts.one_file import submission_script  # reads all of the trainer

    try:
        source = submission_script(record.config, record.code, trainer_folder)
    except HarnessError as error:
        return CodeOnDisk(why=error.message)
    return CodeOnDisk(Snapshot(SCRIPT, {SCRIPT: source}), len(source))


def _script_in(folder: Path) -> CodeOnDisk:
    path = folder / SCRIPT
    if not path.is_file():
        others = sorted(found.name for found in folder.glob("*.py"))
        if len(others) != 1:
            return CodeOnDisk(why=f"there is no {SCRIPT} in the folder")
        path = folder / others[0]
    try:
        script = take_snapshot(path)
    except UsageError as error:
        return CodeOnDisk(why=error.message)
    return CodeOnDisk(script, script.code_bytes)
