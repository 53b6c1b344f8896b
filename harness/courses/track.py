"""Tracks of the challenge: by which rules a folder asks to be judged, and where that is said.

The record track alone is bound to ten minutes, to a machine and to a gain over the SOTA; the size of the
artifact and the proof of a claim bind every track.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.courses.course import RECORD_TRACK, Course
from harness.errors import UsageError, nearest


@dataclass(frozen=True)
class Track:
    """name: as people type it. file_name: as submission files have it."""

    name: str
    file_name: str

    @property
    def for_records(self) -> bool:
        return self.file_name == RECORD_TRACK


TRACKS = (
    Track("10min", RECORD_TRACK),
    Track("non-record", "non-record-16mb"),
    Track("unlimited", "non-record-unlimited-compute-16mb"),
)
_SPELLINGS = {name: track for track in TRACKS for name in (track.name, track.file_name)}


@dataclass(frozen=True)
class NamedTrack:
    """A track and who names it, as in "as its folder's place says"."""

    track: Track
    source: str


def read_track(text: str) -> Track:
    """Return a track by what people type. Raises UsageError with the known ones."""
    track = _SPELLINGS.get(text.lower().replace("_", "-")) or _SPELLINGS.get(text.lower())
    if track is None:
        known = ", ".join(track.name for track in TRACKS)
        close = nearest(text, _SPELLINGS)
        raise UsageError(
            f'no track is called "{text}"',
            (f"did you mean {close}? " if close else "") + f"known tracks: {known}",
        )
    return track


def find_track(
    course: Course, record: str | None, folder: Path | None = None, stated: str | None = None
) -> NamedTrack:
    """Return the track of a record: told by its folder's place, its submission file, its row in the table.

    record: the folder's name in the table. stated: the submission file's `track`. Where none tells, the
    record track, since its rules are the stricter ones.
    """
    by_place = _track_of_place(folder) if folder else None
    by_file = _understand(stated) if stated else None
    if by_place is not None:
        also = f"; submission.json says {stated}" if by_file not in (None, by_place) else ""
        return NamedTrack(by_place, f"as its folder's place says{also}")
    if by_file is not None:
        return NamedTrack(by_file, "as submission.json says")
    row = next((row for row in course.field if record and row.record == record and row.track), None)
    if row is not None and (track := _understand(row.track or "")):
        return NamedTrack(track, "as the table says")
    unknown = f', "{stated}" of submission.json is none' if stated else ""
    return NamedTrack(TRACKS[0], f"nothing names another{unknown}")


def _track_of_place(folder: Path) -> Track | None:
    """Read `records/track_non_record_16mb/NAME`."""
    for part in reversed(folder.resolve().parts[:-1]):
        if part.lower().startswith("track_") and (track := _understand(part[len("track_") :])):
            return track
    return None


def _understand(text: str) -> Track | None:
    """Read a track in one of the many spellings of submission files."""
    words = re.sub(r"[\s_]+", "-", text.strip().lower())
    if "unlimited" in words:
        return TRACKS[2]
    if re.search(r"non-?record", words):
        return TRACKS[1]
    return TRACKS[0] if re.search(r"10-?min|^record|main", words) else None
