"""How an attempt ended, kept where a record cannot be written because the disk is full: `.end`.

Its bytes are claimed when the attempt starts, and written over in place, which needs no room.
"""

from __future__ import annotations

import contextlib
import json
import os

from pydantic import TypeAdapter, ValidationError

from harness.files import open_plain, read_plain
from harness.records.store import Attempt
from harness.run.capture import ProcessEnd

_BYTES = 4096
_END = TypeAdapter(ProcessEnd)


def claim_room(attempt: Attempt) -> None:
    """Take the room for a note. Raises OSError without room: nothing should be started then."""
    with open_plain(attempt.end_path, "wb") as file:
        file.write(b" " * _BYTES)
        file.flush()
        os.fsync(file.fileno())


def note_end(attempt: Attempt, end: ProcessEnd) -> None:
    """Keep how an attempt ended until its record can be written."""
    content = json.dumps(_END.dump_python(end, mode="json")).encode()
    with contextlib.suppress(OSError), open_plain(attempt.end_path, "r+b") as file:
        file.write(content.ljust(_BYTES)[:_BYTES])


def read_end(attempt: Attempt) -> ProcessEnd | None:
    """Return how an attempt ended, None where that was not noted."""
    try:
        content = read_plain(attempt.end_path, _BYTES).strip()
        return _END.validate_json(content) if content else None
    except (OSError, ValidationError):
        return None


def forget_end(attempt: Attempt) -> None:
    """Give the room back: the record is written, or the attempt goes on."""
    with contextlib.suppress(OSError):
        attempt.end_path.unlink(missing_ok=True)
