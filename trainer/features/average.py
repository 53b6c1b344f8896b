"""Averages of the weights over training: validated last and packed, in place of the last step's weights.

EMA: after each step, average = decay * average + (1 - decay) * weights, beginning with the initial weights
(Polyak and Juditsky 1992 for the idea of averaging iterates).
SWA: the mean of the weights at every SWA_EVERY-th step while the learning rates are below SWA_START_FRAC
(stochastic weight averaging, arXiv:1803.05407).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.state import Run


class Average:
    """One average of a model's parameters, in fp32: a decay of 0.999 moves it less than bfloat16 resolves.

    samples: how many weights are in it, the first not counted by EMA.
    """

    def __init__(self, model: nn.Module, c: Config) -> None:
        self.tensors = {name: p.detach().float().clone() for name, p in model.named_parameters()}
        self.samples = 0
        self._decay, self._every, self._start = c.ema_decay, c.swa_every, c.swa_start_frac

    @torch.no_grad()
    def update(self, model: nn.Module, step: int, lr_scale: float) -> None:
        """Take in the weights after `step` steps, the last of them made at learning rates of `lr_scale`."""
        if self._decay > 0:
            # No correction for the first steps as Adam has it: the initial weights are part of the average.
            share = 1.0 - self._decay
        elif lr_scale < self._start and step % self._every == 0:
            share = 1.0 / (self.samples + 1)  # a running mean: all samples weigh the same in the end
        else:
            return
        self.samples += 1
        for name, p in model.named_parameters():
            self.tensors[name].lerp_(p.float(), share)

    @torch.no_grad()
    def put_into(self, model: nn.Module) -> None:
        """Replace the weights by their average; an SWA that has no sample yet leaves them."""
        if self.samples:
            for name, p in model.named_parameters():
                p.copy_(self.tensors[name])


class _AveragedWeights(Hooks):
    average: Average

    def begin(self, run: Run) -> None:
        self.average = Average(run.model, self.c)

    def after_update(self, run: Run, step: int, lr_scale: float) -> None:
        self.average.update(run.model, step, lr_scale)

    def before_last_validation(self, run: Run) -> None:
        self.average.put_into(run.model)
        run.say(f"average:applied samples:{self.average.samples}")

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        return {f"average/{name}": t for name, t in self.average.tensors.items()}

    def checkpoint_facts(self) -> dict[str, Any]:
        return {"averaged": self.average.samples}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.average.samples = facts["averaged"]
        for name, t in self.average.tensors.items():
            t.copy_(tensors[f"average/{name}"])


def hooks(c: Config) -> Hooks:
    return _AveragedWeights(c)
