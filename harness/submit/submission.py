"""What a submission is made of: attempts, code, files, and what must be there to hand them in."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.courses.course import Course
from harness.field.evaluation_time import measure_evaluation
from harness.field.log_parser import parse_log
from harness.files import plain_below
from harness.records.notes import Notes
from harness.records.record import RunRecord
from harness.records.store import Attempt
from harness.season.hole import PlayedHole
from harness.stats import Sample
from harness.submit.result import RuleOutcome, RuleResult


@dataclass(frozen=True)
class Author:
    name: str = ""
    github_id: str = ""


@dataclass(frozen=True)
class SubmittedRun:
    """One attempt that is submitted."""

    record: RunRecord
    attempt: Attempt
    log_name: str

    @property
    def builtin(self) -> bool:
        return self.record.provenance is None and self.record.code.trainer == "builtin"

    def total_bytes(self, code_bytes: int | None) -> int | None:
        """Model and code. code_bytes: of the submission's script; None for the total as it was recorded."""
        if code_bytes is None:
            return self.record.artifact_bytes
        return None if self.record.model_bytes is None else self.record.model_bytes + code_bytes

    @cached_property
    def eval_seconds(self) -> float | None:
        """Seconds of the evaluation, as the referee counts them."""
        log = plain_below(self.attempt.path, self.attempt.log_path.name)
        run = parse_log(log).result if log else None
        time = measure_evaluation(self.record.evaluation_seconds, log, run)
        return time.counted if time else None

    @property
    def hardware(self) -> str | None:
        """`8x NVIDIA H100 80GB HBM3`."""
        environment = self.record.environment
        if not (environment.device_name or environment.device):
            return None
        return f"{environment.world_size or 1}x {environment.device_name or environment.device}"


@dataclass
class Submission:
    """A hole to be handed in. rules: their results. files: by name; empty without a script."""

    played: PlayedHole
    track: str
    author: Author
    course: Course
    runs: tuple[SubmittedRun, ...]
    notes: Notes
    rules: list[RuleResult] = field(default_factory=list)
    code: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def failed(self) -> list[RuleResult]:
        return [rule for rule in self.rules if rule.outcome == "fail"]

    @property
    def code_bytes(self) -> int:
        """Bytes of all code in the folder: what counts besides the model."""
        return sum(map(len, self.code.values()))

    def total_bytes(self, run: SubmittedRun) -> int | None:
        """Model and code of one run."""
        return run.total_bytes(self.code_bytes)

    def write_into(self, folder: Path) -> None:
        """Write the files into an empty folder."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    @property
    def builtin(self) -> bool:
        """Whether all runs are of our own trainer, none of a script of one's own."""
        return all(run.builtin for run in self.runs)

    @property
    def val_bpb(self) -> float | None:
        return mean([run.record.val_bpb for run in self.runs])

    @property
    def val_bpb_std(self) -> float | None:
        return spread([run.record.val_bpb for run in self.runs])

    @cached_property
    def largest_total(self) -> int | None:
        return largest([self.total_bytes(run) for run in self.runs])


def mean(values: list[float | None]) -> float | None:
    """Return the mean, or None when one value is missing."""
    known = tuple(value for value in values if value is not None)
    return Sample(known).mean if known and len(known) == len(values) else None


def spread(values: list[float | None]) -> float | None:
    """Return the standard deviation of a sample, or None for one value or a missing one."""
    known = tuple(value for value in values if value is not None)
    return Sample(known).std if len(known) > 1 and len(known) == len(values) else None


def largest(values: list[int | None]) -> int | None:
    """Return the largest, or None when one value is missing."""
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def log_name(record: RunRecord, played: PlayedHole) -> str:
    """`train_seed42.log`; the attempt's number joins in when two attempts share a seed."""
    if record.seed is None:
        return f"train_attempt{record.attempt}.log"
    same_seed = [other for other in played.group if other.seed == record.seed]
    return f"train_seed{record.seed}{f'_attempt{record.attempt}' if len(same_seed) > 1 else ''}.log"


def submitted_runs(played: PlayedHole) -> tuple[SubmittedRun, ...]:
    """Return the attempts that a hole's score is the mean of."""
    attempts = {id(entry.record): entry.attempt for entry in played.entries}
    return tuple(SubmittedRun(r, attempts[id(r)], log_name(r, played)) for r in played.group)


# What must be there ---------------------------------------------------------------------------------------


def author_rule(author: Author) -> RuleResult:
    missing = [
        option
        for option, value in (('--author "NAME"', author.name), ("--github-id ID", author.github_id))
        if not value
    ]
    if missing:
        return RuleResult(
            "author",
            "please attest",
            "who submits is not known; the field stays empty",
            hint=" ".join(missing),
        )
    return RuleResult("author", "pass", f"{author.name} ({author.github_id})")


def course_rule(submission: Submission) -> RuleResult:
    if submission.course.name != "fineweb":
        name, folder = submission.course.name, submission.played.name.folder
        title = shlex.quote(f"{submission.played.title} on fineweb")
        what = f"played on the course {name}, not on the challenge's text: good for a rehearsal only"
        return RuleResult(
            "course",
            "please attest",
            what,
            hint=f"in a hole of its own: `harness new {title} --from {folder} --course fineweb`",
        )
    first = submission.course.splits[0].name if submission.course.splits else None
    outcome: RuleOutcome = "pass" if submission.played.split == first else "please attest"
    return RuleResult("course", outcome, f"validation split: {submission.played.split}")


def log_rule(run: SubmittedRun) -> RuleResult:
    path = run.attempt.log_path
    if plain_below(run.attempt.path, path.name) and path.stat().st_size:
        return RuleResult("log", "pass", f"{run.log_name}: {path.stat().st_size:,} bytes")
    seed = run.record.seed
    return RuleResult(
        "log",
        "fail",
        f"{path} is not here (git ignores logs)",
        hint=f"copy it from where seed {seed} was played, or play it again: "
        f"`harness run {run.record.hole} --seed {seed} --repeat`",
    )
