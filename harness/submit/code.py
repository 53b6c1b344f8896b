"""The code of a submission: our trainer as one script, or the script of one's own that ran."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.scripts.git import fingerprint_folder
from harness.scripts.snapshot import load_snapshot
from harness.scripts.unpack import unpack_source
from harness.submit.prepared import SCRIPT, SubmittedRun


def make_code(run: SubmittedRun, readable: bool = False) -> dict[str, bytes]:
    """Return the code that reproduces a run, by file name. readable: our trainer is not packed.

    Raises HarnessError when the code that ran is not here.
    """
    record = run.record
    if not run.builtin:
        return _kept_code(run)
    from harness.scripts.one_file import (  # reads all of the trainer: only when needed
        TRAINER,
        submission_script,
    )

    here = fingerprint_folder(TRAINER)
    if record.code.source_sha256 != here:
        raise HarnessError(
            f"the trainer here ({here[:12]}) is not the one that made attempt {record.attempt} "
            f"({(record.code.source_sha256 or 'unknown')[:12]}), so a script of it might score something else",
            _how_to_get_back(run),
        )
    source = submission_script(record.config, record.code, readable=readable)
    compile(unpack_source(source.decode()).source, SCRIPT, "exec")
    return {SCRIPT: source}


def _how_to_get_back(run: SubmittedRun) -> str:
    code = run.record.code
    if code.git_sha is None:
        return "play the hole again with the trainer that is here: `harness run ROUND --repeat`"
    away = f"`git worktree add ../as-played {code.git_sha[:12]}`"
    if not code.dirty:
        return f"{away} and submit from there, or play the hole again with the trainer that is here"
    diff = run.attempt.source_dir / "uncommitted.diff"
    if not diff.is_file():
        return (
            f"attempt {run.record.attempt} ran with uncommitted changes that are not kept here: play it again"
        )
    return f"{away}, there `git apply {diff.resolve()}`, and submit from there; or play the hole again"


def _kept_code(run: SubmittedRun) -> dict[str, bytes]:
    """The files of a script of one's own, as they were kept when it ran."""
    folder, name = run.attempt.source_dir, run.record.code.trainer
    files = dict(load_snapshot(folder, name).files) if folder.is_dir() else {}
    if not files:
        raise HarnessError(
            f"the code of attempt {run.record.attempt} is not kept in {folder}",
            f"put the script that ran there, as {folder / SCRIPT}",
        )
    if name not in files and len(files) > 1 and SCRIPT not in files:
        raise HarnessError(
            f"{folder} holds {len(files)} files, none of them called {name} or {SCRIPT}",
            f"rename the one that is started to {SCRIPT}",
        )
    main = name if name in files else SCRIPT if SCRIPT in files else next(iter(files))
    return {SCRIPT if file == main else file: content for file, content in files.items()}
