"""Finds what ships beside the code: `templates/`, `site/` and the data files of `harness/data`.

In a checkout they lie at the top of the repository; in an installed wheel under `harness/_share`
(see `force-include` in pyproject.toml). Nothing else may know that.
"""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shared_dir(name: str) -> Path:
    """Return the folder `templates` or `site`, wherever this installation keeps it.

    Raises FileNotFoundError when the installation is incomplete.
    """
    for candidate in (PACKAGE / "_share" / name, PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}/ is missing from this installation of harness")


def data_path(*parts: str) -> Path:
    """Return the path of a data file that ships inside the package."""
    return PACKAGE.joinpath("data", *parts)


def cache_dir() -> Path | None:
    """Return the folder for what can be made again: `$HARNESS_CACHE`, else the XDG cache; None without a home."""
    own, xdg = os.environ.get("HARNESS_CACHE"), Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        if own:
            return Path(own).expanduser().absolute()
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "parameter-golf"
    except RuntimeError:
        return None
