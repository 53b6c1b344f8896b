"""What was started in an attempt: `launch.json`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.documents import read_file, read_model
from harness.records.frozen import (
    AwareDatetime,
    CourseName,
    FiniteFloat,
    Frozen,
    Int,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from harness.records.origin import EvaluatedFrom
from harness.records.record import Code, CodeRule, Data, Environment, Score
from harness.records.seed_plan import PlannedSeeds, Purpose

MAX_BYTES = 2_000_000


class Trained(Frozen):
    """What is known beforehand of a training whose weights are evaluated.

    score: the last of the training, before quantization; None where it would be made otherwise now.
    """

    steps: NonNegativeInt | None = None
    planned_steps: NonNegativeInt | None = None
    step_ms: NonNegativeFloat | None = None
    train_seconds: NonNegativeFloat | None = None
    tokens_seen: NonNegativeInt | None = None
    tokens_per_second: NonNegativeFloat | None = None
    last_train_loss: FiniteFloat | None = None
    stop_reason: str | None = None
    resumes: NonNegativeInt = 0
    score: Score | None = None


class Launch(Frozen):
    """One attempt as it was started: everything of its record that is known beforehand."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    hole: str
    attempt: PositiveInt
    course: CourseName
    course_named: bool = True  # by the user or round.toml; else it is a script's default, and proves nothing
    split: str | None = None
    cap_bytes: PositiveInt
    preset: str | None = None
    script: str | None = None  # its file in `source/`; None for the built-in trainer
    module: str | None = None  # the script as `python -m` knows it, below `source/`
    arguments: tuple[str, ...] = ()  # the script's command-line options
    python: str | None = None  # the script's interpreter by its path; None for the harness's own
    interpreter: Environment = Environment()  # what is known of it
    overrides: dict[str, str]
    config: dict[str, str]
    environ: dict[str, str] = Field(default_factory=dict)  # what a script is handed, in its own spelling
    hidden: tuple[str, ...] = ()  # variables of the shell that a script must not see
    seed: Int | None = None
    planned_seeds: PlannedSeeds = ()
    purpose: Purpose | None = None
    nproc: PositiveInt = 1
    launcher: Literal["python", "torchrun"] = "python"
    outlives: bool = False  # the child goes on when the harness is killed
    rate_per_hour: PositiveFloat | None = None  # what an hour of the machine costs, in the user's money
    started_at: AwareDatetime
    command: tuple[str, ...]
    code: Code
    data: Data
    harness: str
    code_bytes: PositiveInt | None = None  # of the script that a submission would have; of our trainer only
    code_rule: CodeRule | None = None
    evaluated_from: EvaluatedFrom | None = None  # whose weights are packed and scored: nothing is trained
    trained: Trained | None = None  # with it


def load_launch(path: Path) -> Launch:
    """Read a `launch.json`. Raises FileProblem naming the file and what is wrong with it."""
    return read_model(Launch, path, MAX_BYTES, "this attempt cannot be resumed")


def hash_launch(path: Path) -> str:
    """Return the sha256 of a `launch.json` as it lies there. Raises FileProblem."""
    return hashlib.sha256(read_file(path, MAX_BYTES)).hexdigest()


def dump_launch(launch: Launch) -> str:
    return launch.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n"
