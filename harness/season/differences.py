"""A difference as machines and readers get it: one form for every command, table and page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import figures
from harness.season.claims import Family, is_claim
from harness.season.hole import PlayedHole
from harness.season.schema import (
    Counted,
    DifferenceData,
    EarlierData,
    HoleData,
    MoreSeeds,
    PlaceData,
    Reference,
    ScoreData,
    TestData,
)
from harness.season.season import Season
from harness.season.standing import Comparison, ComparisonKind, Standing
from harness.stats import Difference, Sample, TestResult


def difference_data(
    difference: Difference | None,
    reference: Reference | None,
    survives: bool | None = None,
    reason: str = "",
    caveat: str = "",
) -> DifferenceData:
    """Return a difference for machines, unrounded, in bits per byte; what is not known is null.

    survives: whether the claim survives the correction for the season's number of claims; None for no claim.
    """
    if difference is None:
        return DifferenceData(reference=reference, reason=reason or None, caveat=caveat or None)
    return DifferenceData(
        reference=reference,
        delta=difference.delta,
        outcome=difference.outcome,
        exact=difference.exact,
        n=difference.n,
        spread=difference.std,
        test=difference.test.name if difference.test else None,
        looks=difference.looks,
        t=difference.t,
        degrees_of_freedom=difference.freedom,
        p=difference.p_value,
        p_one_sided=difference.p_better,
        threshold=difference.threshold,
        interval=difference.interval,
        no_interest=difference.bound,
        equivalent=difference.equivalent,
        more_seeds=seeds_to_show(difference),
        lowest_of=difference.lowest_of or None,
        shrinkage=difference.shrinkage or None,
        survives=survives,
        basis=difference.basis,
        tests=[_test_data(test) for test in (difference.test, *difference.others) if test],
        caveat=caveat or None,
    )


def comparison_data(season: Season, standing: Standing, kind: ComparisonKind) -> DifferenceData:
    """Return one of a hole's comparisons with the references of its day."""
    comparison = standing.comparisons[kind]
    return difference_data(
        comparison.difference,
        reference_of(comparison),
        survives(season, standing, comparison.difference),
        comparison.reason,
        comparison.caveat,
    )


def reference_of(comparison: Comparison) -> Reference | None:
    """Return what a hole is compared with; None where there is nothing."""
    if comparison.val_bpb is None and comparison.hole is None and comparison.entry is None:
        return None
    return Reference(
        kind=comparison.kind,
        label=comparison.label,
        hole=comparison.hole.name.folder if comparison.hole else None,
        entry=comparison.entry.slug if comparison.entry else None,
        val_bpb=comparison.val_bpb,
        date=comparison.date,
        source=comparison.source or None,
    )


def survives(season: Season, standing: Standing, difference: Difference | None) -> bool | None:
    """Whether a claim survives the correction: a story among those of its course, another beside them."""
    played = standing.played
    if difference is not None and difference == standing.story.difference:
        return season.survives(played)
    return season.claims.survives_beside(difference, played.course)


def score_data(played: PlayedHole) -> ScoreData:
    """Return a hole's score with the seeds behind it."""
    summary = played.summary
    return sample_data(played.sample, summary.failed_seeds, summary.repeats, summary.repeat_std)


def sample_data(
    sample: Sample | None, failed_seeds: Sequence[int], repeats: int, repeat_std: float | None
) -> ScoreData:
    """Return a score with its seeds. repeats: runs beyond one a seed."""
    return ScoreData(
        val_bpb=sample.mean if sample else None,
        std=sample.std if sample else None,
        n=sample.n if sample else 0,
        seeds=list(sample.seeds) if sample else [],
        failed_seeds=list(failed_seeds),
        repeats=repeats,
        repeat_std=repeat_std,
    )


def place_data(standing: Standing) -> PlaceData:
    """Return a hole by name, with its score."""
    played = standing.played
    return PlaceData(
        **dict(score_data(played)),
        hole=played.name.folder,
        title=played.title,
        course=played.course,
        status=played.status,
        verdict=standing.verdict.name,
        counts=played.counts,
        earlier_configurations=[EarlierData.model_validate(one._asdict()) for one in played.earlier],
    )


def hole_data(season: Season, standing: Standing) -> HoleData:
    """Return a hole with every comparison."""
    played = standing.played
    return HoleData(
        **dict(place_data(standing)),
        number=played.name.number,
        round=played.name.round,
        hole_in_round=played.name.hole,
        split=played.split,
        date=played.day,
        tags=list(played.summary.tags),
        archived=played.summary.archived,
        former_names=list(played.summary.former_names),
        story=standing.story.kind,
        comparisons={kind: comparison_data(season, standing, kind) for kind in standing.comparisons},
    )


def claims_data(season: Season) -> dict[str, Any]:
    """Return what each course counts."""
    courses = dict.fromkeys(hole.course for hole in season.holes if hole.course)
    return {name: family_data(season.claims.of_course(name)).model_dump() for name in courses}


def family_data(family: Family) -> Counted:
    return Counted(
        comparisons=family.comparisons,
        claims=family.claims,
        survivors=family.survivors,
        exact=family.exact,
    )


def _test_data(test: TestResult) -> TestData:
    return TestData(
        test=test.name,
        delta=test.delta,
        n=test.n,
        spread=test.std,
        error=test.error,
        t=test.t,
        degrees_of_freedom=test.freedom,
        p=test.p,
    )


# Words ----------------------------------------------------------------------------------------------


def seeds_to_show(difference: Difference) -> MoreSeeds | None:
    """Return how many more seeds a side would show twice the bound of no interest, where luck hides it now;
    where it does not, the bound itself. None where something is told already, or nothing is known of luck."""
    if difference.bound is None or difference.equivalent or is_claim(difference):
        return None
    for size in (2 * difference.bound, difference.bound):
        if seeds := difference.more_seeds(size):
            return MoreSeeds(seeds=seeds, size=size)
    return None


def describe_outcome(difference: Difference) -> str:
    """Return the outcome in words, with whether it does nothing or what would tell."""
    note = describe_interest(difference)
    return f"{difference.outcome}; {note}" if note else difference.outcome


def describe_interest(difference: Difference) -> str:
    """Say whether a difference lies inside the bound of no interest, or what would tell; empty if neither."""
    if difference.exact and difference.delta == 0:
        return ""  # the outcome says it
    if difference.equivalent and difference.bound is not None:
        what = "too small to matter" if is_claim(difference) else "does nothing"
        where = "it" if difference.exact else "the interval"
        return f"{what}: {where} lies within ±{difference.bound:g}"
    more = seeds_to_show(difference)
    if more is None:
        return ""
    return f"cannot tell yet: {figures.number(more.seeds, 'more seed')} a side would show {more.size:g}"


def describe_survival(difference: Difference, survives: bool | None, comparisons: int) -> str:
    """Say that a claim does not survive the correction; empty where it does, or is none."""
    if survives is not False:
        return ""
    return f"{difference.outcome} by itself, but not among {figures.number(comparisons, 'comparison')}"


def describe_tests(difference: Difference) -> list[str]:
    """Return a line for each test of a difference, that which counts first."""
    lines = []
    for test in (difference.test, *difference.others):
        if test is None:
            continue
        counts = " (counts)" if test is difference.test and difference.others else ""
        freedom = "" if test.freedom is None else f" with {test.freedom:.3g} degrees of freedom"
        statistic = "z" if test.freedom is None else "t"
        if test.name == "paired t":
            lines.append(
                f"paired over {test.n[0]} shared seeds: mean difference {figures.delta(test.delta)}, "
                f"spread of the differences {test.std:.2g}, paired t {test.t:.2f}, p {test.p:.2g}{counts}"
            )
        else:
            name = {"known spread": "noise figure"}.get(test.name, test.name)
            lines.append(f"{name}: {statistic} {test.t:.2f}{freedom}, two-sided p {test.p:.2g}{counts}")
    return lines
