"""Quantization-aware training: matrices are used as the artifact will hold them, at once or late in a run.

Forward passes in training see rounded weights; gradients pass the rounding as if it were not there (the
straight-through estimator, arXiv:1308.3432), so the full-precision weights learn to be good after rounding,
as in arXiv:1712.05877. Validation sees the full-precision weights.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from trainer.artifact import bits_of, is_quantized
from trainer.config import Config
from trainer.hooks import Hooks
from trainer.model import GPT, Linear
from trainer.quantize import clip_rank, quantize_rows, scales_as_stored
from trainer.state import Run


def fake_quantize(weight: Tensor, bits: int, rank: float) -> Tensor:
    """Return a matrix as its rows come back from `bits` bits, with the gradient of the matrix itself.

    rank: of the clip quantile in a row. A searched clip is not searched for here: 29 passes at each step.
    """
    w = weight.detach()
    q, scale = quantize_rows(w, bits, False, rank)
    # weight + (rounded - weight): the value is the rounded one, and the bracket has no gradient.
    return weight + (q * scales_as_stored(scale)[:, None] - w)


def switch_on(model: GPT, c: Config) -> int:
    """Let all linear maps that will be quantized train with rounded weights; return how many there are."""
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, Linear) and is_quantized(f"{name}.weight", module.weight, c):
            # Once, not at every step: it depends on the width alone.
            rank = clip_rank(module.weight.size(1))
            module.rounding = partial(fake_quantize, bits=bits_of(f"{name}.weight", c), rank=rank)
            count += 1
    return count


class _Rounding(Hooks):
    matrices = 0  # that train with rounded weights

    def before_forward(self, run: Run, lr_scale: float) -> None:
        # A threshold of 0 is no late beginning, as in the public scripts.
        if self.matrices or lr_scale > (self.c.late_qat_threshold or 1.0):
            return
        self.matrices = switch_on(run.model, self.c)
        step = run.progress.step
        run.say(f"late_qat:enabled step:{step} scale:{lr_scale:.4f} matrices:{self.matrices}")


def hooks(c: Config) -> Hooks:
    return _Rounding(c)
