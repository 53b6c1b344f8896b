"""Attempts that were started and have no record: those still being played, and those whose harness is gone.

Reads, and never writes: whether a lock is held is asked of the system, the lock is not taken.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.field.log_events import StepLine, TrainLine, ValLine
from harness.field.log_parser import LogParser
from harness.files import open_plain
from harness.records.launch import Launch, load_launch
from harness.records.store import Attempt
from harness.run import processes
from harness.season.progress import is_locked

_TAIL_BYTES = 64 * 1024
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Unfinished:
    """A half attempt. running: somebody plays it now. step: the last one its log shows."""

    hole: str
    attempt: Attempt
    running: bool
    launch: Launch | None
    step: int | None
    has_checkpoint: bool

    @property
    def what_to_do(self) -> str:
        """Say what is there and what to type."""
        number, where = (
            self.attempt.number,
            f"at step {self.step}" if self.step is not None else "before a step",
        )
        if self.launch is None:
            problem = "its launch.json is unreadable"
            return f"{self.hole} attempt {number} has no record and cannot be resumed: {problem}"
        if self.launch.script is not None:
            after = "writes its record from its log"
        elif self.has_checkpoint:
            after = "goes on from its checkpoint"
        else:
            after = "starts it anew: there is no checkpoint"
        ended = f"{self.hole} attempt {number} ended {where} without a record"
        return f"{ended}; `harness resume {self.hole}` {after}"


def inspect_attempt(hole: str, attempt: Attempt) -> Unfinished:
    """Say how a half attempt stands."""
    launch = None
    with contextlib.suppress(HarnessError):
        launch = load_launch(attempt.launch_path)
    running = is_locked(attempt.path / ".lock") or bool(processes.members(str(attempt.path.resolve())))
    checkpoint = (attempt.path / CHECKPOINT).is_file()
    return Unfinished(hole, attempt, running, launch, last_step(attempt.log_path), checkpoint)


def last_step(log: Path) -> int | None:
    """Return the last step that a log shows, from its end."""
    try:
        with open_plain(log) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            events = LogParser().feed(file.read() + b"\n")
    except OSError:
        return None
    steps = [event.step for event in events if isinstance(event, TrainLine | ValLine | StepLine)]
    return steps[-1] if steps else None
