"""Calibration: what the inputs of each matrix look like on training tokens, for `trainer.features.gptq`.

It reads training data, so its time is training time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.artifact import is_quantized
from trainer.config import Config
from trainer.model import GPT, Linear


class _InputSums:
    """Adds up grams as linear maps are used. Maps with one input (queries, keys and values) share one."""

    def __init__(self) -> None:
        self.grams: dict[str, Tensor] = {}
        self.source_of: dict[str, str] = {}  # of each map, whose gram is its own
        self._last: tuple[Tensor, str] | None = None

    def add(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        x: Tensor = args[0]
        # Queries, keys and values of a layer get one tensor: a third of the products, and of the memory.
        if self._last is not None and self._last[0] is x:
            self.source_of[name] = self._last[1]
            return
        self._last, self.source_of[name] = (x, name), name
        # In fp32 whatever the activations are.
        rows = x.flatten(0, -2).float()
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 sums are not even positive definite
            gram = rows.mT @ rows
        self.grams[name] = self.grams[name].add_(gram) if name in self.grams else gram


@torch.no_grad()
def calibrate(
    model: GPT, next_inputs: Callable[[], Tensor], c: Config, autocast: bool, budget_seconds: float
) -> tuple[dict[str, Tensor], int]:
    """Pass GPTQ_CALIBRATION_BATCHES of training tokens, fewer when the budget runs out, but one in any case.

    Returns the gram of each matrix by the name of its weight, fp32 on the CPU, and how many batches this rank
    passed. next_inputs: gives token ids (rows, TRAIN_SEQ_LEN) on the model's device. The grams of all ranks
    are added up, so that all of them round alike.
    """
    began, sums, batches = time.perf_counter(), _InputSums(), 0
    # Hooks see what the maps are given in a real forward pass, with all features that the model has.
    hooks = [
        module.register_forward_pre_hook(partial(sums.add, f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, Linear) and is_quantized(f"{name}.weight", module.weight, c)
    ]
    was_training = model.training
    model.eval()  # the weights as they are, not as quantization-aware training sees them
    try:
        while batches < c.gptq_calibration_batches:
            ids = next_inputs()
            with torch.autocast(ids.device.type, torch.bfloat16, enabled=autocast):
                # Without the loss: the head is a table of tokens, which is rounded plainly.
                model.transform(model.embed(ids))
            batches += 1
            # Asked after a batch, not before: without any gram there is nothing to round by.
            if time.perf_counter() - began >= budget_seconds:
                break
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    if dist.is_initialized():
        for gram in sums.grams.values():
            # Sums over ranks: all of them round alike, and pack the same bytes.
            dist.all_reduce(gram)
    on_cpu = {name: gram.cpu() for name, gram in sums.grams.items()}
    return {name: on_cpu[source] for name, source in sums.source_of.items()}, batches
