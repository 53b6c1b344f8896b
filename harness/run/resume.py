"""An attempt that ended early goes on from where it stopped."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from harness.errors import Exit, HarnessError
from harness.files import cache_dir
from harness.records.launch import Launch, load_launch
from harness.records.private import write_record
from harness.records.record import RunRecord, find_record
from harness.records.store import Attempt, Store
from harness.run import processes
from harness.run.builtin import TRAINER_FOLDER, knobs_of
from harness.run.capture import GRACE_SECONDS, ProcessEnd, RunCallbacks
from harness.run.command import refuse_other_settings
from harness.run.end_note import forget_end, read_end
from harness.run.kept_weights import weights_of
from harness.run.play import conclude, lock_attempt, run_attempt
from harness.run.result import read_result
from harness.run.seeds import fresh_seeds, used_seeds
from harness.run.trust import ForeignStart, Trusted, describe_trainer, is_own, require_trust
from harness.run.unfinished import choose_unfinished, resume_command
from harness.scripts.git import fingerprint_folder, read_code
from trainer.config import KNOBS


def resume(
    reference: str,
    runs: Path,
    callbacks: RunCallbacks,
    trusted: Trusted = None,
    number: int | None = None,
) -> RunRecord:
    """Go on with an unfinished attempt from its last checkpoint, with the settings it began with.

    number: of the attempt; None for the newest unfinished one.

    An attempt whose trainer had finished while nobody was there to write its record is only recorded, and so
    is one of a script, which cannot go on: what its log tells is kept. Where the trainer here is another one,
    the one it began with is taken from git. Raises HarnessError when there is nothing to resume, when it is
    running, when its code cannot be had, or when it is not this machine's own and nobody trusts it.
    """
    hole = Store(runs).get(reference)
    attempt = choose_unfinished(hole, number)
    attempt.refuse_links()
    with lock_attempt(attempt):
        launch = load_launch(attempt.launch_path)
        wait_for_end(attempt, launch)
        record = find_record(attempt.record_path)
        if record is not None and record.complete:
            (seed,) = fresh_seeds(used_seeds(hole), 1)
            others = "" if number is not None else ", and no other is unfinished"
            raise HarnessError(
                f"{hole.name.folder} attempt {attempt.number} is complete (val_bpb {record.val_bpb:.4f})"
                f"{others}",
                f"play another: `harness run {hole.name.folder} --seed {seed}`",
                Exit.DUPLICATE,
            )
        if record is None and _finished(attempt):
            return conclude(attempt, launch, ProcessEnd(0, 0.0), runs)
        if launch.script is not None:
            return record_from_log(attempt, launch, record, runs)
        folder = trainer_of(launch, attempt)
        refuse_other_settings(launch.config, knobs_of(folder), attempt.path)
        if launch.evaluated_from is not None:
            weights_of(launch.evaluated_from, runs)
        if not is_own(attempt):
            require_trust(_foreign(attempt, launch, folder), trusted)
        if record is not None:
            attempt.record_path.unlink()
        attempt.result_path.unlink(missing_ok=True)
        words = ("--resume",) if launch.evaluated_from is None else ()  # an evaluation starts over
        record = run_attempt(attempt, launch, runs, callbacks, *words, trainer_folder=folder)
        if folder == TRAINER_FOLDER:
            return record
        note = f"it went on with the trainer of commit {launch.code.git_sha}, not with the one checked out"
        return _write_with_warning(attempt, record, note)


def _foreign(attempt: Attempt, launch: Launch, folder: Path) -> ForeignStart:
    """Say what goes on in an attempt that others began."""
    known = {name: knob.format(knob.default) for name, knob in KNOBS.items()}
    settings = {name: value for name, value in launch.config.items() if known.get(name) != value}
    here = folder == TRAINER_FOLDER
    which = "the one installed here" if here else f"that of commit {launch.code.git_sha}"
    place = f"{attempt.path.parent.name}/{attempt.path.name}/launch.json"
    return ForeignStart(place, describe_trainer(which, launch, settings))


def record_from_log(attempt: Attempt, launch: Launch, record: RunRecord | None, runs: Path) -> RunRecord:
    """Write the record of a script's attempt that nobody saw the end of, from its log."""
    if record is not None:
        seed = "" if launch.seed is None else f" --seed {launch.seed}"
        raise HarnessError(
            f"{launch.hole} attempt {attempt.number} has its record; {launch.script} cannot be resumed",
            f"play it again: `harness run {launch.hole}{seed}`",
        )
    noted = read_end(attempt)
    if noted is not None and not noted.after_harness:
        return conclude(attempt, launch, noted, runs)
    note = "nobody saw the end of this attempt; its record is what the log tells"
    return conclude(attempt, launch, ProcessEnd(0, 0.0, after_harness=True), runs, note)


def wait_for_end(attempt: Attempt, launch: Launch) -> None:
    """See that nothing of an attempt runs any more. What the watchdog is ending is waited for."""
    mark = str(attempt.path.resolve())
    until = time.monotonic() + (0 if launch.outlives else GRACE_SECONDS + 5)
    while pids := processes.members(mark):
        if time.monotonic() >= until:
            raise HarnessError(
                f"{attempt.path.parent.name} attempt {attempt.number} is still running (process {pids[0]})",
                f"wait for it, or stop it: kill {pids[0]}",
            )
        time.sleep(0.2)


def _finished(attempt: Attempt) -> bool:
    result = read_result(attempt.result_path)
    return result is not None and result["status"] == "ok"


def _write_with_warning(attempt: Attempt, record: RunRecord, warning: str) -> RunRecord:
    record = record.model_copy(update={"warnings": (*record.warnings, warning)})
    written = write_record(attempt.record_path, record, here=True)
    forget_end(attempt)
    return written


def trainer_of(launch: Launch, attempt: Attempt) -> Path:
    """Return the folder of the trainer an attempt began with: the one here, or its commit's in the cache.

    Half a run with one code and half with another would be a record of neither, so the hash of the files
    decides. Raises HarnessError when that code cannot be had: it was not committed, or git here does not have
    the commit.
    """
    code = launch.code
    if fingerprint_folder(TRAINER_FOLDER) == code.source_sha256:
        return TRAINER_FOLDER
    cache = cache_dir()
    if code.source_sha256 and cache is not None:
        folder = cache / "trainers" / code.source_sha256[:16] / "trainer"
        if folder.is_dir() and fingerprint_folder(folder) == code.source_sha256:
            return folder
        if files := read_code(TRAINER_FOLDER, code):
            return _write_folder(folder, files)
    resume = f"`{resume_command(launch.hole, launch.attempt)}`"
    if code.git_sha is None:
        hint = "it was in no git commit: bring it back"
    elif code.dirty:
        changes = (attempt.source_dir / "uncommitted.diff").resolve()
        hint = f"`git worktree add ../as-played {code.git_sha}`, there `git apply {changes}` and {resume}"
    else:
        hint = f"`git fetch` commit {code.git_sha}, then {resume}"
    hint += f"; or play a new attempt: `harness run {launch.hole} --repeat`"
    raise HarnessError(f"the trainer's code has changed since {attempt.path.name} was started", hint)


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of a package; the folder appears whole, whatever lay there before is replaced."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            for name, content in files.items():
                path = Path(place, folder.name, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            Path(place, folder.name).rename(folder)
    except OSError as error:
        raise HarnessError(
            f"cannot write {error.filename or folder}: {error.strerror}",
            "set HARNESS_CACHE to a folder that can be written",
        ) from error
    return folder
