"""Processes that share work end with the one that started them, and do not clutter its terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.workers import fork_pool, worker_count
from tests.paths import ROOT

WAIT = """
import os, sys, time
from pathlib import Path
from harness.workers import fork_pool
def wait(_):
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(60)
try:
    with fork_pool(4) as pool:
        list(pool.map(wait, range(3)))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def parent(tmp_path: Path) -> subprocess.Popen[str]:
    """A process with four workers, three of them at work."""
    words = [sys.executable, "-c", WAIT, str(tmp_path)]
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True, text=True, stderr=subprocess.PIPE)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 3)
    return process


def workers_of(tmp_path: Path) -> list[int]:
    pids = [int(path.name) for path in tmp_path.iterdir()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_killed_process_leaves_no_worker(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    assert len(workers_of(tmp_path)) == 3

    parent.kill()
    parent.wait()

    wait_until(lambda: not workers_of(tmp_path))


def test_ctrl_c_ends_all_at_once_without_a_word(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    os.killpg(parent.pid, signal.SIGINT)

    _, errors = parent.communicate(timeout=30)

    assert (parent.returncode, errors) == (130, "")
    assert not workers_of(tmp_path)


def test_work_is_shared_as_far_as_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})

    assert [worker_count(tasks, each=10) for tasks in (0, 19, 20, 29, 1000)] == [1, 1, 2, 2, 3]


def test_process_with_threads_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()

    count = worker_count(1000, each=10)

    end.set()
    thread.join()
    assert count == 1


def test_pool_answers_in_order() -> None:
    with fork_pool(2) as pool:
        assert list(pool.map(abs, [-3, 2, -1])) == [3, 2, 1]
