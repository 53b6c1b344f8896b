"""Processes: a call in one of its own, and all those of one attempt.

The processes of an attempt carry a mark in their environment, so that none outlives it, whatever session it
is in: torchrun puts its workers into sessions of their own, where a signal to the process group does not
reach them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import psutil

from harness.errors import HarnessError

MARK = "HARNESS_ATTEMPT"  # set to the attempt's folder, # and a number for each start
Words = ParamSpec("Words")
Result = TypeVar("Result")


def in_own_process(function: Callable[Words, Result], *args: Words.args, **kwargs: Words.kwargs) -> Result:
    """Call a function in a process of its own, so that what it imports and reads is gone with it.

    function, arguments and result travel pickled, and so does an error, which is raised here.
    """
    import multiprocessing
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

    sys.stdout.flush()
    sys.stderr.flush()
    # A fork needs 0.02 s and has everything loaded; a fresh process imports it again, 0.3 s.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(function, *args, **kwargs).result()
    except BrokenExecutor as error:
        raise HarnessError(
            "a process that checks the run was killed",
            "the system may have run out of memory; close other programs",
        ) from error


def members(mark: str) -> list[int]:
    """Return the running processes that carry a mark, or one that begins with it and `#`.

    A process that has ended and that nobody has waited for (a zombie) shows no environment, so it is none.
    """
    pids: list[int] = []
    if not mark:
        return pids
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # it has just ended, or is somebody else's
            value = process.environ().get(MARK, "")
            if process.pid != os.getpid() and (value == mark or value.startswith(f"{mark}#")):
                pids.append(process.pid)
    return pids


def resident_bytes(pids: Sequence[int]) -> int | None:
    """Return the memory that processes hold, shared pages counted once for each; None when all have ended."""
    sizes = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):  # it has just ended
            sizes.append(psutil.Process(pid).memory_info().rss)
    return sum(sizes) if sizes else None


def send(pgid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, number)


def end(pgid: int, mark: str, patience: float = 2.0) -> None:
    """Kill a process group and everything that carries its mark, and wait until they are gone."""
    send(pgid, signal.SIGKILL)
    until = time.monotonic() + patience
    while (pids := members(mark)) and time.monotonic() < until:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
