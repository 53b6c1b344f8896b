"""Several attempts in turn: what is shown between them, what ends them all, how many finished.

Between two seeds only scores are shown. The verdict comes when all planned seeds are in
(`harness.season.series`).
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import figures
from harness.cli import run_options
from harness.cli.app import CourseProgress, report_unfinished, warn
from harness.errors import Exit, HarnessError, UsageError
from harness.records.failures import ENDS_SERIES
from harness.records.references import is_public
from harness.records.seed_plan import SeedNotPlayed
from harness.records.store import Store, hole_names

if TYPE_CHECKING:
    from harness.findings import Group
    from harness.records.record import RunRecord
    from harness.records.seed_plan import Purpose
    from harness.run.in_play import Holder
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
        for note in (*plan.warnings, *(one.text for one in plan.skipped)):
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
    turns: Sequence[Turn],
    limits: RunLimits,
    runs: Path,
    outlive: bool,
    result: str = "verdict",
    repeat: bool = False,
) -> list[RunRecord]:
    """Play attempts in turn. One that fails by itself lets the others go on; see `ENDS_SERIES`.

    result: what comes when all have been played. repeat: play even what another process plays now. The last
    record names the seeds that were not played. Raises HarnessError when another process plays all of them.
    """
    from harness.run.in_play import hold_seeds, refuse_new_hole_of_others
    from harness.run.play import make_hole
    from harness.season.sessions import session

    _ignore_hangup()
    records: list[RunRecord] = []
    if not turns:
        return records
    plan = turns[-1].plan
    seeds = [turn.seed for turn in turns if turn.plan is plan]
    with hold_seeds(plan, seeds, runs) as taken:
        missing = list(plan.skipped)
        if taken and not repeat:
            missing += _refuse_taken(plan, seeds, taken)
            turns = [turn for turn in turns if turn.seed not in taken]
        refuse_new_hole_of_others(plan, runs)
        with session(make_hole(plan, runs), [turn.seed for turn in turns]) as end:
            try:
                for turn in turns:
                    records.append(run_options.play_attempt(turn.plan, turn.seed, runs, limits, outlive))
                    limits = limits.after(records[-1].wall_seconds or 0.0)
                    if len(turns) > 1:
                        with contextlib.suppress(OSError):  # the terminal may be gone
                            print(_progress(turn, records, turns, result), file=sys.stderr, flush=True)
                    failure = records[-1].failure
                    if failure is not None and failure.kind in ENDS_SERIES:
                        break
            finally:
                report_not_played([*missing, *_lost(turns, records, plan)], records, runs)
            end.exit_code = int(run_options.worst_exit(records))
    return records


def _refuse_taken(
    plan: Plan, seeds: Sequence[int | None], taken: Mapping[int | None, Holder]
) -> list[SeedNotPlayed]:
    """Return the seeds that another process plays now. Raises HarnessError when these are all."""
    reasons = {
        seed: f"it is being played now in {one.hole}" + (f" by process {one.pid}" if one.pid else "")
        for seed, one in taken.items()
    }
    if len(taken) == len(seeds):
        seed, reason = next(iter(reasons.items()))
        what = "this run" if seed is None else f"this run with seed {seed}"
        raise HarnessError(
            f"{what} is played already: {reason}",
            f"look at it: `harness watch {taken[seed].hole}`; wait for it, choose another --seed, "
            "or insist with --repeat",
            Exit.DUPLICATE,
        )
    return [SeedNotPlayed(seed=seed, reason=text) for seed, text in reasons.items() if seed is not None]


def _lost(turns: Sequence[Turn], records: Sequence[RunRecord], plan: Plan) -> list[SeedNotPlayed]:
    """Return the seeds of a plan that the end of the series left unplayed."""
    ended = bool(records) and records[-1].failure is not None and records[-1].failure.kind in ENDS_SERIES
    begun = len(records) + (not ended)  # else the turn that raised: its error says what became of it
    return left_unplayed([turn.seed for turn in turns[begun:] if turn.plan is plan], records if ended else ())


def left_unplayed(seeds: Sequence[int | None], records: Sequence[RunRecord]) -> list[SeedNotPlayed]:
    """Say of seeds whose turn did not come that the last of these records ended the series."""
    why = "the command ended before its turn"
    if records and (failure := records[-1].failure):
        last, kind = records[-1], failure.kind.replace("_", " ")
        why = f"attempt {last.attempt} of {last.hole} (seed {last.seed}) ended the series: {kind}"
    return [SeedNotPlayed(seed=seed, reason=why) for seed in seeds if seed is not None]


def report_not_played(missing: Sequence[SeedNotPlayed], records: list[RunRecord], runs: Path) -> None:
    """Write the seeds that were not played into the last record; without one, name them here."""
    from harness.records.private import write_record

    if not missing:
        return
    if not records:
        for one in missing:
            warn(one.text)
        return
    record = records[-1].model_copy(update={"not_played": tuple(missing)})
    attempts = {attempt.number: attempt for attempt in Store(runs).get(record.hole).attempts}
    if record.attempt in attempts:
        record = write_record(attempts[record.attempt].record_path, record)
    records[-1] = record


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
