"""Which files of a folder are logs, ledgers and submission files, and how their bytes are reached.

Knows endings, links, folders that cannot be listed, packed logs. What the files say is read by
`harness.field.record_folders`.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

from harness.errors import HarnessError
from harness.field.log_parser import ParsedLog, parse_log
from harness.files import open_file, write_error

MAX_LOGS = 10_000  # in one folder
MAX_DEPTH = 6  # of folders below the one that is named
_SNIFF_BYTES = 64 * 1024  # at each end of a file whose name does not say what it is
_COPY_BYTES = 2**20
_LARGE_TEXT = 2**20  # a .txt of this size may be a corpus as well as a log
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})

SUBMISSION_NAME = re.compile(r"submission(?:_\w+)?\.json$", re.IGNORECASE)
LEDGER_SUFFIXES = frozenset({".tsv", ".csv", ".jsonl"})
_NOT_LOGS = re.compile(
    r"requirements.*|readme.*|license.*|notice.*|constraints.*|.*_pr_(?:title|body).*", re.IGNORECASE
)
# slurm-12.out, nohup.out, worker.stderr, job.o12345, train.log.1, and names without an ending
_OTHER_SUFFIX = re.compile(r"|\.(?:out|err|stdout|stderr|[oe]?\d{1,10})", re.IGNORECASE)
_LOG_TEXT = re.compile(
    rb"(?:step[: ]\s?|[\n\r ])\d{1,12}/\d{1,12}[ :|].{0,40}loss|val_bpb\s?[:=]\s{0,20}\d|train_loss[:=]\s?\d"
).search
PACKED: dict[str, Callable[..., object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_UNPACK_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class RecordFiles:
    """What a record folder holds. links_out: links that lead out of it; they are not read.

    problems: what could not be listed, in words.
    """

    folder: Path
    submission: Path | None
    logs: tuple[Path, ...]
    links_out: tuple[Path, ...] = ()
    ledgers: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        links = tuple(f"{path.name} is a link out of the folder; it was not read" for path in self.links_out)
        return (*links, *self.problems)


def find_record_files(folder: Path, depth: int = 1) -> RecordFiles:
    """Find the submission file and the logs of a record, up to `depth` folders deep, in name order.

    Where no log lies there, those further down count: `runs/seed_7/train.log`.

    A file with another ending than .log or .txt, or with none, is a log where its text is one; so is a
    packed one. `submission.json` is taken before `submission_<word>.json`. Links that lead out of the
    folder are not followed.
    Raises HarnessError when the folder cannot be listed or holds more than MAX_LOGS logs.
    """
    tree = read_tree(folder, depth)
    if tree.problem:
        raise HarnessError(tree.problem, "expected a record folder that you may read")
    files = sort_files(tree, list(tree.walk()))
    if files.logs:
        return files
    whole = read_tree(folder)
    return replace(files, logs=sort_files(whole, list(whole.walk())).logs)


@dataclass(frozen=True)
class FolderTree:
    """A folder's files and folders, in name order. problem: why it could not be listed, else ""."""

    path: Path
    files: tuple[Path, ...] = ()
    folders: tuple[FolderTree, ...] = ()
    problem: str = ""

    def walk(self) -> Iterator[FolderTree]:
        yield self
        for folder in self.folders:
            yield from folder.walk()

    @property
    def is_record(self) -> bool:
        """Whether it is the folder of one submission."""
        return any(SUBMISSION_NAME.match(path.name) for path in self.files)

    @cached_property
    def holds_records(self) -> bool:
        return self.is_record or any(folder.holds_records for folder in self.folders)


def read_tree(folder: Path, depth: int = MAX_DEPTH) -> FolderTree:
    """List a folder and those inside it. Hidden ones and those of packages are passed over.

    A link to a folder is listed like a file, and not followed.
    """
    files: list[Path] = []
    folders: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink() or not entry.is_dir():
                    files.append(folder / entry.name)
                elif entry.name not in _SKIPPED_FOLDERS:
                    folders.append(folder / entry.name)
    except OSError as error:
        return FolderTree(folder, problem=f"cannot list {folder}: {error.strerror}")
    inner = tuple(read_tree(path, depth - 1) for path in sorted(folders)) if depth > 0 else ()
    return FolderTree(folder, tuple(sorted(files)), inner)


def sort_files(top: FolderTree, folders: list[FolderTree]) -> RecordFiles:
    """Tell logs, ledgers and the submission file among the files of some folders below `top`.

    Raises HarnessError when there are more than MAX_LOGS logs.
    """
    root = top.path.resolve()
    submissions: list[Path] = []
    found: dict[str, list[Path]] = {"log": [], "ledger": []}
    links_out: list[Path] = []
    for path in (path for folder in folders for path in folder.files):
        is_submission = path.parent == top.path and SUBMISSION_NAME.match(path.name)
        if _leaves(path, root):
            if is_submission or path.suffix.lower() in (".log", ".txt") or path.is_dir():
                links_out.append(path)
        elif not path.is_file():  # a pipe or a device would be waited for
            continue
        elif is_submission:
            submissions.append(path)
        elif kind := _kind_of(path):
            found[kind].append(path)
    logs = found["log"]
    if len(logs) > MAX_LOGS:
        raise HarnessError(f"{top.path} holds {len(logs):,} logs", "name a folder inside it")
    submission = min(
        submissions, key=lambda path: (path.name.lower() != "submission.json", path.name), default=None
    )
    problems = tuple(folder.problem for folder in folders if folder.problem)
    return RecordFiles(
        top.path, submission, tuple(sorted(logs)), tuple(links_out), tuple(found["ledger"]), problems
    )


def _kind_of(path: Path) -> str | None:
    """Return "log", "ledger" or None, by the name, and by the text where the name leaves it open."""
    packed = path.suffix.lower() in PACKED
    name = Path(path.stem) if packed else path
    suffix = name.suffix.lower()
    if _NOT_LOGS.fullmatch(name.stem):
        return None
    if suffix in LEDGER_SUFFIXES and not packed:
        return "ledger"
    if suffix in (".log", ".txt") and not packed and path.stat().st_size < _LARGE_TEXT:
        return "log"
    if (suffix in (".log", ".txt") or _OTHER_SUFFIX.fullmatch(suffix)) and _reads_as_log(path):
        return "log"
    return None


def is_other_text(path: Path) -> bool:
    """Whether a .txt file without a run is a note, a prompt or data rather than a log of a failed start."""
    return path.suffix.lower() == ".txt" and not _reads_as_log(path)


def _reads_as_log(path: Path) -> bool:
    """Whether a file begins or ends as a log does; a binary one is left after its first bytes."""
    try:
        with open_log(path) as file:
            head = file.read(_SNIFF_BYTES)
            if b"\0" in head[:8192] and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
                return False
            if _LOG_TEXT(head.replace(b"\0", b"")):
                return True
            if len(head) < _SNIFF_BYTES or path.suffix.lower() in PACKED:
                return False
            file.seek(max(_SNIFF_BYTES, path.stat().st_size - _SNIFF_BYTES))
            return _LOG_TEXT(file.read()) is not None
    except _UNPACK_ERRORS:
        return path.suffix.lower() in PACKED  # reading it will say what is wrong


def _leaves(path: Path, root: Path) -> bool:
    """Whether a path is a link out of a folder, or to nowhere."""
    try:
        return path.is_symlink() and not path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return True


# Their bytes --------------------------------------------------------------------------------------


def open_log(path: Path) -> BinaryIO:
    """Open a log for reading; one packed by gzip, bzip2 or xz is unpacked on the way."""
    stream = open_file(path)
    opener = PACKED.get(path.suffix.lower())
    if opener is None:
        return stream
    stream.close()  # it is a plain file; an unpacker closes what it has opened itself
    return cast("BinaryIO", opener(path, "rb"))


def read_log(path: Path) -> ParsedLog:
    """Parse a log, packed or not. Raises HarnessError when it cannot be read or is damaged."""
    with _named_errors(path), open_log(path) as stream:
        return replace(parse_log(stream), source=str(path))


def hash_log(path: Path) -> str:
    """Return the sha256 of a log's text, packed or not. Raises HarnessError as `read_log` does."""
    with _named_errors(path), open_log(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def copy_log(path: Path, target: Path) -> None:
    """Copy a log, unpacked. Raises HarnessError naming the one of both that cannot be read or written."""
    with _named_errors(path):
        stream = open_log(path)
    try:
        with stream, target.open("wb") as file:
            while piece := _read_piece(stream, path):
                file.write(piece)
    except OSError as error:
        raise write_error(target, error) from error


def _read_piece(stream: BinaryIO, path: Path) -> bytes:
    with _named_errors(path):
        return stream.read(_COPY_BYTES)


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNPACK_ERRORS as error:
        why = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise HarnessError(f"cannot read {path}: {why}", "check the file") from error
