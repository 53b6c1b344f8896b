"""Which file of a submission folder stands for a required one: people name them alike, not the same."""

from __future__ import annotations

import re
from pathlib import Path

from harness.submit.code import SCRIPT

README = "README.md"


def find_like(folder: Path, name: str) -> Path | None:
    """Return what stands for a file: `README.MD`, the script by another name, `submission_x.json`."""
    if name == SCRIPT:
        return find_script(folder)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stem, ending = (re.escape(part) for part in name.rsplit(".", 1)) if "." in name else (re.escape(name), "")
    for pattern in (f"{stem}\\.{ending}", f"{stem}_\\w+\\.{ending}", f"{stem}(\\.(md|txt|rst))?"):
        for path in files:
            if re.fullmatch(pattern, path.name, re.IGNORECASE):
                return path
    return None


def find_script(folder: Path) -> Path | None:
    """Return the script of a submission folder: `train_gpt.py`, else the one that is named most like it."""
    scripts = sorted(path for path in folder.glob("*.[pP][yY]") if path.is_file())
    for pattern in (SCRIPT, f"(?i:{SCRIPT})", r"(?i:train_gpt.*)", r"(?i:train.*)", ".*"):
        named = [path for path in scripts if re.fullmatch(pattern, path.name)]
        if len(named) == 1:
            return named[0]
    return None
