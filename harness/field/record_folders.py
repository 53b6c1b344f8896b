"""Folders and files that are to be imported, each read into logs and claims."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.field.log_parser import parse_log
from harness.field.submission_file import (
    SubmissionFile,
    compare_with_logs,
    find_record_files,
    read_submission,
)
from harness.field.to_record import ReadLog


@dataclass(frozen=True)
class RecordFolder:
    """What belongs together: the logs of one experiment and its submission file, if it has one."""

    name: str
    logs: tuple[ReadLog, ...]
    submission: SubmissionFile | None = None
    warnings: tuple[str, ...] = ()
    spooled: bool = False  # from standard input: the only copy lies in a temporary file


def read_bundles(
    paths: Sequence[Path], progress: Callable[[str], None] = lambda name: None
) -> Iterator[RecordFolder]:
    """Read what the paths name: a log, a record folder, a folder of record folders, or `-` for standard input.

    Raises UsageError for a path that is none of these.
    """
    for path in paths:
        if str(path) == "-":
            yield _read_stdin()
        elif path.is_file():
            progress(path.name)
            yield RecordFolder(path.stem, (ReadLog(path, path.name, parse_log(path)),))
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


def _read_folder(folder: Path, progress: Callable[[str], None]) -> Iterator[RecordFolder]:
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


def _read_record_folder(folder: Path) -> RecordFolder:
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
    return RecordFolder(folder.name, tuple(counted), submission, tuple(dict.fromkeys(warnings)))


def _read_stdin() -> RecordFolder:
    """Standard input is kept in a temporary file while it is read, so that its log can be kept, too."""
    with tempfile.NamedTemporaryFile(prefix="harness-", suffix=".log", delete=False) as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
    path = Path(spool.name)
    return RecordFolder("stdin", (ReadLog(path, "stdin.log", parse_log(path)),), spooled=True)
