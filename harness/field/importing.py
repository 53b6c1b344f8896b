"""Keeps other people's logs and submissions: a record folder becomes an entry of the field or a hole of ours.

How they are read, and how a log becomes a record, is `harness.field.to_record`'s.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from harness.courses.course import Badge, Course, load_course
from harness.errors import HarnessError
from harness.field.entries import ClaimedNumbers, FieldEntry, FieldStore
from harness.field.submission_file import (
    SubmissionFile,
)
from harness.field.to_record import LogFile, RecordFolder, curve_lines, read_record_folders, record_from_run
from harness.files import write_whole
from harness.records.intent import Intent, dump_intent
from harness.records.record import RunRecord, find_record, write_record
from harness.records.store import Attempt, Store, slugify

As = Literal["auto", "field", "hole"]
KeepLog = Literal["copy", "reference"]


@dataclass(frozen=True)
class ImportResult:
    """What became of a record folder or log. state: new, extended (by more logs), unchanged or skipped."""

    name: str
    place: str
    state: Literal["new", "extended", "unchanged", "skipped"]
    records: tuple[RunRecord, ...] = ()
    badges: tuple[Badge, ...] = ()
    claimed: ClaimedNumbers | None = None
    warnings: tuple[str, ...] = ()


class ImportedLog(NamedTuple):
    file: LogFile
    record: RunRecord
    badge: Badge


@dataclass
class ImportReport:
    bundles: list[ImportResult] = field(default_factory=list)

    @property
    def added(self) -> int:
        return sum(1 for bundle in self.bundles if bundle.state in ("new", "extended"))


class HoleLogs:
    """Which log (by sha256) is in which hole; read once for many folders, and kept up to date."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.last_number = max((hole.name.number for hole in store.holes()), default=0)

    @cached_property
    def known(self) -> dict[str, str]:
        known = {}
        for hole, attempts in self.store.load_all():
            for attempt in attempts:
                try:
                    record = find_record(attempt.record_path)
                except HarnessError:
                    continue
                if record is not None and record.provenance is not None:
                    known[record.provenance.sha256] = hole.name.folder
        return known


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
    holes = HoleLogs(Store(runs))
    for bundle in read_record_folders(paths, progress, by_experiment=True):
        as_field = kind == "field" or (kind == "auto" and bundle.submission is not None)
        how = "copy" if bundle.from_stdin else keep_log
        try:
            if as_field:
                report.bundles.append(_keep_as_entry(bundle, runs, course, how, dry_run))
            else:
                report.bundles.append(_keep_as_hole(bundle, holes, course, how, dry_run))
        except ValueError as error:  # one folder that cannot be kept must not stop the others
            why = " ".join(str(error).split())[:300]
            report.bundles.append(ImportResult(bundle.name, "", "skipped", warnings=(*bundle.warnings, why)))
        finally:
            if bundle.from_stdin:
                bundle.logs[0].path.unlink(missing_ok=True)
    return report


def _keep_as_entry(
    bundle: RecordFolder, runs: Path, course: Course, keep_log: KeepLog, dry_run: bool
) -> ImportResult:
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
    first = known_entry.next_attempt if known_entry else 1
    imported, skipped = _records(new, course, slug, first, bundle, entry.author)
    if not imported and not entry.claimed:
        return ImportResult(bundle.name, place, "skipped", warnings=(*bundle.warnings, *skipped))
    if not dry_run:
        folder = store.write_entry(slug, entry)
        for one in imported:
            number = one.record.attempt
            _write_attempt(Attempt(folder / f"attempt_{number:02d}", number), one, keep_log)
    return _imported(bundle, place, "extended" if known_entry else "new", imported, skipped, entry.claimed)


def _keep_as_hole(
    bundle: RecordFolder, holes: HoleLogs, course: Course, keep_log: KeepLog, dry_run: bool
) -> ImportResult:
    store, known = holes.store, holes.known
    new = [file for file in bundle.logs if file.log.sha256 not in known]
    if bundle.logs and not new:
        return ImportResult(bundle.name, known[bundle.logs[0].log.sha256], "unchanged")
    title = (bundle.submission.name if bundle.submission else None) or bundle.name
    number = holes.last_number + 1
    folder = "_".join(filter(None, [f"round_{number:03d}", slugify(title)]))
    author = bundle.submission.author if bundle.submission else None
    imported, skipped = _records(new, course, folder, 1, bundle, author)
    if not imported:
        return ImportResult(bundle.name, folder, "skipped", warnings=(*bundle.warnings, *skipped))
    if not dry_run:
        seeds = tuple(dict.fromkeys(one.record.seed for one in imported if one.record.seed is not None))
        day = bundle.submission.date if bundle.submission else None
        intent = Intent(title=title, course=course.name, seeds=seeds, created=day)
        hole = store.create(folder, dump_intent(intent))
        for one in imported:
            _write_attempt(hole.new_attempt(), one, keep_log)
            known[one.file.log.sha256] = folder
        holes.last_number = number
    return _imported(bundle, folder, "new", imported, skipped, None)


def _records(
    files: Sequence[LogFile], course: Course, hole: str, first: int, bundle: RecordFolder, author: str | None
) -> tuple[list[ImportedLog], list[str]]:
    """Make records of the logs that hold a run; say of the others that they do not."""
    imported: list[ImportedLog] = []
    skipped = []
    day = bundle.submission.date if bundle.submission else None
    for file in files:
        source = (
            file.name if len(bundle.logs) == 1 and bundle.submission is None else f"{bundle.name}/{file.name}"
        )
        try:
            record, badge = record_from_run(file, course, hole, first + len(imported), source, day, author)
        except HarnessError as error:
            skipped.append(error.message)
            continue
        imported.append(ImportedLog(file, record, badge))
    return imported, skipped


def _imported(
    bundle: RecordFolder,
    place: str,
    state: Literal["new", "extended"],
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


def _write_attempt(attempt: Attempt, imported: ImportedLog, keep_log: KeepLog) -> None:
    """Write the curve and the log first, the record last: an attempt with a record is whole."""
    attempt.path.mkdir(parents=True, exist_ok=True)
    run = imported.file.run
    assert run is not None
    lines = list(curve_lines(run))
    if lines:
        write_whole(attempt.curve_path, ("\n".join(lines) + "\n").encode())
    if keep_log == "copy":
        shutil.copyfile(imported.file.path, attempt.log_path)
    write_record(attempt.record_path, imported.record)


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
