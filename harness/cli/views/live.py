"""What a run looks like while it trains: a moving panel on a terminal, plain lines elsewhere.

Reads the lines of a log; what it keeps is bounded, so a long run costs no more than a short one.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness import figures
from harness.cli import terminal
from harness.field.log_events import ResultLine, StopLine, TrainLine, ValLine
from harness.field.log_parser import LogParser

_BLOCKS = "▁▂▃▄▅▆▇█"
_KEPT = 4096  # losses kept for the sparkline; every second one is dropped when they are full
_WIDTH = 48


class LiveView:
    """Follows one attempt. Use as a context manager around it; feed it lines."""

    def __init__(self, title: str, tokens_per_step: int, console: Console | None = None) -> None:
        self._title = title
        self._tokens_per_step = tokens_per_step
        self._console = console or terminal.console(err=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._parser = LogParser()
        self._losses: list[float] = []
        self._stride, self._skipped = 1, 0
        self._step = self._planned = 0
        self._train_seconds = 0.0
        self._val = ""
        self._recent: deque[str] = deque(maxlen=3)
        self._lines_read = 0
        self._began = self._drawn_at = time.monotonic()

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # the terminal may be gone; the run is not
            if self._console.is_terminal:
                self._live.start()
            else:
                print(f"playing {self._title}", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            with contextlib.suppress(OSError):  # the terminal is gone
                self._live.stop()

    def lines(self, texts: Sequence[str]) -> None:
        """Take in lines of the log, of whatever trainer."""
        events = self._parser.feed("".join(f"{text}\n" for text in texts))
        first, self._lines_read = self._lines_read + 1, self._lines_read + len(texts)
        shown = set()
        for event in events:
            if isinstance(event, TrainLine | ValLine):
                self._step, self._planned = event.step, event.planned
                if event.time_ms is not None:
                    self._train_seconds = event.time_ms / 1000
            if isinstance(event, TrainLine):
                self._keep(event.loss)
            elif isinstance(event, ValLine):
                value = f"val_loss {event.loss:.4f}" if event.bpb is None else f"val_bpb {event.bpb:.4f}"
                self._val = f"{value} at step {event.step:,}"
            if isinstance(event, TrainLine | ValLine | ResultLine | StopLine):
                shown.add(event.line - first)
        for number, text in enumerate(texts):
            if number in shown or text.startswith(("error:", "hint:")):
                self._print(text)
            elif text.strip():
                self._recent.append(text)

    def idle(self) -> None:
        """Draw, at most ten times a second."""
        now = time.monotonic()
        if self._console.is_terminal and now - self._drawn_at > 0.1:
            self._drawn_at = now
            self._live.update(self._picture(), refresh=True)

    def _keep(self, loss: float) -> None:
        self._skipped += 1
        if self._skipped >= self._stride:
            self._skipped = 0
            self._losses.append(loss)
        if len(self._losses) >= _KEPT:
            self._losses = self._losses[::2]
            self._stride *= 2

    def _print(self, text: str) -> None:
        if not self._console.is_terminal:
            print(text, file=sys.stderr, flush=True)

    def _picture(self) -> RenderableType:
        elapsed = figures.duration(time.monotonic() - self._began)
        if not self._step and not self._losses:
            last = self._recent[-1] if self._recent else "starting the trainer"
            return Text.assemble((self._title, "bold"), f"  {elapsed}\n", (last[:100], "dim"))
        share = self._step / self._planned if self._planned else 0.0
        seconds_left = self._train_seconds / share * (1 - share) if share > 0 else None
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._title, style="bold"),
            f"step {self._step:,}/{self._planned:,}",
            ProgressBar(total=1.0, completed=share, width=24),
            f"{elapsed}, {figures.duration(seconds_left)} left" if seconds_left is not None else elapsed,
        )
        rate = self._step * self._tokens_per_step / self._train_seconds if self._train_seconds else 0
        loss = f"loss {self._losses[-1]:.4f}" if self._losses else ""
        facts = [loss, self._val, f"{rate:,.0f} tokens/s" if rate else ""]
        return Group(
            head,
            Text(sparkline(self._losses, _WIDTH), style="green"),
            Text("   ".join(filter(None, facts)), style="dim"),
        )


def sparkline(values: list[float], width: int) -> str:
    """Draw values as a row of blocks.

    The scale ends at the 95th percentile, so that a spike leaves the rest readable.
    """
    finite = [value for value in values if abs(value) != float("inf") and value == value]
    if not finite:
        return ""
    if len(finite) > width:
        size = len(finite) / width
        finite = [
            min(finite[int(i * size) : max(int(i * size) + 1, int((i + 1) * size))]) for i in range(width)
        ]
    low, high = min(finite), sorted(finite)[int(0.95 * (len(finite) - 1))]
    span = (high - low) or 1.0
    return "".join(_BLOCKS[min(7, max(0, int((value - low) / span * 7.999)))] for value in finite)
