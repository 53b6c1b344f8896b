"""What `harness watch` shows of an attempt, read repeatedly from any terminal. Never writes.

AttemptWatcher(runs, hole).read()   everything known now, as one `AttemptView`
as_data(view)                       the same for programs
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import HarnessError, UsageError
from harness.records.curve import Curve, load_curve
from harness.records.launch import Launch, load_launch
from harness.records.record import RunRecord, find_record
from harness.records.store import Attempt, Store
from harness.run import processes
from harness.run.result import last_lines
from harness.run.watch.projection import FinishedRun, Projection, project
from harness.season.hole import PlayedHole
from harness.season.progress import AttemptProgress, Follower, is_playing, measure
from harness.season.score_kind import ScoreKind, kind_of
from harness.season.season import Season, load_season

State = Literal["playing", "finished", "left"]  # left: it has no record, and no process here plays it
_SHOWN_LINES = 5


@dataclass(frozen=True)
class ParScore:
    val_bpb: float
    name: str


@dataclass(frozen=True)
class AttemptView:
    """An attempt at one moment. memory_bytes: resident, of all its processes.

    silent_seconds: since its last line.
    """

    hole: str
    attempt: Attempt
    state: State
    launch: Launch | None
    record: RunRecord | None
    progress: AttemptProgress
    curve: Curve
    tokens_per_second: float | None
    processes: int
    memory_bytes: int | None
    silent_seconds: float | None
    lines: tuple[str, ...]
    par: ParScore | None
    projection: Projection | str


class AttemptWatcher:
    """Follows one attempt of a hole, by default the newest. The season around it is read once."""

    def __init__(self, runs: Path, reference: str, number: int | None = None) -> None:
        """Raises UsageError when there is no such hole or attempt."""
        hole = Store(runs).get(reference)
        self._attempt = _choose(hole.name.folder, hole.attempts, number)
        self._hole = hole.name.folder
        self._follower = Follower(self._attempt)
        self._launch: Launch | None = None
        self._season = load_season(runs)
        self._references: list[FinishedRun] = []
        self._par: ParScore | None = None

    def read(self) -> AttemptView:
        """Read what there is now."""
        record, unreadable = None, False
        # Before the record is read: one that is written in between is found below.
        playing = is_playing(self._attempt)
        try:
            record = find_record(self._attempt.record_path)
        except HarnessError:
            unreadable = True  # `harness show` says why
        self._find_references_once(record)
        curve = self._follower.curve()
        progress = measure(curve, self._launch, self._follower.planned)
        pids = processes.members(str(self._attempt.path.resolve()))
        state: State = (
            "playing" if playing or pids else "finished" if record is not None or unreadable else "left"
        )
        return AttemptView(
            hole=self._hole,
            attempt=self._attempt,
            state=state,
            launch=self._launch,
            record=record,
            progress=progress,
            curve=curve,
            tokens_per_second=_rate(progress, self._launch),
            processes=len(pids),
            memory_bytes=processes.resident_bytes(pids),
            silent_seconds=_silence(self._attempt) if state == "playing" else None,
            lines=last_lines(self._attempt.log_path)[-_SHOWN_LINES:],
            par=self._par,
            projection=project(curve, _last_step(progress), self._references),
        )

    def _find_references_once(self, record: RunRecord | None) -> None:
        """Find par and the attempts to compare with, once it is known what the attempt plays."""
        if self._launch is not None:
            return
        try:
            self._launch = load_launch(self._attempt.launch_path)
        except HarnessError:
            pass  # not written yet, or of another harness
        setup = self._launch or record
        if setup is None or (self._launch is None and self._par is not None):
            return
        self._par = _find_par(self._season, self._attempt, setup)
        self._references = _find_references(self._season, self._attempt, setup)


def _choose(hole: str, attempts: Sequence[Attempt], number: int | None) -> Attempt:
    if not attempts:
        raise HarnessError(f"{hole} has no attempt to watch", f"play it: `harness run {hole}`")
    for attempt in attempts:
        if attempt.number == number:
            return attempt
    if number is not None:
        numbers = ", ".join(str(attempt.number) for attempt in attempts)
        raise UsageError(f"{hole} has no attempt {number}", f"there is {numbers}")
    return attempts[-1]


# What it is compared with -----------------------------------------------------------------------------


def _find_par(season: Season, attempt: Attempt, setup: Launch | RunRecord) -> ParScore | None:
    own = _own_hole(season, attempt)
    if own is None:
        return None
    if isinstance(setup, RunRecord):
        kind = kind_of(setup)
    else:
        kind = ScoreKind(setup.course, setup.split, scored_bytes=setup.data.val_bytes)
    par = season.par(own, kind)
    if par.val_bpb is None:
        return None
    return ParScore(par.val_bpb, par.hole.name.folder if par.hole else par.label)


def _own_hole(season: Season, attempt: Attempt) -> PlayedHole | None:
    return next((hole for hole in season.holes if hole.name.folder == attempt.path.parent.name), None)


def _find_references(season: Season, attempt: Attempt, setup: Launch | RunRecord) -> list[FinishedRun]:
    """Finished attempts on this course and split: this hole's, its parent's, then those before it."""
    own = _own_hole(season, attempt)
    if own is None:
        return []
    before = list(reversed(season.before(own)))
    parent = season.parent(own)
    holes = [own, *([parent] if parent else []), *before]
    references: dict[str, FinishedRun] = {}
    for hole in holes:
        if hole.course in (setup.course, None) and hole.name.folder not in references and len(references) < 4:
            references |= _reference_of(hole, attempt, setup)
    return list(references.values())


def _reference_of(hole: PlayedHole, attempt: Attempt, setup: Launch | RunRecord) -> dict[str, FinishedRun]:
    """Return a hole's newest complete attempt by the hole's name, if it is comparable and has a curve."""
    for entry in reversed(hole.entries):
        record = entry.record
        if record is None or not record.complete or entry.attempt.path == attempt.path:
            continue
        if (record.course, record.split) != (setup.course, setup.split):
            continue
        if not record.steps or record.val_bpb is None:
            continue
        curve = load_curve(entry.attempt.curve_path)
        if curve.train or curve.val:
            same = record.data.tokenizer_sha256 == setup.data.tokenizer_sha256
            name = f"attempt {record.attempt}" if hole.hole.path == attempt.path.parent else hole.name.folder
            return {
                hole.name.folder: FinishedRun(
                    name, record.val_bpb, curve, record.steps, record.val_loss, same
                )
            }
    return {}


# Figures ---------------------------------------------------------------------------------------------


def _silence(attempt: Attempt) -> float | None:
    """Seconds since something was printed, by the file system's clock."""
    try:
        return max(0.0, time.time() - attempt.log_path.stat().st_mtime)
    except OSError:
        return None


def _rate(progress: AttemptProgress, launch: Launch | None) -> float | None:
    batch = launch.config.get("TRAIN_BATCH_TOKENS", "") if launch else ""
    if not batch.isdecimal() or not progress.step_ms:
        return None
    return int(batch) / progress.step_ms * 1000


def _last_step(progress: AttemptProgress) -> int | None:
    """The step it will end at: as planned, or sooner where the time for training ends before."""
    if progress.step and progress.share:
        return round(progress.step / progress.share)
    return progress.planned


def as_data(view: AttemptView) -> dict[str, Any]:
    """Return a view as one object for programs; None is what is not known."""
    train, val = view.curve.finite, view.curve.val
    projection = view.projection
    return {
        "hole": view.hole,
        "attempt": view.attempt.number,
        "state": view.state,
        "status": view.record.status if view.record else None,
        "seed": view.launch.seed if view.launch else None,
        **asdict(view.progress),
        "train_loss": train[-1][1] if train else None,
        "val_bpb": view.record.val_bpb if view.record else None,
        "last_val": {"step": val[-1].step, "val_bpb": val[-1].bpb} if val else None,
        "tokens_per_second": view.tokens_per_second,
        "processes": view.processes,
        "memory_bytes": view.memory_bytes,
        "silent_seconds": view.silent_seconds,
        "par": asdict(view.par) if view.par else None,
        "projection": asdict(projection) if isinstance(projection, Projection) else None,
        "no_projection": projection if isinstance(projection, str) else None,
        "last_lines": list(view.lines),
    }
