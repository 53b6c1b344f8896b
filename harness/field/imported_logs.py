"""Which logs were imported before, and where they are kept: told by their content."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError
from harness.field.entries import FieldStore, StoredEntry
from harness.field.experiments import experiment_of_record
from harness.records.record import RunRecord, find_record
from harness.records.store import Hole, Store, last_number, parse_hole_name


class ImportedLogs:
    """The imported runs of one `runs/` folder; read once for many folders, and kept up to date."""

    def __init__(self, runs: Path) -> None:
        self.store = Store(runs)
        self.last_number = last_number(runs)
        self._names: set[str] = set()  # what lay in `runs/` at the last look
        self._field = FieldStore(runs)
        self._entries: dict[str, StoredEntry | None] = {}

    @cached_property
    def _records(self) -> dict[str, list[RunRecord]]:
        """The imported records of each hole."""
        records: dict[str, list[RunRecord]] = {}
        for hole in self.store.holes():
            records[hole.name.folder] = _imported_records(hole)
        return records

    def refresh(self) -> None:
        """Take note of the holes that other commands have added. The caller has the season's lock."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.store.root) as entries:
            new = {entry.name for entry in entries} - self._names
            self._names |= new
            for name in filter(None, map(parse_hole_name, new)):
                if (self.store.root / name.folder).is_dir():
                    self.last_number = max(self.last_number, name.number)
                    if name.folder not in self._records:
                        self.refresh_hole(name.folder)

    def refresh_hole(self, folder: str) -> None:
        """Take note of the attempts that other commands have added to a hole."""
        for record in _imported_records(self.store.get(folder)):
            self.add(folder, record)

    @cached_property
    def _holes(self) -> dict[str, str]:
        """The hole of a log, by its sha256."""
        return {
            record.provenance.sha256: folder
            for folder, records in self._records.items()
            for record in records
            if record.provenance
        }

    @cached_property
    def _experiments(self) -> dict[object, str]:
        return {
            key: folder
            for folder, records in self._records.items()
            for record in records
            if (key := _experiment(record)) is not None
        }

    def hole_of(self, log: str) -> str | None:
        """Return the folder of the hole that a log is in. log: its sha256."""
        return self._holes.get(log)

    def entry_of(self, slug: str, submission: str | None, log: str) -> str | None:
        """Return the place of the field's entry that has a log and the same submission file, by sha256."""
        if slug not in self._entries:
            try:
                self._entries[slug] = self._field.load(slug)
            except HarnessError:
                self._entries[slug] = None
        entry = self._entries[slug]
        same = entry is not None and entry.entry.submission_sha256 == submission and log in entry.log_hashes
        return f"field/{slug}" if same else None

    def find_experiment(self, record: RunRecord) -> str | None:
        """Return the hole that an earlier import of the same folder made of the same experiment."""
        key = _experiment(record)
        return None if key is None else self._experiments.get(key)

    @cached_property
    def _runs(self) -> dict[object, str]:
        return {_run(record): folder for folder, records in self._records.items() for record in records}

    def hole_of_run(self, record: RunRecord) -> str | None:
        """Return the hole that has this run from an earlier, shorter state of its log."""
        return self._runs.get(_run(record)) if record.scores else None

    def add(self, hole: str, record: RunRecord) -> None:
        """Take note of a record that was written."""
        assert record.provenance is not None
        self._records.setdefault(hole, [])
        self.last_number = max(self.last_number, int(hole.split("_")[1]))
        self._holes[record.provenance.sha256] = hole  # all three are read from the disk at their first use
        self._runs[_run(record)] = hole
        if (key := _experiment(record)) is not None:
            self._experiments.setdefault(key, hole)


def _imported_records(hole: Hole) -> list[RunRecord]:
    records = []
    for attempt in hole.attempts:
        with contextlib.suppress(HarnessError):
            record = find_record(attempt.record_path)
            if record is not None and record.provenance is not None:
                records.append(record)
    return records


def _experiment(record: RunRecord) -> object | None:
    """Return what tells an imported experiment apart, its folder with it; None where that is not sure."""
    assert record.provenance is not None
    source = PurePosixPath(record.provenance.source)
    folder = source.parts[0] if len(source.parts) > 1 else source.name
    if record.params is None or record.code_bytes is None or record.provenance.row:
        return None
    return folder, experiment_of_record(record)


def _run(record: RunRecord) -> object:
    """Return what a run printed, which no other run prints alike; of a ledger the row itself."""
    assert record.provenance is not None
    scores = tuple((score.label, score.text, score.val_loss) for score in record.scores)
    measured = (record.steps, record.last_train_loss, record.step_ms, record.train_seconds, scores)
    what = (record.seed, record.params, record.code_bytes, frozenset(record.config.items()))
    return *measured, *what, record.provenance.sha256 if record.provenance.row else ""
