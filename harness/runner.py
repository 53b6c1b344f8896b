"""The story of `harness run` once its plan stands (`harness.planning`): play, then record.

    play()     one attempt: folder, snapshot, launch.json, child process, record.json
    resume()   go on with an attempt that was cut short, or write the record it still lacks

Trains nothing itself: the trainer is a child process (`harness.launch`, `harness.capture`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness import __version__, family
from harness.builtin import KNOB_NAMES, TRAINER_FOLDER
from harness.capture import GRACE_SECONDS, Listeners, Outcome, run_captured
from harness.courses.course import load_course
from harness.errors import Exit, HarnessError
from harness.files import write_whole
from harness.launch import Command, script_command, trainer_command
from harness.planning import Plan
from harness.records.launch import Launch, dump_launch, load_launch
from harness.records.record import RunRecord
from harness.records.store import Attempt, Hole, Store
from harness.result import build_record
from harness.scripts.git import describe_code


def play(plan: Plan, seed: int | None, runs: Path, listeners: Listeners, outlives: bool = False) -> RunRecord:
    """Play one attempt and return its record, which is written whatever happened.

    outlives: let the child go on when the harness is killed.
    """
    hole = make_hole(plan, runs)
    attempt = hole.new_attempt()
    with _nothing_half(attempt):
        lock = _hold(attempt)
        launch = _launch(plan, attempt, seed, outlives)
        _keep_source(plan, attempt)
        write_whole(attempt.launch_path, dump_launch(launch).encode())
    with lock:
        return _run(attempt, launch, runs, listeners)


@contextlib.contextmanager
def _nothing_half(attempt: Attempt) -> Iterator[None]:
    """Take a new attempt's folder away again when it cannot be made ready: nothing was played in it."""
    try:
        yield
    except BaseException as error:
        shutil.rmtree(attempt.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise HarnessError(
                f"cannot write {attempt.path}: {error.strerror or error}",
                "check the disk's space and the folder's permissions, or name another folder with --runs DIR",
            ) from error
        raise


def _launch(plan: Plan, attempt: Attempt, seed: int | None, outlives: bool) -> Launch:
    ours, script = plan.trainer, plan.trainer.snapshot
    config = ours.config if seed is None else ours.config | {"SEED": str(seed)}
    return Launch(
        hole=plan.hole.folder,
        attempt=attempt.number,
        course=plan.course.name,
        split=ours.split,
        cap_bytes=plan.course.caps.artifact_bytes,
        preset=ours.preset,
        script=script.main if script else None,
        overrides=ours.overrides,
        config=config,
        environ=ours.environ if script else {},
        hidden=tuple(sorted(ours.hidden)) if script else (),
        seed=seed,
        nproc=plan.nproc,
        launcher=plan.launcher,
        outlives=outlives,
        started_at=dt.datetime.now(dt.UTC),
        command=_repeat_command(plan, seed),
        code=ours.code,
        data=ours.data,
        harness=__version__,
        code_bytes=ours.code_bytes,
    )


def _keep_source(plan: Plan, attempt: Attempt) -> None:
    """Keep the code that runs: a script whole, of the built-in trainer what is not committed."""
    files = dict(plan.trainer.snapshot.files) if plan.trainer.snapshot else {}
    if plan.trainer.code_diff:
        files["uncommitted.diff"] = plan.trainer.code_diff.encode()
    for name, content in files.items():
        path = attempt.source_dir / name
        _make_folder(path.parent)
        write_whole(path, content)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(
            f"cannot write {path}: {error.strerror}", "check the disk's space and the folder's permissions"
        ) from error


def _run(attempt: Attempt, launch: Launch, runs: Path, listeners: Listeners, *words: str) -> RunRecord:
    """Start the child and see it through to its record."""
    if launch.script is None:
        polite = signal.SIGTERM
        if launch.code_bytes is not None:
            words = (*words, "--code-bytes", str(launch.code_bytes))
        command = trainer_command(
            attempt.path,
            launch.config,
            os.environ,
            KNOB_NAMES,
            *words,
            nproc=launch.nproc,
            launcher=launch.launcher,
        )
    else:
        polite = signal.SIGINT  # lets `finally` and `except KeyboardInterrupt` of the script do their work
        command = _script_command(attempt, launch)
    outcome = run_captured(command, attempt.log_path, listeners, polite, launch.outlives)
    return _conclude(attempt, launch, outcome, runs)


def _script_command(attempt: Attempt, launch: Launch) -> Command:
    _make_folder(attempt.work_dir)
    assert launch.script is not None
    return script_command(
        attempt.source_dir / launch.script, attempt.work_dir, launch, attempt.path, os.environ
    )


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
    with _hold(attempt):
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
            return _conclude(attempt, launch, Outcome(0, 0.0), runs)
        if launch.script is not None:
            return _salvage(attempt, launch, record, runs)
        _check_code_unchanged(launch, attempt)
        if record is not None:
            attempt.record_path.unlink()
        attempt.result_path.unlink(missing_ok=True)
        return _run(attempt, launch, runs, listeners, "--resume")


def _salvage(attempt: Attempt, launch: Launch, record: RunRecord | None, runs: Path) -> RunRecord:
    """Write the record of a script's attempt that nobody saw the end of, from its log."""
    if record is not None:
        raise HarnessError(
            f"{launch.hole} attempt {attempt.number} has its record; {launch.script} is not ours to go on with",
            f"play it again: `harness run {launch.hole} --repeat`",
        )
    outcome = Outcome(0, 0.0, unseen=True)
    built = build_record(launch, attempt, outcome, load_course(launch.course, runs))
    note = "nobody saw the end of this attempt; its record is what the log tells"
    built = built.model_copy(update={"warnings": (*built.warnings, note)})
    attempt.write_record(built)
    return built


def _wait_for_end(attempt: Attempt, launch: Launch) -> None:
    """See that nothing of an attempt runs any more. What the watchman is ending is waited for."""
    mark = str(attempt.path.resolve())
    until = time.monotonic() + (0 if launch.outlives else GRACE_SECONDS + 5)
    while left := family.members(mark):
        if time.monotonic() >= until:
            raise HarnessError(
                f"{attempt.path.parent.name} attempt {attempt.number} is still running (process {left[0]})",
                f"wait for it, or stop it: kill {left[0]}",
            )
        time.sleep(0.2)


def make_hole(plan: Plan, runs: Path) -> Hole:
    """Return the hole of a plan, made if it is new."""
    store = Store(runs)
    return store.create(plan.hole.folder, plan.intent) if plan.is_new else store.get(plan.hole.folder)


def _conclude(attempt: Attempt, launch: Launch, outcome: Outcome, runs: Path) -> RunRecord:
    record = build_record(launch, attempt, outcome, load_course(launch.course, runs))
    attempt.write_record(record)
    return record


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


def _hold(attempt: Attempt) -> FileLock:
    """Take the attempt for this process. The lock is the system's: it ends with us, however we end."""
    lock = FileLock(attempt.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:  # before OSError, which it is a kind of
        raise HarnessError(
            f"{attempt.path.parent.name} attempt {attempt.number} is being played by another process",
            "wait for it, or stop it first",
        ) from None
    except (OSError, NotImplementedError) as error:
        raise HarnessError(
            f"cannot lock {attempt.path}: {error}", "put the season on a disk that knows locks: --runs DIR"
        ) from error
    return lock


def _repeat_command(plan: Plan, seed: int | None) -> tuple[str, ...]:
    """The words that play this attempt again, settings spelled out."""
    ours = plan.trainer
    who = ("--script", plan.intent.script or "") if ours.snapshot else ("--preset", ours.preset or "")
    several = ("--nproc", str(plan.nproc)) if plan.nproc > 1 else ()
    settings = [word for name, value in sorted(ours.overrides.items()) for word in ("-o", f"{name}={value}")]
    return (
        "harness",
        "run",
        plan.hole.folder,
        "--course",
        plan.course.name,
        *who,
        *several,
        *(("--seed", str(seed)) if seed is not None else ()),
        *settings,
        "--repeat",
    )


__all__ = ["Listeners", "play", "resume"]
