"""What the referee judges: the runs behind a score with their files, from a hole, a public entry or a folder.

Gathers and reads; `harness.submit.referee` judges.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.courses.claim import Claim, complete_claim, is_own_row
from harness.courses.course import Course, load_course
from harness.courses.policy import Policy
from harness.courses.track import TRACKS, NamedTrack, find_track
from harness.errors import HarnessError
from harness.field.entries import StoredEntry, find_row
from harness.field.experiments import LogFile
from harness.field.log_parser import parse_log
from harness.field.logged_run import LoggedRun
from harness.field.record_folders import read_one_record
from harness.field.seeds import SeedCount, count_seeds
from harness.field.submission_file import SubmissionFile
from harness.field.to_record import record_from_run
from harness.figures import number
from harness.files import plain_below
from harness.records.record import RunRecord
from harness.records.store import Attempt
from harness.scripts.snapshot import Snapshot, load_snapshot, take_snapshot
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.stats import Sample
from harness.submit.code import SCRIPT, find_trainer, trainer_script
from harness.submit.counted_runs import pick_counted, seed_of_name
from harness.submit.required_files import find_script

RECORDS_BY_DEFAULT = NamedTrack(TRACKS[0], "nothing names another")


@dataclass(frozen=True)
class CandidateRun:
    """One run with what lies on disk of it. name: how it is called in sentences. logged: its log as read."""

    name: str
    record: RunRecord
    log: Path | None = None
    model: Path | None = None
    logged: LoggedRun | None = None

    @cached_property
    def parsed(self) -> LoggedRun | None:
        """The run that its whole log shows; `logged` is one of several where a file holds them."""
        return parse_log(self.log).result if self.log else None

    @cached_property
    def code_counts(self) -> Mapping[str, int]:
        """Every count of the code in the log of a public run, by the log's own words."""
        logged = self.logged
        if logged is None and self.record.provenance is not None:
            logged = self.parsed
        return logged.code_counts if logged else {}


@dataclass(frozen=True)
class CodeOnDisk:
    """The code that ran, as far as it is on this disk. script: its files. total: their bytes.

    missing: why there is no script, else "".
    """

    script: Snapshot | None = None
    total: int | None = None
    missing: str = ""


@dataclass(frozen=True)
class Candidate:
    """runs: whose mean is the score. others: the remaining attempts. published: by somebody else.

    claim: when it was claimed, and by which pull request. claimed_bpb: the score its submission file names.
    played: the hole, if it is one of ours; folder, submission: if it is a submission folder. track: whose
    rules it asks for.
    """

    name: str
    title: str
    course: Course
    claim: Claim
    runs: tuple[CandidateRun, ...]
    others: tuple[CandidateRun, ...] = ()
    code: CodeOnDisk = field(default_factory=CodeOnDisk)
    folder: Path | None = None
    submission: SubmissionFile | None = None
    published: bool = False
    played: PlayedHole | None = None
    claimed_bpb: float | None = None
    track: NamedTrack = RECORDS_BY_DEFAULT

    @property
    def day(self) -> dt.date | None:
        return self.claim.day

    @property
    def is_listed(self) -> bool:
        """Whether the course's table has its own row: it was accepted."""
        return any(is_own_row(row, self.claim) for row in self.course.field)

    @cached_property
    def seeds(self) -> SeedCount:
        """The seeds behind its runs."""
        return count_seeds([run.record for run in self.runs], self.claimed_bpb, by_settings=True)

    @property
    def without_run(self) -> str:
        """Why no run of it shows a score."""
        attempts = number(len(self.others), "log")
        return f"{attempts}, none with a score" if self.others else "no log shows a run"

    @property
    def sample(self) -> Sample | None:
        """The score, one value a seed; one value in all where public logs mix versions of the code."""
        return self.played.sample if self.played else self.seeds.sample


@dataclass(frozen=True)
class Case:
    """All that a rule is given."""

    candidate: Candidate
    policy: Policy
    season: Season


def hole_candidate(season: Season, played: PlayedHole) -> Candidate:
    """Return a hole of ours. Raises HarnessError when none of its attempts was completed."""
    runs = attempt_runs(played)
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
    return Candidate(
        played.name.folder,
        played.title,
        course,
        complete_claim(course, Claim(played.day, record=_record_folder(counted[-1].record))),
        tuple(counted),
        others,
        code,
        published=published,
        played=played,
    )


def _record_folder(record: RunRecord) -> str | None:
    """The folder that an imported run was read from."""
    return record.provenance.source.rpartition("/")[0].partition("/")[0] if record.provenance else None


def attempt_runs(played: PlayedHole) -> list[CandidateRun]:
    """Return the attempts of a hole that have a record, with the files that lie in their folders."""
    return [_attempt_run(entry.attempt, entry.record) for entry in played.entries if entry.record]


def entry_candidate(season: Season, entry: StoredEntry) -> Candidate:
    """Return a public run that was imported. Raises HarnessError when no log of it shows a score."""
    if not entry.complete:
        raise HarnessError(f"{entry.slug}: no log of it shows a score", "nothing can be checked without one")
    runs = [
        _attempt_run(Attempt(entry.path / f"attempt_{r.attempt:02d}", r.attempt), r) for r in entry.records
    ]
    course = load_course(entry.entry.course, season.runs)
    row = find_row(course, entry)
    claim = Claim(entry.entry.date, entry.entry.pr, row.record if row else entry.entry.source)
    return Candidate(
        entry.slug,
        entry.entry.name,
        course,
        complete_claim(course, claim),
        tuple(run for run in runs if run.record.complete),
        tuple(run for run in runs if not run.record.complete),
        CodeOnDisk(missing="the code of a public run is not kept here"),
        published=True,
        claimed_bpb=entry.entry.claimed.val_bpb if entry.entry.claimed else None,
        track=find_track(course, claim.record),
    )


def folder_candidate(folder: Path, runs_folder: Path, course_name: str = "fineweb") -> Candidate:
    """Return a submission folder: its logs, its submission file, its script.

    Without a log that shows a score it has no runs. Raises UsageError when it holds several records.
    """
    course = load_course(course_name, runs_folder)
    record_folder = read_one_record(folder)
    submission = record_folder.submission
    day = submission.date if submission else None
    claimed = [score.seed for score in submission.seeds] if submission else []
    logged = [
        _log_run(file, course, folder.name, number, day, claimed)
        for number, file in enumerate(record_folder.logs, start=1)
    ]
    runs = [run for run in logged if run is not None]
    complete, beside = pick_counted([run for run in runs if run.record.complete], submission)
    others = (*beside, *(run for run in runs if not run.record.complete))
    title = (submission.name if submission else None) or folder.name
    return Candidate(
        folder.name,
        title,
        course,
        complete_claim(course, Claim(day, submission.pr if submission else None, folder.name)),
        complete,
        others,
        _script_in(folder),
        folder,
        submission,
        claimed_bpb=submission.val_bpb if submission else None,
        track=find_track(course, folder.name, folder, _stated_track(submission)),
    )


def _stated_track(submission: SubmissionFile | None) -> str | None:
    if submission is None:
        return None
    kind = submission.extra.get("submission_kind")
    return submission.track or (kind if isinstance(kind, str) else None)


def _attempt_run(attempt: Attempt, record: RunRecord) -> CandidateRun:
    log = plain_below(attempt.path, attempt.log_path.name)
    model = plain_below(attempt.path, record.model_file or "")
    inside = model is not None and model.parent == attempt.path
    return CandidateRun(attempt.path.name, record, log, model if inside else None)


def _log_run(
    file: LogFile, course: Course, hole: str, number: int, day: dt.date | None, claimed_seeds: list[str]
) -> CandidateRun | None:
    try:
        record, _ = record_from_run(file, course, hole, number, file.name, day, None)
    except HarnessError:  # a log without a run, such as a summary
        return None
    if record.seed is None:
        record = record.model_copy(update={"seed": seed_of_name(file.name, claimed_seeds)})
    return CandidateRun(file.name, record, file.path, logged=file.run)


def _code_of(record: RunRecord, attempt: Attempt | None) -> CodeOnDisk:
    """Find the code that a record's attempt ran: its own snapshot, or the script that our trainer makes."""
    if record.provenance is not None and not (attempt and attempt.source_dir.is_dir()):
        return CodeOnDisk(missing="the code of an imported run is not kept here")
    if record.code.trainer != "builtin":
        kept = f"{attempt.source_dir.name}/{record.code.trainer}" if attempt else ""
        if attempt is None or not plain_below(attempt.path, kept):
            return CodeOnDisk(missing=f"the snapshot of {record.code.trainer} is not next to the record")
        script = load_snapshot(attempt.source_dir, record.code.trainer)
        return CodeOnDisk(script, script.code_bytes)
    package = find_trainer(record.code)
    if package is None:
        return CodeOnDisk(missing="the trainer has changed since, and git does not have the code that ran")
    if package.code_bytes == record.code_bytes:  # as records once counted it
        return CodeOnDisk(package, package.code_bytes)
    try:
        source = trainer_script(record, package)
    except HarnessError as error:
        return CodeOnDisk(missing=error.message)
    return CodeOnDisk(Snapshot(SCRIPT, {SCRIPT: source}), len(source))


def _script_in(folder: Path) -> CodeOnDisk:
    path = find_script(folder)
    if path is None:
        names = sorted(path.name for path in folder.glob("*.py"))
        among = f"; which of {', '.join(names[:4])} is the script?" if names else ""
        return CodeOnDisk(missing=f"there is no {SCRIPT} in the folder{among}")
    try:
        script = take_snapshot(path)
    except HarnessError as error:
        return CodeOnDisk(missing=error.message)
    return CodeOnDisk(script, script.code_bytes)
