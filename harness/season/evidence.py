"""What the holes of a season show of luck: the spread to judge by, measured floors, and equal weights.

Every difference between two holes is made here, so that tables, cards and commands agree on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from harness.courses.course import Course
from harness.figures import number
from harness.records.curve import load_curve
from harness.season.artifact import ArtifactChange, artifact_change
from harness.season.compare import config_changes, same_losses
from harness.season.hole import AttemptEntry, PlayedHole
from harness.season.knob_acts import acts_in
from harness.season.ratios import RatioChange, compare_tempo, compare_weights, tempo_spread, weights_spread
from harness.stats import Difference, Sample, Spread, exact_difference, pool_spread, subtract

FLOOR_SEEDS = 5  # distinct seeds of one configuration that measure its noise floor, see `harness noise`


@dataclass
class Evidence:
    """holes: in the order of play, without those whose figures are no evidence. parent: of a hole of ours."""

    holes: Sequence[PlayedHole]
    parent: Callable[[PlayedHole], PlayedHole | None]
    _spreads: dict[tuple[str | None, str | None], Spread | None] = field(default_factory=dict)
    _equal: dict[tuple[str, str], frozenset[int]] = field(default_factory=dict)

    def spread(self, course: Course, split: str | None) -> Spread | None:
        """Return the spread over seeds to judge by: the season's pooled one, else the course's figure."""
        key = (course.name, split)
        if key not in self._spreads:
            groups = _spreads_of(hole for hole in self.holes if (hole.course, hole.split) == key)
            pooled = pool_spread(groups, f"the spread of {number(len(groups), 'hole')} of this season")
            self._spreads[key] = pooled or course.spread
        return self._spreads[key]

    def floor(self, played: PlayedHole) -> Spread | None:
        """Return the spread of the nearest ancestor that measured it on the same machine and text."""
        hole, passed = self.parent(played), {played.name.folder}
        while hole is not None and hole.name.folder not in passed:
            passed.add(hole.name.folder)
            summary, n = hole.summary, hole.summary.machine_seeds
            there = (summary.machine, hole.course, hole.split)
            alike = there == (played.summary.machine, played.course, played.split)
            known = alike and summary.machine is not None and not hole.invalid
            if known and summary.machine_std and n >= FLOOR_SEEDS:
                return Spread(summary.machine_std, n - 1, f"the floor of {hole.name.folder} ({n} seeds)")
            hole = self.parent(hole)
        return None

    def sample(self, played: PlayedHole) -> Sample | None:
        """Return the scores of a hole; a single one with the floor that was measured for it."""
        sample = played.sample
        if sample is None or sample.n > 1:
            return sample
        return replace(sample, floor=self.floor(played))

    def difference(self, a: PlayedHole, b: PlayedHole, course: Course) -> Difference | None:
        """Compare the scores of two holes; None when one has none."""
        ours, theirs = self.sample(a), self.sample(b)
        if ours is None or theirs is None:
            return None
        if set(ours.seeds) == set(theirs.seeds) == self.equal_weights(a, b) and ours.seeds:
            return exact_difference(ours, theirs, course.no_interest_bpb)
        return self.against(ours, theirs, course, a.split)

    def against(self, ours: Sample, theirs: Sample, course: Course, split: str | None) -> Difference:
        return subtract(ours, theirs, self.spread(course, split), course.no_interest_bpb)

    def on_equal_weights(
        self, a: PlayedHole, b: PlayedHole, course: Course
    ) -> tuple[Difference, Sample] | None:
        """Compare with those seeds of `b` alone that are the trainings of `a`; None unless all of a's are.

        The sample is b's on these seeds.
        """
        ours, theirs = a.sample, b.sample
        if ours is None or theirs is None or not ours.seeds or set(ours.seeds) != self.equal_weights(a, b):
            return None
        values = dict(zip(theirs.seeds, theirs.values, strict=True))
        shared = Sample(tuple(values[seed] for seed in ours.seeds), ours.seeds)
        return exact_difference(ours, shared, course.no_interest_bpb), shared

    def tempo(self, a: PlayedHole, b: PlayedHole) -> RatioChange | None:
        """Compare milliseconds a step."""
        return compare_tempo(a, b, self._tempo_spread)

    def weights(self, a: PlayedHole, b: PlayedHole) -> RatioChange | None:
        """Compare the bytes of the weights."""
        same = bool(a.summary.seeds) and set(a.summary.seeds) == self.equal_weights(a, b)
        return compare_weights(a, b, same, self._weights_spread)

    @cached_property
    def _tempo_spread(self) -> Callable[[str], Spread | None]:
        """Every table asks for it, so it is pooled once a machine."""
        return cache(lambda machine: tempo_spread(self.holes, machine))

    @cached_property
    def _weights_spread(self) -> Callable[[str | None], Spread | None]:
        """Every table asks for it, so it is pooled once a course."""
        return cache(lambda course: weights_spread(self.holes, course))

    def artifact(self, a: PlayedHole, b: PlayedHole) -> ArtifactChange | None:
        """Compare the artifacts of the records shown, and say whether seeds alone differ as much."""
        change, weights = artifact_change(a.record, b.record), self.weights(a, b)
        if change is None or weights is None or weights.outcome != "within noise":
            return change
        return replace(change, within_noise=change.weights_alone or not change.code)

    def equal_weights(self, a: PlayedHole, b: PlayedHole) -> frozenset[int]:
        """Return the seeds whose training is the same in both holes, bit for bit: losses, and score before
        packing. What differs in their scores was done after training.

        Where no score before packing is known, the settings that differ must act after training.
        """
        key = (a.name.folder, b.name.folder)
        if key not in self._equal:
            self._equal[key] = frozenset(
                seed for seed in _candidates(a, b) if _trained_alike(_of_seed(a, seed), _of_seed(b, seed))
            )
        return self._equal[key]


def _spreads_of(holes: Iterable[PlayedHole]) -> list[tuple[float, float]]:
    """Standard deviation and degrees of freedom of each hole of several seeds; a training counts once.

    Holes that pack or score the trainings of another hole otherwise show the same luck again.
    """
    groups, counted = [], set[tuple[int | None, int, float]]()
    for hole in sorted(holes, key=lambda one: -len(one.summary.values)):
        sample, summary = hole.sample, hole.summary
        if sample is None or sample.std is None or not summary.own_training:
            continue
        trainings = {
            (summary.steps, seed, value)
            for seed, value in zip(summary.seeds, summary.trained_values, strict=True)
            if value is not None
        }
        if trainings & counted:
            continue
        counted |= trainings
        groups.append((sample.std, sample.n - 1.0))
    return groups


def _candidates(a: PlayedHole, b: PlayedHole) -> list[int]:
    """Shared seeds that may be one training, by the summaries alone: most holes need no file."""
    if a is b or a.course != b.course:
        return []
    theirs = dict(zip(b.summary.seeds, b.summary.trained_values, strict=True))
    same_steps = a.summary.steps == b.summary.steps
    return [
        seed
        for seed, value in zip(a.summary.seeds, a.summary.trained_values, strict=True)
        if seed in theirs and same_steps and (None in (value, theirs[seed]) or value == theirs[seed])
    ]


def _of_seed(played: PlayedHole, seed: int) -> AttemptEntry | None:
    """The newest counted attempt of a seed."""
    entries = [one for one in played.entries if one.record and one.record in played.group]
    return next((one for one in reversed(entries) if one.record and one.record.seed == seed), None)


def _trained_alike(a: AttemptEntry | None, b: AttemptEntry | None) -> bool:
    if a is None or b is None or a.record is None or b.record is None:
        return False
    if None in [record.stage_bpb("pre_quantization") for record in (a.record, b.record)]:
        if a.record.code.source_sha256 != b.record.code.source_sha256:
            return False
        if any(acts_in(change.name) == "training" for change in config_changes(a.record, b.record)):
            return False
    return same_losses(load_curve(a.attempt.curve_path), load_curve(b.attempt.curve_path))
