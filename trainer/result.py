"""What a run leaves for others to read: `result.json`. Plain data, written whole."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainer.files import write_whole

RESULT_FILE = "result.json"
Stage = Literal["pre_quantization", "round_trip", "sliding_window", "test_time_training"]


@dataclass(frozen=True)
class Score:
    """One evaluation.

    val_loss: nats per token; val_bpb: bits per byte over `tokens` targets of `bytes` bytes.
    """

    stage: Stage
    label: str
    val_loss: float
    val_bpb: float
    tokens: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Failure:
    kind: Literal["nan", "out_of_memory", "missing_data", "error"]
    message: str
    step: int | None = None


@dataclass
class Result:
    """The account of one run; None says it was not measured. Times in seconds, sizes in bytes."""

    status: Literal["ok", "stopped", "failed"]
    stop_reason: Literal["iterations", "wallclock_cap", "signal", "failure"]
    config: dict[str, str]
    seed: int
    environment: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    params: int | None = None
    steps: int = 0
    planned_steps: int = 0
    train_seconds: float = 0.0
    step_ms: float | None = None
    tokens_seen: int = 0
    tokens_per_second: float | None = None
    wall_seconds: float = 0.0
    eval_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    last_train_loss: float | None = None
    scores: list[Score] = field(default_factory=list)
    code_bytes: int | None = None
    model_bytes: int | None = None
    artifact_bytes: int | None = None
    model_file: str | None = None
    model_sha256: str | None = None
    weights_file: str | None = None
    weights_sha256: str | None = None
    resumed: int = 0
    # Raised when a field changes its meaning.
    schema: int = 1

    def write(self, folder: Path) -> None:
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        write_whole(folder / RESULT_FILE, text.encode())
