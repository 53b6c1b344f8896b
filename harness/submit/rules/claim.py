"""The rule that a log proves the claim: whichever line prints a number proves it, whatever its label."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.field.printed_scores import PrintedScore, places_of, read_printed_scores, states
from harness.field.record_files import find_record_files
from harness.field.submission_file import SeedScore
from harness.figures import number
from harness.submit.candidate import Candidate, CandidateRun, Case
from harness.submit.result import RuleOutcome, RuleResult
from harness.submit.rules.seeds import missing_seeds, seeds_of

LOG_DIGITS = 5e-9  # a log prints eight decimals; older lines four
_LIMIT = "score, bytes, steps and seed as in the log"


def check_log_proves(case: Case) -> Iterator[RuleResult]:
    """Read every kept log again and hold it against the record, and against what the submission claims."""
    candidate = case.candidate
    missing = [run.name for run in candidate.runs if run.log is None]
    kept = [run for run in candidate.runs if run.log is not None]
    own_records = candidate.folder is None or candidate.played is not None
    wrong = [problem for run in kept for problem in _contradictions(run)] if own_records else []
    outcome, text = _judge_claim(candidate)
    if wrong or outcome == "fail":
        what = "; ".join([*wrong, *([text] if outcome == "fail" else [])][:3])
        yield _result("fail", what, "the log counts: correct the claim")
    elif missing:
        what = f"no log is kept of {', '.join(missing[:4])}"
        yield _result("cannot tell", what, "git ignores train.log: check where the run was made")
    elif outcome == "cannot tell":
        yield _result("cannot tell", text, "keep the log that prints the claim, and name its seed")
    else:
        yield _result("pass", "; ".join(filter(None, [f"{number(len(kept), 'log')} read again", text])))


def _result(outcome: RuleOutcome, measured: str, hint: str = "") -> RuleResult:
    return RuleResult("log_proves_the_claim", outcome, measured, _LIMIT, hint)


def _contradictions(run: CandidateRun) -> list[str]:
    assert run.log is not None
    log, record = run.parsed, run.record
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


# What a submission claims ----------------------------------------------------------------------


def _judge_claim(candidate: Candidate) -> tuple[RuleOutcome, str]:
    """Look for the headline in the logs, then for the scores by seed; say where the headline stands."""
    claim, sample = candidate.claimed_bpb, candidate.sample
    if claim is None or sample is None:
        return "pass", ""
    printed = _all_printed(candidate)
    found = _find(claim, candidate, printed)
    wrong = _unproven_seeds(candidate, printed)
    if found is not None and not wrong:
        return "pass", found
    if found is None and (before := [score for score in printed if _is(claim, score)]):
        return "cannot tell", f"{claim} stands only before quantization: {before[-1]}"
    text = "; ".join(wrong[:2])
    if found is None:
        values = [run.record.val_bpb for run in candidate.runs if run.record.val_bpb is not None]
        shown = f"{sample.mean:.8f} on average, {min(values):.8f} at best"
        text = f"submission.json claims {claim}; its logs show {shown}"
        if lost := missing_seeds(candidate):
            return "cannot tell", f"{text}; no log of seed {', '.join(lost)} is here"
        if _too_few_logs(candidate):
            return "cannot tell", f"{text}; it speaks of more runs than there are logs"
        if any(_rounds_to(claim, value) for value in (sample.mean, *values)):
            return "cannot tell", f"{text}: too few places to tell"
    return "fail", text


def _all_printed(candidate: Candidate) -> list[PrintedScore]:
    if candidate.folder is not None:
        logs = {path: path.relative_to(candidate.folder).as_posix() for path in _folder_logs(candidate)}
    else:
        logs = {run.log: run.name for run in (*candidate.runs, *candidate.others) if run.log}
    return [score for path, name in logs.items() for score in read_printed_scores(path, name)]


def _folder_logs(candidate: Candidate) -> Sequence[Path]:
    return find_record_files(candidate.folder).logs if candidate.folder else ()


def _is(claim: float, score: PrintedScore) -> bool:
    return states(claim, score.value, score.places)


def _find(claim: float, candidate: Candidate, printed: list[PrintedScore]) -> str | None:
    """Say where a claim stands: an official score, a mean of them, any line, a mean of one label."""
    runs = [run for run in candidate.runs if run.record.val_bpb is not None]
    if len(runs) > 1 and states(claim, _mean([run.record.val_bpb or 0.0 for run in runs])):
        return f"{claim} is their mean"
    for run in runs:
        if states(claim, run.record.val_bpb or 0.0):
            return "" if len(runs) == 1 else f"{claim} is the score of {run.name}"
    official = candidate.sample.mean if candidate.sample else 0.0
    rule = f"by our rule the score is {official:.8f}"
    if line := next((score for score in reversed(printed) if score.of_artifact and _is(claim, score)), None):
        return f"{claim} stands in {line}; {rule}"
    for label, values in _by_label(runs, printed).items():
        if len(values) == len(runs) > 1 and states(claim, _mean(values)):
            return f"{claim} is the mean of {len(runs)} lines {label}; {rule}"
    scores = [score.val_bpb for score in _claimed_scores(candidate) if score.val_bpb is not None]
    proven = [value for value in scores if any(_is(value, score) for score in printed)]
    if len(proven) == len(scores) > 1 and states(claim, _mean(scores)):
        return f"{claim} is the mean of the {len(scores)} scores by seed; {rule}"
    return None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _by_label(runs: list[CandidateRun], printed: list[PrintedScore]) -> dict[str, list[float]]:
    """Return the last score of the artifact under each label, one a run."""
    names = {run.name for run in runs}
    last = {(s.label, s.log): s.value for s in printed if s.of_artifact and s.log in names}
    values: dict[str, list[float]] = {}
    for (label, _), value in last.items():
        values.setdefault(label, []).append(value)
    return values


def _claimed_scores(candidate: Candidate) -> tuple[SeedScore, ...]:
    return candidate.submission.seeds if candidate.submission else ()


def _unproven_seeds(candidate: Candidate, printed: list[PrintedScore]) -> list[str]:
    """Say which scores by seed stand nowhere, though a log of the seed is here."""
    present = {seed for run in (*candidate.runs, *candidate.others) for seed in seeds_of(run)}
    return [
        f"submission.json claims {score.val_bpb} for seed {score.seed}; no log prints it"
        for score in _claimed_scores(candidate)
        if score.val_bpb is not None
        and score.seed in present
        and not any(_is(score.val_bpb, line) for line in printed)
    ]


def _too_few_logs(candidate: Candidate) -> bool:
    """Whether a submission that names no seed speaks of several runs, and not all of them are here."""
    submission, logs = candidate.submission, len(candidate.runs)
    if submission is None or submission.seeds:
        return False
    several = submission.val_bpb_std is not None or submission.val_loss_std is not None
    return (submission.n_seeds or 0) > logs or (several and logs < 2)


def _rounds_to(claim: float, value: float) -> bool:
    places = len(repr(claim).partition(".")[2])
    return places < places_of(claim) and round(value, places) == claim
