"""What this machine started itself, and what others would have it start: that needs `--trust`.

Whatever lies under `runs/` may come from others. The cache folder keeps a mark, an empty file, for each
launch.json that was written here, so an attempt is one's own wherever its folder is moved to. Nothing else
that a stored file names is started before the user has seen what it is and added `--trust`.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import figures
from harness.documents import FileProblem
from harness.errors import HarnessError
from harness.files import cache_dir
from harness.plain_text import plain_line
from harness.privacy import mask_secret_settings, mask_secret_words
from harness.records.launch import Launch, hash_launch, load_launch
from harness.records.store import Attempt, Hole
from harness.scripts.snapshot import Snapshot

FOLDER = "own_attempts"  # in the cache
MAX_VALUE, MAX_ROWS = 200, 100  # what is shown of a value, and of the settings

Trusted = Callable[[str], None] | None  # is told what starts, where --trust was typed; None where it was not
Name = tuple[str, ...]  # ("script", "train.py", "") with its module, or ("python", "python3.12")


# One's own ----------------------------------------------------------------------------------------


def remember_launch(content: bytes, names: Iterable[Name]) -> None:
    """Keep that this machine writes a launch.json. names: by which it found what it starts."""
    sha256 = hashlib.sha256(content).hexdigest()
    _keep("launch", sha256)
    for name in names:
        _keep("launch", sha256, *name)


def remember_hole(hole: Hole, names: Iterable[Name]) -> None:
    """Keep that a hole was made at its place by a command of this machine."""
    for name in names:
        _keep("hole", str(hole.path.resolve()), *name)


def remember_bundle(bundle_id: str) -> None:
    _keep("bundle", bundle_id)


def is_own_bundle(bundle_id: str) -> bool:
    return _is_kept("bundle", bundle_id)


def is_own(attempt: Attempt) -> bool:
    """Whether this machine wrote an attempt's launch.json as it is now."""
    with contextlib.suppress(FileProblem):
        return _is_kept("launch", hash_launch(attempt.launch_path))
    return False


def own_launches(hole: Hole) -> Iterable[Launch]:
    """Yield what was launched here in a hole, the newest first."""
    for attempt in reversed(hole.attempts):
        with contextlib.suppress(FileProblem):
            if is_own(attempt):
                yield load_launch(attempt.launch_path)


def is_own_name(hole: Hole, name: Name) -> bool:
    """Whether this machine made a hole with such a name in its round.toml, or has played it by that name."""
    if _is_kept("hole", str(hole.path.resolve()), *name):
        return True
    for attempt in reversed(hole.attempts):
        with contextlib.suppress(FileProblem):
            if _is_kept("launch", hash_launch(attempt.launch_path), *name):
                return True
    return False


def _keep(*words: str) -> None:
    """Keep a mark; where the cache cannot be written, `--trust` is asked for later."""
    path = _mark(*words)
    if path is not None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def _is_kept(*words: str) -> bool:
    path = _mark(*words)
    return path is not None and path.is_file()


def _mark(*words: str) -> Path | None:
    cache = cache_dir()
    name = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
    return cache / FOLDER / name if cache else None


# That of others -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ForeignStart:
    """What a stored file would start that was not written here.

    place: the file. rows: what would run, by what it is.
    """

    place: str
    rows: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{self.place} was not written by this machine, and it names what would run:"]
        return "\n".join([*lines, *(f"  {name:12} {value}" for name, value in self.rows.items())])


def require_trust(start: ForeignStart, trusted: Trusted) -> None:
    """Tell the user what is about to start. Raises HarnessError with it where `--trust` was not typed."""
    if trusted is not None:
        trusted(str(start))
        return
    raise HarnessError(
        str(start), f"read it first; if you trust it, type the command again with --trust{_if_emptied()}"
    )


def _if_emptied() -> str:
    """Say what it may mean for a run of one's own that nothing at all is known."""
    cache = cache_dir()
    if cache is None:
        return "; there is no cache folder that knows your own runs: set HARNESS_CACHE=DIR"
    folder = cache / FOLDER
    with contextlib.suppress(OSError):
        if any(folder.iterdir()):
            return ""
    return (
        f"; {folder}, where this machine keeps which runs are its own, is empty: "
        "runs that were played before it was emptied, or with another HARNESS_CACHE, need --trust too"
    )


def describe_script(
    snapshot: Snapshot, path: Path, python: str | None, arguments: Iterable[str], settings: Mapping[str, str]
) -> dict[str, str]:
    """Return the rows on a script that would run."""
    files = figures.number(len(snapshot.files), "file")
    rows = {"script": f"{path} ({files}, sha256 {snapshot.sha256})"}
    if snapshot.module:
        rows["module"] = snapshot.module
    rows["interpreter"] = python or "the Python that harness runs in"
    rows["options"] = shlex.join(mask_secret_words(tuple(arguments))) or "none"
    return _short(rows | {"environment": _settings(settings)})


def describe_trainer(folder: str, launch: Launch, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the rows on a built-in trainer that would go on. settings: those that are not its defaults."""
    processes = f"{launch.nproc} processes, started by torchrun" if launch.nproc > 1 else launch.launcher
    return _short(
        {
            "trainer": f"{folder} (sha256 {launch.code.source_sha256 or 'unknown'})",
            "started by": processes,
            "environment": _settings(settings),
        }
    )


def _settings(settings: Mapping[str, str]) -> str:
    masked = mask_secret_settings(settings)
    words = [f"{name}={value[:MAX_VALUE]}" for name, value in sorted(masked.items())]
    more = [f"and {len(words) - MAX_ROWS} more"] if len(words) > MAX_ROWS else []
    return " ".join([*words[:MAX_ROWS], *more]) or "no settings"


def _short(rows: Mapping[str, str]) -> dict[str, str]:
    """Rows of one line each: a stranger's words must not look like ours."""
    return {name: plain_line(value)[: MAX_VALUE * MAX_ROWS] for name, value in rows.items()}
