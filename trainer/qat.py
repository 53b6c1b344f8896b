"""Quantization-aware training: late in a run the matrices are used as the artifact will hold them.

Forward passes in training see rounded weights; gradients pass the rounding as if it were not there (straight-through),
so the full-precision weights learn to be good after rounding. Validation sees the full-precision weights.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from trainer.artifact import bits_of, is_quantized
from trainer.config import Config
from trainer.model import GPT, Linear
from trainer.quantize import clip_rank, quantize_rows


def fake_quantize(weight: Tensor, bits: int, rank: float) -> Tensor:
    """Return a matrix as its rows come back from `bits` bits, with the gradient of the matrix itself.

    rank: of the clip quantile in a row. A searched clip is not searched for here: 29 passes at each step.
    """
    w = weight.detach()
    q, scale = quantize_rows(w, bits, False, rank)
    return weight + (q * scale.to(torch.float16).float()[:, None] - w)


def switch_on(model: GPT, c: Config) -> int:
    """Let all linear maps that will be quantized train with rounded weights; return how many there are."""
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, Linear) and is_quantized(f"{name}.weight", module.weight, c):
            rank = clip_rank(module.weight.size(1))
            module.rounding = partial(fake_quantize, bits=bits_of(f"{name}.weight", c), rank=rank)
            count += 1
    return count
