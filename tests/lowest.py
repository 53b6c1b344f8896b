"""Print the lowest version that pyproject.toml allows of each package, as constraints for pip.

    python tests/lowest.py > FILE      (`make lowest` does it and runs the fast suite with them)

What constraints.txt pins is left out: that version is the only one.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BOUND = re.compile(r"([A-Za-z0-9_.-]+)>=([\d.]+)")


def lowest() -> dict[str, str]:
    """Return package -> lowest version, of what a user or a contributor installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    bounds = [_BOUND.fullmatch(text) for text in wanted]
    return {match[1]: match[2] for match in bounds if match and match[1] not in pinned}


if __name__ == "__main__":
    for name, version in lowest().items():
        print(f"{name}=={version}")
