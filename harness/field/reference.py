"""What names a public run in `round.toml` and on the command line: `field:SLUG` or `pr:NUMBER`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.courses.course import Course
from harness.errors import UsageError, nearest
from harness.field.entries import StoredEntry, find_entry
from harness.records.references import FIELD_PREFIX, PR_PREFIX

LISTED = 3  # names in an error


def find_public(
    entries: Sequence[StoredEntry], courses: Sequence[Course], course: Course | None, reference: str
) -> StoredEntry:
    """Return the imported entry that a reference means: its folder, a beginning of it, or its pull request.

    courses: all that are known; their tables say which pull request is whose. course: of the hole; None for
    any.
    Raises UsageError naming the reference and what to type when none or several are meant, or when no log of
    it shows a score.
    """
    if reference.startswith(PR_PREFIX):
        found = _by_number(entries, courses, reference)
    else:
        found = _by_name(entries, reference)
    names = ", ".join(f"{FIELD_PREFIX}{entry.slug}" for entry in found[:LISTED])
    if len(found) > 1:
        raise UsageError(f'"{reference}" fits {len(found)} entries of the field', f"write one of {names}")
    if not found:
        raise UsageError(
            f'"{reference}" is no imported public run', _how_to_import(entries, courses, reference)
        )
    if found[0].sample is None:
        raise UsageError(
            f'"{reference}" has no score to compare with: no log of {found[0].slug} shows one',
            "`harness import FOLDER --as field` with a log of it",
        )
    if course is not None and found[0].entry.course != course.name:
        raise UsageError(
            f'"{reference}" was played on the {found[0].entry.course} course, this hole is on {course.name}',
            f"play it with --course {found[0].entry.course}, or name a public run of {course.name}",
        )
    return found[0]


def _by_number(
    entries: Sequence[StoredEntry], courses: Sequence[Course], reference: str
) -> list[StoredEntry]:
    digits = reference.removeprefix(PR_PREFIX).strip()
    if not re.fullmatch(r"[1-9][0-9]{0,8}", digits):
        raise UsageError(f'"{reference}" names no pull request', "write its number, such as pr:1493")
    number = int(digits)
    by_row = [
        find_entry(entries, course, row) for course in courses for row in course.field if row.pr == number
    ]
    by_claim = [entry for entry in entries if entry.entry.pr == number]
    found = {entry.slug: entry for entry in (*by_row, *by_claim) if entry is not None}
    return list(found.values())


def _by_name(entries: Sequence[StoredEntry], reference: str) -> list[StoredEntry]:
    name = reference.removeprefix(FIELD_PREFIX).strip()
    if not name:
        raise UsageError(f'"{reference}" names no entry of the field', "write field: and the folder's name")
    exact = [entry for entry in entries if name in (entry.slug, entry.entry.source)]
    return exact or entries_beginning(entries, name)


def entries_beginning(entries: Sequence[StoredEntry], name: str) -> list[StoredEntry]:
    """Return the entries whose folders begin with a name, or the one that has it; capitals do not count."""
    folded = name.lower()
    whole = [entry for entry in entries if entry.slug.lower() == folded]
    return whole or [entry for entry in entries if entry.slug.lower().startswith(folded)]


def _how_to_import(entries: Sequence[StoredEntry], courses: Sequence[Course], reference: str) -> str:
    """Say what to type next: the folder that the course's table names, a near name, or the general way."""
    rows = [row for course in courses for row in course.field if row.record]
    if reference.startswith(PR_PREFIX):
        number = int(reference.removeprefix(PR_PREFIX))
        folders = [row.record for row in rows if row.pr == number]
    else:
        name = reference.removeprefix(FIELD_PREFIX).strip()
        folders = [row.record for row in rows if row.record and row.record.startswith(name)]
        close = nearest(name, [entry.slug for entry in entries])
        if not folders and close:
            return f"did you mean {FIELD_PREFIX}{close}?"
    return f"`harness import PATH/{folders[0] if folders else 'FOLDER'} --as field` brings its logs here"
