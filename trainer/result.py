"""What a run leaves behind for its record: `result.json`, written whole, whatever happened.

Holds measured facts only; deltas, headroom and verdicts are derived by whoever reads it. Knows nothing of torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainer.events import to_indented_json, write_atomically

SCHEMA = 1
RESULT_FILE = "result.json"

Status = Literal["ok", "stopped", "failed"]
StopReason = Literal["iterations", "wallclock_cap", "signal", "failure"]
Stage = Literal["pre_quantization", "round_trip"]


@dataclass(frozen=True)
class Score:
    """One evaluation. val_loss: nats per token; tokens: scored targets; bytes: what they stand for."""

    stage: Stage
    label: str
    val_loss: float
    val_bpb: float
    tokens: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why a run failed. kind: nan, oom, missing_data or error."""

    kind: str
    message: str
    step: int | None


@dataclass(frozen=True)
class Result:
    """All that was measured. None where it was not reached."""

    status: Status
    stop_reason: StopReason
    seed: int
    config: dict[str, str]  # effective, by environment name
    schema: int = SCHEMA
    failure: Failure | None = None
    params: int | None = None
    steps: int = 0
    planned_steps: int = 0
    train_seconds: float = 0.0  # without validation, packing and warm-up steps
    step_ms: float | None = None
    tokens_seen: int = 0
    tokens_per_second: float | None = None
    wall_seconds: float = 0.0  # of all sittings of a resumed run
    eval_seconds: float = 0.0
    peak_memory_bytes: int | None = None  # of the accelerator, on a CPU of the process
    last_train_loss: float | None = None
    scores: list[Score] = field(default_factory=list)
    code_bytes: int | None = None
    model_bytes: int | None = None
    artifact_bytes: int | None = None  # code and packed model
    model_file: str | None = None
    model_sha256: str | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    resumed: int = 0  # times

    def save(self, folder: Path) -> None:
        write_atomically(folder / RESULT_FILE, to_indented_json(self))


def count_code_bytes() -> int:
    """Return the bytes of the code that an artifact has to bring along.

    For now: all *.py files of this package, the practice course included, although a submission would need less.
    """
    return sum(path.stat().st_size for path in Path(__file__).parent.glob("*.py"))
