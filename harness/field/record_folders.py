"""What other people's folders hold: records with their submission file and logs, logs without one, ledgers.

A path names a log, a ledger, a record folder, a folder of those, a whole checkout, or standard input. Logs
that belong to no submission are put together by what ran. Where all this is kept is
`harness.field.importing`'s, how a log becomes a record `harness.field.to_record`'s.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.field.experiments import LogFile, drop_copies, group_runs, split_runs
from harness.field.ledger import is_ledger, read_ledger
from harness.field.log_parser import ParsedLog
from harness.field.record_files import (
    LEDGER_SUFFIXES,
    PACKED,
    FolderTree,
    RecordFiles,
    find_record_files,
    hash_log,
    is_other_text,
    read_log,
    read_tree,
    sort_files,
)
from harness.field.row_record import run_of_row
from harness.field.submission_check import compare_with_logs
from harness.field.submission_file import SubmissionFile, read_submission
from harness.records.exported import read_exported
from harness.records.record import RunRecord

# The place of a log that was imported before, by the record folder's name, the sha256 of its submission file
# (None: it has none) and the log's own.
KnownPlace = Callable[[str, str | None, str], str | None]


@dataclass(frozen=True)
class RecordFolder:
    """What belongs together: the runs of one experiment, or of one submission with its file.

    name: of the bundle. folder: of the folder that the logs' names begin in; the same, unless it holds
    several experiments, and "" where a single log was named. known: the place where all of it was kept
    before; its logs are not read then. unreadable: something of it could not be read at all.
    is_record: it is the folder of a submission, though its file may be broken. exported: records of ours
    that lie beside the logs, by their log's sha256.
    from_stdin: the log is gone after this.
    """

    name: str
    logs: tuple[LogFile, ...] = ()
    submission: SubmissionFile | None = None
    warnings: tuple[str, ...] = ()
    from_stdin: bool = False
    folder: str = ""
    known: str | None = None
    unreadable: bool = False
    is_record: bool = False
    exported: Mapping[str, RunRecord] = field(default_factory=dict)


def read_record_folders(
    paths: Sequence[Path],
    progress: Callable[[str], None] = lambda name: None,
    by_experiment: bool = False,
    known_place: KnownPlace = lambda name, submission, log: None,
) -> Iterator[RecordFolder]:
    """Read what the paths name: a log, a record folder, a folder of those, or `-` for standard input.

    by_experiment: logs without a submission file are a bundle for each configuration that ran, and a file
    with several runs gives as many attempts. known_place: where a log was kept before.

    Raises UsageError for a path that is none of these, before anything is read.
    """
    for path in paths:
        if str(path) != "-" and not path.exists():
            raise UsageError(
                f"there is no {path}",
                "name a log, a record folder, a folder of them, or - for standard input",
            )
    reader = _Reader(progress, by_experiment, known_place)
    for path in paths:
        if str(path) == "-":
            yield from reader.read_stdin()
        elif path.is_dir():
            yield from reader.read_folder(path, alone=len(paths) == 1)
        else:
            progress(path.name)
            pool = ([], [path]) if path.suffix.lower() in LEDGER_SUFFIXES else ([path], [])
            yield from reader.read_pool(path.parent, path.stem, *pool)


def read_one_record(folder: Path) -> RecordFolder:
    """Read a folder as one submission, whatever lies in it; a submission file one folder down is taken, too.

    Raises UsageError when it holds several records, HarnessError when it cannot be listed.
    """
    reader = _Reader(lambda name: None, False, lambda name, submission, log: None)
    tree = read_tree(folder)
    if tree.is_record:
        return reader.read_record(folder)
    files = find_record_files(folder)
    records, _ = _find_records(tree)
    if len(records) > 1 and not any(log.parent == folder for log in files.logs):
        raise UsageError(f"{folder} holds {len(records)} records", "name the folder of one submission")
    record = next(
        reader.read_pool(folder, folder.resolve().name, files.logs, warnings=files.warnings),
        RecordFolder(folder.resolve().name),
    )
    below = [found.path for found in records if found.path.parent == folder]
    path = find_record_files(below[0]).submission if len(below) == 1 else None
    if path is None:
        return record
    try:
        return replace(record, submission=read_submission(path))
    except HarnessError as error:
        return replace(record, warnings=(*record.warnings, error.message))


def count_record_folders(paths: Sequence[Path]) -> int:
    """Estimate how many record folders and logs the paths name, for a progress bar: a folder without logs
    counts its folders.
    """
    total = 0
    for path in paths:
        try:
            children = [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []
        except OSError:
            children = []
        total += max(1, len(children))
    return total


class _Reader:
    """Turns paths into bundles. A folder that cannot be read is a bundle, too: one that says why."""

    def __init__(self, progress: Callable[[str], None], by_experiment: bool, known_place: KnownPlace) -> None:
        self.progress = progress
        self.by_experiment = by_experiment
        self.known_place = known_place

    def read_stdin(self) -> Iterator[RecordFolder]:
        """Standard input is kept in a temporary file while it is read, so that its log can be kept, too."""
        with tempfile.TemporaryDirectory(prefix="harness-") as folder:
            path = Path(folder) / "stdin.log"
            with path.open("wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
            for bundle in self.read_pool(path.parent, "stdin", [path]):
                yield replace(bundle, from_stdin=True)

    def read_folder(self, folder: Path, alone: bool) -> Iterator[RecordFolder]:
        """Read the records in a folder, a checkout's records/TRACK/RECORD too, then all logs between them."""
        name = folder.resolve().name
        tree = read_tree(folder)
        if tree.problem:
            yield RecordFolder(name, warnings=(tree.problem,), unreadable=True)
            return
        records, between = _find_records(tree)
        for record in records:
            self.progress(record.path.resolve().name)
            try:
                yield self.read_record(record.path)
            except HarnessError as error:
                yield RecordFolder(record.path.resolve().name, warnings=(error.message,), unreadable=True)
        try:
            files = sort_files(tree, between)
        except HarnessError as error:
            yield RecordFolder(name, warnings=(error.message,), unreadable=True)
            return
        ledgers = [path for path in files.ledgers if is_ledger(path)] if self.by_experiment else []
        found = records or files.logs or ledgers
        if files.logs or ledgers or files.warnings:
            unreadable = bool(files.problems)
            yield from self.read_pool(folder, name, files.logs, ledgers, files.warnings, unreadable)
        elif not found and alone:
            raise UsageError(
                f"{folder} holds no log and no submission file", "name a folder with .log or .txt files in it"
            )
        elif not found:
            yield RecordFolder(name, warnings=(f"{folder} holds no log and no submission file",))

    def read_record(self, folder: Path) -> RecordFolder:
        """Read the folder of one submission."""
        name = folder.resolve().name
        files = find_record_files(folder)
        warnings = list(files.warnings)
        submission = None
        try:
            if files.submission is None:
                raise HarnessError(f"the submission file of {name} is no plain file of its folder")
            submission = read_submission(files.submission)
            warnings += submission.warnings
        except HarnessError as error:
            warnings.append(error.message)
        broken = (submission is None and not files.logs) or bool(files.problems)
        place = self._place_of_all(files, submission)
        if place is not None:
            return RecordFolder(name, submission=submission, folder=name, known=place)
        logs, problems = self._read_logs(folder, files.logs)
        warnings += problems + compare_with_logs(submission, [(file.name, file.log) for file in logs])
        try:
            exported = read_exported(folder)
        except HarnessError as error:
            exported = {}
            warnings.append(error.message)
        distinct: dict[str, LogFile] = {}
        for file in logs:
            distinct.setdefault(file.log.sha256, file)
        attempts = list(distinct.values())
        if self.by_experiment:
            attempts = self._split(attempts, warnings, one_a_seed=True)
        return RecordFolder(
            name,
            tuple(attempts),
            submission,
            tuple(dict.fromkeys(warnings)),
            folder=name,
            unreadable=broken or bool(problems),
            is_record=True,
            exported=exported,
        )

    def _place_of_all(self, files: RecordFiles, submission: SubmissionFile | None) -> str | None:
        """Return where a record is kept whose file and logs are all known."""
        if submission is None or not files.logs:
            return None
        places = set()
        for path in files.logs:
            try:
                places.add(self.known_place(files.folder.resolve().name, submission.sha256, hash_log(path)))
            except HarnessError:
                return None
        return places.pop() if len(places) == 1 else None

    def read_pool(
        self,
        folder: Path,
        name: str,
        paths: Sequence[Path],
        ledgers: Sequence[Path] = (),
        warnings: Sequence[str] = (),
        unreadable: bool = False,
    ) -> Iterator[RecordFolder]:
        """Read logs that belong to no submission: a bundle for each experiment, those kept before first.

        name: of the bundle, where there is but one. ledgers: whose rows are runs as well.
        """
        new: list[Path] = []
        places: dict[str, Path] = {}
        for path in sorted(paths, key=lambda path: path.is_symlink()):
            try:
                place = self.known_place(name, None, hash_log(path)) if self.by_experiment else None
            except HarnessError:
                place = None  # reading it says why
            if place is None:
                new.append(path)
            else:
                places.setdefault(place, path)
        logs, problems = self._read_logs(folder, new)
        notes = [*warnings, *problems]
        rows = [row for path in ledgers for row in self._read_rows(folder, path, places, notes)]
        for place, path in places.items():
            single = len(places) == 1 and not logs and not rows
            yield RecordFolder(name if single else _bundle_name(folder, path), known=place)
        if not logs and not rows and not notes:
            return
        distinct: dict[str, LogFile] = {}
        for file in logs:
            distinct.setdefault(file.log.sha256, file)
        if not self.by_experiment:
            yield RecordFolder(name, tuple(distinct.values()), None, tuple(notes), unreadable=unreadable)
            return
        runs = [file for file in distinct.values() if file.run is not None]
        notes += [
            f"{file.name} holds no run: it has neither step lines nor results that can be read"
            for file in distinct.values()
            if file.run is None and not ((runs or places) and is_other_text(file.path))
        ]
        attempts, copies = drop_copies(self._split(runs, notes))
        groups = group_runs([*attempts, *rows])
        alone = len(groups) == 1 and not places
        broken = unreadable or bool(problems)
        files = [*paths, *ledgers]
        folder_name = "" if len(files) == 1 and files[0].stem == name else folder.resolve().name
        for group in groups:
            yield RecordFolder(
                name if alone and group[0].row is None else _group_name(folder, group),
                tuple(group),
                warnings=tuple([*notes, *copies] if alone else _notes_of(group, copies)),
                folder=folder_name,
                unreadable=broken and alone,
            )
        if (notes and not alone) or not (groups or places):
            yield RecordFolder(name, warnings=tuple(notes), unreadable=broken)

    def _read_logs(self, folder: Path, paths: Sequence[Path]) -> tuple[list[LogFile], list[str]]:
        """Parse logs; return those that can be read, and what is wrong with the others."""
        logs, problems = [], []
        for path in paths:
            if len(paths) > 20:
                self.progress(path.name)
            try:
                logs.append(LogFile(path, path.relative_to(folder).as_posix(), read_log(path)))
            except HarnessError as error:
                problems.append(error.message)
        return logs, problems

    def _read_rows(
        self, folder: Path, path: Path, places: dict[str, Path], notes: list[str]
    ) -> Iterator[LogFile]:
        """Yield the new rows of a ledger; those kept before add places, those that cannot be read notes."""
        try:
            ledger = read_ledger(path)
        except HarnessError as error:
            notes.append(error.message)
            return
        notes += ledger.problems
        name = path.relative_to(folder).as_posix()
        for row in ledger.rows:
            place = self.known_place(path.stem, None, row.sha256)
            if place is None:
                log = ParsedLog((run_of_row(row),), sha256=row.sha256, source=str(path))
                yield LogFile(path, name, log, row=row)
            else:
                places.setdefault(place, path)

    def _split(
        self, files: Sequence[LogFile], warnings: list[str], one_a_seed: bool = False
    ) -> list[LogFile]:
        attempts = []
        for file in files:
            runs, notes = split_runs(file, one_a_seed)
            attempts += runs
            warnings += notes
        return attempts


def _find_records(tree: FolderTree) -> tuple[list[FolderTree], list[FolderTree]]:
    """Return the folders of submissions in a tree, and all folders that belong to none."""
    if tree.is_record:
        return [tree], []
    records: list[FolderTree] = []
    between = [tree]
    for folder in tree.folders:
        inner_records, inner_between = _find_records(folder)
        records += inner_records
        between += inner_between
    return records, between


def _bundle_name(folder: Path, path: Path) -> str:
    """Name an experiment among several after the folder and the file of its first log."""
    name = Path(path.name.removesuffix(path.suffix) if path.suffix in PACKED else path.name)
    return f"{path.parent.name or folder.resolve().name} {name.stem}"


def _group_name(folder: Path, group: Sequence[LogFile]) -> str:
    first = group[0]
    if first.row is not None:
        return first.row.title
    name = _bundle_name(folder, first.path)
    alone = first.number is not None and sum(file.path == first.path for file in group) == 1
    return f"{name} run {first.number}" if alone else name


def _notes_of(group: Sequence[LogFile], notes: Sequence[str]) -> list[str]:
    """Return the notes that are about a log of a group."""
    names = {file.name for file in group}
    return [note for note in notes if any(name in note for name in names)]
