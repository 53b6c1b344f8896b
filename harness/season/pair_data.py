"""A hole beside another as machines get it: from `harness compare --json` and from the Python API."""

from __future__ import annotations

from dataclasses import asdict

from harness.records.seeds import repeat_spread
from harness.season.compare import Pair, Side
from harness.season.differences import difference_data, reference_of, sample_data, survives
from harness.season.schema import (
    ArtifactData,
    ConfigChange,
    MomentData,
    PairData,
    Reference,
    SideData,
    TempoData,
    WhiffData,
)
from harness.season.season import Season
from harness.season.standing import KINDS, Standing


def pair_data(season: Season, standing: Standing, pair: Pair) -> PairData:
    """Return a pair for machines, unrounded. standing: of the hole that was named first."""
    artifact, whiff = pair.artifact, pair.whiff
    return PairData(
        a=_side_data(pair.a),
        b=_side_data(pair.b),
        label=pair.label or None,
        comparable=pair.difference is not None,
        difference=difference_data(
            pair.difference,
            _reference(season, standing, pair),
            survives(season, standing, pair.difference),
            pair.reason,
        ),
        delta_nats_per_byte=pair.nats_per_byte,
        delta_nats_per_token=pair.nats_per_token,
        relative=pair.relative,
        noise=pair.noise or None,
        artifact=ArtifactData(
            delta_bytes=artifact.bytes,
            weights_alone=artifact.weights_alone,
            within_noise=artifact.within_noise,
            weights_bytes=artifact.weights,
            code_bytes=artifact.code,
        )
        if artifact
        else None,
        tempo=TempoData(**asdict(pair.tempo)) if pair.tempo else None,
        caveats=list(pair.caveats),
        config={change.name: ConfigChange(a=change.a, b=change.b) for change in pair.config},
        curve=[
            MomentData(axis=m.axis, measure=m.measure, at=m.at, a=m.a, b=m.b, delta=m.delta)
            for m in pair.moments
        ],
        whiff=WhiffData(
            kind=whiff.kind,
            knobs=list(whiff.knobs),
            seed=whiff.seed,
            points=whiff.points,
            attempts=whiff.attempts,
            why=whiff.why,
        )
        if whiff
        else None,
    )


def _reference(season: Season, standing: Standing, pair: Pair) -> Reference | None:
    """Say what the second side is: a hole of ours, an entry of the field, or a published score."""
    kind = next((one for one in KINDS if one == pair.label.split(", ")[0]), None)
    score = pair.b.sample.mean if pair.b.sample else None
    hole = next((one for one in season.holes if one.name.folder == pair.b.name), None)
    if hole is not None:
        return Reference(
            kind=kind or "hole", label=hole.title, hole=pair.b.name, val_bpb=score, date=hole.day
        )
    if kind is not None:
        return reference_of(standing.comparisons[kind])
    return Reference(kind="entry", label=pair.label, entry=pair.b.name, val_bpb=score)


def _side_data(side: Side) -> SideData:
    repeats = repeat_spread(side.records)
    std, count = repeats or (None, 0)
    score = sample_data(side.sample, side.failed_seeds, count, std)
    values = list(side.sample.values) if side.sample else []
    return SideData(**dict(score), name=side.name, values=values)
