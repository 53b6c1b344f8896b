"""What counts as evidence: the distinct seeds of one configuration, their repeats, and those that failed.

A repeat of a seed is no further seed: on a deterministic machine it is the same run bit for bit, elsewhere
its spread is the machine's, not the seeds'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.records.record import RunRecord
from harness.stats import Sample, pool_std

_Key = int | float | None


def group_by_seed(records: Sequence[RunRecord]) -> dict[_Key, list[RunRecord]]:
    """Return the records of each seed, in the order in which they were first played.

    Runs that name no seed are told apart by their scores.
    """
    groups: dict[_Key, list[RunRecord]] = {}
    for record in records:
        key = record.seed if record.seed is not None else -1 - (record.val_bpb or 0.0)
        groups.setdefault(key, []).append(record)
    return groups


def sample_of(records: Sequence[RunRecord]) -> Sample | None:
    """Return the official scores of runs of one configuration: one a seed, the mean over its repeats."""
    scored = [record for record in records if record.val_bpb is not None]
    if not scored:
        return None
    groups = group_by_seed(scored)
    values = tuple(
        Sample(tuple(one.val_bpb for one in group if one.val_bpb is not None)).mean
        for group in groups.values()
    )
    seeds = tuple(record.seed for record, *_ in groups.values() if record.seed is not None)
    return Sample(values, seeds if len(seeds) == len(values) else ())


def mean_over_seeds(records: Sequence[RunRecord], read: Callable[[RunRecord], float | None]) -> float | None:
    """Return the mean of a figure with each seed counted once, or None unless all the records know it."""
    means = []
    for group in group_by_seed(records).values():
        known = tuple(value for record in group if (value := read(record)) is not None)
        if len(known) < len(group):
            return None
        means.append(Sample(known).mean)
    return Sample(tuple(means)).mean if means else None


def failed_seeds(records: Sequence[RunRecord], counted: Sequence[RunRecord]) -> tuple[int, ...]:
    """Return the seeds of the counted configuration and code that were begun and never finished."""
    finished = {record.seed for record in counted}
    newest = counted[-1:] or records[-1:]
    return tuple(
        dict.fromkeys(
            record.seed
            for record in records
            if record.seed is not None
            and record.seed not in finished
            and not record.complete
            and all(is_same_play(record, one) for one in newest)
        )
    )


def repeat_spread(records: Sequence[RunRecord]) -> tuple[float, int] | None:
    """Return the standard deviation over repeats of a seed, pooled, and how many repeats there are.

    None where no seed was played twice; 0.0 where all repeats are the same bit for bit.
    """
    samples = [
        Sample(tuple(record.val_bpb for record in group if record.val_bpb is not None))
        for group in group_by_seed(records).values()
        if group[0].seed is not None
    ]
    pooled = pool_std([(sample.std, sample.n - 1) for sample in samples if sample.std is not None])
    return (pooled[0], int(pooled[1])) if pooled else None


def is_same_play(a: RunRecord, b: RunRecord) -> bool:
    """Whether two attempts are of one experiment: only the seed may differ."""
    return (a.config_hash, a.code.source_sha256, a.course) == (
        b.config_hash,
        b.code.source_sha256,
        b.course,
    ) and (
        a.split == b.split or not (a.complete and b.complete)  # a run that failed early may not know it
    )
