"""What is played at this moment in a season: a file for each experiment and seed, locked while it lasts.

The system frees the lock of a process that dies, so a killed command holds nothing, but a trainer that was
to outlive it still plays. What a killed command left is told by `harness.run.unfinished`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import HarnessError, UsageError
from harness.files import write_error
from harness.privacy import mask_settings
from harness.records.intent import load_intent
from harness.records.launch import Launch, load_launch
from harness.records.private import private_intent
from harness.records.record import Code, Data, hash_config, recorded_config
from harness.records.store import Store, attempts_without_record, hole_names
from harness.run import processes
from harness.run.plan import Plan
from harness.season.progress import is_locked
from harness.temporary import lock_path, unlock

FOLDER = ".playing"
_MAX_BYTES = 2000


class Holder(NamedTuple):
    """Who plays an experiment with a seed. pid: 0 where its file could not be read."""

    hole: str
    pid: int


@contextlib.contextmanager
def hold_seeds(plan: Plan, seeds: Sequence[int | None], runs: Path) -> Iterator[dict[int | None, Holder]]:
    """Hold a plan's seeds while they are played. Yields those that another process plays now, with its hole.

    Raises HarnessError when the season's folder cannot be written.
    """
    taken = _outliving(plan, runs)
    held: list[tuple[Path, int | None]] = []
    folder = runs / FOLDER
    if folder.is_symlink():
        raise HarnessError(
            f"{folder} is a link to {folder.readlink()}; nothing is written through it", "remove the link"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for seed in (one for one in seeds if one not in taken):
            path = folder / f"{_key(plan, seed)}.json"
            lock = _hold(path)
            if lock is None and is_locked(path):
                taken[seed] = _read(path)
                continue
            held.append((path, lock))
            path.write_text(json.dumps({"hole": plan.hole.folder, "pid": os.getpid()}) + "\n")
    except OSError as error:
        _release(held)
        raise write_error(folder, error) from error
    try:
        yield {seed: taken[seed] for seed in seeds if seed in taken}
    finally:
        _release(held)
        with contextlib.suppress(OSError):  # while others play, it is not empty
            folder.rmdir()


def refuse_new_hole_of_others(plan: Plan, runs: Path) -> None:
    """Refuse to play in a hole that another command made with other settings since the plan was made."""
    hole = Store(runs).find(str(plan.hole.number)) if plan.is_new else None
    if hole is None:
        return
    made, planned = load_intent(hole.intent_path), private_intent(plan.intent)
    names = ("course", "preset", "script", "module", "arguments", "python", "overrides")
    if hole.name != plan.hole or any(getattr(made, name) != getattr(planned, name) for name in names):
        raise UsageError(
            f"{hole.name.folder} was made by another command meanwhile, with other settings",
            "type the command again: it names the next free hole",
        )


def _key(plan: Plan, seed: int | None) -> str:
    trainer = plan.trainer
    config = mask_settings(trainer.config)
    return _hash_facts(config, trainer.code, plan.course.name, trainer.split, trainer.data, seed)


def _hash_facts(
    config: Mapping[str, str], code: Code, course: str, split: str | None, data: Data, seed: int | None
) -> str:
    facts = (
        hash_config(config),
        code.source_sha256,
        course,
        split,
        data.train_fingerprint,
        data.tokenizer_sha256,
        seed,
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _outliving(plan: Plan, runs: Path) -> dict[int | None, Holder]:
    """Return the seeds of this experiment that a trainer plays whose command is gone (`--outlive`)."""
    found: dict[int | None, Holder] = {}
    for name in hole_names(runs):
        for attempt in attempts_without_record(f"{runs}/{name.folder}"):
            path = runs / name.folder / attempt
            with contextlib.suppress(HarnessError):
                launch = load_launch(path / "launch.json")
                if not launch.outlives or _key_of_launch(launch) != _key(plan, launch.seed):
                    continue
                if pids := processes.members(str(path.resolve())):
                    found[launch.seed] = Holder(name.folder, pids[0])
    return found


def _key_of_launch(launch: Launch) -> str:
    config = mask_settings(recorded_config(launch.config, launch.overrides))
    return _hash_facts(config, launch.code, launch.course, launch.split, launch.data, launch.seed)


def _hold(path: Path) -> int | None:
    """Lock a file, made if it is missing; None when another process holds it, or without locks."""
    while True:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.unlink()  # not of our making
        path.touch()
        lock = lock_path(path)
        if lock is None:
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        unlock(lock)  # whoever held it has just removed it


def _read(path: Path) -> Holder:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        raw = json.loads(path.read_bytes()[:_MAX_BYTES])
        return Holder(str(raw["hole"]), int(raw["pid"]))
    return Holder("another hole", 0)


def _release(held: Sequence[tuple[Path, int | None]]) -> None:
    for path, lock in held:
        with contextlib.suppress(OSError):
            path.unlink()
        unlock(lock)
