"""What an attempt without a record left, as a record: partial, and it says so.

The trainer's own account counts where it wrote one; else the curve says how far it came, and of a script the
log. No score is made of it: a score counts only from a finished evaluation.
"""

from __future__ import annotations

from pathlib import Path

from harness.courses.course import load_course
from harness.errors import HarnessError
from harness.records.launch import Launch, load_launch
from harness.records.private import write_record
from harness.records.record import RunRecord, find_record
from harness.records.store import Attempt, Store
from harness.run.capture import ProcessEnd
from harness.run.end_note import forget_end, read_end
from harness.run.play import conclude, lock_attempt
from harness.run.result import build_record, read_result
from harness.run.resume import wait_for_end
from harness.run.unfinished import CHECKPOINT, choose_unfinished, resume_command
from harness.season.progress import load_progress, measure


def salvage(reference: str, runs: Path, number: int | None = None) -> RunRecord:
    """Write the record of an attempt that has none, from its curve, log and checkpoint; nothing is trained.

    number: of the attempt; None for the newest without a record. Raises HarnessError for one that has its
    record or is being played, and where launch.json cannot be read.
    """
    hole = Store(runs).get(reference)
    attempt = choose_unfinished(hole, number)
    attempt.refuse_links()
    folder = hole.name.folder
    with lock_attempt(attempt):
        record = find_record(attempt.record_path)
        if record is not None:
            raise HarnessError(
                f"{folder} attempt {attempt.number} has its record ({record.status})",
                f"`harness show {folder}` shows it; only an attempt without one is salvaged",
            )
        if not attempt.launch_path.is_file():
            raise HarnessError(
                f"{folder} attempt {attempt.number} has no launch.json: nobody knows what was played",
                f"`harness drop-attempt {folder} {attempt.number}` moves it to the trash",
            )
        launch = load_launch(attempt.launch_path)
        wait_for_end(attempt, launch)
        if (end := read_end(attempt)) is not None:
            return conclude(attempt, launch, end, runs)
        built = build_record(
            launch, attempt, ProcessEnd(0, 0.0, after_harness=True), load_course(launch.course, runs)
        )
        if launch.script is None and read_result(attempt.result_path) is None:
            built = _from_curve(attempt, launch, built)
        written = write_record(attempt.record_path, _with_note(attempt, launch, built), here=True)
        forget_end(attempt)
        return written


def _from_curve(attempt: Attempt, launch: Launch, built: RunRecord) -> RunRecord:
    """Add what the curve knows to the record of an attempt that left no account of itself."""
    curve = load_progress(attempt)
    progress = measure(curve, launch)
    where = "before its first step" if progress.step is None else f"at step {progress.step}"
    assert built.failure is not None
    failure = built.failure.model_copy(update={"step": progress.step})
    if failure.kind == "no_result":
        message = f"the harness was killed, and the run ended {where}"
        failure = failure.model_copy(update={"kind": "killed", "message": message})
    loss = curve.finite[-1][1] if curve.finite else None
    return built.model_copy(
        update={
            "failure": failure,
            "steps": progress.step,
            "planned_steps": progress.planned,
            "train_seconds": progress.train_seconds,
            "step_ms": progress.step_ms,
            "last_train_loss": loss,
        }
    )


def _with_note(attempt: Attempt, launch: Launch, record: RunRecord) -> RunRecord:
    note = "salvaged: nobody saw the end of this attempt; its record is what its curve and log tell"
    if launch.script is None and not record.complete and (attempt.path / CHECKPOINT).is_file():
        note += f"; its checkpoint is there, `{resume_command(launch.hole, launch.attempt)}` goes on from it"
    return record.model_copy(update={"warnings": (*record.warnings, note)})
