"""From a row of a ledger to a record like those of our own runs; nothing that it does not say is guessed."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import re
from typing import Any

from harness.courses.course import Course
from harness.field.ledger import LedgerRow, failed_in_words, read_number
from harness.field.log_events import ResultLine
from harness.field.logged_run import LoggedRun
from harness.field.result_lines import claim_of, stage_of
from harness.field.seeds import seed_in_name
from harness.records.failures import FAILURE_SIGNS
from harness.records.origin import Provenance
from harness.records.record import Code, Environment, Failure, Official, RunRecord, Score, Status, over_cap

_MIB, _MAX_COUNT = 2**20, 10**15


def run_of_row(row: LedgerRow) -> LoggedRun:
    """Return a row's scores as results of a run, so that the same rule chooses the one that counts.

    The label is the column's name without `val_bpb`. A plain column is an evaluation of something.
    """
    run = LoggedRun(first_line=row.number, last_line=row.number)
    for name, text in row.scores.items():
        value = read_number(text)
        if value is None or not 0 < value < 100:
            continue
        label = re.sub(r"_?(?:val_)?bpb_?", " ", name).strip()
        claim = claim_of(label.replace(" ", "_")) if label else "evaluation"
        stage = stage_of(label) if label else "other"
        run.add_result(ResultLine(row.number, name, stage, None, value, "", text, claim=claim))
    run.seed = _count(row, "seed")
    if run.seed is None:
        run.seed = seed_in_name(row.text("name"))
    run.steps = _count(row, "steps")
    return run


def record_from_row(
    row: LedgerRow, course: Course, hole: str, attempt: int, source: str, importer: str, author: str | None
) -> RunRecord:
    """Turn a row into a record. A word of a crash wins over the number that stands for the score."""
    run = run_of_row(row)
    line = None if failed_in_words(row) else run.official
    loss = row.number_of("val_loss")
    loss = loss if loss is not None and 0 < loss < 1000 and line is not None else None
    scores = tuple(
        Score(
            stage=one.stage,
            label=one.label,
            val_bpb=one.val_bpb,
            val_loss=loss if one is line else None,
            line=row.number,
            text=one.val_bpb_text,
        )
        for one in run.results
        if one.val_bpb is not None
    )
    size = _whole(row.artifact_bytes) or None
    cap = course.caps.artifact_bytes
    status: Status = "failed" if line is None else "over_cap" if over_cap(size, cap) else "ok"
    official = Official(stage=line.stage, label=line.label, why=run.choice.why or "") if line else None
    return RunRecord(
        hole=hole,
        attempt=attempt,
        course=course.name,
        status=status,
        failure=None if line else _failure(row),
        started_at=date_of(row),
        val_bpb=line.val_bpb if line else None,
        val_loss=loss,
        official=official,
        scores=scores,
        artifact_bytes=size,
        cap_bytes=cap,
        seed=run.seed,
        config=dict(row.config),
        code=Code(git_sha=row.text("commit") or None),
        environment=Environment(world_size=_count(row, "world_size") or None),
        provenance=Provenance(
            source=source,
            sha256=row.sha256,
            importer=importer,
            author=author,
            lines={"row": row.number},
            row={name: value for name, value in row.cells.items() if value},
        ),
        **_measured(row, run),
    )


def _measured(row: LedgerRow, run: LoggedRun) -> dict[str, Any]:
    memory = next(
        (
            value * unit
            for fact, unit in (("memory_gb", 2**30), ("memory_mib", _MIB), ("memory_mb", _MIB))
            if (value := row.number_of(fact)) is not None and 0 < value < 1e9
        ),
        None,
    )
    return {
        "steps": run.steps,
        "params": _count(row, "params") or None,
        "step_ms": _positive(row, "step_ms"),
        "train_seconds": _positive(row, "train_seconds"),
        "eval_seconds": _positive(row, "eval_seconds"),
        "peak_memory_bytes": int(memory) if memory else None,
    }


def _failure(row: LedgerRow) -> Failure:
    words = "\n".join(filter(None, (row.text("status"), row.text("description"))))
    numbers = [read_number(text) for text in row.scores.values()]
    if any(number is not None and math.isnan(number) for number in numbers):
        return Failure(kind="nan", message=f"line {row.number}: the score is not a number")
    kind = next((kind for kind, sign in FAILURE_SIGNS if sign.search(words)), None)
    if kind is None:
        kind = "out_of_memory" if re.search(r"\boom\b|_oom", words, re.IGNORECASE) else "no_result"
    return Failure(kind=kind, message=f"line {row.number}: {' '.join(words.split())[:300] or 'no score'}")


def date_of(row: LedgerRow) -> dt.datetime | None:
    """Return when a row was written: an ISO date, or a Unix time in seconds or milliseconds."""
    text = row.text("date")
    if re.fullmatch(r"\d{10}|\d{13}", text):
        return dt.datetime.fromtimestamp(int(text[:10]), dt.UTC)
    with contextlib.suppress(ValueError):
        moment = dt.datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return None


def _count(row: LedgerRow, fact: str) -> int | None:
    return _whole(row.number_of(fact))


def _whole(value: float | None) -> int | None:
    return round(value) if value is not None and 0 <= value < _MAX_COUNT else None


def _positive(row: LedgerRow, fact: str) -> float | None:
    value = row.number_of(fact)
    return value if value is not None and 0 < value < 1e12 else None
