"""Plays a command of the harness in copies of a folder, and ends it at each change that it makes there.

    python -m tests.harness.killed_commands START COPIES WORD...

START has the season `runs`. COPIES gets a folder `whole`, where the command came to its end; `killed/1` to
the last, one for each change of the file system: there the process was ended before it, as kill -9 does; and
`again/1` to the last, where the command was played once more. Each is a fork, so that Python's imports are
done once.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym")


def play(folder: Path, words: list[str], last: int) -> int:
    """Play the command in a fork, up to change `last` where there is one; return how many changes it made."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _end_at_change(last, writing)
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        sys.argv = ["harness", *words, "--runs", "runs"]
        importlib.import_module("harness.cli.app").main()
        raise AssertionError("main ends the process")
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 (a number, no path)
        seen = len(pipe.read())
    _, status = os.waitpid(child, 0)
    assert last == 0 or os.WIFSIGNALED(status)
    return seen


def _end_at_change(last: int, pipe: int) -> None:
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        is_written = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wxa"
        if event in CHANGES or is_written:
            seen += 1
            os.write(pipe, b".")
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main() -> None:
    start, copies, words = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    for name in ("commands", "app"):
        importlib.import_module(f"harness.cli.{name}")
    for name in (
        "harness.field.importing",
        "harness.run.bundle.pull",
        "harness.records.leftovers",
        "filelock",
    ):
        importlib.import_module(name)
    shutil.copytree(start, copies / "whole")
    for change in range(1, play(copies / "whole", words, 0) + 1):
        killed, again = (copies / name / str(change) for name in ("killed", "again"))
        shutil.copytree(start, killed)
        play(killed, words, change)
        shutil.copytree(killed, again)
        play(again, words, 0)


if __name__ == "__main__":
    main()
