"""The tool: plan, run, record, compare, publish. Start reading at `harness.cli`.

`harness.api` is what other programs import, under the names below; docs/python.md explains it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported: a `typing.py` may lie in the current folder
if TYPE_CHECKING:  # pydantic and the rest wait until a name is used
    from harness.api import DifferenceData as DifferenceData
    from harness.api import HarnessError as HarnessError
    from harness.api import HoleData as HoleData
    from harness.api import PairData as PairData
    from harness.api import Season as Season
    from harness.api import load_season as load_season

__version__ = "0.1.0"
JSON_SCHEMA = 2  # of every object that --json prints, and of holes.json: docs/schema.md
_API = ("DifferenceData", "HarnessError", "HoleData", "PairData", "Season", "load_season")


def __getattr__(name: str) -> object:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("harness.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
