"""Seasons as folders: one of one's own is begun, and the one that a command means is found.

DIR/runs/              the holes, with field.toml
DIR/theme/             the club's own words
DIR/README.md, .gitignore, .github/workflows/publish.yml
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.errors import HarnessError
from harness.files import PACKAGE, data_path, write_error, write_whole
from harness.records.store import hole_names
from harness.scripts.git import run_git

EXAMPLE = "EXAMPLE.md"  # lies in the season that ships with the harness

# Where each file of a new season goes, by its name among those that ship with the package.
_FILES = {
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "field.toml": "runs/field.toml",
    "theme/copy/club.toml": "theme/copy/club.toml",
    "publish.yml": ".github/workflows/publish.yml",
}
_SET_SOURCE = """
The workflow does not know where pip finds the harness: set the repository variable `HARNESS` (Settings,
Variables, Actions) to what `pip install` shall take, such as `git+https://github.com/NAME/REPOSITORY`.
"""


def init_season(folder: Path, title: str = "") -> list[Path]:
    """Begin a season in a folder, which may be there and hold other files. Return the files written.

    Raises HarnessError, and writes nothing, when one of its files is there already.
    """
    if folder.exists() and not folder.is_dir():
        raise HarnessError(f"{folder} is a file, not a folder", "name a new folder")
    title = " ".join(title.split()) or _title_of(folder)
    there = [name for name in _FILES.values() if os.path.lexists(folder / name)]
    if there:
        raise HarnessError(
            f"{folder} holds {there[0]} already", "name a new folder, or move that file away first"
        )
    source = _pip_source()
    words = {"{title}": title, "{source}": source, "{install}": "" if source else _SET_SOURCE}
    written = []
    for name, place in _FILES.items():
        text = data_path("season", name).read_text(encoding="utf-8")
        for key, value in words.items():
            text = text.replace(key, _quoted(value) if name.endswith(".toml") else value)
        path = folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        write_whole(path, (text.rstrip() + "\n").encode())
        written.append(path)
    return written


def find_season(here: Path) -> Path:
    """Return the season that a command means where none is named: `runs` here, else in a folder above.

    Above, only a folder that holds a season counts, since others keep a `runs` as well. The path is relative
    to `here`; `runs` where there is none.
    """
    if (here / "runs").is_dir():
        return Path("runs")
    here = here.absolute()
    for folder in here.parents:
        if is_season(folder / "runs"):
            return Path(os.path.relpath(folder / "runs", here))
    return Path("runs")


def is_season(runs: Path) -> bool:
    """Whether a folder holds a season: a hole, or scores to be compared with."""
    try:
        return (runs / "field.toml").is_file() or bool(hole_names(runs))
    except OSError:
        return False


def is_example(runs: Path) -> bool:
    """Whether this is the season that ships with the harness."""
    return (runs / EXAMPLE).is_file()


def _title_of(folder: Path) -> str:
    words = re.sub(r"[^\w]+|_", " ", folder.absolute().name).split()
    return " ".join(word[:1].upper() + word[1:] for word in words) or "My Season"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _pip_source() -> str:
    """Return what pip installs to get this harness: its public repository and commit, or "" for unknown."""
    top = (run_git(PACKAGE, "rev-parse", "--show-toplevel") or "").strip()
    if not top or Path(top).resolve() != PACKAGE.parent:
        return ""  # it was installed into an environment that lies in somebody's repository
    address = (run_git(PACKAGE, "remote", "get-url", "origin") or "").strip()
    commit = (run_git(PACKAGE, "rev-parse", "HEAD") or "").strip()
    match = re.fullmatch(
        r"(?:https://(?:[^@/]+@)?|git@|ssh://git@)(github\.com|gitlab\.com|codeberg\.org)[:/]([\w./-]+?)(?:\.git)?/?",
        address,
    )
    if match is None or not re.fullmatch(r"[0-9a-f]{40}", commit):
        return ""
    return f"parameter-golf-harness @ git+https://{match[1]}/{match[2]}@{commit}"
