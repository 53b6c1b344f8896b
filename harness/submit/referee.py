"""The referee: judges a candidate by a policy, rule by rule, and says what was measured.

A rule passes only on evidence. What is not on disk or not recorded is "cannot tell", what no program can see
is "please attest"; neither ever counts as a pass. The rules themselves: `harness.submit.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.courses.policy import Policy, on_track
from harness.courses.track import NamedTrack
from harness.figures import number
from harness.season.season import Season
from harness.submit.candidate import Candidate, Case
from harness.submit.result import RuleId, RuleOutcome, RuleResult
from harness.submit.rules.claim import check_log_proves
from harness.submit.rules.decision import check_decision
from harness.submit.rules.limits import (
    check_attest,
    check_files,
)
from harness.submit.rules.local_code import check_local_code, check_network
from harness.submit.rules.run_limits import check_eval_time, check_machine, check_train_time
from harness.submit.rules.score import check_byte_count, check_split
from harness.submit.rules.seeds import check_seeds
from harness.submit.rules.significance import check_significance
from harness.submit.rules.size import check_size

RULES: tuple[Callable[[Case], Iterator[RuleResult]], ...] = (
    check_decision,
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


# What cannot be judged without a run: the rule's name in the report.
_OF_RUNS: dict[Callable[[Case], Iterator[RuleResult]], RuleId] = {
    check_split: "validation_split",
    check_byte_count: "byte_count",
    check_log_proves: "log_proves_the_claim",
    check_seeds: "seeds",
    check_significance: "significance",
}


@dataclass(frozen=True)
class Report:
    subject: str
    title: str
    policy: Policy
    track: NamedTrack
    results: tuple[RuleResult, ...]

    def count(self, outcome: RuleOutcome) -> int:
        return sum(result.outcome == outcome for result in self.results)

    @property
    def failed(self) -> bool:
        return self.count("fail") > 0

    @property
    def closing(self) -> str:
        """One line; what cannot be told or must be attested is never called a pass."""
        if self.failed:
            return f"not compliant: {number(self.count('fail'), 'rule')} failed"
        unknown, to_attest = self.count("cannot tell"), self.count("please attest")
        open_points = [f"{unknown} cannot be told"] * bool(unknown)
        open_points += [f"{to_attest} for you to attest"] * bool(to_attest)
        if open_points:
            return f"nothing failed, but not proven either: {' and '.join(open_points)}"
        return "every rule passed"


def check(season: Season, candidate: Candidate, policy: Policy) -> Report:
    """Judge a candidate by every rule of a policy that applies to it."""
    case = Case(candidate, on_track(policy, candidate.track.track), season)
    results = [result for rule in RULES for result in _apply(rule, case)]
    return Report(candidate.name, candidate.title, policy, candidate.track, tuple(results))


def _apply(rule: Callable[[Case], Iterator[RuleResult]], case: Case) -> Iterator[RuleResult]:
    if case.candidate.runs or rule not in _OF_RUNS:
        yield from rule(case)
    elif rule is not check_significance or case.policy.significance is not None:
        hint = "a submission proves its claim by its logs"
        yield RuleResult(_OF_RUNS[rule], "cannot tell", case.candidate.without_run, hint=hint)


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
        "track": {"name": report.track.track.file_name, "source": report.track.source},
        "compliant": None
        if not report.failed and report.count("pass") < len(report.results)
        else not report.failed,
        "closing": report.closing,
        "findings": [
            {
                "rule": f.title,
                "outcome": f.outcome,
                "measured": f.measured,
                "limit": f.limit or None,
                "hint": f.hint or None,
            }
            for f in report.results
        ],
    }
