"""All holes of a season, and how each stands against the field of its own day.

Comparisons are computed here, never stored. A broken record is named and passed over; the rest goes on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from harness import verdict
from harness.compare import mismatch
from harness.course import Course, load_course
from harness.decision import Decision, load_decisions
from harness.errors import HarnessError
from harness.field import FieldStore, StoredEntry
from harness.record import RunRecord
from harness.rounds import HoleName, Intent
from harness.stats import Difference, Sample, subtract
from harness.store import Attempt, Hole, Store
from harness.verdict import Verdict

HoleStatus = Literal["ok", "over_cap", "stopped", "failed", "unfinished", "unplayed"]
Kind = Literal["par", "sota", "best", "previous", "parent"]


@dataclass(frozen=True)
class Entry:
    """An attempt with its record; None while it has none (running, or killed before it could write one)."""

    attempt: Attempt
    record: RunRecord | None


@dataclass(frozen=True)
class Played:
    """A hole as its folder shows it.

    group: the complete attempts that the score is the mean of: same configuration, code and split as the
    newest complete attempt. problems: files that could not be read, with the reason.
    decision: the newest one taken on the hole.
    """

    hole: Hole
    intent: Intent
    entries: tuple[Entry, ...]
    problems: tuple[str, ...] = ()
    decision: Decision | None = None

    @property
    def name(self) -> HoleName:
        return self.hole.name

    @property
    def invalid(self) -> bool:
        """Whether the hole was decided to be invalid: then its score is nobody's yardstick."""
        return self.decision is not None and self.decision.decision == "invalid"

    @property
    def title(self) -> str:
        return self.intent.title or self.name.slug.replace("_", " ").title() or self.name.position

    @property
    def records(self) -> list[RunRecord]:
        return [entry.record for entry in self.entries if entry.record is not None]

    @cached_property
    def group(self) -> tuple[RunRecord, ...]:
        complete = [record for record in self.records if record.complete]
        if not complete:
            return ()
        return tuple(record for record in complete if _same_play(record, complete[-1]))

    @cached_property
    def record(self) -> RunRecord | None:
        """The record shown for the hole: the newest complete attempt, else the newest of any kind."""
        if self.group:
            return self.group[-1]
        return self.records[-1] if self.records else None

    @property
    def attempt(self) -> Attempt | None:
        """The folder of `record`."""
        return next((entry.attempt for entry in self.entries if entry.record is self.record), None)

    @cached_property
    def status(self) -> HoleStatus:
        if self.record is not None:
            return self.record.status
        return "unfinished" if self.entries else "unplayed"

    @cached_property
    def course(self) -> str | None:
        return self.record.course if self.record else self.intent.course

    @cached_property
    def split(self) -> str | None:
        return self.record.split if self.record else None

    @cached_property
    def sample(self) -> Sample | None:
        """The official scores of the group, in bits per byte."""
        values = tuple(record.val_bpb for record in self.group if record.val_bpb is not None)
        return Sample(values) if values else None

    @cached_property
    def val_loss(self) -> float | None:
        """Mean loss over the attempts behind the score, in nats per token, so that both are of one piece."""
        losses = [record.val_loss for record in self.group if record.val_loss is not None]
        if losses and len(losses) == len(self.group):
            return sum(losses) / len(losses)
        return self.record.val_loss if self.record else None

    @property
    def day(self) -> dt.date | None:
        """The day of play in UTC, by the newest complete attempt; else the day the hole was made."""
        if self.record and self.record.started_at:
            return self.record.started_at.astimezone(dt.UTC).date()
        return self.intent.created


def _same_play(a: RunRecord, b: RunRecord) -> bool:
    """Whether two attempts are repeats of one experiment: only the seed may differ."""
    return (a.config_hash, a.code.source_sha256, a.course, a.split) == (
        b.config_hash,
        b.code.source_sha256,
        b.course,
        b.split,
    )


@dataclass(frozen=True)
class Comparison:
    """A hole against one reference. difference is None when `reason` says why there is none.

    caveat: what to know beside the number.
    """

    kind: Kind
    label: str = ""
    val_bpb: float | None = None
    date: dt.date | None = None
    source: str = ""
    hole: Played | None = None
    difference: Difference | None = None
    reason: str = ""
    caveat: str = ""


@dataclass(frozen=True)
class Standing:
    """Everything that is computed about a hole's place in its field."""

    played: Played
    course: Course | None
    verdict: Verdict
    comparisons: dict[Kind, Comparison]
    sets_par: bool = False
    course_record: bool = False

    @property
    def headroom_bytes(self) -> int | None:
        record = self.played.record
        if record is None or record.artifact_bytes is None:
            return None
        cap = record.cap_bytes or (self.course.caps.artifact_bytes if self.course else None)
        return None if cap is None else cap - record.artifact_bytes


@dataclass
class Season:
    """The holes of a `runs/` folder in the order of play."""

    runs: Path
    holes: tuple[Played, ...]
    problems: tuple[str, ...] = ()
    _courses: dict[str, Course | HarnessError] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    @cached_property
    def public(self) -> tuple[StoredEntry, ...]:
        """Imported entries of the field, read when they are first asked for."""
        entries, problems = FieldStore(self.runs).load_field()
        self.problems = (*self.problems, *problems)
        return tuple(entries)

    def course(self, name: str | None) -> Course | None:
        """Return a course by name, or None when it is unknown or its file is broken (then `problems` says so)."""
        if name is None:
            return None
        if name not in self._courses:
            try:
                self._courses[name] = load_course(name, self.runs)
            except HarnessError as error:
                self._courses[name] = error
                self.problems = (*self.problems, error.message)
        found = self._courses[name]
        return found if isinstance(found, Course) else None

    def standing(self, played: Played) -> Standing:
        """Compare a hole with par, the SOTA of its day, our best before it, the previous hole and its parent."""
        course = self.course(played.course)
        compared = {kind: self._compare(played, course, kind) for kind in KINDS}
        par_hole = self._par_hole(played, course)
        sets_par = par_hole is played
        return Standing(
            played=played,
            course=course,
            verdict=_judge(played, course, compared["par"], sets_par),
            comparisons=compared,
            sets_par=sets_par,
            course_record=_is_better(compared["sota"]) and played.status == "ok",
        )

    def neighbours(self, played: Played) -> tuple[Played | None, Played | None]:
        """Return the holes before and after in the order of play, whatever their course or fate."""
        at = self._place(played)
        return (
            self.holes[at - 1] if at > 0 else None,
            self.holes[at + 1] if at + 1 < len(self.holes) else None,
        )

    def parent(self, played: Played) -> Played | None:
        """Return the hole that round.toml names as the parent, by its folder or the beginning of it."""
        named = played.intent.parent
        if not named:
            return None
        self._place(played)
        if named in self._places:
            return self.holes[self._places[named]]
        return next((hole for hole in self.holes if hole.name.folder.startswith(named)), None)

    def before(self, played: Played) -> Sequence[Played]:
        return self.holes[: self._place(played)]

    def _place(self, played: Played) -> int:
        """Where a hole stands in the order of play."""
        if not self._places:
            self._places.update({hole.name.folder: at for at, hole in enumerate(self.holes)})
        return self._places[played.name.folder]

    def _compare(self, played: Played, course: Course | None, kind: Kind) -> Comparison:
        if played.sample is None:
            return Comparison(kind, reason="this hole has no complete attempt")
        if course is None:
            return Comparison(kind, reason=f'the course "{played.course}" is not known')
        reference = _REFERENCES[kind](self, played, course)
        if reference.val_bpb is None:
            return reference
        if reference.hole is None and (reason := _not_final(played)):
            return replace(reference, val_bpb=None, reason=reason)
        sample = reference.hole.sample if reference.hole else None
        difference = subtract(played.sample, sample or Sample((reference.val_bpb,)), course.noise.std_bpb)
        return replace(reference, difference=difference)

    def _par_hole(self, played: Played, course: Course | None) -> Played | None:
        """The hole that sets par: on a course without one, the first complete hole on the same split."""
        if course is None or course.par is not None:
            return None
        return next((hole for hole in self.holes if hole.status == "ok" and _comparable(hole, played)), None)

    def _par(self, played: Played, course: Course) -> Comparison:
        record = played.record
        par, noted = course.par, record.as_of.par if record and record.as_of else None
        if noted and not (par and round(par.val_bpb - noted, 6) == 0):
            return Comparison("par", "Par", noted, source="noted with the record")
        if par:
            elsewhere = bool(par.split and played.split) and played.split != par.split
            caveat = f"par was measured on the {par.split} split; {par.on_others}" if elsewhere else ""
            return Comparison("par", par.name, par.val_bpb, par.date, par.source, caveat=caveat)
        holder = self._par_hole(played, course)
        if holder is None:
            return Comparison("par", reason="this course has no par yet: the first complete hole sets it")
        if holder is played:
            return Comparison("par", reason="this hole sets par for the course")
        return _against("par", holder)

    def _sota(self, played: Played, course: Course) -> Comparison:
        record = played.record
        if record and record.as_of and record.as_of.sota:
            noted = round(record.as_of.sota, 6)
            known = next((row for row in course.field if round(row.val_bpb, 6) == noted), None)
            if known:
                return Comparison("sota", known.name, known.val_bpb, known.date, known.source)
            return Comparison("sota", "SOTA", record.as_of.sota, played.day, "noted with the record")
        if not course.field:
            return Comparison("sota", reason="nobody else has published a score on this course")
        if played.day is None:
            return Comparison("sota", reason="the day of play is not known")
        best = course.sota(played.day)
        if best is None:
            return Comparison("sota", reason=f"nothing was published by {played.day.isoformat()}")
        return Comparison("sota", best.name, best.val_bpb, best.date, best.source)

    def _best(self, played: Played, course: Course) -> Comparison:
        earlier = [
            hole
            for hole in self.before(played)
            if hole.status == "ok" and not hole.invalid and _comparable(hole, played)
        ]
        if not earlier:
            return Comparison("best", reason="no earlier hole of ours counts on this course and split")
        return _against("best", min(earlier, key=_mean))

    def _previous(self, played: Played, course: Course) -> Comparison:
        earlier = self.before(played)
        if not earlier:
            return Comparison("previous", reason="this is the first hole")
        for hole in reversed(earlier):
            if hole.sample is not None and _comparable(hole, played):
                return _against("previous", hole)
        return Comparison("previous", reason="no earlier hole was completed on this course and split")

    def _parent(self, played: Played, course: Course) -> Comparison:
        if not played.intent.parent:
            return Comparison("parent", reason="round.toml names no parent")
        parent = self.parent(played)
        if parent is None:
            return Comparison("parent", reason=f'the parent "{played.intent.parent}" is not here')
        if parent.sample is None:
            return Comparison("parent", hole=parent, reason=f"{parent.name.folder} has no complete attempt")
        if not _comparable(parent, played):
            return Comparison("parent", hole=parent, reason=f"not comparable: {_why_not(played, parent)}")
        return _against("parent", parent)


KINDS: tuple[Kind, ...] = ("par", "sota", "best", "previous", "parent")
_REFERENCES = {
    "par": Season._par,
    "sota": Season._sota,
    "best": Season._best,
    "previous": Season._previous,
    "parent": Season._parent,
}


def load_season(runs: Path) -> Season:
    """Read every hole under `runs/`. Files that cannot be read are named in `problems`, never fatal."""
    holes = [load_hole(hole) for hole in Store(runs).holes()]
    return Season(runs, tuple(holes), tuple(problem for hole in holes for problem in hole.problems))


def load_hole(hole: Hole) -> Played:
    """Read one hole; files that cannot be read are named in its `problems`."""
    problems: list[str] = []
    try:
        intent = hole.load_intent()
    except HarnessError as error:
        intent = Intent()
        problems.append(error.message)
    entries = []
    for attempt in hole.attempts:
        try:
            record = attempt.load_record()
        except HarnessError as error:
            problems.append(error.message)
            continue
        entries.append(Entry(attempt, record))
    try:
        decision = load_decisions(hole.decision_path).newest
    except HarnessError as error:
        decision = None
        problems.append(error.message)
    return Played(hole, intent, tuple(entries), tuple(problems), decision)


def _comparable(a: Played, b: Played) -> bool:
    """Whether two scores are of one kind: same course, split, stage and text. What is not known is no mismatch."""
    if a.record is None or b.record is None:
        return a.course == b.course
    return not mismatch(a.record, b.record)


def _why_not(a: Played, b: Played) -> str:
    if a.record is None or b.record is None:
        return "another course"
    return mismatch(a.record, b.record, (a.name.folder, b.name.folder))


def _not_final(played: Played) -> str:
    """Published scores are those of the packed artifact; a score from before packing is none."""
    official = played.record.official if played.record else None
    if official is None or official.stage != "pre_quantization":
        return ""
    return "this score was taken before quantization, published ones after it"


def _mean(played: Played) -> float:
    assert played.sample is not None
    return played.sample.mean


def _against(kind: Kind, hole: Played) -> Comparison:
    return Comparison(kind, hole.title, _mean(hole), hole.day, f"{hole.name.folder}, our own", hole=hole)


def _is_better(comparison: Comparison) -> bool:
    return comparison.difference is not None and comparison.difference.outcome == "better"


def _judge(played: Played, course: Course | None, par: Comparison, sets_par: bool) -> Verdict:
    """Give a hole its golf name, or say why it has none."""
    if played.status == "over_cap":
        return Verdict(verdict.OVER_CAP, 2, "the artifact is not under the cap")
    if played.status == "unplayed":
        return Verdict(verdict.NOT_PLAYED, 0, "no attempt has been made")
    if played.status == "unfinished":
        why = f"an attempt has no record yet; if nobody plays it, `harness run {played.name.folder} --resume` goes on"
        return Verdict(verdict.STILL_OUT, 0, why)
    if played.sample is None:
        return Verdict(verdict.NOT_FINISHED, 2, "no attempt was completed")
    if sets_par:
        return Verdict(verdict.SETS_PAR, 0, "the first complete hole of a course without par sets it")
    if course is None or par.difference is None:
        return Verdict(verdict.NO_PAR, 0, par.reason)
    return verdict.judge(par.difference, course.verdicts)
