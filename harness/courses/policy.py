"""Policies: by which rules a run is accepted on a course, as dated data.

Shipped ones lie in `harness/data/policies`; a user's own stand in `runs/policies/NAME.toml`, or in any file
named with `--policy`. What the rules measure is `harness.submit.referee`'s.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.courses.course import Course, find_names
from harness.courses.track import Track
from harness.documents import FileProblem, MissingFile, check_model, read_toml
from harness.errors import UsageError, nearest
from harness.files import data_path
from harness.records.frozen import (
    CourseName,
    Date,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from harness.records.record import Frozen

MAX_BYTES = 256_000  # of a policy file

Reading = Literal["own tokenizer", "baseline tokenizer", "per byte"]
Probability = Annotated[float, Field(gt=0, lt=1)]


class PolicyLimits(Frozen):
    """What a run may take. None is no limit. over_by_steps: how many steps past the limit are allowed."""

    artifact_bytes: PositiveInt | None = None
    train_seconds: PositiveFloat | None = None
    over_by_steps: NonNegativeInt = 0
    eval_seconds: PositiveFloat | None = None
    gpus: PositiveInt | None = None
    hardware: str | None = None  # a part of the device's name

    def allows_training(self, seconds: float, step_ms: float | None) -> bool:
        """Whether a run trained for no longer than the limit and the steps that are forgiven."""
        if self.train_seconds is None:
            return True
        return seconds <= self.train_seconds + self.over_by_steps * (step_ms or 0) / 1000

    def allows_machine(self, world_size: int | None, name: str | None, device: str | None) -> bool | None:
        """Whether a machine is the one that is asked for; None where what is recorded does not tell.

        world_size: processes, one a GPU. name: of the GPU. device: "cuda", "mps" or "cpu".
        """
        if self.gpus is None and self.hardware is None:
            return True
        wrong_size = self.gpus is not None and world_size not in (None, self.gpus)
        wrong_name = (
            self.hardware is not None and self.hardware.lower() not in (name or self.hardware).lower()
        )
        if wrong_size or wrong_name or device not in (None, "cuda"):
            return False
        unknown = (self.gpus is not None and world_size is None) or (self.hardware is not None and not name)
        return None if unknown else True


class Significance(Frozen):
    """How much better than whom, and how sure.

    reading: in which of its readings `min_improvement_nats` is the gate. p_below: of a one-sided Welch test.
    margin_in_test: whether the test must show the required improvement, rather than any.
    listed_with_less: whether the table has rows of that time which gained less than the rule asks, so that a
    smaller gain is for the maintainers to decide.
    """

    against: Literal["sota", "par", "best"]
    min_improvement_nats: NonNegativeFloat = 0.0
    reading: Reading = "own tokenizer"
    p_below: Probability
    margin_in_test: bool = False
    listed_with_less: bool = False


class RequiredFiles(Frozen):
    files: tuple[str, ...] = ()


class Attest(Frozen):
    what: str


class Policy(Frozen):
    """since: the first day; since_pr: the first pull request, which tells where a claim has a number."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: str
    title: str
    course: CourseName
    since: Date
    since_pr: PositiveInt | None = None
    until: Date | None = None
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


def on_track(policy: Policy, track: Track) -> Policy:
    """Return a policy as it binds a track: outside the record track without time, machine and gain."""
    if track.for_records:
        return policy
    free = {"train_seconds": None, "eval_seconds": None, "gpus": None, "hardware": None}
    limits = policy.limits.model_copy(update=free)
    return policy.model_copy(update={"limits": limits, "significance": None})


def load_policy(name: str, runs: Path) -> Policy:
    """Return a policy by its name, or from a file.

    Raises UsageError for an unknown one, FileProblem with the place of a mistake in a file.
    """
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        try:
            return _read(path)
        except MissingFile:
            raise UsageError(
                f"there is no policy file {path}", f"known policies: {', '.join(policy_names(runs))}"
            ) from None
    names = policy_names(runs)
    if name in find_names(runs / "policies"):
        return _read(runs / "policies" / f"{name}.toml", runs)
    if name in names:
        return _read(data_path("policies", f"{name}.toml"))
    close = nearest(name, names)
    raise UsageError(
        f'no policy is called "{name}"',
        (f"did you mean {close}? " if close else "") + f"known policies: {', '.join(names)}",
    )


def policy_names(runs: Path) -> list[str]:
    """Return the names of all policies, the user's and ours."""
    return sorted({*find_names(runs / "policies"), *find_names(data_path("policies"))})


def policy_for(
    course: str, day: dt.date | None, runs: Path, pr: int | None = None, problems: list[str] | None = None
) -> Policy:
    """Return the policy that was in force on a course on a day; for a day outside of all, the one nearest
    before it, else the first.

    pr: the claim's pull request, which counts before its day where a policy begins with one.
    problems: takes what is wrong with files, which are then passed over; None: it is raised.
    Raises UsageError when the course has none.
    """
    policies = []
    for name in policy_names(runs):
        try:
            policy = load_policy(name, runs)
        except FileProblem as error:
            if problems is None:
                raise
            problems.append(error.message)
            continue
        if policy.course == course:
            policies.append(policy)
    policies.sort(key=lambda policy: policy.since)
    if not policies:
        raise UsageError(
            f'no policy is known for the course "{course}"',
            f"name one with --policy ({', '.join(policy_names(runs))}), or write {runs}/policies/NAME.toml",
        )
    in_force = [policy for policy in policies if _has_begun(policy, day, pr)]
    return in_force[-1] if in_force else policies[0]


def _has_begun(policy: Policy, day: dt.date | None, pr: int | None) -> bool:
    if policy.since_pr is not None and pr is not None:
        return pr >= policy.since_pr
    return day is None or policy.since <= day


def record_rules(
    course: Course, day: dt.date | None, runs: Path, problems: list[str]
) -> tuple[PolicyLimits, Significance | None]:
    """Return the limits and the asked gain on a course on a day: its policy's, else the course's own caps.

    problems: as in `policy_for`.
    """
    try:
        policy = policy_for(course.name, day, runs, problems=problems)
    except UsageError:
        return PolicyLimits.model_validate(course.caps.model_dump()), None
    return policy.limits, policy.significance


def _read(path: Path, root: Path | None = None) -> Policy:
    hint = "compare it with `docs/policies.md`"
    return check_model(Policy, read_toml(path, MAX_BYTES, hint, root), path, hint)
