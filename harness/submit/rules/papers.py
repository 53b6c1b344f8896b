"""Rules on code and papers: what could reach the network, which files are there, what only a person can
say.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.figures import number
from harness.scripts import network
from harness.submit.candidate import Case
from harness.submit.policy import RuleResult


def check_network(case: Case) -> Iterator[RuleResult]:
    """A warning by reading: what could reach the network."""
    limit = "none while the artifact is evaluated"
    script = case.candidate.code.script
    if script is None:
        why = case.candidate.code.missing or "the code is not here"
        yield RuleResult("network", "cannot tell", why, limit)
        return
    uses, problems = network.find_uses(script.texts())
    if uses:
        yield RuleResult(
            "network",
            "please attest",
            "; ".join(uses[:4]),
            limit,
            "say that none of it runs in training or evaluation",
        )
    elif problems:
        yield RuleResult(
            "network",
            "cannot tell",
            "; ".join(problems[:2]),
            limit,
            "code that cannot be read cannot be vouched for",
        )
    else:
        yield RuleResult("network", "pass", f"nothing found in {number(len(script.files), 'file')}", limit)


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
            "submission files",
            "fail",
            f"missing or empty: {', '.join(missing)}",
            limit,
            "`harness submit ROUND --write DIR` makes them all",
        )
    else:
        yield RuleResult(
            "submission files", "pass", f"all there, {number(len(case.candidate.runs), 'log')}", limit
        )


def check_attest(case: Case) -> Iterator[RuleResult]:
    for one in case.policy.attest:
        yield RuleResult("your word", "please attest", one.what)
