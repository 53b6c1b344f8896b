"""Entries of the field: imported public runs under `runs/field/`, one folder each, attempts as in a hole."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.courses.course import Course, ReferenceScore
from harness.documents import MissingFile, read_model
from harness.errors import HarnessError
from harness.field.seeds import SeedCount, count_seeds
from harness.files import move_new, write_error, write_whole
from harness.records.frozen import CourseName, Date, NonNegativeFloat, NonNegativeInt, PositiveInt
from harness.records.record import Frozen, RunRecord, find_record
from harness.records.store import find_attempts
from harness.stats import Sample
from harness.temporary import temporary_folder

MAX_BYTES = 1_000_000  # of an entry

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ClaimedNumbers(Frozen):
    """What the submission file says, by hand; a log's own numbers win over it."""

    val_bpb: NonNegativeFloat | None = None
    val_loss: NonNegativeFloat | None = None
    artifact_bytes: NonNegativeInt | None = None
    code_bytes: NonNegativeInt | None = None
    n_seeds: NonNegativeInt | None = None


class FieldEntry(Frozen):
    """`entry.json`: who published what, when. source: the name of the folder or log that was imported."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: str
    course: CourseName
    author: str | None = None
    github_id: str | None = None
    date: Date | None = None
    pr: PositiveInt | None = None  # its own pull request, where the submission file names it
    source: str
    submission_sha256: str | None = None
    claimed: ClaimedNumbers | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredEntry:
    """An entry with its attempts as they lie in the folder."""

    slug: str
    path: Path
    entry: FieldEntry
    records: tuple[RunRecord, ...]
    problems: tuple[str, ...] = ()

    @property
    def log_hashes(self) -> frozenset[str]:
        return frozenset(record.provenance.sha256 for record in self.records if record.provenance)

    @property
    def complete(self) -> tuple[RunRecord, ...]:
        return tuple(record for record in self.records if record.complete)

    @property
    def curve_path(self) -> Path | None:
        """Of the newest complete run."""
        return (
            self.path / f"attempt_{self.complete[-1].attempt:02d}" / "curve.jsonl" if self.complete else None
        )

    @cached_property
    def seeds(self) -> SeedCount:
        """The seeds behind its logs."""
        return count_seeds(self.records, self.entry.claimed.val_bpb if self.entry.claimed else None)

    @property
    def sample(self) -> Sample | None:
        """Official scores, one a seed; one value where its logs mix versions of the code (`count_seeds`).

        None when no log shows a score; then only `claimed` is known.
        """
        return self.seeds.sample

    @property
    def val_bpb(self) -> float | None:
        if self.sample is not None:
            return self.sample.mean
        return self.entry.claimed.val_bpb if self.entry.claimed else None


def find_entry(entries: Iterable[StoredEntry], course: Course, row: ReferenceScore) -> StoredEntry | None:
    """Return the imported entry of a published row: by its folder, else by its pull request.

    A pull request that several rows share names none of them.
    """
    candidates = [entry for entry in entries if entry.entry.course == course.name]
    if row.record is not None:
        by_folder = next((entry for entry in candidates if entry.entry.source == row.record), None)
        if by_folder is not None:
            return by_folder
    if row.pr is None or sum(other.pr == row.pr for other in course.field) > 1:
        return None
    folders = {other.record for other in course.field if other.record is not None}
    by_number = [e for e in candidates if e.entry.pr == row.pr and e.entry.source not in folders]
    return by_number[0] if len(by_number) == 1 else None


def find_row(course: Course, entry: StoredEntry) -> ReferenceScore | None:
    """Return the published row of an imported entry, or None when the course's table has none."""
    return next((row for row in course.field if find_entry([entry], course, row) is entry), None)


class FieldStore:
    """The entries of one `runs/` folder."""

    def __init__(self, runs: Path) -> None:
        self.root = runs / "field"

    def entries(self) -> list[StoredEntry]:
        """All entries that can be read, in name order."""
        return self.load_field()[0]

    def load_field(self) -> tuple[list[StoredEntry], list[str]]:
        """Return all entries that can be read, and what is wrong with the others."""
        entries, problems = [], []
        for slug in self._slugs():
            try:
                entry = self.load(slug)
            except HarnessError as error:
                problems.append(error.message)
                continue
            if entry is not None:
                entries.append(entry)
                problems += entry.problems
        return entries, problems

    def load(self, slug: str) -> StoredEntry | None:
        """Read one entry, or return None when there is none. Raises HarnessError when its file is broken."""
        path = self.root / slug / "entry.json"
        try:
            entry = read_model(FieldEntry, path, MAX_BYTES, "import the entry again", self.root.parent)
        except MissingFile:
            return None
        records, problems = [], []
        for attempt in find_attempts(path.parent):
            try:
                record = find_record(attempt.record_path)
            except HarnessError as error:
                problems.append(error.message)
                continue
            if record is not None:
                records.append(record)
        return StoredEntry(slug, path.parent, entry, tuple(records), tuple(problems))

    @contextlib.contextmanager
    def add_entry(self, slug: str, entry: FieldEntry) -> Iterator[Path]:
        """Make an entry next to its place, and yield its folder; it is moved there whole at the end.

        An entry that is there is written anew, and each attempt that is added to it appears whole.
        """
        place = self.root / slug
        if _SLUG.fullmatch(slug) is None:
            raise HarnessError(
                f'"{slug}" is no name for an entry', "use letters, digits, dot, dash, underscore"
            )
        content = (entry.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n").encode()
        if os.path.lexists(place):
            write_whole(place / "entry.json", content)
            yield place
            return
        try:
            with temporary_folder(place) as folder:
                write_whole(folder / "entry.json", content)
                yield folder
                move_new(folder, place)
        except OSError as error:
            raise write_error(place, error) from error

    def _slugs(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root) as entries:
            return sorted(
                entry.name
                for entry in entries
                if _SLUG.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )
        return []
