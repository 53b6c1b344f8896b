"""Rules on the score: which text, its bytes, what the logs show, which seeds, and a gain beyond luck."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness import figures
from harness.courses.claim import find_earlier_record, is_own_row
from harness.courses.course import ReferenceScore, check_record_bytes
from harness.courses.policy import Reading, Significance
from harness.field.entries import find_entry
from harness.field.log_parser import parse_log
from harness.field.submission_file import ROUNDING_BPB
from harness.figures import number
from harness.records.seeds import is_same_play
from harness.season.gain import judge_gain, mean_token_bytes
from harness.stats import Sample
from harness.submit.candidate import Candidate, CandidateRun, Case
from harness.submit.result import SEVERITY, RuleOutcome, RuleResult

LOG_DIGITS = 5e-9  # a log prints eight decimals; older lines four


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
    """Seeds must be distinct, of one version, all shown, and all finished."""
    limit = "distinct, none left out"
    runs = case.candidate.runs
    seeds = [run.record.seed for run in runs]
    measured = ", ".join("?" if seed is None else str(seed) for seed in seeds)
    again = sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1})
    unfinished = [
        run
        for run in case.candidate.others
        if not run.record.complete and any(is_same_play(run.record, other.record) for other in runs)
    ]
    if unfinished:
        measured += "; also tried: " + ", ".join(
            f"{_seed(run)} ({run.record.failure.kind if run.record.failure else run.record.status})"
            for run in unfinished
        )
    lost = [run for run in unfinished if run.record.seed is None or run.record.seed not in seeds]
    claimed = _claimed_seeds(case.candidate)
    hidden = sorted(
        set(claimed) - {str(seed) for seed in seeds} - {str(run.record.seed) for run in unfinished}
    )
    unclaimed = sorted({str(seed) for seed in seeds if seed is not None} - set(claimed)) if claimed else []
    versions = case.candidate.seeds.versions if case.candidate.played is None else 1

    def result(outcome: RuleOutcome, what: str = "", hint: str = "") -> RuleResult:
        return RuleResult("seeds", outcome, measured + what, limit, hint)

    if again:
        count = seeds.count(again[0])
        yield result("fail", f": {again[0]} was used {count} times", "a repeat of one seed is no second run")
    elif hidden:
        yield result("fail", f": no log of seed {', '.join(hidden)}", "add the missing log")
    elif unclaimed:
        what = f": submission.json leaves out {', '.join(unclaimed)}"
        yield result("fail", what, "list every run that was made")
    elif lost:
        begun = len(set(seeds)) + len({_seed(run) for run in lost})
        yield result(
            "cannot tell",
            f": {len(set(seeds))} of {begun} finished",
            "the mean is that of the survivors: play the others to the end, or say in the submission "
            "why they ended",
        )
    elif None in seeds:
        yield result("cannot tell", ": a run names no seed", "the log must print its seed")
    elif versions > 1:
        yield result(
            "cannot tell",
            f": the logs are of {versions} versions of code or configuration{_code_sizes(runs)}",
            "seeds of different code are no repeats: run all of them with the code that is handed in",
        )
    else:
        yield result("pass")


def _seed(run: CandidateRun) -> str:
    return f"? of {run.name}" if run.record.seed is None else str(run.record.seed)


def _code_sizes(runs: tuple[CandidateRun, ...]) -> str:
    sizes = sorted({run.record.code_bytes for run in runs if run.record.code_bytes is not None})
    return f", {' and '.join(f'{size:,}' for size in sizes)} bytes of code" if len(sizes) > 1 else ""


def _claimed_seeds(candidate: Candidate) -> list[str]:
    if candidate.submission is None:
        return []
    return [score.seed for score in candidate.submission.seeds]


def check_significance(case: Case) -> Iterator[RuleResult]:
    """A gain over the rule's reference must be as large as asked, and more than luck.

    Rows of the claim's day whose order is not known can only turn a pass into "cannot tell".
    """
    rule = case.policy.significance
    if rule is None:
        return
    required = f"{rule.min_improvement_nats:g} nats " if rule.min_improvement_nats else ""
    limit = f"{required}better than the {_AGAINST[rule.against]} at p < {rule.p_below:g}"
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
    if result.outcome == "fail" and _is_listed(case.candidate):
        yield RuleResult(
            "significance",
            "cannot tell",
            f"{result.measured}; the table lists it all the same",
            limit,
            "the maintainers waived the rule or applied another one: their pull request says which",
        )
        return
    yield result


def _is_listed(candidate: Candidate) -> bool:
    """Whether the course's table has the candidate's own row, with its score: it was accepted."""
    claim, ours = candidate.claim, candidate.sample
    own = [row for row in candidate.course.field if is_own_row(row, claim)]
    return ours is not None and any(abs(row.val_bpb - ours.mean) <= ROUNDING_BPB for row in own)


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
