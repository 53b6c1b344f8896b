"""Where a run stands, what it is made of, and who looks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer import events
from trainer.evaluate import Evaluation
from trainer.hooks import Hooks
from trainer.model import GPT
from trainer.prefetch import Batches
from trainer.result import Result, Score
from trainer.setup import Setup


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
    on_end: Callable[[Run], None] = lambda run: None
    wants_grad_norm: bool = False


@dataclass
class Progress:
    """Where a run stands; all of it goes into a checkpoint."""

    step: int = 0
    # The challenge's clock: time of training alone, without validations and checkpoints.
    train_ms: float = 0.0  # of the steps
    calibration_ms: float = 0.0  # training time too: it reads training data
    eval_seconds: float = 0.0
    points_logged: int = 0
    last_train_loss: float | None = None
    resumed: int = 0
    wall_seconds: float = 0.0  # of the processes before this one
    scores: list[Score] = field(default_factory=list)


@dataclass
class Run:
    """One run's moving parts. `trainer.train` makes and moves them; features see them at their hooks.

    forward: the model as it is called, perhaps compiled and wrapped for several processes.
    validated_at: the step whose validation a resumed run has in its curve already, or None.
    """

    setup: Setup
    out: Path
    observer: Observer
    model: GPT
    forward: nn.Module
    optimizers: list[torch.optim.Optimizer]
    features: list[Hooks]
    batches: Batches
    result: Result
    began: float  # by time.perf_counter
    progress: Progress = field(default_factory=Progress)
    curve: events.CurveLog | None = None
    validated_at: int | None = None

    def say(self, line: str) -> None:
        """Print a line of the log; of several processes one does."""
        if self.setup.workers.leads:
            events.say(line)

    def log(self, point: dict[str, float]) -> None:
        """Add a point to the curve. All ranks count points: any of them may be asked where the run stands."""
        self.progress.points_logged += 1
        if self.curve:
            self.curve.log(point)


class NotANumber(Exception):
    """A loss stopped being a number."""

    def __init__(self, what: str, step: int, loss: float) -> None:
        super().__init__(f"{what} became {loss} at step {step}")
        self.step = step
