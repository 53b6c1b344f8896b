"""How a watched attempt looks: a picture that fits any terminal, or plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from harness import figures
from harness.cli.views.line_chart import draw
from harness.run.watch.projection import Projection
from harness.run.watch.watch import AttemptWatcher, Look

MAX_WIDTH = 100
_CHART_ROWS = 10
_LEAST_ROWS = 3


class WatchScreen:
    """One look, drawn for the width it gets."""

    def __init__(self, look: Look) -> None:
        self.look = look

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        look, width = self.look, min(options.max_width, MAX_WIDTH)
        inner = options.update(width=width)
        head: list[RenderableType] = [Text(_title(look), style="bold")]
        if look.progress.share is not None and look.state != "finished":
            done = round(look.progress.share * width)
            head.append(Text.assemble(("━" * done, "green"), ("─" * (width - done), "dim")))
        foot = [Text(line) for line in (*_pack(facts(look), width), *prospects(look))]
        lines = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in look.lines]

        taken = len(console.render_lines(Group(*head, *foot), inner))
        room = console.height - 1 - taken if console.is_terminal else _CHART_ROWS + len(lines)
        lines = lines[max(0, len(lines) - max(0, room - _LEAST_ROWS)) :]
        rows = min(_CHART_ROWS, max(_LEAST_ROWS, room - len(lines)))
        points = [(float(step), loss) for step, loss in look.curve.finite]
        chart = [
            Text(row, style="green", no_wrap=True) for row in draw(points, width, rows, look.progress.planned)
        ]
        for segments in console.render_lines(Group(*head, *chart, *foot, *lines), inner):
            yield from segments
            yield Segment.line()


def _pack(phrases: Iterator[str], width: int) -> list[str]:
    """Fill lines with phrases, none of them broken."""
    lines: list[str] = []
    for phrase in phrases:
        if lines and len(lines[-1]) + 3 + len(phrase) <= width:
            lines[-1] += "   " + phrase
        else:
            lines.append(phrase)
    return lines


def _title(look: Look) -> str:
    seed = f", seed {look.launch.seed}" if look.launch and look.launch.seed is not None else ""
    return f"{look.hole} attempt {look.attempt.number}{seed}: {describe_state(look)}"


def describe_state(look: Look) -> str:
    """Say in two or three words how it stands."""
    if look.state == "finished":
        return look.record.status.replace("_", " ") if look.record else "its record is unreadable"
    return "playing" if look.state == "playing" else "nobody plays it, and it has no record"


def facts(look: Look) -> Iterator[str]:
    """Yield what is known in short phrases."""
    now = look.progress
    if now.step is not None:
        yield f"step {now.step:,}" + (f"/{now.planned:,}" if now.planned else "")
    if look.curve.finite:
        yield f"loss {look.curve.finite[-1][1]:.4f}"
    if look.curve.val and look.curve.val[-1].bpb is not None:
        yield f"val_bpb {figures.bpb(look.curve.val[-1].bpb)} at step {look.curve.val[-1].step:,}"
    if now.step_ms is not None:
        yield f"{figures.tempo(now.step_ms)} a step"
    if look.tokens_per_second is not None:
        yield f"{look.tokens_per_second:,.0f} tokens/s"
    if now.train_seconds is not None:
        yield f"trained {figures.duration(now.train_seconds)}"
    if look.state == "playing":
        if now.left_seconds is not None:
            yield f"{figures.duration(now.left_seconds)} left"
        if look.memory_bytes is not None:
            several = f" in {look.processes} processes" if look.processes > 1 else ""
            yield f"memory {figures.megabytes(look.memory_bytes)}{several}"
        if look.silent_seconds is not None and look.silent_seconds >= 30:
            yield f"silent for {figures.duration(look.silent_seconds)}"


def prospects(look: Look) -> Iterator[str]:
    """Yield where it ended or will end, against par, and what that rests on."""
    par = look.par
    if look.record is not None:
        if look.record.val_bpb is not None:
            yield f"val_bpb {figures.bpb(look.record.val_bpb)}{_against_par(look.record.val_bpb, look)}"
        if look.record.failure is not None:
            yield f"{look.record.failure.kind.replace('_', ' ')}: {look.record.failure.message}"
        yield f"`harness show {look.hole}` has every comparison"
        return
    if look.state == "left":
        yield f"`harness resume {look.hole}` goes on with it, or writes the record it lacks"
        return
    told = look.projection
    if isinstance(told, Projection):
        yield f"projected finish {figures.bpb(told.val_bpb)}{_against_par(told.val_bpb, look)}"
        yield f"  it assumes {told.why}"
    else:
        yield f"no projection yet: {told}" + (f"; par is {figures.bpb(par.val_bpb)}" if par else "")


def _against_par(value: float, look: Look) -> str:
    if look.par is None:
        return ", no par yet on this course"
    return f", {figures.delta(value - look.par.val_bpb)} to par ({figures.bpb(look.par.val_bpb)}, {look.par.name})"


def show_once(watcher: AttemptWatcher, console: Console) -> Look:
    """Show one look: a picture, or the same as plain lines."""
    look = watcher.look()
    if console.is_terminal:
        console.print(WatchScreen(look))
    else:
        for line in describe(look):
            print(line, flush=True)
    return look


def follow(watcher: AttemptWatcher, console: Console, every_seconds: float) -> Look:
    """Show an attempt until it is over, and return the last look. Ctrl-C stops the watching, not the run."""
    if console.is_terminal:
        return _follow_live(watcher, console, every_seconds)
    return _follow_plain(watcher, every_seconds)


def _follow_live(watcher: AttemptWatcher, console: Console, every_seconds: float) -> Look:
    look = watcher.look()
    with Live(WatchScreen(look), console=console, auto_refresh=False) as live:
        while look.state == "playing":
            time.sleep(every_seconds)
            look = watcher.look()
            live.update(WatchScreen(look), refresh=True)
    return look


def _follow_plain(watcher: AttemptWatcher, every_seconds: float) -> Look:
    """Print a line whenever there is something new."""
    look = watcher.look()
    print(_title(look), flush=True)
    said = ""
    while look.state == "playing":
        key = f"{look.progress.step} {look.curve.val[-1:]}"
        if key != said:
            said = key
            print("  ".join(facts(look)), flush=True)
        time.sleep(every_seconds)
        look = watcher.look()
    for line in describe(look):
        print(line, flush=True)
    return look


def describe(look: Look) -> Iterator[str]:
    """Yield a look as plain lines."""
    yield _title(look)
    yield from ["  ".join(facts(look))] if look.progress.step is not None else []
    yield from prospects(look)
    yield from (f"| {line}" for line in look.lines)
