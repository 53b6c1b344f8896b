"""Runs one command to its end: its output goes to a file untouched, and its lines to a callback.

The child writes straight into the log file, and we read along. So nothing it printed can be lost with us: if
the harness is killed, the log stays whole, and a watchdog (`harness.run.watchdog`) asks the child to stop,
which the built-in trainer does with a checkpoint.

However fast it prints, we read a bounded piece at a time and look at the clock in between. A log that is
ahead of us when the child ends is left at its last lines: a record is made from the file, not from what the
callback got.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import HarnessError
from harness.files import open_plain, write_error
from harness.records.failures import FailureKind
from harness.run import processes
from harness.run.command import Command

POLL_SECONDS = 0.05
GRACE_SECONDS = 30.0  # between asking a child to stop and killing it: a step and a checkpoint fit in
MAX_LINE_BYTES = 64 * 1024  # a callback never gets more of one line; the log keeps it all
_LEAST_FREE_BYTES = 64 * 1024  # with less a disk counts as full
_PIECE_BYTES = 64 * 1024
_READ_SECONDS = 0.25  # of reading between two looks at the clock; a piece takes a fraction of it
_REST_SECONDS = 2.0  # of reading on when the child has ended
_LAST_BYTES = 256 * 1024  # that are read in any case
_PR_SET_PDEATHSIG = 1
_WATCHDOG = Path(__file__).with_name("watchdog.py")


class NotStarted(HarnessError):
    """The child was not started, so that nothing of its attempt is there."""


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
    disk_full: bool = False  # nothing could be written any more when it ended

    @property
    def timed_out(self) -> bool:
        return self.stop is not None and self.stop.kind == "timeout"


@dataclass(frozen=True)
class RunCallbacks:
    """What is called while an attempt is played. An OSError of theirs never ends the run.

    on_lines gets the lines that were completed since the last call, none of an unfinished one. on_idle and
    stop_reason are called several times a second; stop_reason says why the child must stop, if it must.
    """

    on_lines: Callable[[list[str]], None] = lambda lines: None
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
    Raises NotStarted when the command cannot be started or the log cannot be written.
    """
    mark = f"{command.env.get(processes.MARK, 'run')}#{uuid.uuid4().hex[:12]}"
    watched = sys.platform == "linux" and not outlives
    try:
        sink = open_plain(log, "ab")
    except OSError as error:
        written = write_error(log, error)
        raise NotStarted(written.message, written.hint) from error
    try:
        with sink:
            source = open_plain(log)
            source.seek(sink.tell())
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
        raise NotStarted(f"cannot start {command.argv[0]}: {error.strerror or error}") from error

    began = time.monotonic()
    interrupts = 0
    stop: StopReason | None = None
    kill_at: float | None = None
    with source, _guarded(child.pid, mark, outlives), _ctrl_c() as pressed:
        lines = _Lines(source, callbacks.on_lines)
        while True:
            # Looked at before reading, so that the last lines are not missed.
            ended = child.poll() is not None
            at_end = lines.read_on(_READ_SECONDS)
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
            if at_end:
                time.sleep(POLL_SECONDS)
        processes.end(child.pid, mark)  # whatever it left running
        lines.close()
        _bring_back(source, log)
        disk_full = _is_full(source)
    return ProcessEnd(child.returncode, time.monotonic() - began, interrupts > 0, stop, disk_full=disk_full)


def _bring_back(source: BinaryIO, log: Path) -> None:
    """Write a log again that the child has removed or replaced; we hold what it printed open.

    Without room for it the log stays away: a record is made all the same.
    """
    with contextlib.suppress(OSError):
        if os.path.samestat(log.lstat(), os.fstat(source.fileno())):
            return
    beside = log.with_name(f".{log.name}.{os.getpid()}.tmp")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        source.seek(0)
        with open_plain(beside, "wb") as copy:
            shutil.copyfileobj(source, copy)
        if log.is_dir() and not log.is_symlink():
            log.rename(log.with_name(f"{log.name}.{os.getpid()}.folder"))
        beside.replace(log)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _is_full(source: BinaryIO) -> bool:
    """Whether the disk of a log has no room for another block."""
    if not hasattr(os, "fstatvfs"):
        return False
    with contextlib.suppress(OSError):
        disk = os.fstatvfs(source.fileno())
        return disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES
    return False


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
    """Reads a growing log and cuts it into lines; a line's tail beyond the limit is dropped."""

    def __init__(self, source: BinaryIO, on_lines: Callable[[list[str]], None]) -> None:
        self._source, self._on_lines = source, on_lines
        self._rest = b""

    def read_on(self, seconds: float) -> bool:
        """Read what is there, for some seconds at most. Returns whether the end was reached."""
        until = time.monotonic() + seconds
        while piece := self._source.read(_PIECE_BYTES):
            *whole, self._rest = (self._rest + piece).split(b"\n")
            self._rest = self._rest[:MAX_LINE_BYTES]
            self._emit(whole)
            if time.monotonic() > until:
                return False
        return True

    def close(self) -> None:
        """Read the rest of the log of a child that has ended; of very much the last lines."""
        if not self.read_on(_REST_SECONDS):
            at = self._source.tell()
            self._source.seek(max(at, self._source.seek(0, os.SEEK_END) - _LAST_BYTES))
            if self._source.tell() > at:
                self._rest = b""
                self._source.readline(_LAST_BYTES)  # cut in the middle
            self.read_on(_REST_SECONDS)
        if self._rest:
            self._emit([self._rest])

    def _emit(self, lines: list[bytes]) -> None:
        texts = [line[:MAX_LINE_BYTES].decode("utf-8", errors="replace").rstrip("\r") for line in lines]
        with contextlib.suppress(OSError):  # the terminal is gone; the run is not
            self._on_lines(texts)


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
