"""The story of `harness run` once its plan stands (`harness.run.plan`): play, then record.

    play()     one attempt: folder, snapshot, launch.json, child process, record.json
    resume()   go on with an attempt that was cut short, or write the record it still lacks

Trains nothing itself: the trainer is a child process (`harness.run.command`, `harness.run.capture`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness import __version__
from harness.courses.course import load_course
from harness.errors import HarnessError
from harness.files import write_whole
from harness.records.launch import Launch, dump_launch
from harness.records.record import RunRecord
from harness.records.store import Attempt, Hole, Store
from harness.run.builtin import KNOB_NAMES
from harness.run.capture import Listeners, ProcessEnd, run_captured
from harness.run.command import Command, script_command, trainer_command
from harness.run.plan import Plan
from harness.run.result import build_record


def play(plan: Plan, seed: int | None, runs: Path, listeners: Listeners, outlives: bool = False) -> RunRecord:
    """Play one attempt and return its record, which is written whatever happened.

    outlives: let the child go on when the harness is killed.
    """
    hole = make_hole(plan, runs)
    attempt = hole.new_attempt()
    with _nothing_half(attempt):
        lock = lock_attempt(attempt)
        launch = _launch(plan, attempt, seed, outlives)
        _keep_source(plan, attempt)
        write_whole(attempt.launch_path, dump_launch(launch).encode())
    with lock:
        return run_attempt(attempt, launch, runs, listeners)


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
        code_rule=ours.code_rule,
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


def run_attempt(attempt: Attempt, launch: Launch, runs: Path, listeners: Listeners, *words: str) -> RunRecord:
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
    return conclude(attempt, launch, outcome, runs)


def _script_command(attempt: Attempt, launch: Launch) -> Command:
    _make_folder(attempt.work_dir)
    assert launch.script is not None
    return script_command(
        attempt.source_dir / launch.script, attempt.work_dir, launch, attempt.path, os.environ
    )


def make_hole(plan: Plan, runs: Path) -> Hole:
    """Return the hole of a plan, made if it is new."""
    store = Store(runs)
    return store.create(plan.hole.folder, plan.intent) if plan.is_new else store.get(plan.hole.folder)


def conclude(attempt: Attempt, launch: Launch, outcome: ProcessEnd, runs: Path) -> RunRecord:
    record = build_record(launch, attempt, outcome, load_course(launch.course, runs))
    attempt.write_record(record)
    return record


def lock_attempt(attempt: Attempt) -> FileLock:
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
