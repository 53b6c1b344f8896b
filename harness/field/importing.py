"""Keeps other people's logs and submissions: a record folder becomes an entry of the field or a hole of ours.

What the folders hold is read by `harness.field.record_folders`, a log becomes a record in
`harness.field.to_record`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from harness.courses.course import Badge, Course, check_record_bytes, is_unknown, load_course
from harness.errors import HarnessError
from harness.field.entries import ClaimedNumbers, FieldEntry, FieldStore
from harness.field.experiments import LogFile
from harness.field.imported_logs import ImportedLogs
from harness.field.ledger import choice_of
from harness.field.record_files import copy_log
from harness.field.record_folders import RecordFolder, read_record_folders
from harness.field.row_record import date_of
from harness.field.submission_file import SubmissionFile
from harness.field.to_record import curve_lines, record_from_run
from harness.files import write_whole
from harness.records.exported import FILE, contradiction, take_in
from harness.records.intent import Intent, decide, dump_intent, load_intent
from harness.records.private import write_record
from harness.records.record import RunRecord, find_record
from harness.records.store import Hole, NumberTaken, Store, add_attempt, find_attempts, slugify

As = Literal["auto", "field", "hole"]
KeepLog = Literal["copy", "reference"]
State = Literal["new", "extended", "corrected", "unchanged", "skipped", "failed"]


@dataclass(frozen=True)
class ImportResult:
    """What became of a record folder or log.

    state: new, extended (by more logs), corrected (what was here got the course that the user names),
    unchanged, skipped (it holds no run) or failed (it cannot be read).
    """

    name: str
    place: str
    state: State
    records: tuple[RunRecord, ...] = ()
    badges: tuple[Badge, ...] = ()
    claimed: ClaimedNumbers | None = None
    warnings: tuple[str, ...] = ()
    unreadable: bool = False  # something of it, which a warning names


class CourseChoice(NamedTuple):
    """The course of what is imported. named: whether the user named it, or it is merely the default.

    runs: the season's folder, where the courses of its own lie.
    """

    course: Course
    named: bool
    runs: Path


class ImportedLog(NamedTuple):
    file: LogFile
    record: RunRecord
    badge: Badge


@dataclass
class ImportReport:
    bundles: list[ImportResult] = field(default_factory=list)

    @property
    def added(self) -> int:
        return sum(1 for bundle in self.bundles if bundle.state in ("new", "extended", "corrected"))

    @property
    def failed(self) -> bool:
        """Whether something could not be read, or nothing held a run."""
        states = {bundle.state for bundle in self.bundles}
        return states == {"skipped"} or any(b.unreadable or b.state == "failed" for b in self.bundles)


def import_paths(
    paths: Sequence[Path],
    runs: Path,
    kind: As = "auto",
    course_name: str | None = None,
    keep_log: KeepLog = "copy",
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda name: None,
    report: ImportReport | None = None,
) -> ImportReport:
    """Read what the paths name and keep it under `runs/`; what is there already is left as it is.

    report: takes the results as they come, so that they are known when it is interrupted.
    kind: "field" for entries of the field, "hole" for holes of ours; "auto" takes bundles with a submission
    file for the field's, bare logs for ours. course_name: as the user names it; None: nobody did, and only
    what a log prints, or a submission file, tells that its text is fineweb's.
    """
    course = CourseChoice(load_course(course_name or "fineweb", runs), course_name is not None, runs)
    report = ImportReport() if report is None else report
    imported = ImportedLogs(runs)

    def is_field(has_submission: bool) -> bool:
        return kind == "field" or (kind == "auto" and has_submission)

    def known_place(name: str, submission: str | None, log: str) -> str | None:
        if not is_field(submission is not None):
            return None if course.named else imported.hole_of(log)  # its course may be wrong
        return imported.entry_of(field_slug(name), submission, log)

    for bundle in read_record_folders(paths, progress, by_experiment=True, known_place=known_place):
        how = "copy" if bundle.from_stdin else keep_log
        if bundle.known is not None:
            report.bundles.append(ImportResult(bundle.name, bundle.known, "unchanged"))
            continue
        try:
            with imported.store.locked() if not dry_run else contextlib.nullcontext():
                if is_field(bundle.is_record):
                    result = _keep_as_entry(bundle, runs, course, how, dry_run)
                else:
                    imported.refresh()
                    result = _keep_as_hole(bundle, imported, course, how, dry_run)
        except ValueError as error:  # one folder that cannot be kept must not stop the others
            why = " ".join(str(error).split())[:300]
            result = ImportResult(bundle.name, "", "failed", warnings=(*bundle.warnings, why))
        if bundle.unreadable:
            state = "failed" if result.state == "skipped" else result.state
            result = replace(result, state=state, unreadable=True)
        report.bundles.append(result)
    return report


def _keep_as_entry(
    bundle: RecordFolder, runs: Path, course: CourseChoice, keep_log: KeepLog, dry_run: bool
) -> ImportResult:
    slug = field_slug(bundle.name)
    store = FieldStore(runs)
    place = f"field/{slug}"
    known_entry = store.load(slug)
    known = known_entry.log_hashes if known_entry else frozenset()
    submission = bundle.submission
    entry = FieldEntry(
        name=(submission.name if submission else None) or bundle.name,
        course=course.course.name,
        author=submission.author if submission else None,
        github_id=submission.github_id if submission else None,
        date=submission.date if submission else None,
        pr=submission.pr if submission else None,
        source=bundle.name,
        submission_sha256=submission.sha256 if submission else None,
        claimed=_claimed(submission),
        warnings=bundle.warnings,
    )
    new = [file for file in bundle.logs if file.log.sha256 not in known]
    same_entry = known_entry is not None and known_entry.entry.submission_sha256 == entry.submission_sha256
    if same_entry and not new:
        return ImportResult(bundle.name, place, "unchanged")
    first = max((attempt.number for attempt in find_attempts(store.root / slug)), default=0) + 1
    imported, skipped = _records(new, course, slug, first, bundle, entry.author)
    if not imported and not entry.claimed:
        return ImportResult(bundle.name, "", "skipped", warnings=(*bundle.warnings, *skipped))
    entry = entry.model_copy(update={"course": imported[0].record.course}) if imported else entry
    if not dry_run:
        with store.add_entry(slug, entry) as folder:
            imported = [_add_attempt(folder, one, keep_log) for one in imported]
    return _imported(bundle, place, "extended" if known_entry else "new", imported, skipped, entry.claimed)


def _keep_as_hole(
    bundle: RecordFolder, holes: ImportedLogs, course: CourseChoice, keep_log: KeepLog, dry_run: bool
) -> ImportResult:
    new = [file for file in bundle.logs if holes.hole_of(file.log.sha256) is None or file.number is not None]
    if bundle.logs and not new:
        place = holes.hole_of(bundle.logs[0].log.sha256) or ""
        corrected = _correct_course(bundle, holes.store, course, dry_run) if course.named else []
        return _imported(bundle, place, "corrected" if corrected else "unchanged", corrected, [], None)
    title = (bundle.submission.name if bundle.submission else None) or bundle.name
    folder = "_".join(filter(None, [f"round_{holes.last_number + 1:03d}", slugify(title)]))
    author = bundle.submission.author if bundle.submission else None
    imported, skipped = _records(new, course, folder, 1, bundle, author)
    if not imported:
        return ImportResult(bundle.name, "", "skipped", warnings=(*bundle.warnings, *skipped))
    experiment = None if bundle.submission else holes.find_experiment(imported[0].record)
    if experiment is not None:
        holes.refresh_hole(experiment)
    fresh = [one for one in imported if holes.hole_of_run(one.record) is None]
    if not fresh:  # their log has grown since
        return ImportResult(bundle.name, holes.hole_of_run(imported[0].record) or "", "unchanged")
    if len(fresh) < len(imported):
        imported, _ = _records([one.file for one in fresh], course, folder, 1, bundle, author)
    extended = None if bundle.submission else holes.find_experiment(imported[0].record)
    if extended is not None:
        return _extend_hole(bundle, extended, imported, skipped, holes, keep_log, dry_run)
    if not dry_run:
        seeds = tuple(dict.fromkeys(one.record.seed for one in imported if one.record.seed is not None))
        day = bundle.submission.date if bundle.submission else None
        # What nobody named is not written down as if somebody had.
        told = not any(is_unknown(one.record.split) for one in imported)
        name = imported[0].record.course if told else None
        intent = Intent(title=title, course=name, seeds=seeds, created=day)
        with holes.store.add_hole(folder, dump_intent(intent)) as hole:
            for one in imported:
                _add_attempt(hole.path, one, keep_log)
            _keep_decision(hole, imported[-1].file)
        for one in imported:
            holes.add(folder, one.record)
    return _imported(bundle, folder, "new", imported, skipped, None)


def _keep_decision(hole: Hole, file: LogFile) -> None:
    """Keep what a ledger says was decided on its row: `keep`, `discard` and their like."""
    if file.row is None or (choice := choice_of(file.row)) is None:
        return
    reason = ": ".join(filter(None, (file.row.text("status"), file.row.text("description"))))
    when = date_of(file.row) or dt.datetime.fromtimestamp(int(file.path.stat().st_mtime), dt.UTC)
    decide(hole, choice, reason[:2000], file.path.name, when)


def _extend_hole(
    bundle: RecordFolder,
    place: str,
    imported: list[ImportedLog],
    skipped: list[str],
    holes: ImportedLogs,
    keep_log: KeepLog,
    dry_run: bool,
) -> ImportResult:
    """Add runs to the hole of the same experiment, which an earlier import of the folder made."""
    hole = holes.store.get(place)
    number = max((attempt.number for attempt in hole.attempts), default=0)
    added: list[ImportedLog] = []
    for index, one in enumerate(imported, start=1):
        record = one.record.model_copy(update={"hole": place, "attempt": number + index})
        added.append(one._replace(record=record))
    if not dry_run:
        added = [_add_attempt(hole.path, one, keep_log) for one in added]
        for one in added:
            holes.add(place, one.record)
    return _imported(bundle, place, "extended", added, skipped, None)


def _correct_course(
    bundle: RecordFolder, store: Store, choice: CourseChoice, dry_run: bool
) -> list[ImportedLog]:
    """Give the records that were made of these logs the course that is named now; return those changed."""
    by_log = {file.log.sha256: file for file in bundle.logs if file.number is None and file.row is None}
    changed = []
    for hole in store.holes():
        for attempt in hole.attempts:
            record = find_record(attempt.record_path)
            file = by_log.get(record.provenance.sha256) if record and record.provenance else None
            if record is None or record.provenance is None or file is None:
                continue
            author, day = record.provenance.author, record.started_at
            made, badge = record_from_run(
                file,
                choice.course,
                record.hole,
                record.attempt,
                record.provenance.source,
                day.date() if day else None,
                author,
            )
            made, badge, _ = _restore(bundle, file, choice, made, badge)
            if (made.course, made.split) == (record.course, record.split):
                continue
            if not dry_run:
                write_record(attempt.record_path, made)
                intent = load_intent(hole.intent_path)
                named = intent.model_copy(update={"course": choice.course.name})
                write_whole(hole.intent_path, dump_intent(named).encode())
            changed.append(ImportedLog(file, made, badge))
    return changed


def _records(
    files: Sequence[LogFile],
    choice: CourseChoice,
    hole: str,
    first: int,
    bundle: RecordFolder,
    author: str | None,
) -> tuple[list[ImportedLog], list[str]]:
    """Make records of the logs that hold a run; say of the others that they do not, and what is odd."""
    imported: list[ImportedLog] = []
    skipped = []
    day = bundle.submission.date if bundle.submission else None
    for file in files:
        source = f"{bundle.folder}/{file.name}" if bundle.folder else file.name
        try:
            number, named = first + len(imported), choice.named or bundle.is_record
            record, badge = record_from_run(
                file, choice.course, hole, number, source, day, author, course_named=named
            )
        except HarnessError as error:
            skipped.append(error.message)
            continue
        record, badge, warning = _restore(bundle, file, choice, record, badge)
        skipped += [warning] if warning else []
        imported.append(ImportedLog(file, record, badge))
    return imported, skipped


def _restore(
    bundle: RecordFolder, file: LogFile, choice: CourseChoice, record: RunRecord, badge: Badge
) -> tuple[RunRecord, Badge, str]:
    """Return the record of ours that lies beside a log, else the one that was read from it, and a warning.

    It counts where it agrees with its log, and with the course that the user names.
    """
    exported = bundle.exported.get(file.log.sha256)
    if exported is None:
        return record, badge, ""
    problem = contradiction(exported, record)
    if choice.named and exported.course != choice.course.name:
        problem = f"its course is {exported.course}, and --course says {choice.course.name}"
    if problem:
        return record, badge, f"the record in {FILE} is not believed, the log of {file.name} is: {problem}"
    try:
        course = load_course(exported.course, choice.runs)
    except HarnessError:  # a course of somebody's own, which is not here
        course = None
    return take_in(exported, record), check_record_bytes(course, exported), ""


def _imported(
    bundle: RecordFolder,
    place: str,
    state: State,
    imported: list[ImportedLog],
    skipped: list[str],
    claimed: ClaimedNumbers | None,
) -> ImportResult:
    return ImportResult(
        bundle.name,
        place,
        state,
        tuple(one.record for one in imported),
        tuple(one.badge for one in imported),
        claimed,
        (*bundle.warnings, *skipped),
    )


def _add_attempt(parent: Path, imported: ImportedLog, keep_log: KeepLog) -> ImportedLog:
    """Keep a run as the next attempt of a hole or an entry; return it with the number that it got."""
    run = imported.file.run
    assert run is not None
    lines = list(curve_lines(run))
    while True:
        with contextlib.suppress(NumberTaken), add_attempt(parent) as attempt:
            record = imported.record.model_copy(update={"attempt": attempt.number})
            if lines:
                write_whole(attempt.curve_path, ("\n".join(lines) + "\n").encode())
            if keep_log == "copy" and imported.file.row is None:  # the record has a ledger's row
                copy_log(imported.file.path, attempt.log_path)
            write_record(attempt.record_path, record)
            return imported._replace(record=record)


def _claimed(submission: SubmissionFile | None) -> ClaimedNumbers | None:
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


def describe(bundle: ImportResult) -> str:
    """Return in a few lines where a bundle went, its scores, sizes and badges, and what is odd."""
    kept = bundle.state not in ("skipped", "failed")
    lines = [f"{bundle.state:9} {bundle.name}" + (f" -> {bundle.place}" if kept else "")]
    for record, badge in zip(bundle.records, bundle.badges, strict=True):
        score = f"{record.val_bpb:.8g} bpb" if record.val_bpb is not None else "no score"
        label = f" ({record.official.label})" if record.official else ""
        size = f", {record.artifact_bytes:,} bytes" if record.artifact_bytes is not None else ""
        over = " OVER THE CAP" if record.status == "over_cap" else ""
        source = record.provenance.source if record.provenance else ""
        split = record.split if is_unknown(record.split) else badge.kind
        lines.append(f"            {Path(source).name}: {score}{label}{size}{over}, split {split}")
        if record.failure is not None:
            lines.append(f"            {record.failure.kind}: {record.failure.message}")
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


def as_data(bundle: ImportResult) -> dict[str, object]:
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
