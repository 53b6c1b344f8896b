"""Shares a long list of small tasks among the machine's cores, by forking. Pure plumbing.

A fork starts in a millisecond with everything that is loaded, where a pool of fresh processes would import it
all again. Where there is no fork, or one core, the work is done here.
"""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(work: Callable[[Sequence[Task]], Result], tasks: Sequence[Task], fewest: int = 1) -> list[Result]:
    """Call `work` on stretches of `tasks`, one a core, and return what each gave, in order.

    fewest: tasks that make another process worth its while. An error of a child is raised here as a RuntimeError
    with its traceback, unless it can be sent over as it is. An error here ends the children.
    """
    alone = sys.platform != "linux" or threading.active_count() > 1  # a fork takes along locks, but no thread
    count = 1 if alone else min(cores(), len(tasks) // max(fewest, 1))
    if count < 2:
        return [work(tasks)]
    edges = [len(tasks) * n // count for n in range(count + 1)]
    parts = [tasks[a:b] for a, b in itertools.pairwise(edges)]
    sys.stdout.flush()
    sys.stderr.flush()
    children = [_start(work, part) for part in parts[1:]]
    try:
        first = work(parts[0])
    except BaseException:
        for pid, pipe in children:
            os.kill(pid, signal.SIGKILL)
            os.close(pipe)
            os.waitpid(pid, 0)
        raise
    answers = [_collect(pid, pipe) for pid, pipe in children]  # all of them, so that none is left behind
    for good, answer in answers:
        if not good:
            raise answer
    return [first, *(answer for _, answer in answers)]


def aside(work: Callable[[Task], Result], task: Task) -> Result:
    """Call `work` in a process of its own, so that what it imports is gone with it; here where there is no fork."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return work(task)
    sys.stdout.flush()
    sys.stderr.flush()
    good, answer = _collect(*_start(lambda tasks: work(tasks[0]), [task]))
    if not good:
        raise answer
    return answer  # type: ignore[no-any-return]


def _start(work: Callable[[Sequence[Task]], Result], part: Sequence[Task]) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:  # the child: it answers through the pipe and must never return
        os.close(reading)
        try:
            answer: object = (True, work(part))
            sent = pickle.dumps(answer)
        except BaseException as error:
            sent = _packed(error)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(sent)
        code = 0
    finally:
        os._exit(code)


def _packed(error: BaseException) -> bytes:
    try:
        sent = pickle.dumps((False, error))
        pickle.loads(sent)  # an error that needs more than its message cannot be put together again
        return sent
    except Exception:
        import traceback

        told = "".join(traceback.format_exception(error))
        return pickle.dumps((False, RuntimeError(f"in a worker process: {told}")))


def _collect(pid: int, reading: int) -> tuple[bool, Any]:
    with os.fdopen(reading, "rb") as pipe:
        sent = pipe.read()
    os.waitpid(pid, 0)
    if not sent:
        return False, RuntimeError("a worker process was killed")
    good, answer = pickle.loads(sent)
    return good, answer
