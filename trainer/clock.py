"""Time and signals of a run: a training clock that pauses, and a stop that waits for the step's end."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import torch


class Clock:
    """Training time in milliseconds; evaluation and checkpoints do not count."""

    def __init__(self, device: torch.device, train_ms: float) -> None:
        self._device, self._before = device, train_ms
        self.start()

    def start(self) -> None:
        self._sync()
        self._began = time.perf_counter()

    def now(self) -> float:
        return self._before + (time.perf_counter() - self._began) * 1000

    def pause(self) -> float:
        self._sync()
        self._before = self.now()
        self._began = time.perf_counter()
        return self._before

    def _sync(self) -> None:
        if self._device.type == "cuda":
            # Kernels run behind the Python code: without waiting, the next part would be charged.
            torch.cuda.synchronize(self._device)


class Stop:
    """Whether the user has asked the run to end."""

    requested = False


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Let SIGTERM and SIGINT end the run after its step, with a checkpoint, not in the middle of one."""
    stop = Stop()

    def request(signum: int, frame: object) -> None:
        stop.requested = True

    try:
        # A shell, a scheduler and Ctrl-C send these; against SIGKILL there are checkpoints.
        before = {number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
