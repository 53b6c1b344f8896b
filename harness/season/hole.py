"""A hole by its folder: the intent, what each attempt left behind, and a summary of both.

Comparisons and tables need only the summary, and the cache may know it; the files behind it are read when
something asks for more.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from harness import cache
from harness.cache import CacheEntry, is_unchanged, load_entries, save_entries
from harness.courses.course import ByteEvidence, Course, byte_evidence, foreign_text
from harness.errors import HarnessError
from harness.records.intent import Decision, Intent, load_decisions, load_intent
from harness.records.record import RunRecord, find_record, total_cost
from harness.records.seeds import (
    failed_seeds,
    group_by_seed,
    is_same_play,
    mean_over_seeds,
    repeat_spread,
    sample_of,
)
from harness.records.store import Attempt, Hole, HoleName, mark_hole
from harness.season.configurations import Earlier, earlier_configurations
from harness.season.score_kind import ScoreKind, kind_of
from harness.season.series import find_series
from harness.stats import Sample
from harness.workers import fork_pool, worker_count

PER_PROCESS = 200  # holes needed to start another process
IN_MEMORY = 32  # holes whose files stay in memory at once

Figure = TypeVar("Figure", int, float)
ReadFiles = Callable[["Hole"], "Files"]
HoleStatus = Literal["ok", "over_cap", "stopped", "failed", "unfinished", "unplayed", "unreadable"]


@dataclass(frozen=True)
class AttemptEntry:
    """An attempt with its record; None while it has none (running, or killed before it could write one)."""

    attempt: Attempt
    record: RunRecord | None


@dataclass(frozen=True, eq=False)
class Files:
    """What lies in a hole's folder. problems: files that could not be read, with the reason.

    unread: attempts whose record could not be read; they have no entry.
    """

    intent: Intent
    entries: tuple[AttemptEntry, ...]
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
        return tuple(record for record in complete if is_same_play(record, complete[-1]))

    @cached_property
    def record(self) -> RunRecord | None:
        """The record shown for the hole: the newest complete attempt, else the newest of any kind."""
        if self.group:
            return self.group[-1]
        return self.records[-1] if self.records else None


class Summary(NamedTuple):
    """What a hole's files come to. Plain values only, so that the cache can keep it as JSON.

    values: the official scores of the group, one a seed, in bits per byte. seeds: theirs; empty where one is
    not known. failed_seeds: begun and never finished. earlier: as `Earlier`, the configurations that were
    played before the one behind the score. trained_values: of each seed, the score before packing.
    repeats: runs beyond one a seed; repeat_std: their spread, None without any. model_sizes: of each seed,
    in bytes; empty where one is not known. own_training: False where all weights are another hole's.
    no_verdict: which planned seeds are missing; empty when all are in. day: of play, ISO. machine: of the
    record shown. Of the group's runs on it: step_times, of each that trained, in ms, empty where one is not
    known; machine_seeds and machine_std, how many seeds and their spread. par, sota: as an older record
    noted them. cap_bytes, artifact_bytes, steps, step_ms: of the record shown.
    evidence: on whose bytes the score of the record shown stands. decision: its word. cost: of all attempts,
    failed ones too, in the user's money; None where no rate was given.
    """

    title: str
    parent: str | None
    strategy: str | None
    status: HoleStatus
    course: str | None
    split: str | None
    stage: str | None
    scored_bytes: int | None
    evidence: tuple[float | None, ...]
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...]
    earlier: tuple[tuple[tuple[int, ...], int, float, str], ...]
    trained_values: tuple[float | None, ...]
    repeats: int
    repeat_std: float | None
    model_sizes: tuple[int, ...]
    own_training: bool
    no_verdict: str
    machine: str | None
    step_times: tuple[float, ...]
    machine_seeds: int
    machine_std: float | None
    day: str | None
    par: float | None
    sota: float | None
    artifact_bytes: int | None
    cap_bytes: int | None
    steps: int | None
    step_ms: float | None
    attempts: int
    cost: float | None
    decision: str | None
    tags: tuple[str, ...]
    archived: bool
    former_names: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PlayedHole:
    """One hole. loaded: its files, where they are in memory; else `read` gets them when they are needed."""

    hole: Hole
    summary: Summary
    loaded: Files | None = None
    read: Callable[[Hole], Files] = lambda hole: read_files(hole)

    @property
    def name(self) -> HoleName:
        return self.hole.name

    @property
    def title(self) -> str:
        return self.summary.title

    @property
    def status(self) -> HoleStatus:
        return self.summary.status

    @property
    def course(self) -> str | None:
        return self.summary.course

    @property
    def split(self) -> str | None:
        return self.summary.split

    @property
    def problems(self) -> tuple[str, ...]:
        return self.summary.problems

    @property
    def invalid(self) -> bool:
        """Decided to be invalid: its figures are no evidence of anything. They are shown, with that mark."""
        return self.summary.decision == "invalid"

    @property
    def dropped(self) -> bool:
        """Decided to be dropped: what was measured stands, but nobody goes on from it."""
        return self.summary.decision == "drop"

    @property
    def why_invalid(self) -> str:
        """Say that it was decided to be invalid; empty for any other hole."""
        return f"{self.name.folder} was decided to be invalid" if self.invalid else ""

    @property
    def comparable(self) -> bool:
        """Whether its score is evidence: it may set par, be compared with, and show how far seeds spread."""
        return self.sample is not None and not self.invalid

    @property
    def counts(self) -> bool:
        """Whether it may be our best: complete, under the cap, with its verdict, neither invalid nor dropped.

        Every page, table and command that picks a best asks here.
        """
        return self.is_candidate and not self.dropped

    @property
    def is_candidate(self) -> bool:
        """Whether it was in the choice of our best: dropping it later does not undo that it was looked at."""
        return self.comparable and self.status == "ok" and not self.summary.no_verdict

    @cached_property
    def kind(self) -> ScoreKind:
        """What its score is a score of."""
        summary = self.summary
        return ScoreKind(summary.course, summary.split, summary.stage, summary.scored_bytes)

    def foreign_text(self, course: Course | None) -> str:
        """Say why its score is not of the course's validation text; empty where nothing speaks against it."""
        if self.sample is None:
            return ""
        return foreign_text(course, self.split, ByteEvidence(*self.summary.evidence))  # type: ignore[arg-type]

    @cached_property
    def sample(self) -> Sample | None:
        """The official scores of the group, one a seed, in bits per byte."""
        summary = self.summary
        if not summary.values:
            return None
        return Sample(summary.values, summary.seeds, failed=len(summary.failed_seeds))

    @property
    def earlier(self) -> tuple[Earlier, ...]:
        """The configurations that were played in it before the one that its score is of (`run --reopen`)."""
        return tuple(Earlier(*one) for one in self.summary.earlier)

    @cached_property
    def day(self) -> dt.date | None:
        """The day of play in UTC, by the newest complete attempt; else the day of its round.toml."""
        return dt.date.fromisoformat(self.summary.day) if self.summary.day else None

    # From the files -------------------------------------------------------------------------------

    @property
    def files(self) -> Files:
        return self.loaded if self.loaded is not None else self.read(self.hole)

    @property
    def intent(self) -> Intent:
        return self.files.intent

    @property
    def entries(self) -> tuple[AttemptEntry, ...]:
        return self.files.entries

    @property
    def decision(self) -> Decision | None:
        """The newest one."""
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
        """Mean loss over the seeds behind the score, in nats per token, so that both are of one piece."""
        mean = mean_over_seeds(self.group, lambda record: record.val_loss)
        if mean is not None:
            return mean
        return self.record.val_loss if self.record else None


def load_hole(hole: Hole, read: ReadFiles | None = None) -> PlayedHole:
    """Read one hole; files that cannot be read are named in its `problems`."""
    files = (read or read_files)(hole)
    return PlayedHole(hole, summarise(hole.name, files), files)


def summarise_holes(
    runs: Path, holes: Sequence[Hole], read: ReadFiles | None = None
) -> tuple[list[PlayedHole], dict[str, str]]:
    """Return holes whose files are read only where the cache has no summary, or when they are needed.

    With them, by folder, the marks of the files behind the summaries, where a mark can be relied on.
    Messages hold paths in the form in which they were typed, so each way to type a season has its own
    entries. read: reads a hole's files when they are needed.
    """
    owner = f"season {runs.resolve()}\n{runs}"
    known = load_entries(owner)
    stale = []
    for hole in holes:
        entry = known.get(hole.name.folder)
        if entry is None or not is_unchanged(str(hole.path), entry.mark):
            stale.append(hole)
    fresh = dict(zip((hole.name.folder for hole in stale), _summarise_all(stale), strict=True))
    save_entries(
        owner,
        {folder: CacheEntry(mark, json.dumps(summary)) for folder, (mark, summary) in fresh.items() if mark},
        known.keys() - {hole.name.folder for hole in holes},
    )
    read = lru_cache(IN_MEMORY)(read or read_files)
    played, marks = [], {}
    for hole in holes:
        folder = hole.name.folder
        mark, summary = (
            fresh[folder] if folder in fresh else (known[folder].mark, _decode(known[folder].text))
        )
        played.append(PlayedHole(hole, summary, read=read))
        if mark:
            marks[folder] = mark
    return played, marks


def _decode(text: str) -> Summary:
    """JSON knows no tuples; a summary is the same wherever it comes from."""
    return Summary._make(map(_with_tuples, json.loads(text)))


def _with_tuples(value: Any) -> Any:
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _summarise_all(holes: Sequence[Hole]) -> list[tuple[str, Summary]]:
    """Read holes, many of them in several processes; see `_summarise_marked`."""
    count = worker_count(len(holes), PER_PROCESS) if len(holes) > PER_PROCESS else 1
    if count == 1:
        return [_summarise_marked(hole) for hole in holes]
    with fork_pool(count) as pool:
        return list(pool.map(_summarise_marked, holes, chunksize=len(holes) // (4 * count) + 1))


def _summarise_marked(hole: Hole) -> tuple[str, Summary]:
    """Sum up a hole, with the mark of its files: empty if they changed a moment ago or could not be read."""
    settled = time.time_ns() - cache.SETTLED_NS
    mark, touched = mark_hole(str(hole.path))
    summary = summarise(hole.name, read_files(hole))
    return (mark if touched < settled and not summary.problems else ""), summary


def read_files(hole: Hole) -> Files:
    problems: list[str] = []
    try:
        intent = load_intent(hole.intent_path)
    except HarnessError as error:
        intent = Intent()
        problems.append(error.message)
    entries, unread = [], 0
    for attempt in hole.attempts:
        try:
            record = find_record(attempt.record_path)
        except HarnessError as error:
            problems.append(error.message)
            unread += 1
            continue
        entries.append(AttemptEntry(attempt, record))
    try:
        decision = load_decisions(hole.decision_path).newest
    except HarnessError as error:
        decision = None
        problems.append(error.message)
    return Files(intent, tuple(entries), decision, tuple(problems), unread)


def _status(files: Files) -> HoleStatus:
    """Return the record's status; without a record: unreadable, unfinished or unplayed."""
    if files.record is not None:
        return files.record.status
    return "unreadable" if files.unread else "unfinished" if files.entries else "unplayed"


def summarise(name: HoleName, files: Files) -> Summary:
    """Reduce a hole's files to what comparisons and tables need."""
    intent = files.intent
    record = files.record
    kind = kind_of(record) if record else ScoreKind(intent.course)
    as_of = record.as_of if record else None
    played_at = record.started_at if record else None
    day = played_at.astimezone(dt.UTC).date() if played_at else intent.created
    sample, repeats, series = sample_of(files.group), repeat_spread(files.group), find_series(files.records)
    seeds = sample.seeds if sample else ()
    machine = record.environment.machine if record else None
    on_machine = [one for one in files.group if one.environment.machine == machine]
    machine_sample = sample if len(on_machine) == len(files.group) else sample_of(on_machine)
    return Summary(
        title=intent.title or name.slug.replace("_", " ").title() or name.folder,
        parent=intent.parent,
        strategy=intent.strategy,
        status=_status(files),
        course=kind.course,
        split=kind.split,
        stage=kind.stage,
        scored_bytes=kind.scored_bytes,
        evidence=tuple(byte_evidence(record)) if record else (),
        values=sample.values if sample else (),
        seeds=seeds,
        failed_seeds=failed_seeds(files.records, files.group),
        earlier=earlier_configurations(files.records, files.group),
        trained_values=tuple(_trained_value(files.group, seed) for seed in seeds),
        repeats=repeats[1] if repeats else 0,
        repeat_std=repeats[0] if repeats else None,
        model_sizes=_known([ones[-1].model_bytes for ones in group_by_seed(files.group).values()]),
        own_training=any(one.evaluated_from is None for one in files.group),
        no_verdict=series.no_verdict if series else "",
        machine=machine,
        step_times=_known([one.step_ms for one in on_machine if one.evaluated_from is None]),
        machine_seeds=machine_sample.n if machine_sample else 0,
        machine_std=machine_sample.std if machine_sample else None,
        day=day.isoformat() if day else None,
        par=as_of.par if as_of else None,
        sota=as_of.sota if as_of else None,
        artifact_bytes=record.artifact_bytes if record else None,
        cap_bytes=record.cap_bytes if record else None,
        steps=record.steps if record else None,
        step_ms=record.step_ms if record else None,
        attempts=len(files.entries),
        cost=total_cost(files.records),
        decision=files.decision.decision if files.decision else None,
        tags=intent.tags,
        archived=intent.archived,
        former_names=intent.former_names,
        problems=files.problems,
    )


def _trained_value(group: Sequence[RunRecord], seed: int) -> float | None:
    """The score before packing that all runs of a seed agree on, to find trainings that are the same."""
    values = {record.stage_bpb("pre_quantization") for record in group if record.seed == seed}
    return values.pop() if len(values) == 1 else None


def _known(values: Sequence[Figure | None]) -> tuple[Figure, ...]:
    """All of the values, or none where one is missing."""
    known = tuple(value for value in values if value)
    return known if len(known) == len(values) else ()
