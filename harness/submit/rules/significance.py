"""The rule on significance: a gain over the record that stood, as large as asked and more than luck."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness import figures
from harness.courses.claim import find_earlier_record, is_par
from harness.courses.course import ReferenceScore
from harness.courses.policy import Reading, Significance
from harness.field.entries import find_entry
from harness.season.gain import judge_gain, mean_token_bytes
from harness.stats import Sample
from harness.submit.candidate import Candidate, Case
from harness.submit.result import RuleResult


def check_significance(case: Case) -> Iterator[RuleResult]:
    """A gain over the rule's reference must be as large as asked, and more than luck.

    Rows of the claim's day whose order is not known can only turn a pass into "cannot tell".
    """
    rule = case.policy.significance
    if rule is None:
        return
    required = f"{rule.min_improvement_nats:g} nats " if rule.min_improvement_nats else ""
    limit = f"{required}better than the {_AGAINST[rule.against]} at p < {rule.p_below:g}"
    if rule.against != "best" and is_par(case.candidate.course, case.candidate.claim):
        yield RuleResult(
            "significance", "pass", "it is the course's par: nothing was published before", limit
        )
        return
    found = _reference(case, rule)
    if isinstance(found, str):
        yield RuleResult("significance", "cannot tell", found, limit)
        return
    result = _test_gain(case, rule, found, limit)
    if result.outcome == "pass":
        for row in found.same_day:
            beaten = _test_gain(case, rule, _published(case, row), limit)
            if beaten.outcome != "pass":
                yield RuleResult(
                    "significance",
                    "cannot tell",
                    f"{result.measured}; {_label(row)} has {figures.bpb(row.val_bpb)} on the same day, and "
                    "nothing says which came first",
                    limit,
                    'name your pull request in submission.json: "pr": NUMBER',
                )
                return
    if result.outcome == "fail":
        result = _allow(case, rule, found, result)
    yield result


def _allow(case: Case, rule: Significance, reference: _Reference, failed: RuleResult) -> RuleResult:
    """Turn a fail into "cannot tell" where maintainers decided, or used to decide, otherwise."""
    if case.candidate.is_listed:
        what = f"{failed.measured}; the table lists it all the same"
        hint = "the maintainers waived the rule or applied another one: their pull request says which"
    elif rule.listed_with_less and _gains(case.candidate, reference):
        what = f"{failed.measured}; less than the rule asks, but the table has rows of that time with less"
        hint = "the maintainers decide: ask in the pull request"
    else:
        return failed
    return replace(failed, outcome="cannot tell", measured=what, hint=hint)


def _gains(candidate: Candidate, reference: _Reference) -> bool:
    return candidate.sample is not None and candidate.sample.mean < reference.sample.mean


@dataclass(frozen=True)
class _Reference:
    """What a gain is measured against. same_day: rows that may have come before the claim as well."""

    label: str
    sample: Sample
    same_day: tuple[ReferenceScore, ...] = ()


def _test_gain(case: Case, rule: Significance, reference: _Reference, limit: str) -> RuleResult:
    candidate, other = case.candidate, reference.sample
    waiver = "a systems-only speed-up may be waived: say so in the submission"
    waiver = waiver if rule.min_improvement_nats else ""
    ours = candidate.sample
    assert ours is not None  # a candidate has a complete run
    token_bytes = mean_token_bytes([run.record for run in candidate.runs])
    gain = judge_gain(ours, other, token_bytes, rule, candidate.course.noise_std)
    readings_text = ", ".join(
        f"{figures.delta(value)} {_READING[reading]}{' (the gate)' if reading == rule.reading else ''}"
        for reading, value in gain.readings.items()
    )
    measured = (
        f"{figures.bpb(ours.mean)} against {figures.bpb(other.mean)} of {reference.label}: {readings_text}"
    )
    if gain.why:
        why, versions = gain.why, 1 if candidate.played else candidate.seeds.versions
        if versions > 1:
            why = f"logs of {versions} versions show no spread over seeds"
        hint = "play more seeds: --seeds 42,1337,314" if rule.reading in gain.readings else ""
        return RuleResult("significance", "cannot tell", f"{measured}; {why}", limit, hint)
    hint = "nothing to claim yet"
    if test := gain.test:
        measured += f"; one-sided p {test.p:.2g} (t {test.t:.2f}, {test.freedom:.2f} degrees of freedom; "
        measured += f"{test.basis})"
        hint = "more seeds may show it, or show that it is not there"
    hint = "" if gain.outcome == "pass" else waiver or hint
    return RuleResult("significance", gain.outcome, measured, limit, hint)


_AGAINST = {"sota": "SOTA of the day", "par": "course's par", "best": "best hole before it"}
_READING: dict[Reading, str] = {
    "own tokenizer": "nats a token",
    "baseline tokenizer": "nats a token of the baseline's tokenizer",
    "per byte": "nats a byte",
}


def _reference(case: Case, rule: Significance) -> _Reference | str:
    """Return what the rule compares with, and the seeds of a published score where its logs were imported."""
    candidate, course = case.candidate, case.candidate.course
    if rule.against == "best":
        if candidate.played is None:
            return "only a hole of ours has an earlier best"
        comparison = case.season.standing(candidate.played).comparisons["best"]
        if comparison.hole is None or comparison.hole.sample is None:
            return comparison.reason or "there is no earlier best"
        return _Reference(comparison.hole.name.folder, comparison.hole.sample)
    if rule.against == "par":
        if course.par is None:
            return "this course has no par"
        return _Reference(course.par.name, Sample((course.par.val_bpb,)))
    noted_sota = candidate.played.summary.sota if candidate.played else None
    if noted_sota is not None:
        return _Reference("the SOTA noted with the record", Sample((noted_sota,)))
    claim = candidate.claim
    if claim.day is None and claim.pr is None:
        return "the day is not known, and so neither is its SOTA"
    earlier = find_earlier_record(course, claim)
    if earlier.row is not None:
        return replace(_published(case, earlier.row), same_day=earlier.same_day)
    if earlier.same_day:
        first = earlier.same_day[0]
        return (
            f"{_label(first)} has {figures.bpb(first.val_bpb)} on the same day, and nothing says which came "
            "first"
        )
    when = f"pull request {claim.pr}" if claim.day is None else claim.day.isoformat()
    return f"nothing was published before {when}"


def _published(case: Case, row: ReferenceScore) -> _Reference:
    """A published row; its logs count where they were imported and are seeds of one version."""
    entry = find_entry(case.season.public_entries(), case.candidate.course, row)
    label = _label(row)
    if entry is None or entry.sample is None:
        return _Reference(label, Sample((row.val_bpb,)))
    if not entry.seeds.comparable:
        return _Reference(f"{label}, as published: its logs are {entry.seeds}", Sample((row.val_bpb,)))
    if figures.bpb(entry.sample.mean) != figures.bpb(row.val_bpb):
        label = f"{label} by its logs ({figures.bpb(row.val_bpb)} as published)"
    return _Reference(label, entry.sample)


def _label(row: ReferenceScore) -> str:
    number = f", PR {row.pr}" if row.pr is not None else ""
    return f"{row.name} ({row.date.isoformat()}{number})"
