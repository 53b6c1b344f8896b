"""What a submission is made of: the attempts, the rules held against them, the code and the files."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.courses.course import Course
from harness.records.notes import Notes
from harness.records.record import RunRecord
from harness.records.store import Attempt
from harness.season.hole import PlayedHole
from harness.submit.rules.ruling import RulingOutcome

SCRIPT = "train_gpt.py"


@dataclass(frozen=True)
class Requirement:
    """One rule held against a hole. hint: what to type, where it failed or cannot be told."""

    name: str
    outcome: RulingOutcome
    what: str
    hint: str = ""


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

    @property
    def eval_seconds(self) -> float | None:
        """Seconds of the evaluation that counts."""
        official = self.record.official
        counted = [s for s in self.record.scores if official and s.label == official.label]
        return counted[-1].seconds if counted else None

    @property
    def hardware(self) -> str | None:
        """`8x NVIDIA H100 80GB HBM3`."""
        environment = self.record.environment
        if not (environment.device_name or environment.device):
            return None
        return f"{environment.world_size or 1}x {environment.device_name or environment.device}"


@dataclass
class Prepared:
    """A submission, made and judged. files: by name; empty when the script could not be made."""

    played: PlayedHole
    track: str
    author: Author
    course: Course
    runs: tuple[SubmittedRun, ...]
    notes: Notes
    rules: list[Requirement] = field(default_factory=list)
    code: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def failed(self) -> list[Requirement]:
        return [rule for rule in self.rules if rule.outcome == "fail"]

    @property
    def code_bytes(self) -> int:
        """Bytes of all code in the folder: what counts beside the model."""
        return sum(map(len, self.code.values()))

    def total_bytes(self, run: SubmittedRun) -> int | None:
        """Model and counted code of one run."""
        return None if run.record.model_bytes is None else run.record.model_bytes + self.code_bytes

    def write_into(self, folder: Path) -> None:
        """Write the files into a new folder."""
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    @property
    def builtin(self) -> bool:
        """Whether our own trainer made all of it, not a script of one's own."""
        return all(run.builtin for run in self.runs)

    @property
    def val_bpb(self) -> float | None:
        return mean([run.record.val_bpb for run in self.runs])

    @property
    def val_bpb_std(self) -> float | None:
        return spread([run.record.val_bpb for run in self.runs])

    @cached_property
    def largest_total(self) -> int | None:
        totals = [self.total_bytes(run) for run in self.runs]
        known = [total for total in totals if total is not None]
        return max(known) if known and len(known) == len(totals) else None


def mean(values: list[float | None]) -> float | None:
    """Return the mean, or None when one value is missing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def spread(values: list[float | None]) -> float | None:
    """Return the standard deviation of a sample, or None for one value or a missing one."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 and len(known) == len(values) else None
