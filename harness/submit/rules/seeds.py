"""Rules on several runs: distinct seeds, none left out, and a gain that is more than luck."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness import figures
from harness.courses.course import ReferenceScore
from harness.season.pairs import SAME_SCORE
from harness.stats import Sample, lower_by
from harness.submit.claim import Claim, ClaimedRun
from harness.submit.policy import Significance
from harness.submit.rules.ruling import Case, Ruling

BASELINE_TOKENS_A_BYTE = 0.41052  # of the challenge's 1024-piece tokenizer, as all public logs with it imply


def check_seeds(case: Case) -> Iterator[Ruling]:
    """Seeds must be distinct, and all of them shown."""
    limit = "distinct, none left out"
    runs = case.exhibit.runs
    seeds = [run.record.seed for run in runs]
    said = ", ".join("?" if seed is None else str(seed) for seed in seeds)
    again = sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1})
    unfinished = [run for run in case.exhibit.others if _same_configuration(run, runs)]
    if unfinished:
        said += "; also tried: " + ", ".join(f"{run.record.seed} ({run.record.status})" for run in unfinished)
    claimed = _claimed_seeds(case.exhibit)
    hidden = sorted(
        set(claimed) - {str(seed) for seed in seeds} - {str(run.record.seed) for run in unfinished}
    )
    unclaimed = sorted({str(seed) for seed in seeds if seed is not None} - set(claimed)) if claimed else []
    if again:
        yield Ruling(
            "seeds",
            "fail",
            f"{said}: {again[0]} was used {seeds.count(again[0])} times",
            limit,
            "a repeat of one seed is no second run",
        )
    elif hidden:
        yield Ruling(
            "seeds", "fail", f"{said}: no log of seed {', '.join(hidden)}", limit, "add the missing log"
        )
    elif unclaimed:
        yield Ruling(
            "seeds",
            "fail",
            f"{said}: submission.json leaves out {', '.join(unclaimed)}",
            limit,
            "list every run that was made",
        )
    elif None in seeds:
        yield Ruling(
            "seeds", "cannot tell", f"{said}: a run names no seed", limit, "the log must print its seed"
        )
    else:
        yield Ruling("seeds", "pass", said, limit)


def _same_configuration(run: ClaimedRun, counted: tuple[ClaimedRun, ...]) -> bool:
    return any(run.record.config_hash == other.record.config_hash for other in counted)


def _claimed_seeds(exhibit: Claim) -> list[str]:
    if exhibit.submission is None:
        return []
    return [score.seed for score in exhibit.submission.seeds]


def check_significance(case: Case) -> Iterator[Ruling]:
    rule = case.policy.significance
    if rule is None:
        return
    name, exhibit = "significance", case.exhibit
    asked = f"{rule.min_improvement_nats:g} nats " if rule.min_improvement_nats else ""
    limit = f"{asked}better than the {_AGAINST[rule.against]} at p < {rule.p_below:g}"
    waiver = "a systems-only speed-up may be waived: say so in the submission" if asked else ""
    reference = _reference(case, rule)
    if isinstance(reference, str):
        yield Ruling(name, "cannot tell", reference, limit)
        return
    label, other = reference
    ours = exhibit.sample
    assert ours is not None  # an exhibit has a complete run
    gain = other.mean - ours.mean
    readings = _readings(gain, exhibit)
    told = ", ".join(
        f"{value:+.4f} {_READING[reading]}{' (the gate)' if reading == rule.reading else ''}"
        for reading, value in readings.items()
    )
    said = f"{figures.bpb(ours.mean)} against {figures.bpb(other.mean)} of {label}: {told}"
    gate = readings.get(rule.reading)
    if gate is None:
        yield Ruling(name, "cannot tell", f"{said}; val_loss is not known, so nats a token are not", limit)
        return
    if gate <= 0 or gate < rule.min_improvement_nats:
        yield Ruling(name, "fail", said, limit, waiver or "nothing to claim yet")
        return
    margin = rule.min_improvement_nats * gain / gate if rule.margin_in_test else 0.0  # in bpb
    test = lower_by(ours, other, margin, exhibit.course.noise_std)
    if isinstance(test, str):
        yield Ruling(name, "cannot tell", f"{said}; {test}", limit, "play more seeds: --seeds 42,1337,314")
        return
    said += (
        f"; one-sided p {test.p:.2g} (t {test.t:.2f}, {test.freedom:.2f} degrees of freedom; {test.basis})"
    )
    if test.p < rule.p_below:
        yield Ruling(name, "pass", said, limit)
    else:
        yield Ruling(
            name, "fail", said, limit, waiver or "more seeds may show it, or show that it is not there"
        )


_AGAINST = {"sota": "SOTA of the day", "par": "course's par", "best": "best hole before it"}
_READING = {
    "own tokenizer": "nats a token",
    "baseline tokenizer": "nats a token of the baseline's tokenizer",
    "per byte": "nats a byte",
}


def _readings(gain: float, exhibit: Claim) -> dict[str, float]:
    """Return an improvement in bpb in the three readings of "nats"; what is not known is left out."""
    a_byte = gain * math.log(2)
    found: dict[str, float] = {}
    if exhibit.bytes_a_token is not None:
        found["own tokenizer"] = a_byte * exhibit.bytes_a_token
    return found | {"baseline tokenizer": a_byte / BASELINE_TOKENS_A_BYTE, "per byte": a_byte}


def _reference(case: Case, rule: Significance) -> tuple[str, Sample] | str:
    """Return whom the rule compares with, with the seeds of a published score where its logs were imported."""
    exhibit, course = case.exhibit, case.exhibit.course
    if rule.against == "best":
        if exhibit.played is None:
            return "only a hole of ours has an earlier best"
        comparison = case.season.standing(exhibit.played).comparisons["best"]
        if comparison.hole is None or comparison.hole.sample is None:
            return comparison.reason or "there is no earlier best"
        return comparison.hole.name.folder, comparison.hole.sample
    if rule.against == "par":
        return (course.par.name, Sample((course.par.val_bpb,))) if course.par else "this course has no par"
    noted = exhibit.played.summary.sota if exhibit.played else None
    if noted is not None:
        return "the SOTA noted with the record", Sample((noted,))
    if exhibit.day is None:
        return "the day is not known, and so neither is its SOTA"
    ours = exhibit.sample
    rows = course.field
    if ours:  # its own row is not what it had to beat
        rows = tuple(row for row in rows if not _is_own(row, exhibit, ours.mean))
    best = course.model_copy(update={"field": rows}).sota(exhibit.day)
    if best is None:
        return f"nothing was published by {exhibit.day.isoformat()}"
    entry = next(
        (
            e
            for e in case.season.public
            if e.sample and e.entry.course == course.name and abs(e.sample.mean - best.val_bpb) <= SAME_SCORE
        ),
        None,
    )
    return f"{best.name} ({best.date.isoformat()})", entry.sample if entry and entry.sample else Sample(
        (best.val_bpb,)
    )


def _is_own(row: ReferenceScore, exhibit: Claim, mean: float) -> bool:
    named = row.source.endswith(exhibit.name)
    return named or (exhibit.published and abs(row.val_bpb - mean) <= SAME_SCORE)
