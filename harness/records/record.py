"""The record of one attempt: its shape, its checks, and how older shapes are read.

Measured facts only, at full precision; whatever can be computed (headroom, deltas, names of scores)
is computed when it is shown. This module knows nothing of folders, courses or pages.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from harness.documents import FileProblem, MissingFile, naming, parse_json, read_file
from harness.records.failures import FailureKind
from harness.records.frozen import (
    AwareDatetime,
    CourseName,
    FiniteFloat,
    Int,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from harness.records.frozen import Frozen as Frozen
from harness.records.origin import EvaluatedFrom, Provenance
from harness.records.seed_plan import PlannedSeeds, Purpose, SeedsNotPlayed
from trainer.config import NEUTRAL

SCHEMA = 2
MAX_BYTES = 2_000_000  # of the file; a thousand files that a script left are named in it

Status = Literal["ok", "over_cap", "stopped", "failed"]
CodeRule = Literal["package", "script", "packed"]  # what of our trainer was counted as code
Stage = Literal["pre_quantization", "round_trip", "sliding_window", "test_time_training", "other"]

# Knobs that cannot change a result: names, places, logging, and what the fingerprints already cover.
# They are stored like all others but left out of the configuration's hash; so is the seed, which
# tells the attempts of one configuration apart.
UNHASHED_KNOBS = frozenset(
    {
        "SEED",
        "RUN_ID",
        "DATA_PATH",
        "TOKENIZER_PATH",
        "TRAIN_LOG_EVERY",
        "CHECKPOINT_EVERY",
        "CHECKPOINT_SECONDS",
        "THREADS",
        "KEEP_WEIGHTS",
    }
)


class Score(Frozen):
    """One evaluation that the attempt made, with the label it was printed under."""

    stage: Stage
    label: str
    val_loss: NonNegativeFloat | None = None  # nats per token
    val_bpb: NonNegativeFloat
    tokens: PositiveInt | None = None  # scored targets
    bytes: PositiveInt | None = None  # UTF-8 bytes those targets stand for
    seconds: NonNegativeFloat | None = None
    line: PositiveInt | None = None  # in train.log
    text: str | None = None  # val_bpb as it was printed, so that its digits are kept

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.val_loss is not None and self.tokens and self.bytes:
            expected = self.val_loss / math.log(2) * self.tokens / self.bytes
            if not math.isclose(expected, self.val_bpb, rel_tol=1e-4):
                raise ValueError(
                    f"{self.label}: val_bpb {self.val_bpb} does not follow from val_loss {self.val_loss}, "
                    f"{self.tokens} tokens and {self.bytes} bytes (that gives {expected:.6f})"
                )
        return self


class Official(Frozen):
    """Which score counts, and the rule that chose it. doubt: why it is not sure that it is the artifact's."""

    stage: Stage
    label: str
    why: str
    doubt: str | None = None


class Failure(Frozen):
    kind: FailureKind
    message: str
    step: NonNegativeInt | None = None
    last_lines: tuple[str, ...] = ()


class Code(Frozen):
    """The code that ran. source_sha256 covers the files that trained, in name order."""

    trainer: str = "builtin"  # or the script's file
    module: str | None = None  # the script as `python -m` knew it
    source_sha256: str | None = None
    git_sha: str | None = None
    dirty: bool | None = None
    diff_sha256: str | None = None  # of source/uncommitted.diff in the attempt's folder


class Environment(Frozen):
    python: str | None = None
    interpreter: str | None = None  # a script's own Python, as it was named; None for the harness's
    torch: str | None = None
    mlx: str | None = None
    sentencepiece: str | None = None
    numpy: str | None = None
    harness: str | None = None
    platform: str | None = None
    device: str | None = None  # cuda, mps, cpu
    device_name: str | None = None
    world_size: PositiveInt | None = None
    threads: PositiveInt | None = None
    cpu_capability: str | None = None  # the vector instructions torch uses: DEFAULT, AVX2, AVX512
    backends: dict[str, bool | str] | None = None  # torch's switches that decide in which order sums are made

    @property
    def machine(self) -> str | None:
        """The processor or GPU, with how many of them; None where it is not named."""
        if self.device_name is None or (self.world_size or 1) == 1:
            return self.device_name
        return f"{self.world_size} x {self.device_name}"


class Data(Frozen):
    """Fingerprints of what was read. val_bytes is the denominator of bits per byte."""

    val_sha256: str | None = None
    val_tokens: PositiveInt | None = None
    val_bytes: PositiveInt | None = None
    train_fingerprint: str | None = None
    train_tokens: PositiveInt | None = None
    tokenizer_sha256: str | None = None
    yardsticks: dict[str, PositiveFloat] = Field(default_factory=dict)  # compressors on the same bytes, bpb


class AsOf(Frozen):
    """What the field stood at when an older page was made; wins over the dated tables where it is given."""

    par: PositiveFloat | None = None
    sota: PositiveFloat | None = None


class RunRecord(Frozen):
    """The validated result of one attempt (`record.json`)."""

    schema_: Literal[2] = Field(default=2, alias="schema")
    hole: str
    attempt: PositiveInt = 1
    course: CourseName
    split: str | None = None  # which export of the course's validation text
    status: Status
    failure: Failure | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None

    val_bpb: NonNegativeFloat | None = None  # the official score, bits per byte
    val_loss: NonNegativeFloat | None = None  # nats per token
    official: Official | None = None
    scores: tuple[Score, ...] = ()

    artifact_bytes: NonNegativeInt | None = None
    code_bytes: NonNegativeInt | None = None
    code_rule: CodeRule | None = None  # None: an older record, or a script of one's own
    model_bytes: NonNegativeInt | None = None
    cap_bytes: PositiveInt | None = None
    model_file: str | None = None
    model_sha256: str | None = None
    weights_file: str | None = None  # unrounded, for `harness evaluate`
    weights_sha256: str | None = None

    params: NonNegativeInt | None = None
    steps: NonNegativeInt | None = None
    planned_steps: NonNegativeInt | None = None
    step_ms: NonNegativeFloat | None = None  # mean over the run
    train_seconds: NonNegativeFloat | None = None
    eval_seconds: NonNegativeFloat | None = None
    wall_seconds: NonNegativeFloat | None = None  # the whole process
    rate_per_hour: PositiveFloat | None = None  # what an hour of the machine cost, in the user's money
    tokens_seen: NonNegativeInt | None = None
    tokens_per_second: NonNegativeFloat | None = None
    peak_memory_bytes: NonNegativeInt | None = None
    last_train_loss: FiniteFloat | None = None
    stop_reason: str | None = None
    resumes: NonNegativeInt = 0

    seed: Int | None = None
    planned_seeds: PlannedSeeds = ()
    not_played: SeedsNotPlayed = ()  # seeds of the command that this attempt was the last one of
    purpose: Purpose | None = None
    preset: str | None = None
    overrides: dict[str, str] = Field(default_factory=dict)
    config: dict[str, str] = Field(default_factory=dict)
    config_hash: str | None = None
    arguments: tuple[str, ...] = ()  # a script's command-line options, as they were handed over
    command: tuple[str, ...] = ()

    code: Code = Code()
    environment: Environment = Environment()
    data: Data = Data()
    as_of: AsOf | None = None
    provenance: Provenance | None = None
    evaluated_from: EvaluatedFrom | None = None
    produced: dict[str, NonNegativeInt] = Field(default_factory=dict)  # files a script left, path -> bytes
    warnings: tuple[str, ...] = ()

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self

    @property
    def complete(self) -> bool:
        """Whether the attempt finished and has a score; over the cap counts as complete."""
        return self.status in ("ok", "over_cap") and self.val_bpb is not None

    @property
    def cost(self) -> float | None:
        """What the attempt cost in the money of `rate_per_hour`; None where no rate was given."""
        if self.rate_per_hour is None or self.wall_seconds is None:
            return None
        return self.rate_per_hour * self.wall_seconds / 3600

    @property
    def counted_score(self) -> Score | None:
        """The evaluation behind the official score; the last one where several have its name."""
        counted = counted_scores(self.scores, self.official)
        return counted[-1] if counted else None

    @property
    def evaluation_seconds(self) -> float | None:
        """How long the evaluation behind the official score took, else `eval_seconds`.

        The built-in trainer's `eval_seconds` holds every validation of the run; of a log it is the official's
        alone, or the total that it prints.
        """
        score = self.counted_score
        if self.code.trainer != "builtin" or score is None or score.seconds is None:
            return self.eval_seconds
        return score.seconds

    def stage_bpb(self, stage: Stage) -> float | None:
        """Return the last score of a stage, in bits per byte, or None when it was not measured."""
        scores = [score.val_bpb for score in self.scores if score.stage == stage]
        return scores[-1] if scores else None

    @property
    def quantization_gap(self) -> float | None:
        """Bits per byte lost between the trained weights and the artifact read back."""
        before, after = self.stage_bpb("pre_quantization"), self.stage_bpb("round_trip")
        return None if before is None or after is None else after - before


def total_cost(records: Iterable[RunRecord]) -> float | None:
    """Add up what attempts cost; None where no rate was given for any of them."""
    costs = [record.cost for record in records if record.cost is not None]
    return sum(costs) if costs else None


def over_cap(artifact_bytes: int | None, cap_bytes: int) -> bool:
    """Whether an artifact is too large: the rule says "under". An unknown size is not."""
    return artifact_bytes is not None and artifact_bytes >= cap_bytes


def excess_bytes(artifact_bytes: int, cap_bytes: int) -> int:
    """How many bytes must go until an artifact is under the cap: 1 for one that is as large as the cap."""
    return max(0, artifact_bytes - cap_bytes + 1)


def counted_scores(scores: Sequence[Score], official: Official | None) -> list[Score]:
    """Return the evaluations of the stage and label that are named official, in order."""
    if official is None:
        return []
    return [s for s in scores if (s.stage, s.label) == (official.stage, official.label)]


def mean_stage_bpb(records: Sequence[RunRecord], stage: Stage) -> float | None:
    """Return the mean score of a stage in bits per byte, or None unless all the records measured it."""
    scores = [score for record in records if (score := record.stage_bpb(stage)) is not None]
    return sum(scores) / len(scores) if scores and len(scores) == len(records) else None


def mean_gap(records: Sequence[RunRecord]) -> float | None:
    """Return the mean of what packing cost in bits per byte, or None unless all the records know it."""
    before, after = (mean_stage_bpb(records, stage) for stage in ("pre_quantization", "round_trip"))
    return None if before is None or after is None else after - before


def _contradictions(record: RunRecord) -> list[str]:
    """Say which parts of a record do not fit together."""
    problems = []
    if record.status == "ok" and record.val_bpb is None:
        problems.append("status is ok but there is no val_bpb")
    if record.status == "failed" and record.failure is None:
        problems.append("status is failed but no failure is described")
    if record.status == "ok" and record.failure is not None:
        problems.append(f"status is ok but a failure is described: {record.failure.kind}")
    parts = (record.code_bytes, record.model_bytes)
    if record.artifact_bytes is not None and None not in parts:
        total = sum(part for part in parts if part is not None)
        if total != record.artifact_bytes:
            problems.append(
                f"artifact_bytes {record.artifact_bytes} is not code_bytes {record.code_bytes} "
                f"+ model_bytes {record.model_bytes} = {total}"
            )
    if record.artifact_bytes is not None and record.cap_bytes is not None:
        over = over_cap(record.artifact_bytes, record.cap_bytes)
        if over and record.status == "ok":
            problems.append(
                f"status is ok but artifact_bytes {record.artifact_bytes} is not under "
                f"cap_bytes {record.cap_bytes}"
            )
        if not over and record.status == "over_cap":
            problems.append(
                f"status is over_cap but artifact_bytes {record.artifact_bytes} is under "
                f"cap_bytes {record.cap_bytes}"
            )
    if record.official is not None:
        counted = counted_scores(record.scores, record.official)
        if not any(score.val_bpb == record.val_bpb for score in counted):
            problems.append(
                f"val_bpb {record.val_bpb} is not the score {record.official.stage}/{record.official.label} "
                "that is named official"
            )
    if record.started_at and record.ended_at and record.ended_at < record.started_at:
        problems.append("ended_at lies before started_at")
    if record.config_hash and record.config and record.config_hash != hash_config(record.config):
        problems.append("config_hash does not belong to this config")
    return problems


_SORTED = json.JSONEncoder(sort_keys=True)  # one for all: records are checked by the thousand
_PLACES = frozenset({"DATA_PATH", "TOKENIZER_PATH"})


def recorded_config(config: Mapping[str, str], overrides: Collection[str]) -> dict[str, str]:
    """What a record keeps of a configuration: where a course keeps its data is one machine's business.

    What lies there has its fingerprint in the record; a place that an override names stays.
    """
    return {name: value for name, value in config.items() if name not in _PLACES or name in overrides}


def hash_config(config: Mapping[str, str]) -> str:
    """Return a short fingerprint of an effective configuration, seed and places left out.

    Knobs beyond the challenge's own count only where they are used, so that a trainer that learns a new trick
    leaves the fingerprints of old records what they were. Two attempts with the same hash, code and data
    played the same idea.
    """
    hashed = dict(config)
    for name in UNHASHED_KNOBS:
        hashed.pop(name, None)
    return _hash_items(tuple(hashed.items()))


@lru_cache(maxsize=64)  # the attempts of a hole mostly share a configuration
def _hash_items(items: tuple[tuple[str, str], ...]) -> str:
    counted = dict(item for item in items if item not in NEUTRAL)
    return hashlib.sha256(_SORTED.encode(counted).encode()).hexdigest()[:16]


# Reading and writing ------------------------------------------------------------------------------


def parse_record(raw: object, place: str) -> RunRecord:
    """Validate decoded JSON as a record, upgrading older schemas first.

    place: what to call it in an error, usually the file's path.
    Raises FileProblem naming the place and each offending field.
    """
    hint = "compare it with docs/record.md"
    if not isinstance(raw, dict):
        raise FileProblem(f"{place} holds {type(raw).__name__}, not a record", "expected one JSON object")
    number = raw.get("schema", 1)
    while type(number) is int and number in UPGRADERS:
        with naming(f"{place}: schema {number} cannot be upgraded", hint):
            raw = UPGRADERS[number](raw)
        number = raw["schema"]
    if number != SCHEMA:
        raise FileProblem(
            f"{place} has schema {number!r:.80}; this harness reads up to {SCHEMA}",
            "upgrade the harness, or check the file",
        )
    with naming(f"{place} is not a valid record", hint):
        return RunRecord.model_validate(raw)


def load_record(path: Path) -> RunRecord:
    """Read and validate a `record.json`.

    Raises MissingFile, or FileProblem naming the file and what is wrong with it.
    """
    hint = "restore it from git, or run the hole again"
    content = read_file(path, MAX_BYTES, hint)
    try:  # nearly every record: decoded and checked in one go, which takes half the time
        record = RunRecord.model_validate_json(content)
        if "schema_" in record.model_fields_set:
            return record
    except ValidationError:
        pass  # an older schema, or a mistake that the slower way names
    return parse_record(parse_json(content, path, hint), str(path))


def find_record(path: Path) -> RunRecord | None:
    """Return the record, or None while there is none. Raises FileProblem when it cannot be trusted."""
    try:
        return load_record(path)
    except MissingFile:
        return None


def dump_record(record: RunRecord) -> str:
    """Return the text of `record.json`: indented, fixed key order, nothing unmeasured, final newline."""
    text = record.model_dump_json(by_alias=True, indent=2, exclude_none=True)
    return text + "\n"


def _upgrade_seed(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 1: the flat form of the first scorecard page, before the harness existed."""
    raw = dict(raw)
    raw.pop("schema", None)
    upgraded: dict[str, Any] = {
        "schema": 2,
        "hole": raw.pop("run_id"),
        "course": raw.pop("course", "fineweb"),
    }
    status = raw.pop("status", "ok")
    upgraded["status"] = {"crashed": "failed", "over": "over_cap"}.get(status, status)
    if upgraded["status"] == "failed":
        upgraded["failure"] = {"kind": "error", "message": raw.pop("error", "no cause was kept")}
    if date := raw.pop("date", None):
        upgraded["started_at"] = date if "T" in str(date) else f"{date}T00:00:00Z"
    renamed = {"wall_time_s": "train_seconds", "step_avg_ms": "step_ms"}
    for old, new in renamed.items():
        if old in raw:
            upgraded[new] = raw.pop(old)
    if (backend := raw.pop("backend", None)) is not None:
        upgraded["environment"] = {"device": backend}
    upgraded["overrides"] = {name: str(value) for name, value in raw.pop("overrides", {}).items()}
    if "sota" in raw or "baseline" in raw:
        upgraded["as_of"] = {"par": raw.pop("baseline", None), "sota": raw.pop("sota", None)}
    # What the old page derived is derived again; round and hole follow from the name.
    for derived in ("round", "hole", "previous", "next", "our_best"):
        raw.pop(derived, None)
    return upgraded | raw


UPGRADERS: dict[object, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _upgrade_seed}
