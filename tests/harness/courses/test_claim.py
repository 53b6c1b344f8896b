"""The record that stood when a score was claimed: by day, and within a day by pull request."""

from __future__ import annotations

import datetime as dt

import pytest

from harness.courses.claim import Claim, complete_claim, find_earlier_record
from harness.courses.course import RECORD_TRACK, Course, ReferenceScore, load_course

DAY = dt.date(2026, 4, 9)


def course_of(*rows: tuple[float, str, int | None]) -> Course:
    """The challenge's course with a table of (score, day, pull request)."""
    field = tuple(
        ReferenceScore(name=f"row {bpb}", val_bpb=bpb, date=dt.date.fromisoformat(day), source="s", pr=pr)
        for bpb, day, pr in rows
    )
    return load_course("fineweb").model_copy(update={"field": field})


def test_no_row_of_the_table_is_judged_against_one_that_was_opened_after_it():
    course = load_course("fineweb")
    rows = [row for row in course.field if row.track == RECORD_TRACK]

    earlier = {row: find_earlier_record(course, Claim(row.date, row.pr, row.record)) for row in rows}

    assert len(rows) == 44
    assert sum(found.row is not None for found in earlier.values()) == 43  # all but the baseline
    for row, found in earlier.items():
        if found.row is not None:
            assert (found.row.date, found.row.pr or 0) < (row.date, row.pr or 0), row.name
    by_number = {row.pr: found.row.val_bpb for row, found in earlier.items() if found.row}
    assert (by_number[1493], by_number[1514], by_number[1412]) == (1.0822, 1.0810, 1.0856)


@pytest.mark.parametrize(
    ("rows", "claim", "stood", "same_day"),
    [
        # The order within the day is not known: of the claim, of the row, of both.
        ([(1.10, "2026-04-08", 5), (1.08, "2026-04-09", 9)], Claim(DAY), 1.10, [1.08]),
        ([(1.10, "2026-04-08", 5), (1.08, "2026-04-09", None)], Claim(DAY, 7), 1.10, [1.08]),
        ([(1.10, "2026-04-08", None), (1.08, "2026-04-09", None)], Claim(DAY), 1.10, [1.08]),
        # A row of the day that is no better than what stood changes nothing.
        ([(1.10, "2026-04-08", 5), (1.12, "2026-04-09", None)], Claim(DAY), 1.10, []),
        # By number: before, after, and another row of the same pull request.
        ([(1.10, "2026-04-08", 5), (1.08, "2026-04-09", 6)], Claim(DAY, 7), 1.08, []),
        ([(1.10, "2026-04-08", 5), (1.08, "2026-04-09", 8)], Claim(DAY, 7), 1.10, []),
        ([(1.10, "2026-04-08", 5), (1.08, "2026-04-09", 7)], Claim(DAY, 7), 1.10, []),
        # Dated earlier, but opened later.
        ([(1.10, "2026-04-07", 5), (1.08, "2026-04-08", 8)], Claim(DAY, 7), 1.10, []),
        # The day is not known, the number is.
        ([(1.10, "2026-04-07", 5), (1.08, "2026-04-08", 8)], Claim(None, 7), 1.10, []),
        # Nobody before it but par.
        ([(1.08, "2026-04-09", 8)], Claim(DAY, 7), 1.2244, []),
    ],
)
def test_order_within_a_day_is_by_number_or_unknown(rows, claim, stood, same_day):
    found = find_earlier_record(course_of(*rows), claim)

    assert found.row is not None
    assert found.row.val_bpb == stood
    assert [row.val_bpb for row in found.same_day] == same_day


def test_claim_takes_day_and_number_of_its_own_row():
    course = load_course("fineweb")
    folder = "2026-04-10_VarLenAttn"  # dated a day later by the table

    assert complete_claim(course, Claim(dt.date(2026, 4, 10), None, folder)) == Claim(
        dt.date(2026, 4, 11), 1530, folder
    )
    assert complete_claim(course, Claim(None, 1493)).day == DAY
    assert complete_claim(course, Claim(DAY, 999_999, "elsewhere")) == Claim(DAY, 999_999, "elsewhere")
