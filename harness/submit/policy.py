"""Policies: by which rules a run is accepted, as dated data; and the result of one rule.

Shipped ones lie in `harness/data/policies`; a user's own stand in `runs/policies/NAME.toml`, or in any file
named with `--policy`. What the rules measure is `harness.submit.referee`'s.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from harness.errors import HarnessError, UsageError, first_problem, nearest
from harness.files import data_path, read_toml
from harness.records.record import Frozen

Reading = Literal["own tokenizer", "baseline tokenizer", "per byte"]
Probability = Annotated[float, Field(gt=0, lt=1)]


RuleOutcome = Literal["pass", "fail", "cannot tell", "please attest"]
SEVERITY: dict[RuleOutcome, int] = {"pass": 0, "please attest": 1, "cannot tell": 2, "fail": 3}


RuleId = Literal[
    "author",
    "course",
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


class PolicyLimits(Frozen):
    """What a run may take. None is no limit. over_by_steps: how many steps past the limit are allowed."""

    artifact_bytes: PositiveInt | None = None
    train_seconds: PositiveFloat | None = None
    over_by_steps: NonNegativeInt = 0
    eval_seconds: PositiveFloat | None = None
    gpus: PositiveInt | None = None
    hardware: str | None = None  # a part of the device's name


class Significance(Frozen):
    """How much better than whom, and how sure.

    reading: in which of its readings `min_improvement_nats` is the gate. p_below: of a one-sided Welch test.
    margin_in_test: whether the test must show the required improvement, rather than any.
    """

    against: Literal["sota", "par", "best"]
    min_improvement_nats: NonNegativeFloat = 0.0
    reading: Reading = "own tokenizer"
    p_below: Probability
    margin_in_test: bool = False


class RequiredFiles(Frozen):
    files: tuple[str, ...] = ()


class Attest(Frozen):
    what: str


class Policy(Frozen):
    schema_: Literal[1] = Field(default=1, alias="schema")
    name: str
    title: str
    course: str
    since: dt.date
    until: dt.date | None = None
    source: str
    limits: PolicyLimits = PolicyLimits()
    significance: Significance | None = None
    submission: RequiredFiles = RequiredFiles()
    attest: tuple[Attest, ...] = ()

    @model_validator(mode="after")
    def _dates_ascend(self) -> Policy:
        if self.until and self.until < self.since:
            raise ValueError(f"until {self.until} is before since {self.since}")
        return self


def load_policy(name: str, runs: Path) -> Policy:
    """Return a policy by its name, or from a file.

    Raises UsageError for an unknown one, HarnessError with the place of a mistake in a file.
    """
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UsageError(
                f"there is no policy file {path}", f"known policies: {', '.join(policy_names(runs))}"
            )
        return _read(path)
    for folder in _folders(runs):
        if (folder / f"{name}.toml").is_file():
            return _read(folder / f"{name}.toml")
    names = policy_names(runs)
    close = nearest(name, names)
    raise UsageError(
        f'no policy is called "{name}"',
        (f"did you mean {close}? " if close else "") + f"known policies: {', '.join(names)}",
    )


def policy_names(runs: Path) -> list[str]:
    """Return the names of all policies, the user's and ours."""
    return sorted({path.stem for folder in _folders(runs) for path in folder.glob("*.toml")})


def policy_for(course: str, day: dt.date | None, runs: Path) -> Policy:
    """Return the policy that was in force on a course on a day; for a day outside of all, the one nearest
    before it, else the first. Raises UsageError when the course has none."""
    policies = sorted(
        (policy for name in policy_names(runs) if (policy := load_policy(name, runs)).course == course),
        key=lambda policy: policy.since,
    )
    if not policies:
        raise UsageError(
            f'no policy is known for the course "{course}"',
            f"name one with --policy ({', '.join(policy_names(runs))}), or write {runs}/policies/NAME.toml",
        )
    in_force = [policy for policy in policies if day is None or policy.since <= day]
    return in_force[-1] if in_force else policies[0]


def _folders(runs: Path) -> tuple[Path, ...]:
    return (runs / "policies", data_path("policies"))


def _read(path: Path) -> Policy:
    try:
        return Policy.model_validate(read_toml(path))
    except ValidationError as error:
        raise HarnessError(f"{path}: {first_problem(error)}", "compare it with `docs/policies.md`") from error
