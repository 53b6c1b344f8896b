"""Variants of a block: other activations, norms that shrink with depth, attention and MLP side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.model import GPT, relu_squared, rms_norm

_SLOPE = 0.5  # of leaky ReLU below zero: the field's value


def leaky_relu_squared(x: Tensor) -> Tensor:
    """ReLU^2 whose negative side keeps a gradient.

    It is not monotonic: the square of a negative is positive.
    """
    # At x < 0 it is 0.25 x^2, so units that are off still learn.
    return F.leaky_relu(x, _SLOPE).square()


# gelu: arXiv:1606.08415; silu: arXiv:1702.03118.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu2": relu_squared,
    "leaky_relu2": leaky_relu_squared,
    "gelu": F.gelu,
    "silu": F.silu,
}


def scaled_norm(x: Tensor, scale: float) -> Tensor:
    """A norm times a constant: with 1 / sqrt(layer + 1) deep layers, whose stream is large, read less of it.

    Layer-norm scaling, arXiv:2502.05795 ("The Curse of Depth").
    """
    return rms_norm(x) * scale


def beside_attention(x: Tensor, attended: Tensor) -> Tensor:
    """The MLP reads what attention reads, and both are added: the parallel residual of GPT-J and PaLM.

    PaLM: arXiv:2204.02311, section 2.
    """
    return x


class _BlockVariants(Hooks):
    def extend_model(self, model: GPT) -> None:
        c = self.c
        for layer, block in enumerate(model.each_block()):
            block.mlp.activation = ACTIVATIONS[c.activation]
            # Layers count from 1 in the paper: the first one is not scaled.
            if c.ln_scale:
                block.norm = partial(scaled_norm, scale=(layer + 1) ** -0.5)
            if 0 <= c.parallel_start_layer <= layer:
                block.mlp_input = beside_attention


def hooks(c: Config) -> Hooks:
    return _BlockVariants(c)
