"""The places in a run where a feature may take part.

Each does nothing here; a feature overrides those it needs.

The loop of `trainer.train` calls them, knowing no feature; `trainer.features` says which features a
configuration has. Knows nothing of torch at run time, so that the list of features stays quick to read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainer.config import Config

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from trainer.model import GPT
    from trainer.state import Run

# A matrix to int8 values and fp16 scales a row, in place of `trainer.quantize.quantize_tensor`.
Rounding = Callable[["Tensor"], tuple["Tensor", "Tensor"]]


class Hooks:
    """One feature of one run, in the order of the places."""

    def __init__(self, c: Config) -> None:
        self.c = c

    def extend_model(self, model: GPT) -> None:
        """Add parts to a model that was just built, before it is cast and moved to its device."""

    def extend_optimizers(self, optimizers: list[Optimizer]) -> None:
        """Change the optimizers that were just made."""

    def begin(self, run: Run) -> None:
        """Before the first step, with the initial weights; a checkpoint's are put in their place later."""

    def before_step(self, run: Run, elapsed_ms: float) -> None:
        """Before a step and the validation that may come before it.

        elapsed_ms: training time of all ranks.
        """

    def before_forward(self, run: Run, lr_scale: float) -> None:
        """In a step, before its first micro-batch. lr_scale: the warmdown factor of the learning rates."""

    def after_update(self, run: Run, step: int, lr_scale: float) -> None:
        """After the weights have moved. step: the number of steps made, this one counted."""

    def before_last_validation(self, run: Run) -> None:
        """When training is over: the last chance to change the weights that are validated and packed."""

    def matrix_rounding(self, run: Run) -> dict[str, Rounding]:
        """Return how to round which matrices for the artifact, by the name of the weight."""
        return {}

    def extra_scores(self, run: Run) -> None:
        """After the round trip: score the artifact in other ways."""

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        """What the feature must find again after a stop, by names that no one else uses."""
        return {}

    def checkpoint_facts(self) -> dict[str, Any]:
        """The same for what is no tensor."""
        return {}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Put back what a checkpoint holds."""
