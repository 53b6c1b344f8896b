"""Attempts that were started and have no record: those still being played, and those whose harness is gone.

Reads, and never writes: whether a lock is held is asked of the system, the lock is not taken.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.field.log_events import StepLine, TrainLine, ValLine
from harness.field.log_parser import LogParser
from harness.files import open_plain
from harness.records.launch import Launch, load_launch
from harness.records.record import find_record
from harness.records.store import Attempt, Hole
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
        drop = f"`harness drop-attempt {self.hole} {number}` moves it to the trash"
        if self.launch is None:
            problem = "its launch.json is unreadable"
            return f"{self.hole} attempt {number} has no record and cannot be resumed: {problem}; {drop}"
        if self.launch.script is not None:
            after = "writes its record from its log"
        elif self.has_checkpoint:
            after = "goes on from its checkpoint"
        else:
            after = "starts it anew: there is no checkpoint"
        seed = "" if self.launch.seed is None else f" (seed {self.launch.seed})"
        ended = f"{self.hole} attempt {number}{seed} ended {where} without a record"
        salvage = f"`harness salvage {self.hole} --attempt {number}` records what is left of it"
        return f"{ended}; `{resume_command(self.hole, number)}` {after}; {salvage}; {drop}"


def resume_command(hole: str, attempt: int) -> str:
    """Return what resumes one attempt, whatever else the hole holds."""
    return f"harness resume {hole} --attempt {attempt}"


# What ended an attempt from outside: with its checkpoint it can go on.
_CUT_SHORT = frozenset({"interrupted", "killed", "timeout", "budget", "stalled", "slow", "disk_full"})


def choose_unfinished(hole: Hole, number: int | None) -> Attempt:
    """Return the attempt of this number; without one the newest that has no record, else the newest that was
    cut short with a checkpoint, else the newest.

    Raises UsageError where there is no such number, HarnessError where nothing was launched.
    """
    folder = hole.name.folder
    if number is not None:
        return get_attempt(hole, number)
    attempts = [attempt for attempt in hole.attempts if attempt.launch_path.is_file()]
    if not attempts:
        raise HarnessError(f"{folder} has no attempt to resume", f"play it: `harness run {folder}`")
    half = [attempt for attempt in attempts if not os.path.lexists(attempt.record_path)]
    quiet = [attempt for attempt in half if not is_locked(attempt.path / ".lock") and _is_readable(attempt)]
    cut_short = [attempt for attempt in attempts if _was_cut_short(attempt)]
    return (quiet or half or cut_short or attempts)[-1]


def get_attempt(hole: Hole, number: int) -> Attempt:
    """Return the attempt of a number. Raises UsageError naming those that are there."""
    attempts = {attempt.number: attempt for attempt in hole.attempts}
    if number not in attempts:
        there = ", ".join(map(str, attempts)) or "none"
        raise UsageError(f"{hole.name.folder} has no attempt {number}", f"its attempts: {there}")
    return attempts[number]


def refuse_recorded(hole: Hole, number: int) -> Attempt:
    """Return an attempt that has no record, or none that can be read.

    Raises UsageError for one that has: a score or a failure that can be taken away is none.
    """
    attempt, folder = get_attempt(hole, number), hole.name.folder
    record = None
    with contextlib.suppress(HarnessError):  # unreadable: it counts nowhere
        record = find_record(attempt.record_path)
    if record is not None:
        ended = f"val_bpb {record.val_bpb:.4f}" if record.val_bpb is not None else record.status
        raise UsageError(
            f"{folder} attempt {number} has its record ({ended}) and stays: scores and failures both count",
            f"to leave the whole hole out: `harness decide {folder} invalid --reason TEXT`",
        )
    return attempt


def _is_readable(attempt: Attempt) -> bool:
    try:
        load_launch(attempt.launch_path)
    except HarnessError:
        return False
    return True


def _was_cut_short(attempt: Attempt) -> bool:
    with contextlib.suppress(HarnessError):
        record = find_record(attempt.record_path)
        return (
            record is not None
            and record.failure is not None
            and record.failure.kind in _CUT_SHORT
            and (attempt.path / CHECKPOINT).is_file()
        )
    return False


def inspect_attempt(hole: str, attempt: Attempt) -> Unfinished:
    """Say how a half attempt stands."""
    launch = None
    with contextlib.suppress(HarnessError):
        launch = load_launch(attempt.launch_path)
    # Where the harness is gone, its watchdog ends the trainer, unless that was to outlive it.
    running = is_locked(attempt.path / ".lock") or (
        (launch is None or launch.outlives) and bool(processes.members(str(attempt.path.resolve())))
    )
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
