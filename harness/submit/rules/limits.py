"""Rules on what a submission must bring: its files, and its author's word."""

from __future__ import annotations

from collections.abc import Iterator

from harness.figures import number
from harness.submit.candidate import Case
from harness.submit.result import RuleResult


def check_files(case: Case) -> Iterator[RuleResult]:
    folder, required = case.candidate.folder, case.policy.submission.files
    if folder is None or not required:
        return
    missing = [
        name for name in required if not (folder / name).is_file() or (folder / name).stat().st_size == 0
    ]
    limit = ", ".join(required) + ", a log per seed"
    if missing:
        yield RuleResult(
            "submission_files",
            "fail",
            f"missing or empty: {', '.join(missing)}",
            limit,
            "`harness submit ROUND --write DIR` makes them all",
        )
    else:
        yield RuleResult(
            "submission_files", "pass", f"all there, {number(len(case.candidate.runs), 'log')}", limit
        )


def check_attest(case: Case) -> Iterator[RuleResult]:
    for one in case.policy.attest:
        yield RuleResult("your_word", "please attest", one.what)
