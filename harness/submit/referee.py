"""The referee: holds an exhibit against a policy, rule by rule, and says what was measured.

A rule passes only on evidence. What is not on disk or not recorded is "cannot tell", what no program can see is
"please attest"; neither ever counts as a pass. The rules themselves: `harness.submit.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.season.season import Season
from harness.submit.claim import Claim
from harness.submit.policy import Policy
from harness.submit.rules.machine import check_eval_time, check_machine, check_train_time
from harness.submit.rules.papers import check_attest, check_files, check_network
from harness.submit.rules.ruling import Case, Ruling, RulingOutcome, number
from harness.submit.rules.score import check_byte_count, check_log_proves, check_split
from harness.submit.rules.seeds import check_seeds, check_significance
from harness.submit.rules.size import check_local_code, check_size

RULES: tuple[Callable[[Case], Iterator[Ruling]], ...] = (
    check_size,
    check_local_code,
    check_train_time,
    check_eval_time,
    check_machine,
    check_split,
    check_byte_count,
    check_log_proves,
    check_seeds,
    check_significance,
    check_network,
    check_files,
    check_attest,
)


@dataclass(frozen=True)
class Report:
    subject: str
    title: str
    policy: Policy
    findings: tuple[Ruling, ...]

    def count(self, outcome: RulingOutcome) -> int:
        return sum(finding.outcome == outcome for finding in self.findings)

    @property
    def failed(self) -> bool:
        return self.count("fail") > 0

    @property
    def closing(self) -> str:
        """One line that never takes silence for consent."""
        if self.failed:
            return f"not compliant: {number(self.count('fail'), 'rule')} failed"
        untold, yours = self.count("cannot tell"), self.count("please attest")
        open_ends = [f"{untold} cannot be told"] * bool(untold) + [f"{yours} for you to attest"] * bool(yours)
        if open_ends:
            return f"nothing failed, but not proven either: {' and '.join(open_ends)}"
        return "every rule passed"


def check(season: Season, exhibit: Claim, policy: Policy) -> Report:
    """Judge an exhibit by every rule of a policy that applies to it."""
    case = Case(exhibit, policy, season)
    findings = [finding for rule in RULES for finding in rule(case)]
    return Report(exhibit.name, exhibit.title, policy, tuple(findings))


def as_data(report: Report) -> dict[str, Any]:
    """Return what `--json` says."""
    return {
        "subject": report.subject,
        "title": report.title,
        "policy": {
            "name": report.policy.name,
            "title": report.policy.title,
            "since": report.policy.since.isoformat(),
            "source": report.policy.source,
        },
        "compliant": None
        if not report.failed and report.count("pass") < len(report.findings)
        else not report.failed,
        "closing": report.closing,
        "findings": [
            {
                "rule": f.rule,
                "outcome": f.outcome,
                "measured": f.measured,
                "limit": f.limit or None,
                "hint": f.hint or None,
            }
            for f in report.findings
        ],
    }
