"""Shares many small tasks among the cores: how many processes, and a pool that leaves none behind.

A fork starts in a millisecond with all that is loaded, where a fresh process would import it all again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded only where a pool is due
    from concurrent.futures import ProcessPoolExecutor


def worker_count(tasks: int, each: int) -> int:
    """Return how many processes share `tasks`; each: how many tasks are needed to start another one.

    1 where there is no fork, or where other threads run: a fork copies their locks, but not the threads.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), tasks // each))


def fork_pool(
    count: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """Return a pool of `count` forks of this process, for a `with` block.

    They end without a word on Ctrl-C, and when this process is killed. initargs are inherited by the fork,
    never sent, so they need not be picklable.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(count, get_context("fork"), _start, (initializer, initargs))


def _start(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the command turns it into Ctrl-C for itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    """End this worker when the process that started it is killed: nothing else would end it."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
