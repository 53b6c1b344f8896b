"""The code of a submission: our trainer as one script, or the script of one's own that ran.

A record of an older trainer gets the script of that trainer, where the record names a clean commit that git
has here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import trainer
from harness.errors import HarnessError
from harness.records.record import Code, RunRecord
from harness.records.store import Attempt
from harness.scripts.git import read_code
from harness.scripts.snapshot import Snapshot, load_snapshot
from harness.scripts.unpack import unpack_source

SCRIPT = "train_gpt.py"  # what a submission's code is called
TRAINER = Path(trainer.__file__).resolve().parent


def make_code(record: RunRecord, attempt: Attempt, readable: bool = False) -> dict[str, bytes]:
    """Return the code that reproduces a run, by file name. readable: our trainer is not packed.

    Raises HarnessError when the code that ran is neither here nor in git.
    """
    if record.provenance is not None or record.code.trainer != "builtin":
        return _own_script(record, attempt)
    package = find_trainer(record.code)
    if package is None:
        here = load_snapshot(TRAINER, TRAINER.name, only_python=True).sha256
        raise HarnessError(
            f"the trainer here ({here[:12]}) is not the one that made attempt {record.attempt} "
            f"({(record.code.source_sha256 or 'unknown')[:12]}), so a script of it might score something "
            "else",
            _how_to_get_back(record, attempt),
        )
    source = trainer_script(record, package, readable)
    compile(unpack_source(source.decode()).source, SCRIPT, "exec")
    return {SCRIPT: source}


def find_trainer(code: Code) -> Snapshot | None:
    """Return our trainer's files as they ran: those here, else those of the clean commit that a record names.

    None when neither has the hash of the record.
    """
    files = read_code(TRAINER, code)
    return Snapshot("__main__.py", files) if files else None


def trainer_script(record: RunRecord, package: Snapshot, readable: bool = False) -> bytes:
    """Return the one script that a submission of a record has. package: the trainer's files, as they ran.

    Raises HarnessError when the record's configuration has a knob that this version does not know.
    """
    from harness.scripts.one_file import submission_script  # reads all of the trainer: only when needed

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, TRAINER.name)
        for name, content in package.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return submission_script(record.config, record.code, folder, readable)


def _how_to_get_back(record: RunRecord, attempt: Attempt) -> str:
    code = record.code
    if code.git_sha is None:
        return "play the hole again with the trainer that is here: `harness run HOLE --repeat`"
    checkout = f"`git worktree add ../as-played {code.git_sha[:12]}`"
    if not code.dirty:
        return f"{checkout} and submit from there, or play the hole again with the trainer that is here"
    diff = attempt.source_dir / "uncommitted.diff"
    if not diff.is_file():
        return f"attempt {record.attempt} ran with uncommitted changes that are not kept here: play it again"
    return f"{checkout}, there `git apply {diff.resolve()}`, and submit from there; or play the hole again"


# Starts a script that runs as a module of its package, as `python -m` does.
_START_MODULE = """\
import runpy

runpy.run_module("{module}", run_name="__main__", alter_sys=True)
"""


def _own_script(record: RunRecord, attempt: Attempt) -> dict[str, bytes]:
    """The files of a script of one's own, as they were kept when it ran."""
    folder, name = attempt.source_dir, record.code.trainer
    files = dict(load_snapshot(folder, name).files) if folder.is_dir() else {}
    if not files:
        raise HarnessError(
            f"the code of attempt {record.attempt} is not kept in {folder}",
            f"put the script that ran there, as {folder / SCRIPT}",
        )
    if name not in files and len(files) > 1 and SCRIPT not in files:
        raise HarnessError(
            f"{folder} holds {len(files)} files, none of them called {name} or {SCRIPT}",
            f"rename the one that is started to {SCRIPT}",
        )
    if record.code.module is not None and name in files and "/" in name and SCRIPT not in files:
        return files | {SCRIPT: _START_MODULE.format(module=record.code.module).encode()}
    main = name if name in files else SCRIPT if SCRIPT in files else next(iter(files))
    return {SCRIPT if file == main else file: content for file, content in files.items()}
