"""Where a run stands, and who looks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from trainer.evaluate import Evaluation
from trainer.model import GPT
from trainer.result import Score


@dataclass(frozen=True)
class StepReport:
    """What an observer sees after each step; for tests against reference trajectories."""

    step: int
    train_loss: float
    grad_norm: float | None
    lr_scale: float
    momentum: float


@dataclass
class Observer:
    """Called along the way; does nothing by default."""

    on_init: Callable[[GPT], None] = lambda model: None
    on_batch: Callable[[Tensor, Tensor], None] = lambda x, y: None
    on_step: Callable[[StepReport], None] = lambda report: None
    on_val: Callable[[int, Evaluation], None] = lambda step, evaluation: None
    on_end: Callable[[GPT], None] = lambda model: None
    wants_grad_norm: bool = False


@dataclass
class Progress:
    """Where a run stands; all of it goes into a checkpoint."""

    step: int = 0
    train_ms: float = 0.0  # of the steps
    calibration_ms: float = 0.0  # training time too: it reads training data
    eval_seconds: float = 0.0
    points_logged: int = 0
    last_train_loss: float | None = None
    resumed: int = 0
    wall_seconds: float = 0.0
    scores: list[Score] = field(default_factory=list)


class NotANumber(Exception):
    """A loss stopped being a number."""

    def __init__(self, what: str, step: int, loss: float) -> None:
        super().__init__(f"{what} became {loss} at step {step}")
        self.step = step
