"""Starts the built-in trainer, or torchrun for it, with an import path that no folder of the user's leads.

    python -P start_module.py MODULE WORDS...

HARNESS_IMPORT_FIRST in the environment: the folder in which the package `trainer` lies. HARNESS_IMPORT_LAST:
what PYTHONPATH named, looked in when Python's own folders have no such module: so a torch from there is
found, and a `json.py` that lies there hides nothing. Imports nothing of the harness.
"""

import os
import runpy
import sys
import traceback
from types import TracebackType


def main() -> None:
    sys.path[:0] = filter(None, [os.environ.get("HARNESS_IMPORT_FIRST")])
    sys.path += filter(None, os.environ.get("HARNESS_IMPORT_LAST", "").split(os.pathsep))
    module = sys.argv[1]
    del sys.argv[0]
    sys.excepthook = _print_error
    if module.endswith(".py"):
        runpy.run_path(module, run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback that begins in the module: a log's last lines have better use than for ours."""
    own = (__file__, runpy.__file__, "<frozen runpy>")
    while trace is not None and trace.tb_frame.f_code.co_filename in own:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


if __name__ == "__main__":
    main()
