"""`python -m harness`, the same as `harness`."""

import sys
from os import path  # Python has it loaded already; a `pathlib.py` may lie in the current folder

# Python puts the current folder first: a `typer.py` that lies there is none of ours. A checkout stays.
_CHECKOUT = path.dirname(path.dirname(__file__))  # noqa: PTH120
if not sys.flags.safe_path and not path.samefile(sys.path[0] or ".", _CHECKOUT):  # noqa: PTH121
    del sys.path[0]

from harness.cli import main  # noqa: E402

main()
