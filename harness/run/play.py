"""The story of `harness run` once there is a plan (`harness.run.plan`): play, then record.

    play()          one attempt: folder, snapshot, launch.json, then run_attempt()
    run_attempt()   the child process (`harness.run.command`, `harness.run.capture`), then record.json

An attempt that was cut short goes on in `harness.run.resume`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from harness import __version__
from harness.courses.course import load_course
from harness.errors import HarnessError
from harness.files import WriteError, write_error, write_whole
from harness.records.intent import dump_intent, load_intent, rewrite_intent
from harness.records.launch import Launch, Trained, dump_launch
from harness.records.prediction import seal
from harness.records.private import private_intent, private_launch, write_record
from harness.records.record import Environment, Failure, RunRecord, recorded_config
from harness.records.store import Attempt, Hole, NumberTaken, Store, add_attempt
from harness.run.builtin import TRAINER_FOLDER, knobs_of
from harness.run.capture import NotStarted, ProcessEnd, RunCallbacks, run_captured
from harness.run.command import kept_words, script_command, trainer_command
from harness.run.end_note import claim_room, forget_end, note_end
from harness.run.kept_weights import weights_of
from harness.run.plan import Plan
from harness.run.result import build_record
from harness.run.script_result import known_at_launch
from harness.run.trust import remember_hole, remember_launch
from harness.run.unfinished import resume_command
from harness.temporary import discard_folder, final_path


def play(
    plan: Plan,
    seed: int | None,
    runs: Path,
    callbacks: RunCallbacks,
    outlives: bool = False,
    prepare: Callable[[Attempt, Launch], Launch] = lambda attempt, launch: launch,
    rate_per_hour: float | None = None,
) -> RunRecord:
    """Play one attempt and return its record, which is written whatever happened.

    outlives: let the child go on when the harness is killed. prepare: puts into the new folder what the
    attempt needs, and may change what is launched. rate_per_hour: what an hour of the machine costs.
    """
    hole = make_hole(plan, runs)

    def prepare_with_rate(attempt: Attempt, launch: Launch) -> Launch:
        return prepare(attempt, launch).model_copy(update={"rate_per_hour": rate_per_hour or None})

    attempt, launch, lock = _make_attempt(plan, seed, hole, outlives, prepare_with_rate)
    with lock:
        try:
            return run_attempt(attempt, launch, runs, callbacks)
        except NotStarted:
            discard_folder(attempt.path)
            raise


def _make_attempt(
    plan: Plan, seed: int | None, hole: Hole, outlives: bool, prepare: Callable[[Attempt, Launch], Launch]
) -> tuple[Attempt, Launch, FileLock]:
    """Make an attempt that is ready to be started, whole or not at all; this process has its lock."""
    while True:
        with contextlib.suppress(NumberTaken):
            with add_attempt(hole.path) as unfinished:
                lock = lock_attempt(unfinished)
                launch = prepare(unfinished, _launch(plan, unfinished, seed, outlives))
                _keep_source(plan, unfinished)
                content = dump_launch(private_launch(launch)).encode()
                remember_launch(content, plan.start_names)
                write_whole(unfinished.launch_path, content)
                first = all(unfinished.number < other.number for other in hole.attempts)
                seal_intent(hole, launch.started_at, first)
            return Attempt(hole.path / f"attempt_{unfinished.number:02d}", unfinished.number), launch, lock


def _launch(plan: Plan, attempt: Attempt, seed: int | None, outlives: bool) -> Launch:
    trainer, script, start = plan.trainer, plan.trainer.snapshot, plan.trainer.start
    config = trainer.config
    if seed is not None and not (start and start.takes_seed):
        config = config | {"SEED": str(seed)}
    return Launch(
        hole=plan.hole.folder,
        attempt=attempt.number,
        course=plan.course.name,
        course_named=plan.course_named,
        split=trainer.split,
        cap_bytes=plan.course.caps.artifact_bytes,
        preset=trainer.preset,
        script=script.main if script else None,
        module=start.module if start else None,
        arguments=start.arguments_of(seed) if start else (),
        python=str(start.interpreter.path) if start and start.interpreter.typed else None,
        interpreter=start.interpreter.as_environment() if start else Environment(),
        overrides=trainer.recorded_overrides,
        config=config,
        environ=trainer.environ if script else {},
        hidden=tuple(sorted(trainer.hidden)) if script else (),
        seed=seed,
        planned_seeds=plan.planned_seeds,
        purpose=plan.purpose,
        nproc=plan.nproc,
        launcher=plan.launcher,
        outlives=outlives,
        started_at=dt.datetime.now(dt.UTC),
        command=_repeat_command(plan, seed),
        code=trainer.code,
        data=trainer.data,
        harness=__version__,
        code_bytes=trainer.code_bytes,
        code_rule=trainer.code_rule,
    )


def _keep_source(plan: Plan, attempt: Attempt) -> None:
    """Keep the code that runs: a script whole, of the built-in trainer what is not committed.

    What a script opens by its path lies where it runs, too: people start scripts from their own folder.
    """
    snapshot = plan.trainer.snapshot
    files = dict(snapshot.files) if snapshot else {}
    if plan.trainer.code_diff:
        files["uncommitted.diff"] = plan.trainer.code_diff.encode()
    for name, content in files.items():
        opened = snapshot is not None and name in snapshot.by_path
        for folder in (attempt.source_dir, attempt.work_dir) if opened else (attempt.source_dir,):
            _make_folder((folder / name).parent)
            write_whole(folder / name, content)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def run_attempt(
    attempt: Attempt,
    launch: Launch,
    runs: Path,
    callbacks: RunCallbacks,
    *words: str,
    trainer_folder: Path = TRAINER_FOLDER,
) -> RunRecord:
    """Start the child and see it through to its record.

    words: more for the built-in trainer's command line. trainer_folder: its package, here or of another
    commit. Raises NotStarted when the child cannot be started.
    """
    _claim_room(attempt, with_work_folder=launch.script is not None)
    if launch.script is None:
        stop_signal = signal.SIGTERM
        if launch.code_bytes is not None:
            words = (*words, "--code-bytes", str(launch.code_bytes))
        if (origin := launch.evaluated_from) is not None:
            weights = weights_of(origin, runs)
            words = (*words, *kept_words(weights, origin, launch.trained or Trained()))
        command = trainer_command(
            attempt.path,
            launch.config,
            os.environ,
            knobs_of(trainer_folder),
            *words,
            nproc=launch.nproc,
            launcher=launch.launcher,
            trainer_folder=trainer_folder,
        )
    else:
        # Lets `finally` and `except KeyboardInterrupt` of the script do their work.
        stop_signal = signal.SIGINT
        command = script_command(attempt.source_dir, attempt.work_dir, launch, attempt.path, os.environ)
    end = run_captured(command, attempt.log_path, callbacks, stop_signal, launch.outlives)
    return conclude(attempt, launch, end, runs)


def _claim_room(attempt: Attempt, with_work_folder: bool) -> None:
    try:
        if with_work_folder:
            _make_folder(attempt.work_dir)
        claim_room(attempt)
    except (OSError, WriteError) as error:
        written = error if isinstance(error, WriteError) else write_error(attempt.path, error)
        raise NotStarted(written.message, written.hint) from error


def make_hole(plan: Plan, runs: Path) -> Hole:
    """Return the hole of a plan, made if it is new, its parent named."""
    store = Store(runs)
    if plan.is_new:
        hole = store.create(plan.hole.folder, dump_intent(private_intent(plan.intent)))
        remember_hole(hole, plan.start_names)
        return hole
    hole = store.get(plan.hole.folder)
    if plan.typed:
        rewrite_intent(hole, private_intent(plan.intent), plan.typed)
    return hole


def seal_intent(hole: Hole, when: dt.datetime, first: bool) -> None:
    """Seal the hypothesis and the prediction of round.toml: whether they held is judged by that alone."""
    intent = load_intent(hole.intent_path)
    seal(hole, intent.hypothesis, intent.prediction, intent.parent, when, first)


def conclude(attempt: Attempt, launch: Launch, end: ProcessEnd, runs: Path, *warnings: str) -> RunRecord:
    """Write the record of an attempt that has ended, whatever is left of its folder.

    warnings: more for the record. Raises WriteError where it cannot be written, as on a full disk;
    `harness resume` writes it then.
    """
    try:
        record = _build_record(attempt, launch, end, runs)
        record = record.model_copy(update={"warnings": (*record.warnings, *warnings)})
        if not attempt.launch_path.exists():
            _make_folder(attempt.path)
            write_whole(attempt.launch_path, dump_launch(private_launch(launch)).encode())
        record = write_record(attempt.record_path, record, here=True)
    except WriteError as error:
        full = _disk_is_full(error)
        note_end(attempt, replace(end, disk_full=full or end.disk_full))
        resume = resume_command(launch.hole, launch.attempt)
        raise WriteError(
            f"{error.message}{': the disk is full' * full}, and the record of {launch.hole} attempt "
            f"{launch.attempt} is not written",
            f"{'free some space' if full else error.hint}, then `{resume}` writes it",
        ) from error
    forget_end(attempt)
    return record


def _build_record(attempt: Attempt, launch: Launch, end: ProcessEnd, runs: Path) -> RunRecord:
    """Build a record even where the child has removed what it is made of. Raises WriteError."""
    try:
        return build_record(launch, attempt, end, load_course(launch.course, runs))
    except WriteError:
        raise
    except (HarnessError, OSError) as error:
        what = error.message if isinstance(error, HarnessError) else f"{error.filename}: {error.strerror}"
        failure = Failure(kind="no_result", message=f"its files cannot be read: {what}")
        fields = known_at_launch(launch, recorded_config(launch.config, launch.overrides))
        return RunRecord(**fields, status="failed", failure=failure)


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is that of a disk without room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


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
            f"cannot lock {final_path(attempt.path)}: {error}",
            "put the season on a disk that knows locks: --runs DIR",
        ) from error
    return lock


def _repeat_command(plan: Plan, seed: int | None) -> tuple[str, ...]:
    """The words that play this attempt again, settings spelled out."""
    trainer = plan.trainer
    start = trainer.start
    trainer_words = ("--preset", trainer.preset or "")
    if start is not None:
        what = ("--module", start.module) if plan.intent.module else ("--script", plan.intent.script or "")
        python = ("--python", start.interpreter.typed) if start.interpreter.typed else ()
        trainer_words = (*what, *python)
    process_words = ("--nproc", str(plan.nproc)) if plan.nproc > 1 else ()
    settings = [
        word for name, value in sorted(trainer.overrides.items()) for word in ("-o", f"{name}={value}")
    ]
    return (
        "harness",
        "run",
        plan.hole.folder,
        *(("--course", plan.course.name) if plan.course_named else ()),
        *trainer_words,
        *process_words,
        *(("--seed", str(seed)) if seed is not None else ()),
        *settings,
        "--repeat",
        *(("--", *start.arguments) if start and start.arguments else ()),
    )
