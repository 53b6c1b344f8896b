"""Where the tests find the project and their data, from whatever folder of `tests/` they lie in."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
