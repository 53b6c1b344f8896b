"""Runs one command to its end: its output goes to a file untouched, and line by line to a callback.

The child writes straight into the log file, and we read along. So nothing it printed can be lost with us: if
the harness is killed, the log stays whole, and a watchdog (`harness.run.watchdog`) asks the child to stop,
which the built-in trainer does with a checkpoint.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import open_plain
from harness.records.failures import FailureKind
from harness.run import processes
from harness.run.command import Command

POLL_SECONDS = 0.05
GRACE_SECONDS = 30.0  # between asking a child to stop and killing it: a step and a checkpoint fit in
MAX_LINE_BYTES = 64 * 1024  # a callback never gets more of one line; the log keeps it all
_PR_SET_PDEATHSIG = 1
_WATCHDOG = Path(__file__).with_name("watchdog.py")


@dataclass(frozen=True)
class StopReason:
    """Why the harness stopped a child. kind: a failure's kind, as in a record."""

    kind: FailureKind
    message: str


@dataclass(frozen=True)
class ProcessEnd:
    """How a process ended. exit_code is negative for a signal, as in `subprocess`."""

    exit_code: int
    wall_seconds: float
    interrupted: bool = False
    stop: StopReason | None = None  # a rule that ended it
    after_harness: bool = False  # the harness was gone before the process was, so the exit code is not known

    @property
    def timed_out(self) -> bool:
        return self.stop is not None and self.stop.kind == "timeout"


@dataclass(frozen=True)
class RunCallbacks:
    """What is called while an attempt is played. An OSError of theirs never ends the run.

    on_idle and stop_reason are called several times a second; stop_reason says why the child must stop, if it
    must.
    """

    on_line: Callable[[str], None] = lambda line: None
    on_idle: Callable[[], None] = lambda: None
    stop_reason: Callable[[], StopReason | None] = lambda: None


def run_captured(
    command: Command,
    log: Path,
    callbacks: RunCallbacks,
    stop_signal: signal.Signals = signal.SIGTERM,
    outlives: bool = False,
) -> ProcessEnd:
    """Start a command, append all it prints to `log`, call the callbacks, wait for its end.

    Ctrl-C once asks the child to stop and waits for it; a second one kills it with all it has started. A
    closed terminal is no reason to stop.
    stop_signal: what asks it to stop. outlives: let the child go on when the harness is killed.
    Raises HarnessError when the command cannot be started or the log cannot be written.
    """
    mark = f"{command.env.get(processes.MARK, 'run')}#{uuid.uuid4().hex[:12]}"
    watched = sys.platform == "linux" and not outlives
    try:
        with open_plain(log, "ab") as sink:
            start = sink.tell()
            child = subprocess.Popen(
                command.argv,
                env=command.env | {processes.MARK: mark},
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if watched else None,
            )
    except OSError as error:
        raise HarnessError(f"cannot start {command.argv[0]}: {error.strerror or error}") from error

    began = time.monotonic()
    interrupts = 0
    stop: StopReason | None = None
    kill_at: float | None = None
    with open_plain(log) as source, _guarded(child.pid, mark, outlives), _ctrl_c() as pressed:
        source.seek(start)
        lines = _Lines(callbacks.on_line)
        while True:
            # Looked at before reading, so that the last lines are not missed.
            ended = child.poll() is not None
            lines.feed(source.read())
            if ended:
                break
            if stop is None and (stop := callbacks.stop_reason()):
                kill_at = time.monotonic() + GRACE_SECONDS
                processes.send(child.pid, stop_signal)
            if pressed.count > interrupts:
                interrupts = pressed.count
                processes.send(child.pid, stop_signal if interrupts == 1 else signal.SIGKILL)
            if kill_at is not None and time.monotonic() > kill_at:
                processes.send(child.pid, signal.SIGKILL)
            with contextlib.suppress(OSError):  # the terminal is gone; the run is not
                callbacks.on_idle()
            time.sleep(POLL_SECONDS)
        lines.close()
        processes.end(child.pid, mark)  # whatever it left running
    return ProcessEnd(child.returncode, time.monotonic() - began, interrupts > 0, stop)


@contextlib.contextmanager
def _guarded(pgid: int, mark: str, outlives: bool) -> Iterator[None]:
    """Run a watchdog next to the child: when we are killed, it ends what we have started."""
    if outlives:
        yield
        return
    paths = os.pathsep.join(filter(None, sys.path))
    guard = subprocess.Popen(
        (sys.executable, "-I", "-S", str(_WATCHDOG), str(pgid), mark, str(GRACE_SECONDS), paths),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            guard.communicate(b".")


class _Lines:
    """Cuts a byte stream into lines; a line's tail beyond the limit is dropped for the callback."""

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
        text = line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r")
        with contextlib.suppress(OSError):  # the terminal is gone; the run is not
            self._on_line(text)


class _Interrupts:
    count = 0


@contextlib.contextmanager
def _ctrl_c() -> Iterator[_Interrupts]:
    """Count interrupts instead of raising, so that a record can still be written."""
    interrupts = _Interrupts()

    def press(signum: int, frame: object) -> None:
        interrupts.count += 1

    handlers: dict[signal.Signals, Any] = {signal.SIGINT: press, signal.SIGTERM: press}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = signal.SIG_IGN
    try:
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    except ValueError:  # not the main thread: the caller decides
        yield interrupts
        return
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_with_parent() -> None:
    """Ask Linux to send the child SIGTERM when the harness dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
