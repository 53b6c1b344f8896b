"""What a rule is given and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.season.season import Season
from harness.submit.claim import Claim
from harness.submit.policy import Policy

RulingOutcome = Literal["pass", "fail", "cannot tell", "please attest"]
GRAVITY: dict[RulingOutcome, int] = {"pass": 0, "please attest": 1, "cannot tell": 2, "fail": 3}


@dataclass(frozen=True)
class Ruling:
    """What one rule came to. limit: what was allowed. hint: what to do about it."""

    rule: str
    outcome: RulingOutcome
    measured: str
    limit: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Case:
    """What every rule is given."""

    exhibit: Claim
    policy: Policy
    season: Season


def number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
