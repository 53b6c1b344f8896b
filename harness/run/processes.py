"""All processes of one attempt: a mark in their environment, so that none outlives it, whatever session it is in.

torchrun puts its workers into sessions of their own, where a signal to the process group does not reach them. Where
the system has no /proc, the process group is all that is known.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "HARNESS_ATTEMPT"  # set to the attempt's folder, # and a number for each start


def members(mark: str) -> list[int]:
    """Return the running processes that carry a mark, or one that begins with it and `#`. Empty without /proc.

    A process that has ended and that nobody has asked about (a zombie) shows no environment, so it is none.
    """
    found: list[int] = []
    if not mark:
        return found
    wanted = f"{MARK}={mark}".encode()
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    words = Path("/proc", entry.name, "environ").read_bytes().split(b"\0")
                    if any(word == wanted or word.startswith(wanted + b"#") for word in words):
                        found.append(int(entry.name))
    return found


def is_alive(pgid: int, mark: str) -> bool:
    """Whether anything of a process group, or with its mark, still runs."""
    if Path("/proc/self/environ").exists():
        return bool(members(mark))
    try:
        os.killpg(pgid, 0)
    except OSError:
        return False
    return True


def send(pgid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, number)


def end(pgid: int, mark: str, patience: float = 2.0) -> None:
    """Kill a process group and everything that carries its mark, and wait until they are gone."""
    send(pgid, signal.SIGKILL)
    until = time.monotonic() + patience
    while (left := members(mark)) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
