"""`harness run --detach`, `harness wait` and `harness stop`: holes that are played by another process."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import figures
from harness.cli.app import HoleArgument, Json, PlainCommand, Runs, app, check_runs, print_json
from harness.cli.rm import Holes
from harness.errors import Exit, HarnessError

if TYPE_CHECKING:
    from harness.records.store import Hole
    from harness.season.sessions import HeldSession

_BETWEEN_SIGNALS_SECONDS = 0.3  # two that follow at once may arrive as one


def play_in_background(runs: Path, as_json: bool) -> None:
    """Start this very command in the background, without `--detach`; an error of it becomes ours."""
    from harness.run.detach import Refused, detach, same_command

    started = detach(same_command("--detach"), runs)
    if isinstance(started, Refused):
        print(started.messages, end="", file=sys.stderr, flush=True)
        print(started.output, end="", flush=True)
        raise typer.Exit(started.exit_code)
    print(started.log.read_text(errors="replace"), end="", file=sys.stderr, flush=True)
    if as_json:
        print_json(
            "run",
            hole=started.hole,
            detached=True,
            pid=started.pid,
            log=str(started.log),
            result=str(started.result),
        )
        return
    typer.echo(f"{started.hole}: plays in the background as process {started.pid}")
    for what, command in (("watch it", "watch"), ("wait for it", "wait"), ("stop it", "stop")):
        typer.echo(f"  {what + ':':13}harness {command} {started.hole}")
    typer.echo(f"  {'its result:':13}{started.result}")


@app.command(cls=PlainCommand, short_help="Wait until a hole has been played")
def wait(references: Holes, runs: Runs = Path("runs"), as_json: Json = False) -> None:
    """Wait until the first of these holes is done, and end with the exit code of its command.

    A series of seeds is done after its last one. A hole that nobody plays has ended already.
    """
    from harness.records.store import Store
    from harness.season.sessions import find_sessions, running_sessions, wait_for_end

    check_runs(runs)
    store = Store(runs)
    holes = {hole.name.folder: hole for hole in map(store.get, references)}
    for hole in holes.values():
        _wait_for_orphans(hole)
    running = {folder: running_sessions(hole) for folder, hole in holes.items()}
    idle = [folder for folder, sessions in running.items() if not sessions]
    if idle:
        ended = find_sessions(holes[idle[0]])
        _report_end(holes[idle[0]], ended[-1] if ended else None, as_json)
    end = wait_for_end([one for sessions in running.values() for one in sessions])
    _report_end(holes[end.hole], end, as_json)


@app.command(cls=PlainCommand, short_help="Stop a hole that is being played")
def stop(
    reference: HoleArgument,
    now: Annotated[bool, typer.Option("--now", help="Kill it, without waiting for a checkpoint.")] = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Stop a hole that another process plays, as Ctrl-C would: its record is written and says so.

    The seeds that were to follow are not played. Waits until it has ended.
    """
    from harness.records.store import Store
    from harness.season.sessions import running_sessions, wait_for_end

    check_runs(runs)
    hole = Store(runs).get(reference)
    folder = hole.name.folder
    sessions = running_sessions(hole)
    orphans = [] if sessions else _orphans(hole)
    if not sessions and not orphans:
        raise HarnessError(
            f"nobody plays {folder} on this machine", f"`harness show {folder}` says how it ended"
        )
    for pid in [one.session.pid for one in sessions] or orphans:
        _signal(pid, signal.SIGTERM)
        if now:
            time.sleep(_BETWEEN_SIGNALS_SECONDS)
            _signal(pid, signal.SIGTERM if sessions else signal.SIGKILL)
    for one in sessions:
        wait_for_end([one])
    if not sessions:
        _wait_for_orphans(hole)
    attempts = [_attempt_data(hole, number) for number in _attempts_of(hole, sessions)]
    if as_json:
        print_json("stop", hole=folder, attempts=attempts)
        return
    for data in attempts:
        at = f" at step {data['steps']:,}" if data["steps"] is not None else ""
        says = data["status"] or f"none yet: `harness resume {folder}` writes it"
        typer.echo(f"{folder} attempt {data['attempt']}: stopped{at}; its record says {says}")
    if not attempts:
        typer.echo(f"{folder}: stopped before an attempt began")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended by itself
    except PermissionError:
        raise HarnessError(
            f"process {pid} belongs to another user", "let that user stop it, or become that user"
        ) from None


def _orphans(hole: Hole) -> list[int]:
    """Return training processes whose harness is gone: those of `--outlive`."""
    from harness.run import processes

    return [pid for attempt in hole.attempts for pid in processes.members(str(attempt.path.resolve()))]


def _wait_for_orphans(hole: Hole) -> None:
    """Wait for training whose harness is gone; nobody holds a lock for it."""
    from harness.season.sessions import running_sessions

    if running_sessions(hole) or not hole.attempts:
        return
    import psutil

    pids = _orphans(hole)
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)])


def _attempts_of(hole: Hole, sessions: list[HeldSession]) -> list[int]:
    """Return the attempts that were being played by sessions: the last one that each began."""
    if not hole.attempts:
        return []
    count = max(1, len(sessions))
    return [attempt.number for attempt in hole.attempts[-count:]]


def _attempt_data(hole: Hole, number: int) -> dict[str, Any]:
    from harness.records.record import find_record

    attempt = next(one for one in hole.attempts if one.number == number)
    record = find_record(attempt.record_path)
    return {
        "attempt": number,
        "seed": record.seed if record else None,
        "status": record.status if record else None,
        "steps": record.steps if record else None,
        "val_bpb": record.val_bpb if record else None,
    }


def _report_end(hole: Hole, end: HeldSession | None, as_json: bool) -> None:
    """Say how a hole's last command ended, and end with its exit code."""
    from harness.cli.run_options import exit_code_of
    from harness.season.hole import load_hole

    folder = hole.name.folder
    records = load_hole(hole).records
    if end is not None and end.session.exit_code is None:
        raise HarnessError(
            f"{folder}: its command was killed", f"`harness resume {folder}` goes on with it", Exit.CRASHED
        )
    if end is None and not records:
        raise HarnessError(
            f"nobody plays {folder}, and it was never played", f"play it: `harness run {folder}`"
        )
    code = int(exit_code_of(records[-1])) if end is None else int(end.session.exit_code or 0)
    last = records[-1] if records else None
    if as_json:
        attempts = [_attempt_data(hole, record.attempt) for record in records[-1:]]
        print_json("wait", hole=folder, exit_code=code, attempts=attempts)
    else:
        score = f", val_bpb {figures.bpb(last.val_bpb)}" if last and last.val_bpb is not None else ""
        status = f"{last.status}{score}" if last else "no record"
        typer.echo(f"{folder}: ended with exit code {code}; the newest attempt: {status}")
    raise typer.Exit(code)
