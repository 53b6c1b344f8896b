"""Rules on the score: which text was scored, whether its bytes add up, whether the log shows what is claimed."""

from __future__ import annotations

from collections.abc import Iterator

from harness.courses.course import check_record_bytes
from harness.field.log_parser import parse_log
from harness.field.submission_file import ROUNDING_BPB
from harness.submit.claim import ClaimedRun
from harness.submit.rules.ruling import GRAVITY, Case, Ruling, RulingOutcome, number

LOG_DIGITS = 5e-9  # a log prints eight decimals; older lines four


def check_split(case: Case) -> Iterator[Ruling]:
    """The validation text must be the course's current one, and whole."""
    splits = case.exhibit.course.splits
    seen = {run.record.split for run in case.exhibit.runs}
    if len(seen) > 1:
        names = ", ".join(sorted(str(name) for name in seen))
        yield Ruling(
            "validation split", "fail", f"the runs were scored on several: {names}", "one for all runs"
        )
        return
    (split,) = seen
    if not splits:
        marks = {run.record.data.val_sha256 or "" for run in case.exhibit.runs}
        mark = min(marks)
        if split and len(marks) == 1 and mark:
            yield Ruling(
                "validation split",
                "pass",
                f"{split}, fingerprint {mark[:12]}",
                "one for all runs",
            )
        else:
            yield Ruling(
                "validation split",
                "cannot tell",
                f"{split or 'unknown'}, with no fingerprint",
                "one for all runs",
            )
        return
    limit = f"{splits[0].name}, {splits[0].val_bytes / 1e6:.2f} M bytes, whole"
    if split is None:
        yield Ruling(
            "validation split",
            "cannot tell",
            "nothing tells which text was scored",
            limit,
            "the log must print the number of validation tokens",
        )
    elif split == splits[0].name:
        yield Ruling("validation split", "pass", split, limit)
    elif split in {known.name for known in splits}:
        yield Ruling(
            "validation split", "fail", f"{split}: an older export", limit, "evaluate on the current export"
        )
    else:
        yield Ruling(
            "validation split",
            "fail",
            f"{split}: no known export, or a part of one",
            limit,
            "score the whole validation text",
        )


def check_byte_count(case: Case) -> Iterator[Ruling]:
    """bytes = tokens * val_loss / (ln 2 * val_bpb) must be those of the text."""
    if not case.exhibit.course.splits:
        return
    limit = "the bytes of a known export"
    worst: Ruling | None = None
    for run in case.exhibit.runs:
        badge = check_record_bytes(case.exhibit.course, run.record)
        outcome: RulingOutcome = {"suspect": "fail", "unchecked": "cannot tell"}.get(badge.kind, "pass")  # type: ignore[assignment]
        finding = Ruling(
            "byte count",
            outcome,
            f"{run.name}: {badge.why}",
            limit,
            "look at how bits per byte are computed" if outcome == "fail" else "",
        )
        if worst is None or GRAVITY[outcome] > GRAVITY[worst.outcome]:
            worst = finding
    if worst:
        yield worst


def check_log_proves(case: Case) -> Iterator[Ruling]:
    """Read every kept log again and hold it against the record, or against what the submission claims."""
    limit = "score, bytes, steps and seed as in the log"
    missing = [run.name for run in case.exhibit.runs if run.log is None]
    wrong = [problem for run in case.exhibit.runs if run.log is not None for problem in _contradictions(run)]
    submission = case.exhibit.submission
    sample = case.exhibit.sample
    if submission and submission.val_bpb is not None and sample:
        nearest = min(abs(submission.val_bpb - value) for value in (sample.mean, *sample.values))
        if nearest > ROUNDING_BPB:
            wrong.append(
                f"submission.json claims {submission.val_bpb}; its logs show {sample.mean:.8f} on average, "
                f"{min(sample.values):.8f} at best"
            )
    if wrong:
        yield Ruling(
            "log proves the claim", "fail", "; ".join(wrong[:3]), limit, "the log counts: correct the claim"
        )
    elif missing:
        yield Ruling(
            "log proves the claim",
            "cannot tell",
            f"no log is kept of {', '.join(missing[:4])}",
            limit,
            "git ignores train.log: check where the run was made",
        )
    else:
        yield Ruling(
            "log proves the claim", "pass", f"{number(len(case.exhibit.runs), 'log')} read again", limit
        )


def _contradictions(run: ClaimedRun) -> list[str]:
    assert run.log is not None
    log, record = parse_log(run.log).result, run.record
    if log is None or log.final_val_bpb is None:
        return [f"{run.log.name} shows no score"]
    claims = [
        ("steps", record.steps, log.steps),
        ("seed", record.seed, log.seed),
        ("total bytes", record.artifact_bytes, log.bytes_total),
    ]
    found = [
        f"{run.name}: {what} {ours}, the log says {theirs}"
        for what, ours, theirs in claims
        if None not in (ours, theirs) and ours != theirs
    ]
    official, shown = log.official, log.final_val_bpb
    digits = 5e-5 if official is not None and len(str(shown).partition(".")[2]) <= 4 else LOG_DIGITS
    if record.val_bpb is not None and abs(record.val_bpb - shown) > digits * 1.01:
        found.append(f"{run.name}: val_bpb {record.val_bpb}, the log says {shown}")
    return found
