"""Averages of the weights over training: what is validated last and packed, in place of the last step's weights.

EMA: after each step, average = decay * average + (1 - decay) * weights, beginning with the initial weights.
SWA: the mean of the weights at every SWA_EVERY-th step while the learning rates are below SWA_START_FRAC.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.config import Config


class Average:
    """One average of a model's parameters, in fp32. samples: how many weights are in it, the first not counted by EMA."""

    def __init__(self, model: nn.Module, c: Config) -> None:
        self.tensors = {name: p.detach().float().clone() for name, p in model.named_parameters()}
        self.samples = 0
        self._decay, self._every, self._start = c.ema_decay, c.swa_every, c.swa_start_frac

    @torch.no_grad()
    def update(self, model: nn.Module, step: int, scale: float) -> None:
        """Take in the weights after `step` steps, the last of them made at learning rates of `scale`."""
        if self._decay > 0:
            share = 1.0 - self._decay
        elif scale < self._start and step % self._every == 0:
            share = 1.0 / (self.samples + 1)
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

    def restore(self, tensors: dict[str, Tensor], samples: int) -> None:
        self.samples = samples
        for name, t in tensors.items():
            self.tensors[name].copy_(t)


def make_average(model: nn.Module, c: Config) -> Average | None:
    return Average(model, c) if c.ema_decay > 0 or c.swa_enabled else None
