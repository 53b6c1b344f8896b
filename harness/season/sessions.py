"""Commands that play a hole right now: each has a session, two files in the hole's folder.

    .session.4711.json     process, start, seeds; at the end the exit code
    .session.4711.lock     locked while that process lives, however it ends

A session lasts from the first attempt of a command to its last one, so that a series of seeds is one. The
system frees the lock of a process that dies, and whoever waits for it wakes up.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import queue
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.documents import read_model
from harness.errors import Exit, HarnessError
from harness.files import write_whole
from harness.records.frozen import AwareDatetime, Frozen, Int, PositiveInt
from harness.records.store import Hole
from harness.season.progress import is_locked
from harness.temporary import lock_path, unlock

READY = "HARNESS_READY_FD"  # the pipe on which a detached command says which hole it plays
_NAME = re.compile(r"\.session\.(\d{1,9})\.json", re.ASCII)
_MAX_BYTES = 100_000


class Session(Frozen):
    """exit_code: of the command; None while it plays, and for ever when it was killed.

    process: tells the process from others of its number, see `identify_process`.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    pid: PositiveInt
    process: str = ""
    started_at: AwareDatetime
    seeds: tuple[Int | None, ...] = ()
    ended_at: AwareDatetime | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class HeldSession:
    """A session and its files."""

    hole: str
    path: Path
    session: Session

    @property
    def lock(self) -> Path:
        return self.path.with_suffix(".lock")

    @property
    def running(self) -> bool:
        """Whether its process plays. A file may come from others: it must name that very process."""
        process = identify_process(self.session.pid)
        return process != "" and process == self.session.process and is_locked(self.lock)


@dataclass
class SessionEnd:
    """What a command that plays reports at its end. exit_code: None stands for an error that is raised."""

    exit_code: int | None = None


@contextlib.contextmanager
def session(hole: Hole, seeds: Sequence[int | None]) -> Iterator[SessionEnd]:
    """Play under a session of this process; its end holds the exit code, also of an error."""
    _remove_ended(hole)
    path = hole.path / f".session.{os.getpid()}.json"
    lock_file = path.with_suffix(".lock")
    process = identify_process(os.getpid())
    running = Session(pid=os.getpid(), process=process, started_at=_now(), seeds=tuple(seeds))
    end = SessionEnd()
    lock: int | None = None
    try:
        lock_file.touch()
        lock = lock_path(lock_file)
        _write(path, running)
    except (OSError, HarnessError):  # a folder that cannot be written says so when the attempt is made
        unlock(lock)
        yield end
        return
    _report_ready(hole)
    try:
        yield end
    except HarnessError as error:
        end.exit_code = int(error.exit_code)
        raise
    except KeyboardInterrupt:
        end.exit_code = int(Exit.INTERRUPTED)
        raise
    finally:
        code = int(Exit.INTERNAL) if end.exit_code is None else end.exit_code
        with contextlib.suppress(OSError, HarnessError):
            _write(path, running.model_copy(update={"ended_at": _now(), "exit_code": code}))
        unlock(lock)


def identify_process(pid: int) -> str:
    """Return what tells a process from all others: this start of the machine, and its own.

    Empty where there is none of that number, or where it belongs to another user.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if hasattr(os, "getuid") and process.uids().real != os.getuid():
            return ""
        if sys.platform != "linux":
            return f"{process.create_time():.0f}"
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return f"{boot} {stat.rpartition(')')[2].split()[19]}"  # in ticks since then: no clock is asked
    except (psutil.Error, OSError, OverflowError, ValueError, IndexError):
        return ""


def find_sessions(hole: Hole) -> list[HeldSession]:
    """Return the sessions of a hole, the oldest first: those that play, and those that ended last."""
    found = []
    with contextlib.suppress(OSError):
        for path in hole.path.iterdir():
            if _NAME.fullmatch(path.name):
                with contextlib.suppress(HarnessError):
                    one = read_model(Session, path, _MAX_BYTES)
                    found.append(HeldSession(hole.name.folder, path, one))
    return sorted(found, key=lambda one: one.session.started_at)


def running_sessions(hole: Hole) -> list[HeldSession]:
    return [one for one in find_sessions(hole) if one.running]


def wait_for_end(sessions: Sequence[HeldSession]) -> HeldSession:
    """Return the first of these sessions that ends, as it ended. Sleeps until the system frees its lock."""
    ends: queue.Queue[HeldSession] = queue.Queue()
    for one in sessions:
        threading.Thread(target=_wait, args=(one, ends), daemon=True).start()
    first = ends.get()
    with contextlib.suppress(HarnessError):  # of a hole that was removed meanwhile
        return HeldSession(first.hole, first.path, read_model(Session, first.path, _MAX_BYTES))
    return first


def _wait(one: HeldSession, ends: queue.Queue[HeldSession]) -> None:
    import fcntl  # whoever runs has a lock, so the system knows them

    with contextlib.suppress(OSError), one.lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    ends.put(one)


def _report_ready(hole: Hole) -> None:
    """Tell whoever started this command in the background which hole it plays."""
    number = os.environ.pop(READY, "")
    if number.isdecimal():
        with contextlib.suppress(OSError), os.fdopen(int(number), "w") as pipe:
            pipe.write(f"{hole.name.folder}\n")


def _remove_ended(hole: Hole) -> None:
    for one in find_sessions(hole):
        if not one.running:
            for path in hole.path.glob(f"{one.path.stem}.*"):
                path.unlink(missing_ok=True)


def _write(path: Path, one: Session) -> None:
    write_whole(path, (one.model_dump_json(by_alias=True, indent=2) + "\n").encode())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
