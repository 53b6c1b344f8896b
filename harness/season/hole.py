"""A hole as its folder shows it: what was meant, what each attempt left behind, and what that comes to.

Comparisons and tables need only the glance; the files behind it are read when something asks for more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from harness.errors import HarnessError
from harness.records.decision import Decision, load_decisions
from harness.records.intent import HoleName, Intent
from harness.records.record import RunRecord
from harness.records.store import Attempt, Hole
from harness.season.compare import ScoreKind, kind_of
from harness.stats import Sample

HoleStatus = Literal["ok", "over_cap", "stopped", "failed", "unfinished", "unplayed", "unreadable"]


@dataclass(frozen=True)
class Entry:
    """An attempt with its record; None while it has none (running, or killed before it could write one)."""

    attempt: Attempt
    record: RunRecord | None


@dataclass(frozen=True, eq=False)
class Files:
    """What lies in a hole's folder. problems: files that could not be read, with the reason.

    unread: attempts whose record could not be read; they have no entry.
    """

    intent: Intent
    entries: tuple[Entry, ...]
    decision: Decision | None
    problems: tuple[str, ...]
    unread: int = 0

    @cached_property
    def records(self) -> list[RunRecord]:
        return [entry.record for entry in self.entries if entry.record is not None]

    @cached_property
    def group(self) -> tuple[RunRecord, ...]:
        """The complete attempts of one configuration, code and split: those of the newest complete one."""
        complete = [record for record in self.records if record.complete]
        return tuple(record for record in complete if _same_play(record, complete[-1]))

    @cached_property
    def record(self) -> RunRecord | None:
        """The record shown for the hole: the newest complete attempt, else the newest of any kind."""
        if self.group:
            return self.group[-1]
        return self.records[-1] if self.records else None


class Glance(NamedTuple):
    """What a hole's files come to. Plain values only, so that `harness.index` can keep it as JSON.

    values: the official scores of the group, in bits per byte. day: of play, ISO. par, sota: as an older
    record noted them. cap_bytes, artifact_bytes, steps, step_ms: of the record shown. decision: its word.
    """

    title: str
    parent: str | None
    strategy: str | None
    status: HoleStatus
    course: str | None
    split: str | None
    stage: str | None
    scored_bytes: int | None
    values: tuple[float, ...]
    day: str | None
    par: float | None
    sota: float | None
    artifact_bytes: int | None
    cap_bytes: int | None
    steps: int | None
    step_ms: float | None
    attempts: int
    decision: str | None
    problems: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PlayedHole:
    """One hole. loaded: its files, where they are held in memory; else `read` gets them when they are asked for."""

    hole: Hole
    glance: Glance
    loaded: Files | None = None
    read: Callable[[Hole], Files] = lambda hole: read_files(hole)

    @property
    def name(self) -> HoleName:
        return self.hole.name

    @property
    def title(self) -> str:
        return self.glance.title

    @property
    def status(self) -> HoleStatus:
        return self.glance.status

    @property
    def course(self) -> str | None:
        return self.glance.course

    @property
    def split(self) -> str | None:
        return self.glance.split

    @property
    def problems(self) -> tuple[str, ...]:
        return self.glance.problems

    @property
    def invalid(self) -> bool:
        """Whether the hole was decided to be invalid: then its score is nobody's yardstick."""
        return self.glance.decision == "invalid"

    @cached_property
    def kind(self) -> ScoreKind:
        """What its score is a score of."""
        seen = self.glance
        return ScoreKind(seen.course, seen.split, seen.stage, seen.scored_bytes)

    @cached_property
    def sample(self) -> Sample | None:
        """The official scores of the group, in bits per byte."""
        return Sample(tuple(self.glance.values)) if self.glance.values else None

    @cached_property
    def day(self) -> dt.date | None:
        """The day of play in UTC, by the newest complete attempt; else the day the hole was made."""
        return dt.date.fromisoformat(self.glance.day) if self.glance.day else None

    # From the files -------------------------------------------------------------------------------

    @property
    def files(self) -> Files:
        return self.loaded if self.loaded is not None else self.read(self.hole)

    @property
    def intent(self) -> Intent:
        return self.files.intent

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.files.entries

    @property
    def decision(self) -> Decision | None:
        """The newest one taken on the hole."""
        return self.files.decision

    @property
    def records(self) -> list[RunRecord]:
        return self.files.records

    @property
    def group(self) -> tuple[RunRecord, ...]:
        """The complete attempts that the score is the mean of."""
        return self.files.group

    @property
    def record(self) -> RunRecord | None:
        """The record shown for the hole: the newest complete attempt, else the newest of any kind."""
        return self.files.record

    @property
    def measured(self) -> tuple[RunRecord, ...]:
        """The records that a mean of this hole is taken over: those behind its score, else the one shown."""
        return self.group or ((self.record,) if self.record else ())

    @property
    def attempt(self) -> Attempt | None:
        """The folder of `record`."""
        files = self.files
        return next((entry.attempt for entry in files.entries if entry.record is files.record), None)

    @property
    def val_loss(self) -> float | None:
        """Mean loss over the attempts behind the score, in nats per token, so that both are of one piece."""
        losses = [record.val_loss for record in self.group if record.val_loss is not None]
        if losses and len(losses) == len(self.group):
            return sum(losses) / len(losses)
        return self.record.val_loss if self.record else None


def load_hole(hole: Hole) -> PlayedHole:
    """Read one hole; files that cannot be read are named in its `problems`."""
    files = read_files(hole)
    return PlayedHole(hole, glance_at(hole.name, files), files)


def read_files(hole: Hole) -> Files:
    problems: list[str] = []
    try:
        intent = hole.load_intent()
    except HarnessError as error:
        intent = Intent()
        problems.append(error.message)
    entries, unread = [], 0
    for attempt in hole.attempts:
        try:
            record = attempt.load_record()
        except HarnessError as error:
            problems.append(error.message)
            unread += 1
            continue
        entries.append(Entry(attempt, record))
    try:
        decision = load_decisions(hole.decision_path).newest
    except HarnessError as error:
        decision = None
        problems.append(error.message)
    return Files(intent, tuple(entries), decision, tuple(problems), unread)


def _status(files: Files) -> HoleStatus:
    """The record's own; without one, whether an attempt left one that cannot be trusted, is under way, or is missing."""
    if files.record is not None:
        return files.record.status
    return "unreadable" if files.unread else "unfinished" if files.entries else "unplayed"


def glance_at(name: HoleName, files: Files) -> Glance:
    """Reduce a hole's files to what comparisons and tables need."""
    intent = files.intent
    record = files.record
    kind = kind_of(record) if record else ScoreKind(intent.course)
    noted = record.as_of if record else None
    played_at = record.started_at if record else None
    day = played_at.astimezone(dt.UTC).date() if played_at else intent.created
    return Glance(
        title=intent.title or name.slug.replace("_", " ").title() or name.position,
        parent=intent.parent,
        strategy=intent.strategy,
        status=_status(files),
        course=kind.course,
        split=kind.split,
        stage=kind.stage,
        scored_bytes=kind.scored_bytes,
        values=tuple(one.val_bpb for one in files.group if one.val_bpb is not None),
        day=day.isoformat() if day else None,
        par=noted.par if noted else None,
        sota=noted.sota if noted else None,
        artifact_bytes=record.artifact_bytes if record else None,
        cap_bytes=record.cap_bytes if record else None,
        steps=record.steps if record else None,
        step_ms=record.step_ms if record else None,
        attempts=len(files.entries),
        decision=files.decision.decision if files.decision else None,
        problems=files.problems,
    )


def _same_play(a: RunRecord, b: RunRecord) -> bool:
    """Whether two attempts are repeats of one experiment: only the seed may differ."""
    return (a.config_hash, a.code.source_sha256, a.course, a.split) == (
        b.config_hash,
        b.code.source_sha256,
        b.course,
        b.split,
    )
