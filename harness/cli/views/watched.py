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
from harness.run.unfinished import resume_command
from harness.run.watch.projection import Projection
from harness.run.watch.watch import AttemptView, AttemptWatcher

MAX_WIDTH = 100
_CHART_ROWS = 10
_LEAST_ROWS = 3


class WatchScreen:
    """One view of an attempt, drawn for the width it gets."""

    def __init__(self, view: AttemptView) -> None:
        self.view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view, width = self.view, min(options.max_width, MAX_WIDTH)
        inner = options.update(width=width)
        head: list[RenderableType] = [Text(_title(view), style="bold")]
        if view.progress.share is not None and view.state != "finished":
            done = round(view.progress.share * width)
            head.append(Text.assemble(("━" * done, "green"), ("─" * (width - done), "dim")))
        foot = [Text(line) for line in (*_pack(facts(view), width), *prospects(view))]
        lines = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in view.lines]

        taken = len(console.render_lines(Group(*head, *foot), inner))
        room = console.height - 1 - taken if console.is_terminal else _CHART_ROWS + len(lines)
        lines = lines[max(0, len(lines) - max(0, room - _LEAST_ROWS)) :]
        rows = min(_CHART_ROWS, max(_LEAST_ROWS, room - len(lines)))
        points = [(float(step), loss) for step, loss in view.curve.finite]
        chart = [
            Text(row, style="green", no_wrap=True) for row in draw(points, width, rows, view.progress.planned)
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


def _title(view: AttemptView) -> str:
    seed = f", seed {view.launch.seed}" if view.launch and view.launch.seed is not None else ""
    return f"{view.hole} attempt {view.attempt.number}{seed}: {describe_state(view)}"


def describe_state(view: AttemptView) -> str:
    """Return its state in two or three words."""
    if view.state == "finished":
        return view.record.status.replace("_", " ") if view.record else "its record is unreadable"
    return "playing" if view.state == "playing" else "not running, and it has no record"


def facts(view: AttemptView) -> Iterator[str]:
    """Yield what is known in short phrases."""
    now = view.progress
    if now.step is not None:
        yield f"step {now.step:,}" + (f"/{now.planned:,}" if now.planned else "")
    if view.curve.finite:
        yield f"loss {view.curve.finite[-1][1]:.4f}"
    if view.curve.val and view.curve.val[-1].bpb is not None:
        yield f"val_bpb {figures.bpb(view.curve.val[-1].bpb)} at step {view.curve.val[-1].step:,}"
    if now.step_ms is not None:
        yield f"{figures.tempo(now.step_ms)} a step"
    if view.tokens_per_second is not None:
        yield f"{view.tokens_per_second:,.0f} tokens/s"
    if now.train_seconds is not None:
        yield f"trained {figures.duration(now.train_seconds)}"
    if view.state == "playing":
        if now.left_seconds is not None:
            yield f"{figures.duration(now.left_seconds)} left"
        if view.memory_bytes is not None:
            several = f" in {view.processes} processes" if view.processes > 1 else ""
            yield f"memory {figures.megabytes(view.memory_bytes)}{several}"
        if view.silent_seconds is not None and view.silent_seconds >= 30:
            yield f"silent for {figures.duration(view.silent_seconds)}"


def prospects(view: AttemptView) -> Iterator[str]:
    """Yield where it ended or will end, against par, and what that rests on."""
    par = view.par
    if view.record is not None:
        if view.record.val_bpb is not None:
            yield f"val_bpb {figures.bpb(view.record.val_bpb)}{_against_par(view.record.val_bpb, view)}"
        if view.record.failure is not None:
            yield f"{view.record.failure.kind.replace('_', ' ')}: {view.record.failure.message}"
        yield f"`harness show {view.hole}` has every comparison"
        return
    if view.state == "left":
        command = resume_command(view.hole, view.attempt.number)
        yield f"`{command}` goes on with it, or writes the record it lacks"
        return
    projection = view.projection
    if isinstance(projection, Projection):
        yield f"projected finish {figures.bpb(projection.val_bpb)}{_against_par(projection.val_bpb, view)}"
        yield f"  it assumes {projection.why}"
    else:
        yield f"no projection yet: {projection}" + (f"; par is {figures.bpb(par.val_bpb)}" if par else "")


def _against_par(value: float, view: AttemptView) -> str:
    if view.par is None:
        return ", no par yet on this course"
    par = f"{figures.bpb(view.par.val_bpb)}, {view.par.name}"
    return f", {figures.delta(value - view.par.val_bpb)} to par ({par})"


def show_once(watcher: AttemptWatcher, console: Console) -> AttemptView:
    """Show an attempt as it is now: a picture, or the same as plain lines."""
    view = watcher.read()
    if console.is_terminal:
        console.print(WatchScreen(view))
    else:
        for line in describe(view):
            print(line, flush=True)
    return view


def follow(watcher: AttemptWatcher, console: Console, every_seconds: float) -> AttemptView:
    """Show an attempt until it is over, and return the last view. Ctrl-C ends the watching, not the run."""
    if console.is_terminal:
        return _follow_live(watcher, console, every_seconds)
    return _follow_plain(watcher, every_seconds)


def _follow_live(watcher: AttemptWatcher, console: Console, every_seconds: float) -> AttemptView:
    view = watcher.read()
    with Live(WatchScreen(view), console=console, auto_refresh=False) as live:
        while view.state == "playing":
            time.sleep(every_seconds)
            view = watcher.read()
            live.update(WatchScreen(view), refresh=True)
    return view


def _follow_plain(watcher: AttemptWatcher, every_seconds: float) -> AttemptView:
    """Print a line whenever there is something new."""
    view = watcher.read()
    print(_title(view), flush=True)
    last_key = ""
    while view.state == "playing":
        key = f"{view.progress.step} {view.curve.val[-1:]}"
        if key != last_key:
            last_key = key
            print("  ".join(facts(view)), flush=True)
        time.sleep(every_seconds)
        view = watcher.read()
    for line in describe(view):
        print(line, flush=True)
    return view


def describe(view: AttemptView) -> Iterator[str]:
    """Yield a view as plain lines."""
    yield _title(view)
    yield from ["  ".join(facts(view))] if view.progress.step is not None else []
    yield from prospects(view)
    yield from (f"| {line}" for line in view.lines)
