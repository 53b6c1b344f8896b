"""Sweeps a season: removes what dead processes left of files and folders that they had not finished.

Only what would have become a file or folder of the harness is removed, by its name and place; a script's
work folder is the script's own.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path

from harness.records.store import Attempt, attempt_names, hole_names, parse_hole_name
from harness.temporary import lock_path, remove_leftovers, unlock

LAST_IMPORT = ".last_import.json"  # in the season's folder
_HOLE_FILES = {"round.toml", "notes.md", "decision.json", "prediction.json"}
_ATTEMPT_FILES = {"record.json", "curve.jsonl", "train.log", "launch.json", "result.json"}
_WEIGHTS = re.compile(r"(?:model|checkpoint|weights)\.[a-z0-9.]+")
_SESSION = re.compile(r"\.session\.\d+\.json", re.ASCII)
_ATTEMPT = re.compile(r"attempt_\d{2,6}", re.ASCII)
_ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def sweep(runs: Path) -> None:
    """Remove the leftovers of dead processes from a season; those of living ones stay."""
    remove_leftovers(runs, lambda name: name == LAST_IMPORT or parse_hole_name(name) is not None)
    for hole in hole_names(runs):
        _sweep_attempts(f"{runs}/{hole.folder}", _HOLE_FILES)
        remove_leftovers(f"{runs}/{hole.folder}", lambda name: _SESSION.fullmatch(name) is not None)
    _sweep_playing(runs / ".playing")
    field = f"{runs}/field"
    remove_leftovers(field, lambda name: _ENTRY.fullmatch(name) is not None)
    with contextlib.suppress(OSError), os.scandir(field) as entries:
        for entry in entries:
            if _ENTRY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                _sweep_attempts(entry.path, {"entry.json"})


def _sweep_playing(folder: Path) -> None:
    """Remove the files by which dead processes held what they played (`harness.run.in_play`)."""
    if folder.is_symlink():
        return
    with contextlib.suppress(OSError):  # the folder is missing, or others play
        with os.scandir(folder) as entries:
            files = [one for one in entries if one.is_file(follow_symlinks=False)]
        for path in (Path(one.path) for one in files if one.name.endswith(".json")):
            if (lock := lock_path(path)) is not None:
                path.unlink(missing_ok=True)
                unlock(lock)
        folder.rmdir()


def _sweep_attempts(parent: str, files: Collection[str]) -> None:
    remove_leftovers(parent, lambda name: name in files or _ATTEMPT.fullmatch(name) is not None)
    with contextlib.suppress(OSError):
        for attempt in attempt_names(parent)[1]:
            remove_leftovers(f"{parent}/{attempt}", _is_of_attempt)
            _remove_end_note(Attempt(Path(parent, attempt), 0))
            for folder, folders, _ in os.walk(f"{parent}/{attempt}/source"):
                folders.sort()
                remove_leftovers(folder, lambda name: True)


def _remove_end_note(attempt: Attempt) -> None:
    """Remove the note of an attempt's end once its record tells that."""
    if attempt.end_path.is_file() and attempt.record_path.is_file():
        with contextlib.suppress(OSError):
            attempt.end_path.unlink()


def _is_of_attempt(name: str) -> bool:
    return name in _ATTEMPT_FILES or _WEIGHTS.fullmatch(name) is not None
