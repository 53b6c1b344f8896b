"""All holes of a season, and how each stands against the field of its own day.

Comparisons are computed here, never stored. A broken record is a problem of the season; the rest goes on.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.courses.course import Course, ReferenceScore, course_names, load_course
from harness.errors import HarnessError, UsageError
from harness.multiplicity import against_lowest
from harness.records.references import FIELD_PREFIX, HoleIndex, clean_reference, is_meant, is_public
from harness.records.store import Store, misnamed
from harness.season.claims import Claims
from harness.season.evidence import Evidence
from harness.season.hole import PlayedHole, load_hole, summarise_holes
from harness.season.score_kind import ScoreKind, alike, kind_of, mismatch, other_text
from harness.season.shown import shown_files, shown_hole, shown_summary
from harness.season.standing import KINDS, Comparison, ComparisonKind, Standing
from harness.season.verdict import judge_hole
from harness.stats import Difference, Sample

if TYPE_CHECKING:
    from harness.field.entries import StoredEntry


@dataclass
class Season:
    """The holes of a `runs/` folder in the order of play; courses and the field are read when needed.

    hole_problems: holes' files that could not be read. file_problems: the additions to the field and policies
    that could not be read so far. marks: of summaries, the marks of their holes' files
    by folder, where these can be relied on.
    """

    runs: Path
    holes: tuple[PlayedHole, ...]
    hole_problems: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    file_problems: list[str] = field(default_factory=list)
    _courses: dict[str, Course | HarnessError] = field(default_factory=dict)
    _field: tuple[list[StoredEntry], list[str]] | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Name the files that could not be read so far: of holes, of courses, of the field."""
        courses = (course.message for course in self._courses.values() if isinstance(course, HarnessError))
        field = dict.fromkeys((*self.file_problems, *(self._field[1] if self._field else ())))
        return (*self.hole_problems, *courses, *field)

    def public_entries(self) -> list[StoredEntry]:
        """Return the imported entries of the field."""
        if self._field is None:
            from harness.field.entries import FieldStore  # a listing does not wait for it

            self._field = FieldStore(self.runs).load_field()
        return self._field[0]

    def course(self, name: str | None) -> Course | None:
        """Return a course, or None when it is unknown or its file is broken (then `problems` says so)."""
        if name is None:
            return None
        if name not in self._courses:
            try:
                self._courses[name] = load_course(name, self.runs, self.file_problems)
            except HarnessError as error:
                self._courses[name] = error
        course = self._courses[name]
        return course if isinstance(course, Course) else None

    def courses(self) -> list[Course]:
        """Return every course that can be read, shipped and own."""
        return [course for name in course_names(self.runs) if (course := self.course(name))]

    def standing(self, played: PlayedHole, kinds: Sequence[ComparisonKind] | None = None) -> Standing:
        """Compare a hole with par, the SOTA of its day, our best before it, the previous hole and its parent.

        kinds: fewer than all of these; par must be among them, since the verdict follows from it.
        """
        course = self.course(played.course)
        compared = {kind: self._compare(played, course, kind) for kind in kinds or KINDS}
        sets_par = self._par_hole(played.kind, course) is played
        return Standing(
            played=played,
            course=course,
            verdict=judge_hole(played, course, compared["par"].difference, sets_par, compared["par"].reason),
            comparisons=compared,
            evidence=self.evidence,
            sets_par=sets_par,
            record_obstacles=self.record_obstacles(played, compared["sota"].val_bpb)
            if "sota" in compared and compared["sota"].better
            else (),
        )

    def record_obstacles(self, played: PlayedHole, sota_bpb: float | None = None) -> tuple[str, ...]:
        """Return what keeps a complete hole from being a record, in words; empty when nothing does.

        sota_bpb: the score that it beats; None leaves the size of the gain out.
        """
        from harness.courses.policy import record_rules  # few holes need it
        from harness.season.record_rules import find_gain_obstacle, find_obstacles

        course = self.course(played.course)
        if course is None:
            return ("its course is not known",)
        limits, asked = record_rules(course, played.day, self.runs, self.file_problems)
        texts = find_obstacles(played, course, limits)
        if texts or asked is None or sota_bpb is None:
            return texts
        return find_gain_obstacle(played, sota_bpb, asked, course.noise_std)

    @cached_property
    def evidence(self) -> Evidence:
        """What the holes show of luck."""
        return Evidence([hole for hole in self.holes if not hole.invalid], self.parent)

    @cached_property
    def claims(self) -> Claims:
        """Which claims of its stories survive that there are many of them."""
        stories = {hole.name.folder: self.standing(hole, ("par", "parent")).story for hole in self.holes}
        return Claims(
            (folder, self.holes[self._places[folder]].course, story.difference)
            for folder, story in stories.items()
        )

    def survives(self, played: PlayedHole) -> bool | None:
        """Whether a hole's story is a claim that survives the correction for their number.

        None where there is no claim: no difference, or one within noise.
        """
        return self.claims.survives(played.name.folder)

    @cached_property
    def _sota_on(self) -> Callable[[str, dt.date], ReferenceScore | None]:
        """The best published score of a day; many holes are played on one."""

        @cache
        def sota(name: str, day: dt.date) -> ReferenceScore | None:
            course = self.course(name)
            return course.sota(day) if course else None

        return sota

    def neighbours(self, played: PlayedHole) -> tuple[PlayedHole | None, PlayedHole | None]:
        """Return the holes before and after in the order of play, whatever their course and status."""
        at = self._place(played)
        return (
            self.holes[at - 1] if at > 0 else None,
            self.holes[at + 1] if at + 1 < len(self.holes) else None,
        )

    def parent(self, played: PlayedHole) -> PlayedHole | None:
        """Return the hole that round.toml names as the parent."""
        return self.find(played.summary.parent) if played.summary.parent else None

    def find(self, reference: str) -> PlayedHole | None:
        """Return the hole meant by a folder name, a number, or the beginning of a name; None without one."""
        if reference in self._places:
            return self.holes[self._places[reference]]
        try:
            cleaned = clean_reference(reference, self.runs)
        except UsageError:  # a path that leads out of the season
            return None
        found = (self.holes[self._places[name]] for name in self._index.matches(cleaned))
        return min(found, key=self._place, default=None) or self._find_former(cleaned)

    def _find_former(self, reference: str) -> PlayedHole | None:
        """Return the one hole that had this name or number before it was renamed."""
        matches = [
            hole
            for hole in self.holes
            if any(is_meant(name, reference) for name in hole.summary.former_names)
        ]
        return matches[0] if len(matches) == 1 else None

    def say_parent_missing(self, reference: str) -> str:
        """Say that a parent is not a hole of this season, and where it went."""
        from harness.season.trash import describe_removal  # few seasons need it

        removed = describe_removal(self.runs, reference)
        return f'the parent "{reference}" {removed or "is not here"}'

    def before(self, played: PlayedHole) -> Sequence[PlayedHole]:
        return self.holes[: self._place(played)]

    def _place(self, played: PlayedHole) -> int:
        """Where a hole stands in the order of play."""
        return self._places[played.name.folder]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {hole.name.folder: at for at, hole in enumerate(self.holes)}

    @cached_property
    def _index(self) -> HoleIndex:
        return HoleIndex(self._places)

    @cached_property
    def _earlier(self) -> list[tuple[PlayedHole | None, PlayedHole | None, int]]:
        """For each hole in the order of play: our best before it and the newest one with a score that stands,
        both of its kind, and of how many that best is the lowest.

        One walk over the season. Kinds of scores are few, so each hole looks at a handful of them.
        """
        best: dict[ScoreKind, PlayedHole] = {}
        newest: dict[ScoreKind, PlayedHole] = {}
        candidates: dict[ScoreKind, list[float]] = {}  # scores, ascending
        pairs: list[tuple[PlayedHole | None, PlayedHole | None, int]] = []
        for hole in self.holes:
            kind = hole.kind
            bests = [one for other, one in best.items() if alike(other, kind)]
            newests = [one for other, one in newest.items() if alike(other, kind)]
            lowest = min(bests, key=lambda one: (_mean(one), self._place(one)), default=None)
            chosen_from = [scores for other, scores in candidates.items() if alike(other, kind)]
            pairs.append(
                (lowest, max(newests, key=self._place, default=None), _count_above(chosen_from, lowest))
            )
            if not hole.comparable:
                continue
            newest[kind] = hole
            if hole.is_candidate:
                insort(candidates.setdefault(kind, []), _mean(hole))
            if hole.counts:
                best[kind] = min(best.get(kind, hole), hole, key=_mean)
        return pairs

    @cached_property
    def _first(self) -> dict[ScoreKind, PlayedHole]:
        """The first complete hole of each kind."""
        first: dict[ScoreKind, PlayedHole] = {}
        for hole in self.holes:
            if hole.status == "ok" and hole.comparable:
                first.setdefault(hole.kind, hole)
        return first

    def _compare(self, played: PlayedHole, course: Course | None, kind: ComparisonKind) -> Comparison:
        if played.sample is None:
            return Comparison(kind, reason="this hole has no complete attempt")
        if reason := played.why_invalid or played.summary.no_verdict:
            return Comparison(kind, reason=reason)
        if course is None:
            return Comparison(kind, reason=f'the course "{played.course}" is not known')
        foreign = played.foreign_text(course)
        if foreign and (kind in ("par", "sota") or is_public(played.summary.parent)):
            return Comparison(kind, reason=foreign)
        reference = _REFERENCES[kind](self, played, course)
        if reference.val_bpb is None:
            return reference
        if reference.hole is None and (reason := _not_final(played.kind)):
            return reference._replace(val_bpb=None, reason=reason)
        if reference.hole is None:
            ours = self.evidence.sample(played) or played.sample
            public = reference.entry.sample if reference.entry else None
            theirs = public or Sample((reference.val_bpb,))
            return reference._replace(difference=self.evidence.against(ours, theirs, course, played.split))
        if kind == "parent" and (exact := self.evidence.on_equal_weights(played, reference.hole, course)):
            return _on_shared_seeds(reference, *exact)
        difference = self.evidence.difference(played, reference.hole, course)
        best, _, count = self._earlier[self._place(played)]
        if difference is not None and reference.hole is best and kind in ("best", "parent"):
            difference = against_lowest(difference, count)
        return reference._replace(difference=difference)

    def _par_hole(self, kind: ScoreKind, course: Course | None) -> PlayedHole | None:
        """The hole that sets par: on a course without one, the first complete hole on the same split.

        Par is a score like a published one: whatever stage of evaluation counts, it is to be beaten.
        """
        if course is None or course.par is not None:
            return None
        finals = {
            first: hole
            for first, hole in self._first.items()
            if not _not_final(first) and not hole.foreign_text(course)
        }
        matches = [hole for first, hole in finals.items() if alike(first._replace(stage=None), kind)]
        return min(matches, key=self._place, default=None)

    def par(self, played: PlayedHole, kind: ScoreKind) -> Comparison:
        """Return par for an attempt of a hole that will have a score of this kind; it has no difference."""
        course = self.course(kind.course)
        if course is None:
            return Comparison("par", reason=f'the course "{kind.course}" is not known')
        return self._par(played, course, kind)

    def _par(self, played: PlayedHole, course: Course, kind: ScoreKind | None = None) -> Comparison:
        kind = kind or played.kind
        par, recorded = course.par, played.summary.par
        if recorded and not (par and round(par.val_bpb - recorded, 6) == 0):
            return Comparison("par", "Par", recorded, source="noted with the record")
        if par:
            elsewhere = bool(par.split and kind.split) and kind.split != par.split
            caveat = f"par was measured on the {par.split} split; {par.on_others}" if elsewhere else ""
            return Comparison("par", par.name, par.val_bpb, par.date, par.source, caveat=caveat)
        holder = self._par_hole(kind, course)
        if holder is None:
            return Comparison("par", reason="this course has no par yet: the first complete hole sets it")
        if holder is played:
            return Comparison("par", reason="this hole sets par for the course")
        if reason := _not_final(kind):
            return Comparison("par", reason=reason)
        stages = (holder.kind.stage, kind.stage)
        other = None not in stages and stages[0] != stages[1]
        caveat = f"par was scored at the {str(stages[0]).replace('_', ' ')} stage" if other else ""
        return _against("par", holder)._replace(caveat=caveat)

    def _sota(self, played: PlayedHole, course: Course) -> Comparison:
        if played.summary.sota:
            recorded = round(played.summary.sota, 6)
            known = next((row for row in course.field if round(row.val_bpb, 6) == recorded), None)
            if known:
                return Comparison("sota", known.name, known.val_bpb, known.date, known.source)
            return Comparison("sota", "SOTA", played.summary.sota, played.day, "noted with the record")
        if not course.field:
            return Comparison("sota", reason="nobody else has published a score on this course")
        if played.day is None:
            return Comparison("sota", reason="the day of play is not known")
        best = self._sota_on(course.name, played.day)
        if best is None:
            return Comparison("sota", reason=f"nothing was published by {played.day.isoformat()}")
        return Comparison("sota", best.name, best.val_bpb, best.date, best.source)

    def _best(self, played: PlayedHole, course: Course) -> Comparison:
        best, _, _ = self._earlier[self._place(played)]
        if best is None:
            return Comparison("best", reason="no earlier hole of ours counts on this course, split and stage")
        return _against("best", best)

    def _previous(self, played: PlayedHole, course: Course) -> Comparison:
        at = self._place(played)
        if at == 0:
            return Comparison("previous", reason="this is the first hole")
        _, newest, _ = self._earlier[at]
        if newest is None:
            return Comparison(
                "previous", reason="no earlier hole was completed on this course, split and stage"
            )
        return _against("previous", newest)

    def _parent(self, played: PlayedHole, course: Course) -> Comparison:
        if not played.summary.parent:
            return Comparison("parent", reason="round.toml names no parent")
        if is_public(played.summary.parent):
            return self._public_parent(played, course, played.summary.parent)
        parent = self.parent(played)
        if parent is None:
            return Comparison("parent", reason=self.say_parent_missing(played.summary.parent))
        if parent is played:
            return Comparison("parent", reason="round.toml names the hole itself as its parent")
        if parent.sample is None:
            return Comparison("parent", hole=parent, reason=f"{parent.name.folder} has no complete attempt")
        if parent.invalid:
            return Comparison("parent", hole=parent, reason=f"the parent {parent.why_invalid}")
        if alike(parent.kind, played.kind):
            return _against("parent", parent)
        # Of the same weights, another way to score them is the change that was made.
        same_text = alike(parent.kind._replace(stage=None), played.kind)
        if same_text and self.evidence.on_equal_weights(played, parent, course):
            stage = str(parent.kind.stage).replace("_", " ")
            return _against("parent", parent)._replace(caveat=f"the parent was scored at the {stage} stage")
        return Comparison("parent", hole=parent, reason=f"not comparable: {_why_not(played, parent)}")

    def _public_parent(self, played: PlayedHole, course: Course, reference: str) -> Comparison:
        """A public run is a published score: whatever stage of its evaluation counts, it is compared."""
        from harness.field.reference import find_public  # few holes need it

        try:
            entry = find_public(self.public_entries(), self.courses(), course, reference)
        except UsageError as error:
            return Comparison("parent", reason=f"{error.message}; {error.hint}")
        kind = kind_of(entry.complete[-1])
        if not alike(kind._replace(stage=None), played.kind):
            names = (played.name.folder, entry.slug)
            why = other_text(played.measured[-1], entry.complete[-1], names) if played.measured else ""
            return Comparison("parent", entry=entry, reason=f"not comparable: {why}")
        other = None not in (kind.stage, played.kind.stage) and kind.stage != played.kind.stage
        caveat = f"the parent was scored at the {str(kind.stage).replace('_', ' ')} stage" if other else ""
        score = entry.sample.mean if entry.sample else None
        source = f"{FIELD_PREFIX}{entry.slug}, {entry.seeds}"
        return Comparison(
            "parent", entry.entry.name, score, entry.entry.date, source, caveat=caveat, entry=entry
        )


_REFERENCES = {
    "par": Season._par,
    "sota": Season._sota,
    "best": Season._best,
    "previous": Season._previous,
    "parent": Season._parent,
}


def load_season(runs: Path, shown: bool = False) -> Season:
    """Read every hole under `runs/`. Files that cannot be read are named in `problems`, never fatal.

    shown: as others may see it, without secrets and places; such a hole is not played again.
    """
    holes = [(shown_hole if shown else load_hole)(hole) for hole in Store(runs).holes()]
    return Season(
        runs, tuple(holes), (*misnamed(runs), *(problem for hole in holes for problem in hole.problems))
    )


def summarise_season(runs: Path, shown: bool = False) -> Season:
    """Read a season for tables and comparisons: a hole's files only where the cache has no summary.

    shown: see `load_season`.
    """
    holes, marks = summarise_holes(runs, Store(runs).holes(), shown_files if shown else None)
    holes = list(map(shown_summary, holes)) if shown else holes
    problems = (*misnamed(runs), *(problem for hole in holes for problem in hole.problems))
    return Season(runs, tuple(holes), problems, marks)


def _why_not(a: PlayedHole, b: PlayedHole) -> str:
    if a.record is None or b.record is None:
        return "another course"
    return mismatch(a.measured, b.measured, (a.name.folder, b.name.folder))


def _not_final(kind: ScoreKind) -> str:
    """Published scores are those of the packed artifact; a score from before packing is none."""
    if kind.stage != "pre_quantization":
        return ""
    return "this score was taken before quantization, published ones after it"


def _mean(played: PlayedHole) -> float:
    assert played.sample is not None
    return played.sample.mean


def _count_above(groups: Iterable[Sequence[float]], lowest: PlayedHole | None) -> int:
    """Return how many scores are not below that of the lowest hole that counts, its own among them."""
    if lowest is None:
        return 0
    return sum(len(scores) - bisect_left(scores, _mean(lowest)) for scores in groups)


def _against(kind: ComparisonKind, hole: PlayedHole) -> Comparison:
    return Comparison(kind, hole.title, _mean(hole), hole.day, f"{hole.name.folder}, our own", hole=hole)


def _on_shared_seeds(reference: Comparison, difference: Difference, shared: Sample) -> Comparison:
    """A parent's score on those seeds alone that a hole shares, weights and all."""
    whole = reference.hole.sample if reference.hole else None
    if whole is None or whole.n == shared.n:
        return reference._replace(difference=difference)
    seeds = ", ".join(map(str, shared.seeds))
    caveat = f"on seed {seeds} alone, where the weights are the same; {whole.mean:.4f} over all its seeds"
    return reference._replace(val_bpb=shared.mean, difference=difference, caveat=caveat)
