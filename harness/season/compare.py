"""Two plays compared: what the difference is worth, what else differs, where the curves stood, and whiffs.

Pure: records, curves and samples in, figures out. It reads no folder and prints nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.courses.course import SPLIT_TOLERANCE, Course, byte_evidence, foreign_text
from harness.figures import number
from harness.records.curve import Curve
from harness.records.record import UNHASHED_KNOBS, RunRecord
from harness.records.seeds import group_by_seed, mean_over_seeds, repeat_spread
from harness.season.artifact import ArtifactChange, artifact_change, rules_caveat
from harness.season.knob_acts import acts_in
from harness.season.ratios import RatioChange
from harness.season.score_kind import other_stages, other_text
from harness.stats import Difference, Sample, subtract
from trainer.config import KNOBS, NEUTRAL

# Knobs that change what is logged, not what is trained: alone they cannot be a whiff.
LOGGING_KNOBS = frozenset({"VAL_LOSS_EVERY", "VAL_BATCH_SIZE", "MAX_WALLCLOCK_SECONDS"})
# Places, as are all names that end in _PATH or _DIR: they say nothing of the idea.
PLACES = UNHASHED_KNOBS | {"DATA_ROOT", "OUTPUT_DIR", "CACHE_DIR"}
LONGER = 1.1  # times as long a training is worth a word
FEWEST_WHIFF_POINTS = 2  # one equal point can be chance: the first step of two runs with one seed

# The challenge's own knobs at their defaults: a record from before one was a knob ran with that.
_BASELINE = {name: knob.format(knob.default) for name, knob in KNOBS.items() if not knob.added}

Axis = Literal["step", "training time"]
Measure = Literal["val_bpb", "train_loss"]
Obstacle = Literal["no score", "invalid", "other text", "other stages", "unknown course"]
AXES: tuple[Axis, ...] = ("step", "training time")
MEASURES: tuple[Measure, ...] = ("val_bpb", "train_loss")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a hole's group of attempts, or a published score without records.

    name: how it is called in sentences. records: the attempts behind `sample`, newest last.
    curve: the newest one's. reason: why there is no sample. invalid: why the sample is no evidence.
    """

    name: str
    sample: Sample | None
    records: tuple[RunRecord, ...] = ()
    curve: Curve = field(default_factory=Curve)
    reason: str = ""
    invalid: str = ""
    failed_seeds: tuple[int, ...] = ()
    imported: RunRecord | None = None  # a log of a published score: its circumstances, not its score

    @property
    def circumstances(self) -> RunRecord | None:
        """The record that caveats and settings are read from."""
        return self.record or self.imported

    @property
    def record(self) -> RunRecord | None:
        return self.records[-1] if self.records else None

    @property
    def val_loss(self) -> float | None:
        """Mean loss over the seeds in nats per token, or None unless every attempt of the group has one."""
        return mean_over_seeds(self.records, lambda record: record.val_loss)


@dataclass(frozen=True)
class Change:
    """One setting or fact that differs; None is "not set" or "not known"."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Moment:
    """Where both curves stood at one point that both reached. at: a step, or seconds of training."""

    axis: Axis
    measure: Measure
    at: float
    a: float
    b: float

    @property
    def delta(self) -> float:
        return self.a - self.b


@dataclass(frozen=True)
class Whiff:
    """Two attempts whose settings differ and whose training was the same, bit for bit.

    kind: "whiff" when nothing else differs either, "export only" when the artifact or a score does.
    attempts: their numbers in the two holes. other_title: of the other hole, where it is known.
    """

    kind: Literal["whiff", "export only"]
    knobs: tuple[str, ...]
    seed: int | None
    points: int
    attempts: tuple[int, int]
    why: str
    other_title: str = ""


@dataclass(frozen=True)
class Pair:
    """`a` against `b`. difference is None when `obstacle` is in the way; `reason` says it in words."""

    a: Side
    b: Side
    label: str
    difference: Difference | None
    obstacle: Obstacle | None = None
    reason: str = ""
    nats_per_token: float | None = None
    noise: str = ""
    config: tuple[Change, ...] = ()
    caveats: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    whiff: Whiff | None = None
    tempo: RatioChange | None = None
    artifact: ArtifactChange | None = None  # how much heavier that of `a` is

    @property
    def nats_per_byte(self) -> float | None:
        return None if self.difference is None else self.difference.delta * math.log(2)

    @property
    def relative(self) -> float | None:
        """The difference as a share of b's score: -0.01 is one per cent better."""
        if self.difference is None or self.b.sample is None or self.b.sample.mean == 0:
            return None
        return self.difference.delta / self.b.sample.mean


def compare(
    a: Side,
    b: Side,
    course: Course | None,
    label: str = "",
    whiff: Whiff | None = None,
    across_stages: bool = False,
    difference: Difference | None = None,
) -> Pair:
    """Set `a` against `b`. What is not comparable is never subtracted: the pair says why.

    across_stages: subtract official scores of different stages all the same, with a caveat. difference: of
    the two samples, as the season's evidence has it; else the course's figure alone is the evidence.
    """
    changes = config_changes(a.circumstances, b.circumstances)
    stages = other_stages(a.records, b.records, (a.name, b.name))
    obstacle, reason = incomparable(a, b)
    if obstacle is None and (foreign := _foreign_text(a, b, course)):
        obstacle, reason = "other text", foreign
    if obstacle is None and stages and not across_stages:
        obstacle, reason = "other stages", stages
    if obstacle is None and course is None:
        obstacle = "unknown course"
        reason = f'the course "{a.record.course if a.record else "?"}" is not known, so neither is its noise'
    artifact = artifact_change(a.circumstances, b.circumstances)
    if obstacle or a.sample is None or b.sample is None or course is None:
        return Pair(a, b, label, None, obstacle, reason, config=changes, whiff=whiff, artifact=artifact)
    difference = difference or subtract(a.sample, b.sample, course.spread, course.no_interest_bpb)
    warnings = (stages, repeated_seeds(a), repeated_seeds(b), *map(failures, (a, b)))
    noise = ""
    known = difference.test is not None and difference.test.name == "known spread"
    if known and (figure := course.noise):
        noise = f"the course's noise figure: {figure.std_bpb:g} bpb of {figure.date}, {figure.source}"
    return Pair(
        a,
        b,
        label,
        difference,
        nats_per_token=_loss_difference(a, b),
        noise=noise,
        config=changes,
        caveats=(*caveats(a.circumstances, b.circumstances), *filter(None, warnings)),
        moments=tuple(common_moments(a.curve, b.curve)),
        whiff=whiff,
        artifact=artifact,
    )


def repeated_seeds(side: Side) -> str:
    """Say how often seeds were repeated, and how far repeats lie apart; empty when none was."""
    repeats = repeat_spread(side.records)
    if repeats is None:
        return ""
    std, _ = repeats
    seeds = number(len(group_by_seed(side.records)), "seed")
    apart = f"repeats spread by {std:.2g} bpb" if std else "repeats are the same bit for bit"
    return (
        f"{side.name} has {seeds} in {number(len(side.records), 'run')}: a repeat is no further seed; {apart}"
    )


def failures(side: Side) -> str:
    """Say how many of the seeds that were begun finished; empty when all did."""
    if not side.failed_seeds or side.sample is None:
        return ""
    begun = side.sample.n + len(side.failed_seeds)
    return f"{side.sample.n} of {begun} seeds of {side.name} finished: the score is of the survivors"


def incomparable(a: Side, b: Side) -> tuple[Obstacle | None, str]:
    """Say why two sides cannot be subtracted, whatever their stages; (None, "") when they can."""
    for side in (a, b):
        if side.invalid:
            return "invalid", side.invalid
        if side.sample is None:
            return "no score", side.reason or f"{side.name} has no complete attempt"
    if a.record is None or b.record is None:
        return None, ""
    difference = other_text(a.record, b.record, (a.name, b.name))
    return ("other text", difference) if difference else (None, "")


def _foreign_text(a: Side, b: Side, course: Course | None) -> str:
    """Say which side alone scored another text than the course's; a published score is of the course's."""
    reasons = [
        foreign_text(course, side.record.split, byte_evidence(side.record)) if side.record else ""
        for side in (a, b)
    ]
    if all(reasons):  # `incomparable` found them to be of one text
        return ""
    return next((f"{side.name}: {why}" for side, why in zip((a, b), reasons, strict=True) if why), "")


def _loss_difference(a: Side, b: Side) -> float | None:
    """The difference in nats per token, which only one tokenizer gives a meaning."""
    one, other = a.record, b.record
    if one is None or other is None or a.val_loss is None or b.val_loss is None:
        return None
    lengths = [_bytes_a_token(side) for side in (a, b)]
    if not lengths[0] or not lengths[1] or abs(lengths[0] / lengths[1] - 1) > SPLIT_TOLERANCE:
        return None
    return a.val_loss - b.val_loss


def _bytes_a_token(side: Side) -> float | None:
    """Mean bytes of text that a scored token stands for, as loss and score imply it."""
    if side.sample is None or side.val_loss is None or side.sample.mean == 0:
        return None
    return side.val_loss / (math.log(2) * side.sample.mean)


# What differs -------------------------------------------------------------------------------------


def counted_config(record: RunRecord) -> dict[str, str]:
    """What was set, as far as the record knows; without seed, names and places.

    So are our trainer's own knobs where they change nothing: an older record does not know them yet.
    """
    known = record.config | {
        name: value for name, value in record.overrides.items() if name not in record.config
    }
    builtin = record.code.trainer == "builtin" and record.provenance is None
    if builtin and record.config:
        known = _BASELINE | known
    return {
        name: value
        for name, value in known.items()
        if not _is_place(name) and not (builtin and (name, value) in NEUTRAL)
    }


def _is_place(name: str) -> bool:
    """Imported logs write their settings in lower case."""
    return name.upper() in PLACES or name.upper().endswith(("_PATH", "_DIR"))


def config_changes(a: RunRecord | None, b: RunRecord | None) -> tuple[Change, ...]:
    """Only what differs, by name. With no full configuration on one side, only names that both know or a
    side overrode: a setting that was merely not recorded is no difference."""
    if a is None or b is None:
        return ()
    ours, theirs = counted_config(a), counted_config(b)
    names = {*ours, *theirs}
    if not a.config or not b.config:
        names = (ours.keys() & theirs.keys()) | {n for n in (*a.overrides, *b.overrides) if not _is_place(n)}
    return tuple(
        Change(name, ours.get(name), theirs.get(name))
        for name in sorted(names)
        if ours.get(name) != theirs.get(name)
    )


_CAVEATS = {"TRAIN_BATCH_TOKENS": "batch tokens", "MAX_WALLCLOCK_SECONDS": "wall-clock cap in seconds"}


def _setting(record: RunRecord, knob: str) -> str | None:
    return record.config.get(knob) or record.config.get(knob.lower()) or record.overrides.get(knob)


def caveats(a: RunRecord | None, b: RunRecord | None) -> list[str]:
    """Differences that do not forbid a comparison but are shown with it."""
    if a is None or b is None:
        return []
    facts: list[tuple[str, object, object]] = [
        ("device", a.environment.device, b.environment.device),
        ("machine", a.environment.device_name, b.environment.device_name),
        ("world size", a.environment.world_size, b.environment.world_size),
    ]
    facts += [(what, _setting(a, knob), _setting(b, knob)) for knob, what in _CAVEATS.items()]
    differences = [
        f"different {what}: {x} against {y}" for what, x, y in facts if None not in (x, y) and x != y
    ]
    if a.split is None or b.split is None:
        differences.append("the validation split is not known on both sides")
    if a.train_seconds and b.train_seconds and not 1 / LONGER < a.train_seconds / b.train_seconds < LONGER:
        differences.append(
            f"different training time: {a.train_seconds:,.0f} s against {b.train_seconds:,.0f} s"
        )
    if rules := rules_caveat(a, b):
        differences.append(rules)
    for record in (a, b):
        if record.status == "over_cap":
            differences.append(f"{record.hole} is over the cap")
    if a.code.source_sha256 and b.code.source_sha256 and a.code.source_sha256 != b.code.source_sha256:
        differences.append("the code differs")
    return differences


# Curves -------------------------------------------------------------------------------------------


def common_moments(a: Curve, b: Curve) -> list[Moment]:
    """Compare two curves at the last step, and at the last second of training, that both reached.

    Between two logged points the value is interpolated; beyond the first or last one there is none.
    """
    moments = []
    for measure in MEASURES:
        for axis in AXES:
            ours, theirs = series(a, measure, axis), series(b, measure, axis)
            if not ours or not theirs:
                continue
            at = min(ours[-1][0], theirs[-1][0])
            x, y = value_at(ours, at), value_at(theirs, at)
            if x is not None and y is not None and at > 0:
                moments.append(Moment(axis, measure, at, x, y))
    return moments


def series(curve: Curve, measure: Measure, axis: Axis) -> list[tuple[float, float]]:
    """(step or seconds, value) of the points that are numbers, ascending; equal abscissae keep the last."""
    if measure == "train_loss":
        points = [(p.step, p.time_ms, p.loss) for p in curve.train]
    else:
        points = [(p.step, p.time_ms, p.bpb) for p in curve.val if p.bpb is not None]
    values: dict[float, float] = {}
    for step, time_ms, value in points:
        at = float(step) if axis == "step" else None if time_ms is None else time_ms / 1000
        if at is not None and math.isfinite(at) and math.isfinite(value):
            values[at] = value
    return sorted(values.items())


def value_at(points: Sequence[tuple[float, float]], at: float) -> float | None:
    """Return the value at `at`, interpolated between neighbours; None outside the points."""
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 <= at <= x1:
            return y1 if at == x1 else y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return points[0][1] if points and points[0][0] == at else None


# Whiffs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AttemptCurve:
    """An attempt's record and curve, to look for a whiff."""

    record: RunRecord
    curve: Curve


def same_losses(a: Curve, b: Curve) -> bool:
    """Whether two trainings logged the same losses, bit for bit, at more than one step."""
    same = (a.steps, a.losses) == (b.steps, b.losses)  # NaN equals nothing
    return same and len(a.steps) >= FEWEST_WHIFF_POINTS


def find_whiff(a: Sequence[AttemptCurve], b: Sequence[AttemptCurve]) -> Whiff | None:
    """Return the first pair of attempts whose override changed no training; a full whiff comes first."""
    whiffs = [whiff for x in a for y in b if (whiff := _whiff(x, y)) is not None]
    return min(whiffs, key=lambda whiff: whiff.kind != "whiff", default=None)


def _whiff(a: AttemptCurve, b: AttemptCurve) -> Whiff | None:
    knobs = tuple(c.name for c in config_changes(a.record, b.record) if c.name not in LOGGING_KNOBS)
    if not (a.record.complete and b.record.complete):  # a knob may act later than a broken run came
        return None
    if not knobs or a.record.seed != b.record.seed or a.record.course != b.record.course:
        return None
    ours, theirs = a.curve, b.curve
    if not same_losses(ours, theirs):
        return None
    # With nothing measured where a knob acts, no whiff is claimed.
    if not _export_is_known(a.record, b.record) and all(acts_in(name) == "export" for name in knobs):
        return None
    seed, points, attempts = a.record.seed, len(ours.steps), (a.record.attempt, b.record.attempt)
    acted = _acted_after_training(a.record, b.record)
    if acted:
        return Whiff("export only", knobs, seed, points, attempts, f"training is the same; {acted} differs")
    names = ", ".join(knobs)
    why = f"all {points} logged training losses are equal, bit for bit: {names} did nothing"
    return Whiff("whiff", knobs, seed, points, attempts, why)


def _export_is_known(a: RunRecord, b: RunRecord) -> bool:
    """Whether both attempts weighed their artifact or scored it after the round trip."""
    return all(
        record.artifact_bytes is not None or record.stage_bpb("round_trip") is not None for record in (a, b)
    )


def _acted_after_training(a: RunRecord, b: RunRecord) -> str:
    """Say which result differs although the training did not: an export knob acts only there."""
    if a.model_bytes is not None and b.model_bytes is not None:
        sizes = (a.model_bytes, b.model_bytes)  # the code in it may differ for other reasons
    else:
        sizes = (a.artifact_bytes or 0, b.artifact_bytes or 0)
    if sizes[0] != sizes[1]:
        return "the artifact's size"
    if a.stage_bpb("round_trip") != b.stage_bpb("round_trip"):
        return "the round-trip score"
    return "the score" if a.val_bpb != b.val_bpb else ""
