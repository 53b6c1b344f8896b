"""Looped layers: some are passed more than once, with the same weights, from a share of the training on.

Depth without bytes: weights shared across layers, as in Universal Transformers (arXiv:1807.03819) and ALBERT
(arXiv:1909.11942).
"""

from __future__ import annotations

import torch
from torch import nn

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.model import GPT, skip_count
from trainer.schedule import share_done
from trainer.state import Run


def layer_order(c: Config) -> tuple[int, ...]:
    """Return the layers as they are passed: LOOP_START to LOOP_END come NUM_LOOPS times more."""
    # Right behind their first pass, not at the end: later layers then see what the loop made.
    loop = list(range(c.loop_start, c.loop_end + 1)) * c.num_loops
    layers = list(range(c.num_layers))
    return tuple(layers[: c.loop_end + 1] + loop + layers[c.loop_end + 1 :])


class _LoopedLayers(Hooks):
    def extend_model(self, model: GPT) -> None:
        """Make room for the skips of the longer way; the halves of the stack are halves of all passes."""
        # The weights of further skips begin at 1 like the others, and wait unused until looping begins.
        order = layer_order(self.c)
        model.skip_weights = nn.Parameter(torch.ones(skip_count(len(order)), self.c.model_dim))
        if self.c.enable_looping_at == 0:
            model.layers = order

    def before_step(self, run: Run, elapsed_ms: float) -> None:
        order = layer_order(self.c)
        # Compilation starts over when the layers change: once, in the middle of a run.
        done = share_done(self.c, run.progress.step, elapsed_ms)  # by the clock of all ranks
        if run.model.layers != order and done >= self.c.enable_looping_at:
            run.model.layers = order
            step = run.progress.step
            run.say(f"layer_loop:enabled step:{step} frac:{done:.3f} layers:{len(order)}")


def hooks(c: Config) -> Hooks:
    return _LoopedLayers(c)
