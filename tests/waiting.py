"""Waits for what a test needs, not for a time: on a busy machine everything takes longer."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.02
PATIENCE_SECONDS = (
    240  # a limit for what never happens; below that of a test, so that this one says what was awaited
)


def wait_for(happened: Callable[[], object], what: str = "it") -> None:
    """Return as soon as something has happened. Fails when it does not."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < until, f"{what} has not happened in {PATIENCE_SECONDS} s"
        time.sleep(POLL_SECONDS)
