"""Processes: a call in one of its own, and those of one attempt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest

from harness.errors import Exit, HarnessError, UsageError
from harness.run import processes
from tests.waiting import wait_for


def refuse(name: str) -> None:
    raise UsageError(f"{name} is not known", "use another")


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_call_elsewhere_gives_its_result_and_leaves_nothing_here():
    assert processes.in_own_process(divmod, 7, 2) == (3, 1)
    assert processes.in_own_process(os.getpid) != os.getpid()


def test_an_error_elsewhere_is_raised_here_with_its_hint():
    with pytest.raises(UsageError) as refused:
        processes.in_own_process(refuse, "mpi")

    assert (refused.value.message, refused.value.hint) == ("mpi is not known", "use another")
    assert refused.value.exit_code == Exit.USAGE


def test_a_killed_process_is_an_error_that_says_so():
    with pytest.raises(HarnessError, match="was killed"):
        processes.in_own_process(kill_oneself)


@pytest.fixture
def sleeper():
    """A process of another session with a mark of its own."""
    mark = f"/somewhere/{uuid.uuid4().hex}"
    words = (sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)")
    env = os.environ | {processes.MARK: f"{mark}#1"}
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield mark, process
    process.kill()
    process.communicate()


def test_marked_processes_are_found_and_ended(sleeper):
    mark, process = sleeper

    assert processes.members(mark) == [process.pid]
    assert processes.members(mark[:-1]) == []
    assert processes.members("") == []
    processes.end(process.pid, mark)
    wait_for(lambda: process.poll() is not None, "its end")
    assert processes.members(mark) == []


def test_memory_is_that_of_the_processes(sleeper):
    _, process = sleeper
    one = processes.resident_bytes([process.pid])

    assert one is not None
    assert 1e6 < one < 1e9
    assert processes.resident_bytes([process.pid, os.getpid()]) > one
    assert processes.resident_bytes([]) is None
    assert processes.resident_bytes([2**30]) is None
