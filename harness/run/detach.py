"""A command in the background: it survives its terminal, and says which hole it plays before we leave it.

The same command is started anew in a session of its own, with its output in files. It checks everything as
ever; the hole's name comes through a pipe once it begins to play, and an error before that is passed on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.season.sessions import READY


@dataclass(frozen=True)
class Detached:
    """A command that plays in the background. log: its messages; result: what it prints at its end."""

    hole: str
    pid: int
    log: Path
    result: Path


@dataclass(frozen=True)
class Refused:
    """A command that ended before it played."""

    exit_code: int
    output: str
    messages: str


def detach(command: Sequence[str], runs: Path) -> Detached | Refused:
    """Start a command in the background and return once it plays, or has ended without.

    The files of its output lie in the hole's folder, beside those of its session.
    """
    here = runs if runs.is_dir() else runs.absolute().parent
    folder = Path(tempfile.mkdtemp(prefix=".detached-", dir=here))  # on one disk, so that files can be moved
    try:
        read_end, write_end = os.pipe()
        with (folder / "log").open("wb") as log, (folder / "result").open("wb") as result:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=log,
                start_new_session=True,
                pass_fds=(write_end,),
                env={**os.environ, READY: str(write_end)},
            )
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            hole = pipe.readline().strip()
        if not hole:
            code = child.wait()
            texts = ((folder / name).read_text(errors="replace") for name in ("result", "log"))
            return Refused(code if code >= 0 else 128 - code, *texts)
        places = [
            (folder / name).rename(runs / hole / f".session.{child.pid}.{name}") for name in ("log", "result")
        ]
        return Detached(hole, child.pid, *places)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def same_command(without: str) -> list[str]:
    """Return the command line of this process without one of its options; what follows `--` stays."""
    words = [sys.executable, *sys.orig_argv[1:]]
    end = words.index("--") if "--" in words else len(words)
    return [word for at, word in enumerate(words) if at >= end or word != without]
