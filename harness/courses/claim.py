"""Which published score stood when another was claimed: by day, and within a day by pull-request number.

The challenge accepts records in the order in which their pull requests were opened. A row of the same day
whose place in that order is not known is neither before nor after a claim.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.courses.course import RECORD_TRACK, Course, ReferenceScore


@dataclass(frozen=True)
class Claim:
    """When a score was claimed, as far as it is known. pr: number of its pull request. record: its folder."""

    day: dt.date | None
    pr: int | None = None
    record: str | None = None


@dataclass(frozen=True)
class EarlierRecord:
    """row: the best score published before a claim, or None.

    same_day: rows of the claim's day that are better than `row`, when nothing says which came first.
    """

    row: ReferenceScore | None
    same_day: tuple[ReferenceScore, ...] = ()


def complete_claim(course: Course, claim: Claim) -> Claim:
    """Return a claim with the day and the number of its own row, where the course's table has one.

    The table's day wins, so that a claim and the rows it is compared with are dated by one source.
    """
    row = next((row for row in course.field if claim.record and row.record == claim.record), None)
    if row is None:
        row = next((row for row in course.field if claim.pr is not None and row.pr == claim.pr), None)
    return claim if row is None else replace(claim, day=row.date, pr=row.pr or claim.pr)


def find_earlier_record(course: Course, claim: Claim) -> EarlierRecord:
    """Return the record that stood when a score was claimed; the claim's own rows are left out.

    A pull request can add several rows: none of them stood when it was opened. Par stands from its day on,
    before every pull request of that day.
    """
    rows = [row for row in course.field if row.track in (None, RECORD_TRACK) and not is_own_row(row, claim)]
    order = [(row, _precedes(row, claim)) for row in rows]
    best = _best([row for row, before in order if before] + _launch(course, claim))
    unordered = [] if is_par(course, claim) else [row for row, before in order if before is None]
    lower = [row for row in unordered if best is None or row.val_bpb < best.val_bpb]
    return EarlierRecord(best, tuple(sorted(lower, key=lambda row: (row.val_bpb, row.pr or 0))))


def is_par(course: Course, claim: Claim) -> bool:
    """Whether a claim is the course's par itself: it came first, and has nothing to beat."""
    return course.par is not None and course.par.record is not None and course.par.record == claim.record


def is_own_row(row: ReferenceScore, claim: Claim) -> bool:
    """Whether a row of the table is the claim's own: its folder or its pull request."""
    same_record = row.record is not None and row.record == claim.record
    return same_record or (row.pr is not None and row.pr == claim.pr)


def _precedes(row: ReferenceScore, claim: Claim) -> bool | None:
    """Whether a row was published before a claim; None when its day is the claim's and no number tells."""
    numbers_known = row.pr is not None and claim.pr is not None
    if numbers_known and (row.pr or 0) > (claim.pr or 0):
        return False
    if claim.day is None:
        return True if numbers_known else None
    if row.date != claim.day:
        return row.date < claim.day
    return True if numbers_known else None


def _launch(course: Course, claim: Claim) -> list[ReferenceScore]:
    """Par as a row, where it is out by then and the claim is not par's own."""
    par = course.par
    if par is None or (claim.day is not None and claim.day < par.date):
        return []
    if is_par(course, claim):
        return []
    return [
        ReferenceScore(
            name=par.name, val_bpb=par.val_bpb, date=par.date, source=par.source, record=par.record
        )
    ]


def _best(rows: Iterable[ReferenceScore]) -> ReferenceScore | None:
    return min(rows, key=lambda row: (row.val_bpb, row.date), default=None)
