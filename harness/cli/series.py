"""Several attempts in turn: what is shown between them, what ends them all, how many finished.

Between two seeds only scores are shown. The verdict comes when all planned seeds are in
(`harness.season.series`).
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import figures
from harness.cli import run_options
from harness.cli.app import CourseProgress, report_unfinished, warn
from harness.errors import HarnessError, UsageError
from harness.records.failures import ENDS_SERIES
from harness.records.references import is_public
from harness.records.store import Store, hole_names

if TYPE_CHECKING:
    from harness.findings import Group
    from harness.records.record import RunRecord
    from harness.records.seed_plan import Purpose
    from harness.run.plan import Plan
    from harness.run.request import RunLimits, RunRequest
    from harness.season.hole import PlayedHole

# Of commands that play seeds of their own choice.
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say which seeds would be played.", rich_help_panel=run_options.SAFETY),
]


@dataclass(frozen=True)
class Turn:
    """One attempt to play."""

    plan: Plan
    seed: int | None

    def as_data(self) -> dict[str, Any]:
        return {"hole": self.plan.hole.folder, "seed": self.seed}


def turns_of(plan: Plan) -> tuple[Turn, ...]:
    return tuple(Turn(plan, seed) for seed in plan.seeds)


def interleave(plan: Plan, request: RunRequest, runs: Path) -> tuple[Turn, ...]:
    """Put a fresh run of the parent before each seed of the plan, with the same seed and processes.

    Raises UsageError for a hole without parent or without seeds, HarnessError when the parent cannot be
    played as it was recorded.
    """
    from harness.run.again import plan_again
    from harness.run.request import RunRequest
    from harness.run.seeds import refuse_other_text
    from harness.season.hole import load_hole

    if plan.intent.parent is None:
        raise UsageError(
            f"--interleave: {plan.hole.folder} has no parent to alternate with", "add --paired HOLE"
        )
    if is_public(plan.intent.parent):
        raise UsageError(
            f"--interleave: the parent {plan.intent.parent} is a public run, which cannot be played here",
            "add --paired HOLE with a hole of ours, or leave --interleave out",
        )
    seeds = tuple(seed for seed in plan.seeds if seed is not None)
    if not seeds:
        raise UsageError(
            "--interleave: the script reads no SEED, so no two runs share one",
            "let the script read SEED from the environment, or leave --interleave out",
        )
    parent = load_hole(Store(runs).get(plan.intent.parent))
    if not parent.group:
        raise UsageError(
            f"--interleave: {parent.name.folder} has no complete attempt to play again",
            f"play it first: `harness run {parent.name.folder}`",
        )
    refuse_other_text(parent, plan.course, plan.trainer.split)
    own = RunRequest(
        request.reference,
        seeds=seeds,
        limits=request.limits,
        nproc=request.nproc,
        launcher=request.launcher,
        outlive=request.outlive,
        trusted=request.trusted,
    )
    again = plan_again(parent, own, runs, CourseProgress())
    # The parent's attempts are no plan of its own: its verdict does not wait for them.
    again = replace(again, planned_seeds=())
    return tuple(turn for seed in seeds for turn in (Turn(again, seed), Turn(plan, seed)))


def check_turns(turns: Sequence[Turn], limits: RunLimits, runs: Path) -> list[Group]:
    """Say what is worth knowing before the first turn, and check that the money is enough.

    An error among the checks ends it here. Returns what they found.
    """
    from harness.findings import of_level
    from harness.run.doctor.examine import before_run

    plans = {turn.plan.hole.folder: turn.plan for turn in turns}
    report_unfinished(runs, (name.folder for name in hole_names(runs)))
    for plan in plans.values():
        for note in (*plan.warnings, *plan.skipped):
            warn(note)
    limits.check_budget([_planned_seconds(turn.plan) for turn in turns])
    groups = [group for plan in plans.values() for group in before_run(plan, runs)]
    for finding in of_level(groups, "warning"):
        warn(finding.what)
        print(f"  {finding.why}; {finding.todo}", file=sys.stderr)
    for finding in of_level(groups, "error"):
        raise HarnessError(f"{finding.what}: {finding.why}", finding.todo)
    return groups


def _planned_seconds(plan: Plan) -> float | None:
    """Training time that one attempt will take at most, where a knob says it."""
    try:
        return float(plan.trainer.config["MAX_WALLCLOCK_SECONDS"]) or None
    except (KeyError, ValueError):
        return None


def play_turns(
    turns: Sequence[Turn], limits: RunLimits, runs: Path, outlive: bool, result: str = "verdict"
) -> list[RunRecord]:
    """Play attempts in turn. One that fails by itself lets the others go on; see `ENDS_SERIES`.

    result: what comes when all have been played.
    """
    from harness.run.play import make_hole
    from harness.season.sessions import session

    _ignore_hangup()
    records: list[RunRecord] = []
    if not turns:
        return records
    with session(make_hole(turns[-1].plan, runs), [turn.seed for turn in turns]) as end:
        for turn in turns:
            records.append(run_options.play_attempt(turn.plan, turn.seed, runs, limits, outlive))
            limits = limits.after(records[-1].wall_seconds or 0.0)
            if len(turns) > 1:
                with contextlib.suppress(OSError):  # the terminal may be gone
                    print(_progress(turn, records, turns, result), file=sys.stderr, flush=True)
            failure = records[-1].failure
            if failure is not None and failure.kind in ENDS_SERIES:
                break
        end.exit_code = int(run_options.worst_exit(records))
    return records


def _progress(turn: Turn, records: Sequence[RunRecord], turns: Sequence[Turn], result: str) -> str:
    """One line on the attempt that has just ended. It compares nothing."""
    record = records[-1]
    score = f"val_bpb {figures.bpb(record.val_bpb)}"
    if not record.complete:
        score = record.failure.kind.replace("_", " ") if record.failure else record.status
    planned = len(turn.plan.planned_seeds or turn.plan.seeds)
    after = f"; {result} after {planned} of {figures.number(planned, 'seed')}" if planned > 1 else ""
    return f"{record.hole} seed {record.seed}: {score} (run {len(records)} of {len(turns)}{after})"


def _ignore_hangup() -> None:
    """Let a closed terminal or a lost connection end neither this attempt nor those that follow."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def load_played(runs: Path, folder: str) -> PlayedHole:
    from harness.season.hole import load_hole

    return load_hole(Store(runs).get(folder))


def further_turns(
    played: PlayedHole,
    seeds: Sequence[int],
    limits: RunLimits,
    runs: Path,
    trust: bool,
    purpose: Purpose | None = None,
) -> tuple[Turn, ...]:
    """Plan further seeds of a hole as it was recorded, with as many processes; none for no seeds."""
    from harness.run.again import plan_again, recorded_processes
    from harness.run.request import RunRequest

    if not seeds:
        return ()
    trusted = warn if trust else None
    request = RunRequest(
        played.name.folder,
        seeds=tuple(seeds),
        limits=limits,
        nproc=recorded_processes(played, trusted),
        purpose=purpose,
        trusted=trusted,
    )
    return turns_of(plan_again(played, request, runs, CourseProgress()))
