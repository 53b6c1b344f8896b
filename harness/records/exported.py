"""The records of a hole beside its logs, so that they survive export and import: `harness_records.json`.

The log stays the truth: a record counts only where its log is the same file and prints the same figures. It
adds what no log of the field says: the course, fingerprints, the configuration, how the run was started.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness.documents import MissingFile, read_model
from harness.records.frozen import Frozen
from harness.records.origin import Sha256
from harness.records.private import private_record
from harness.records.record import RunRecord, dump_record, parse_record

FILE = "harness_records.json"
MAX_BYTES = 20_000_000  # thousands of seeds
LAST_PLACE = 1e-4  # of a score as logs print it, rounded or cut off

# The fields that must not survive, and why. All others stay as they were.
CHANGED_FIELDS = {
    "hole": "the season that takes it gives it the next free number",
    "attempt": "attempts are numbered where they arrive",
    "provenance": "it names the file that the record was read from, and who made that",
    "model_file": "the weights stay where they were trained",
    "weights_file": "the weights stay where they were trained",
}


class ExportedRun(Frozen):
    """A record, and its log in the folder. record: as `record.json` has it, of any schema."""

    log: str
    log_sha256: Sha256
    record: dict[str, Any]


class ExportedRecords(Frozen):
    schema_: Literal[1] = Field(default=1, alias="schema")
    runs: tuple[ExportedRun, ...] = ()


def dump_exported(runs: Sequence[tuple[str, str, RunRecord]]) -> bytes:
    """Return the file for a folder's records. runs: name of the log, its sha256, its record."""
    exported = ExportedRecords(
        runs=tuple(
            ExportedRun(log=log, log_sha256=sha256, record=json.loads(dump_record(private_record(record))))
            for log, sha256, record in runs
        )
    )
    return (exported.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def read_exported(folder: Path) -> dict[str, RunRecord]:
    """Return the records of a folder by their log's sha256; none where it has no such file.

    Raises FileProblem for a file that is not one, or whose records are none.
    """
    path = folder / FILE
    try:
        exported = read_model(ExportedRecords, path, MAX_BYTES, "take the file out: the logs are read then")
    except MissingFile:
        return {}
    return {run.log_sha256: parse_record(run.record, f"{path}: {run.log}") for run in exported.runs}


def take_in(exported: RunRecord, read: RunRecord) -> RunRecord:
    """Return an exported record as the season keeps it. read: what its log alone says, with the new place."""
    # What the log alone says has the new place; of the weights it says nothing.
    return exported.model_copy(update={name: getattr(read, name) for name in CHANGED_FIELDS})


def contradiction(exported: RunRecord, read: RunRecord) -> str:
    """Say in which figure a record differs from its log; empty where they agree, as far as the log goes.

    A log may print a score with four places, and may count other code than the run did: of the sizes, the
    model's alone must agree.
    """
    for name in ("seed", "steps", "model_bytes"):
        ours, theirs = getattr(exported, name), getattr(read, name)
        if theirs is not None and ours != theirs:
            return f"{name} is {ours} in the record and {theirs} in the log"
    ours, theirs = exported.val_bpb, read.val_bpb
    if (ours is None) != (theirs is None) or abs((ours or 0.0) - (theirs or 0.0)) > LAST_PLACE:
        return f"val_bpb is {ours} in the record and {theirs} in the log"
    return ""
