"""An attempt that ended early goes on from where it stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path

from harness.courses.course import load_course
from harness.errors import Exit, HarnessError
from harness.records.launch import Launch, load_launch
from harness.records.record import RunRecord
from harness.records.store import Attempt, Store
from harness.run import processes
from harness.run.builtin import TRAINER_FOLDER
from harness.run.capture import GRACE_SECONDS, Listeners, ProcessEnd
from harness.run.play import conclude, lock_attempt, run_attempt
from harness.run.result import build_record
from harness.scripts.git import describe_code


def resume(reference: str, runs: Path, listeners: Listeners) -> RunRecord:
    """Go on with a hole's newest attempt where its last checkpoint stands, with the settings it was started with.

    An attempt whose trainer had finished while nobody was there to write its record is only recorded, and so is
    one of a script, which cannot go on: what its log tells is kept.
    Raises HarnessError when there is nothing to resume, when it is running, or when the code has changed.
    """
    hole = Store(runs).get(reference)
    attempts = [attempt for attempt in hole.attempts if attempt.launch_path.is_file()]
    if not attempts:
        raise HarnessError(
            f"{hole.name.folder} has no attempt to resume", f"play it: `harness run {hole.name.folder}`"
        )
    attempt = attempts[-1]
    attempt.refuse_links()
    with lock_attempt(attempt):
        launch = load_launch(attempt.launch_path)
        _wait_for_end(attempt, launch)
        record = attempt.load_record()
        if record is not None and record.complete:
            raise HarnessError(
                f"{hole.name.folder} attempt {attempt.number} is complete (val_bpb {record.val_bpb:.4f})",
                "another attempt: give another --seed, or --repeat",
                Exit.DUPLICATE,
            )
        if record is None and _finished(attempt):
            return conclude(attempt, launch, ProcessEnd(0, 0.0), runs)
        if launch.script is not None:
            return _salvage(attempt, launch, record, runs)
        _check_code_unchanged(launch, attempt)
        if record is not None:
            attempt.record_path.unlink()
        attempt.result_path.unlink(missing_ok=True)
        return run_attempt(attempt, launch, runs, listeners, "--resume")


def _salvage(attempt: Attempt, launch: Launch, record: RunRecord | None, runs: Path) -> RunRecord:
    """Write the record of a script's attempt that nobody saw the end of, from its log."""
    if record is not None:
        raise HarnessError(
            f"{launch.hole} attempt {attempt.number} has its record; {launch.script} is not ours to go on with",
            f"play it again: `harness run {launch.hole} --repeat`",
        )
    outcome = ProcessEnd(0, 0.0, unseen=True)
    built = build_record(launch, attempt, outcome, load_course(launch.course, runs))
    note = "nobody saw the end of this attempt; its record is what the log tells"
    built = built.model_copy(update={"warnings": (*built.warnings, note)})
    attempt.write_record(built)
    return built


def _wait_for_end(attempt: Attempt, launch: Launch) -> None:
    """See that nothing of an attempt runs any more. What the watchman is ending is waited for."""
    mark = str(attempt.path.resolve())
    until = time.monotonic() + (0 if launch.outlives else GRACE_SECONDS + 5)
    while left := processes.members(mark):
        if time.monotonic() >= until:
            raise HarnessError(
                f"{attempt.path.parent.name} attempt {attempt.number} is still running (process {left[0]})",
                f"wait for it, or stop it: kill {left[0]}",
            )
        time.sleep(0.2)


def _finished(attempt: Attempt) -> bool:
    try:
        return bool(json.loads(attempt.result_path.read_bytes()).get("status") == "ok")
    except (OSError, ValueError, AttributeError):
        return False


def _check_code_unchanged(launch: Launch, attempt: Attempt) -> None:
    """Half a run with one code and half with another would be a record of neither."""
    now, _ = describe_code(TRAINER_FOLDER)
    if now.source_sha256 != launch.code.source_sha256:
        raise HarnessError(
            f"the trainer's code has changed since {attempt.path.name} was started",
            f"check out {launch.code.git_sha or 'that version'} to resume it, or play a new attempt",
        )
