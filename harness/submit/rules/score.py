"""Rules on what was scored: which text, and its bytes."""

from __future__ import annotations

from collections.abc import Iterator

from harness.courses.claim import is_par
from harness.courses.course import UNKNOWN, check_record_bytes
from harness.submit.candidate import Candidate, Case
from harness.submit.result import SEVERITY, RuleOutcome, RuleResult


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
    if split is None or split == UNKNOWN:
        yield RuleResult(
            "validation_split",
            "cannot tell",
            "nothing tells which text was scored",
            limit,
            "the log must print the number of validation tokens",
        )
    elif split == splits[0].name or _is_par(case.candidate, split):
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


def _is_par(candidate: Candidate, split: str) -> bool:
    """Whether a candidate is par itself, scored on the text that par was measured on."""
    par = candidate.course.par
    return par is not None and par.split == split and is_par(candidate.course, candidate.claim)


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
