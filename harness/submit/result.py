"""The result of one rule: what was measured, and how it was judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RuleOutcome = Literal["pass", "fail", "cannot tell", "please attest"]
SEVERITY: dict[RuleOutcome, int] = {"pass": 0, "please attest": 1, "cannot tell": 2, "fail": 3}


RuleId = Literal[
    "author",
    "course",
    "decision",
    "log",
    "code",
    "size",
    "referee",
    "artifact_size",
    "local_code",
    "network",
    "submission_files",
    "validation_split",
    "byte_count",
    "log_proves_the_claim",
    "seeds",
    "training_time",
    "evaluation_time",
    "machine",
    "significance",
    "your_word",
]
RULE_TITLES: dict[RuleId, str] = {
    "author": "author",
    "course": "course",
    "decision": "decision",
    "log": "log",
    "code": "code",
    "size": "size",
    "referee": "referee",
    "artifact_size": "artifact size",
    "local_code": "local code",
    "network": "network",
    "submission_files": "submission files",
    "validation_split": "validation split",
    "byte_count": "byte count",
    "log_proves_the_claim": "log proves the claim",
    "seeds": "seeds",
    "training_time": "training time",
    "evaluation_time": "evaluation time",
    "machine": "machine",
    "significance": "significance",
    "your_word": "your word",
}


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule. measured: in words. limit: what is allowed. hint: what to do about it.

    subject: which of several things was judged, `seed 42`.
    """

    id: RuleId
    outcome: RuleOutcome
    measured: str
    limit: str = ""
    hint: str = ""
    subject: str = ""

    @property
    def title(self) -> str:
        """`artifact size`, or `size, seed 42`."""
        return RULE_TITLES[self.id] + (f", {self.subject}" if self.subject else "")
