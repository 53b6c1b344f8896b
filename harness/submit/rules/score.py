"""Rules on the score: which text, its bytes, what the logs show, which seeds, and a gain beyond luck."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness import figures
from harness.courses.course import ReferenceScore, check_record_bytes
from harness.field.log_parser import parse_log
from harness.field.submission_file import ROUNDING_BPB
from harness.figures import number
from harness.season.pairs import SAME_SCORE
from harness.stats import Sample, lower_by
from harness.submit.candidate import Candidate, CandidateRun, Case
from harness.submit.policy import SEVERITY, RuleOutcome, RuleResult, Significance

LOG_DIGITS = 5e-9  # a log prints eight decimals; older lines four
BASELINE_TOKENS_A_BYTE = 0.41052  # of the challenge's 1024-piece tokenizer, as all public logs with it imply


def check_split(case: Case) -> Iterator[RuleResult]:
    """The validation text must be the course's current one, and whole."""
    splits = case.candidate.course.splits
    scored = {run.record.split for run in case.candidate.runs}
    if len(scored) > 1:
        names = ", ".join(sorted(str(name) for name in scored))
        yield RuleResult(
            "validation_split", "fail", f"the runs were scored on several: {names}", "one for all runs"
        )
        return
    (split,) = scored
    if not splits:
        marks = {run.record.data.val_sha256 or "" for run in case.candidate.runs}
        mark = min(marks)
        if split and len(marks) == 1 and mark:
            yield RuleResult(
                "validation_split",
                "pass",
                f"{split}, fingerprint {mark[:12]}",
                "one for all runs",
            )
        else:
            yield RuleResult(
                "validation_split",
                "cannot tell",
                f"{split or 'unknown'}, with no fingerprint",
                "one for all runs",
            )
        return
    limit = f"{splits[0].name}, {splits[0].val_bytes / 1e6:.2f} M bytes, whole"
    if split is None:
        yield RuleResult(
            "validation_split",
            "cannot tell",
            "nothing tells which text was scored",
            limit,
            "the log must print the number of validation tokens",
        )
    elif split == splits[0].name:
        yield RuleResult("validation_split", "pass", split, limit)
    elif split in {known.name for known in splits}:
        yield RuleResult(
            "validation_split", "fail", f"{split}: an older export", limit, "evaluate on the current export"
        )
    else:
        yield RuleResult(
            "validation_split",
            "fail",
            f"{split}: no known export, or a part of one",
            limit,
            "score the whole validation text",
        )


def check_byte_count(case: Case) -> Iterator[RuleResult]:
    """bytes = tokens * val_loss / (ln 2 * val_bpb) must be those of the text."""
    if not case.candidate.course.splits:
        return
    limit = "the bytes of a known export"
    worst: RuleResult | None = None
    for run in case.candidate.runs:
        badge = check_record_bytes(case.candidate.course, run.record)
        outcome: RuleOutcome = {"suspect": "fail", "unchecked": "cannot tell"}.get(badge.kind, "pass")  # type: ignore[assignment]
        result = RuleResult(
            "byte_count",
            outcome,
            f"{run.name}: {badge.why}",
            limit,
            "look at how bits per byte are computed" if outcome == "fail" else "",
        )
        if worst is None or SEVERITY[outcome] > SEVERITY[worst.outcome]:
            worst = result
    if worst:
        yield worst


def check_log_proves(case: Case) -> Iterator[RuleResult]:
    """Read every kept log again and hold it against the record, or against what the submission claims."""
    limit = "score, bytes, steps and seed as in the log"
    missing = [run.name for run in case.candidate.runs if run.log is None]
    wrong = [
        problem for run in case.candidate.runs if run.log is not None for problem in _contradictions(run)
    ]
    submission = case.candidate.submission
    sample = case.candidate.sample
    if submission and submission.val_bpb is not None and sample:
        nearest = min(abs(submission.val_bpb - value) for value in (sample.mean, *sample.values))
        if nearest > ROUNDING_BPB:
            wrong.append(
                f"submission.json claims {submission.val_bpb}; its logs show {sample.mean:.8f} on average, "
                f"{min(sample.values):.8f} at best"
            )
    if wrong:
        yield RuleResult(
            "log_proves_the_claim", "fail", "; ".join(wrong[:3]), limit, "the log counts: correct the claim"
        )
    elif missing:
        yield RuleResult(
            "log_proves_the_claim",
            "cannot tell",
            f"no log is kept of {', '.join(missing[:4])}",
            limit,
            "git ignores train.log: check where the run was made",
        )
    else:
        yield RuleResult(
            "log_proves_the_claim", "pass", f"{number(len(case.candidate.runs), 'log')} read again", limit
        )


def _contradictions(run: CandidateRun) -> list[str]:
    assert run.log is not None
    log, record = parse_log(run.log).result, run.record
    if log is None or log.final_val_bpb is None:
        return [f"{run.log.name} shows no score"]
    claims = [
        ("steps", record.steps, log.steps),
        ("seed", record.seed, log.seed),
        ("total bytes", record.artifact_bytes, log.bytes_total),
    ]
    problems = [
        f"{run.name}: {what} {ours}, the log says {theirs}"
        for what, ours, theirs in claims
        if None not in (ours, theirs) and ours != theirs
    ]
    official, logged = log.official, log.final_val_bpb
    digits = 5e-5 if official is not None and len(str(logged).partition(".")[2]) <= 4 else LOG_DIGITS
    if record.val_bpb is not None and abs(record.val_bpb - logged) > digits * 1.01:
        problems.append(f"{run.name}: val_bpb {record.val_bpb}, the log says {logged}")
    return problems


# Seeds and luck --------------------------------------------------------------------------------


def check_seeds(case: Case) -> Iterator[RuleResult]:
    """Seeds must be distinct, and all of them shown."""
    limit = "distinct, none left out"
    runs = case.candidate.runs
    seeds = [run.record.seed for run in runs]
    measured = ", ".join("?" if seed is None else str(seed) for seed in seeds)
    again = sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1})
    unfinished = [run for run in case.candidate.others if _same_configuration(run, runs)]
    if unfinished:
        measured += "; also tried: " + ", ".join(
            f"{run.record.seed} ({run.record.status})" for run in unfinished
        )
    claimed = _claimed_seeds(case.candidate)
    hidden = sorted(
        set(claimed) - {str(seed) for seed in seeds} - {str(run.record.seed) for run in unfinished}
    )
    unclaimed = sorted({str(seed) for seed in seeds if seed is not None} - set(claimed)) if claimed else []
    if again:
        yield RuleResult(
            "seeds",
            "fail",
            f"{measured}: {again[0]} was used {seeds.count(again[0])} times",
            limit,
            "a repeat of one seed is no second run",
        )
    elif hidden:
        yield RuleResult(
            "seeds", "fail", f"{measured}: no log of seed {', '.join(hidden)}", limit, "add the missing log"
        )
    elif unclaimed:
        yield RuleResult(
            "seeds",
            "fail",
            f"{measured}: submission.json leaves out {', '.join(unclaimed)}",
            limit,
            "list every run that was made",
        )
    elif None in seeds:
        yield RuleResult(
            "seeds", "cannot tell", f"{measured}: a run names no seed", limit, "the log must print its seed"
        )
    else:
        yield RuleResult("seeds", "pass", measured, limit)


def _same_configuration(run: CandidateRun, counted: tuple[CandidateRun, ...]) -> bool:
    return any(run.record.config_hash == other.record.config_hash for other in counted)


def _claimed_seeds(candidate: Candidate) -> list[str]:
    if candidate.submission is None:
        return []
    return [score.seed for score in candidate.submission.seeds]


def check_significance(case: Case) -> Iterator[RuleResult]:
    rule = case.policy.significance
    if rule is None:
        return
    candidate = case.candidate
    required = f"{rule.min_improvement_nats:g} nats " if rule.min_improvement_nats else ""
    limit = f"{required}better than the {_AGAINST[rule.against]} at p < {rule.p_below:g}"
    waiver = "a systems-only speed-up may be waived: say so in the submission" if required else ""
    reference = _reference(case, rule)
    if isinstance(reference, str):
        yield RuleResult("significance", "cannot tell", reference, limit)
        return
    label, other = reference
    ours = candidate.sample
    assert ours is not None  # an candidate has a complete run
    gain = other.mean - ours.mean
    readings = _readings(gain, candidate)
    readings_text = ", ".join(
        f"{figures.delta(value)} {_READING[reading]}{' (the gate)' if reading == rule.reading else ''}"
        for reading, value in readings.items()
    )
    measured = f"{figures.bpb(ours.mean)} against {figures.bpb(other.mean)} of {label}: {readings_text}"
    gate = readings.get(rule.reading)
    if gate is None:
        yield RuleResult(
            "significance",
            "cannot tell",
            f"{measured}; val_loss is not known, so nats a token are not",
            limit,
        )
        return
    if gate <= 0 or gate < rule.min_improvement_nats:
        yield RuleResult("significance", "fail", measured, limit, waiver or "nothing to claim yet")
        return
    margin = rule.min_improvement_nats * gain / gate if rule.margin_in_test else 0.0  # in bpb
    test = lower_by(ours, other, margin, candidate.course.noise_std)
    if isinstance(test, str):
        yield RuleResult(
            "significance",
            "cannot tell",
            f"{measured}; {test}",
            limit,
            "play more seeds: --seeds 42,1337,314",
        )
        return
    measured += (
        f"; one-sided p {test.p:.2g} (t {test.t:.2f}, {test.freedom:.2f} degrees of freedom; {test.basis})"
    )
    if test.p < rule.p_below:
        yield RuleResult("significance", "pass", measured, limit)
    else:
        yield RuleResult(
            "significance",
            "fail",
            measured,
            limit,
            waiver or "more seeds may show it, or show that it is not there",
        )


_AGAINST = {"sota": "SOTA of the day", "par": "course's par", "best": "best hole before it"}
_READING = {
    "own tokenizer": "nats a token",
    "baseline tokenizer": "nats a token of the baseline's tokenizer",
    "per byte": "nats a byte",
}


def _readings(gain: float, candidate: Candidate) -> dict[str, float]:
    """Return an improvement in bpb in the three readings of "nats"; what is not known is left out."""
    a_byte = gain * math.log(2)
    readings: dict[str, float] = {}
    if candidate.bytes_a_token is not None:
        readings["own tokenizer"] = a_byte * candidate.bytes_a_token
    return readings | {"baseline tokenizer": a_byte / BASELINE_TOKENS_A_BYTE, "per byte": a_byte}


def _reference(case: Case, rule: Significance) -> tuple[str, Sample] | str:
    """Return what the rule compares with, and the seeds of a published score where its logs were imported."""
    candidate, course = case.candidate, case.candidate.course
    if rule.against == "best":
        if candidate.played is None:
            return "only a hole of ours has an earlier best"
        comparison = case.season.standing(candidate.played).comparisons["best"]
        if comparison.hole is None or comparison.hole.sample is None:
            return comparison.reason or "there is no earlier best"
        return comparison.hole.name.folder, comparison.hole.sample
    if rule.against == "par":
        return (course.par.name, Sample((course.par.val_bpb,))) if course.par else "this course has no par"
    noted_sota = candidate.played.summary.sota if candidate.played else None
    if noted_sota is not None:
        return "the SOTA noted with the record", Sample((noted_sota,))
    if candidate.day is None:
        return "the day is not known, and so neither is its SOTA"
    ours = candidate.sample
    rows = course.field
    if ours:  # not its own row
        rows = tuple(row for row in rows if not _is_own(row, candidate, ours.mean))
    best = course.model_copy(update={"field": rows}).sota(candidate.day)
    if best is None:
        return f"nothing was published by {candidate.day.isoformat()}"
    entry = next(
        (
            e
            for e in case.season.public_entries()
            if e.sample and e.entry.course == course.name and abs(e.sample.mean - best.val_bpb) <= SAME_SCORE
        ),
        None,
    )
    return f"{best.name} ({best.date.isoformat()})", entry.sample if entry and entry.sample else Sample(
        (best.val_bpb,)
    )


def _is_own(row: ReferenceScore, candidate: Candidate, mean: float) -> bool:
    same_name = row.source.endswith(candidate.name)
    return same_name or (candidate.published and abs(row.val_bpb - mean) <= SAME_SCORE)
