"""Holds the numbers that people wrote into a submission file against its logs; the log is right."""

from __future__ import annotations

from collections.abc import Iterable

from harness.field.log_parser import ParsedLog
from harness.field.logged_run import LoggedRun
from harness.field.seeds import seed_in_name
from harness.field.submission_file import ROUNDING_BPB, SeedScore, SubmissionFile


def distinct_logs(logs: Iterable[ParsedLog]) -> list[ParsedLog]:
    """Drop byte-identical logs, keeping the first of each, so that no run is averaged twice."""
    first: dict[str, ParsedLog] = {}
    for log in logs:
        first.setdefault(log.sha256 or str(id(log)), log)
    return list(first.values())


def compare_with_logs(submission: SubmissionFile | None, logs: Iterable[tuple[str, ParsedLog]]) -> list[str]:
    """Say where hand-written numbers and logs disagree, with both values; the log is right.

    logs: each with the name of its file. Also says which logs are copies of others, and which seeds
    contradict the name of their file.
    """
    logs = list(logs)
    differences = _contradictions_among(logs)
    distinct = {id(log) for log in distinct_logs(log for _, log in logs)}
    runs = [(name, log.result) for name, log in logs if id(log) in distinct and log.result is not None]
    if submission is None or not runs:
        return differences
    scored = [run for _, run in runs if run.final_val_bpb is not None]
    differences += _compare_score(submission, scored)
    by_seed: dict[str, list[LoggedRun]] = {}
    for name, run in runs:
        seed_of_name = seed_in_name(name)
        seed = seed_of_name if seed_of_name is not None else run.seed
        if seed is not None:
            by_seed.setdefault(str(seed), []).append(run)
    for seed_score in submission.seeds:
        if runs_of_seed := by_seed.get(seed_score.seed):
            differences += _compare_runs(f"seed {seed_score.seed}", seed_score, runs_of_seed)
    claims: tuple[tuple[str, float | None, str], ...] = (
        ("bytes_total", submission.bytes_total, "bytes_total"),
        ("bytes_code", submission.bytes_code, "bytes_code"),
        ("bytes_model", submission.bytes_model, "bytes_model"),
        ("steps", submission.steps, "steps"),
        ("model_params", submission.model_params, "model_params"),
    )
    for what, claim, attribute in claims:
        measured = {value for _, run in runs if (value := getattr(run, attribute)) is not None}
        if claim is None or not measured or claim in measured:
            continue
        if what == "bytes_total" and round(sum(measured) / len(measured)) == claim:
            continue  # a mean of the logs
        values = ", ".join(f"{value:,}" for value in sorted(measured)[:5])
        differences.append(f"{what}: the submission says {claim:,}, the log(s) {values}")
    return differences


def _contradictions_among(logs: list[tuple[str, ParsedLog]]) -> list[str]:
    differences: list[str] = []
    first: dict[str, str] = {}
    for name, log in logs:
        if log.sha256 in first:
            differences.append(f"{name} is byte for byte {first[log.sha256]}; it counts once")
            continue
        first[log.sha256] = name
        seed_of_name, run = seed_in_name(name), log.result
        if seed_of_name is not None and run is not None and run.seed is not None and seed_of_name != run.seed:
            differences.append(f"{name}: the name says seed {seed_of_name}, the log {run.seed}")
    return differences


def _compare_score(submission: SubmissionFile, runs: list[LoggedRun]) -> list[str]:
    """Check the headline: one run's score, the mean, or the best of them."""
    claim = submission.val_bpb
    scores = [run.final_val_bpb for run in runs if run.final_val_bpb is not None]
    if claim is None or not scores:
        return []
    mean = sum(scores) / len(scores)
    if any(abs(claim - score) <= ROUNDING_BPB for score in (*scores, mean)):
        return []
    listed = ", ".join(f"{score:.8g}" for score in scores[:5])
    also = f" (mean {mean:.6f})" if len(scores) > 1 else ""
    text = f"val_bpb: the submission says {claim:.8g}, the log(s) {listed}{also}"
    other = {
        line.label
        for run in runs
        for line in run.results
        if line.val_bpb is not None and abs(line.val_bpb - claim) <= ROUNDING_BPB
    }
    if other:
        text += f"; it is their {sorted(other)[0]}"
    return [text]


def _compare_runs(what: str, claim: SeedScore, runs: list[LoggedRun]) -> list[str]:
    """Compare what a submission says of a seed with all logs of it: whichever prints a number proves it."""
    differences = []
    for name, value, attribute, tolerance in (
        ("val_bpb", claim.val_bpb, "final_val_bpb", ROUNDING_BPB),
        ("val_loss", claim.val_loss, "final_val_loss", 6e-4),
        ("artifact_bytes", claim.artifact_bytes, "bytes_total", 0.0),
        ("steps", claim.steps, "steps", 0.0),
    ):
        measured = [number for run in runs if (number := getattr(run, attribute)) is not None]
        if value is None or not measured or any(abs(value - number) <= tolerance for number in measured):
            continue
        text = f"{what}, {name}: the submission says {value:,.10g}, the log {measured[0]:,.10g}"
        if name in ("val_bpb", "val_loss"):
            label = _label_with(name, value, tolerance, runs)
            text += f"; it is the log's {label}" if label else ""
        differences.append(text)
    return differences


def _label_with(name: str, value: float, tolerance: float, runs: list[LoggedRun]) -> str | None:
    """Return the label of a result line that prints a value, whatever its stage."""
    for line in (line for run in runs for line in run.results):
        number = getattr(line, name)
        if number is not None and abs(number - value) <= tolerance:
            return line.label
    return None
