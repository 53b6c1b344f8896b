"""Runs one command to its end: its output goes to a file untouched, and line by line to a listener.

The child writes straight into the log file, and we read along. So nothing it printed can be lost
with us: if the harness is killed, the log stays whole, and on Linux the child is asked to stop, which
the built-in trainer does with a checkpoint.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.launch import Command

POLL_SECONDS = 0.05
GRACE_SECONDS = 30.0  # between asking a child to stop and killing it: a step and a checkpoint fit in
MAX_LINE_BYTES = 64 * 1024  # a listener never gets more of one line; the log keeps it all
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Outcome:
    """How a process ended. exit_code is negative for a signal, as in `subprocess`."""

    exit_code: int
    wall_seconds: float
    interrupted: bool = False
    timed_out: bool = False


def run_captured(
    command: Command,
    log: Path,
    on_line: Callable[[str], None],
    on_idle: Callable[[], None] = lambda: None,
    timeout: float | None = None,
) -> Outcome:
    """Start a command, append all it prints to `log`, call `on_line` per line, wait for its end.

    Ctrl-C once asks the child to stop and waits for it; a second one kills its whole process group.
    timeout: seconds after which it is asked to stop, then killed.
    Raises HarnessError when the command cannot be started or the log cannot be written.
    """
    try:
        with log.open("ab") as sink:
            start = sink.tell()
            child = subprocess.Popen(
                command.argv, env=command.env, cwd=command.cwd, stdin=subprocess.DEVNULL,
                stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )  # fmt: skip
    except OSError as error:
        raise HarnessError(f"cannot start {command.argv[0]}: {error.strerror or error}") from error

    began = time.monotonic()
    interrupts = 0
    timed_out = False
    kill_at: float | None = None
    with log.open("rb") as source, _ctrl_c() as pressed:
        source.seek(start)
        lines = _Lines(on_line)
        while True:
            ended = child.poll() is not None  # asked before reading, so that the last lines are not missed
            lines.feed(source.read())
            if ended:
                break
            now = time.monotonic()
            if timeout is not None and not timed_out and now - began > timeout:
                timed_out, kill_at = True, now + GRACE_SECONDS
                _signal_group(child.pid, signal.SIGTERM)
            if pressed.count > interrupts:
                interrupts = pressed.count
                _signal_group(child.pid, signal.SIGTERM if interrupts == 1 else signal.SIGKILL)
            if kill_at is not None and now > kill_at:
                _signal_group(child.pid, signal.SIGKILL)
            on_idle()
            time.sleep(POLL_SECONDS)
        lines.close()
    _signal_group(child.pid, signal.SIGKILL)  # whatever it left running
    return Outcome(child.returncode, time.monotonic() - began, interrupts > 0, timed_out)


class _Lines:
    """Cuts a byte stream into lines; a line's tail beyond the limit is dropped for the listener."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._emit(line)
        self._rest = self._rest[:MAX_LINE_BYTES]

    def close(self) -> None:
        if self._rest:
            self._emit(self._rest)

    def _emit(self, line: bytes) -> None:
        self._on_line(line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r"))


class _Presses:
    count = 0


@contextlib.contextmanager
def _ctrl_c() -> Iterator[_Presses]:
    """Count interrupts instead of raising, so that a record can still be written."""
    presses = _Presses()

    def press(signum: int, frame: object) -> None:
        presses.count += 1

    try:
        before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: the caller decides
        yield presses
        return
    try:
        yield presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _end_with_parent() -> None:
    """Ask Linux to send the child SIGTERM when the harness dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
