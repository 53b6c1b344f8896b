"""GPTQ: rounding whose errors are taken up by the weights that are still to be rounded.

Source: Frantar, Ashkboos, Hoefler, Alistarh 2022 (arXiv:2210.17323), columns in order of falling curvature
(the authors' "act-order"). A gram is the sum of x x' over the inputs x of a linear map, (columns, columns):
half the Hessian of the squared error of the map's outputs. `trainer.features.calibrate` gathers them.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from trainer.artifact import bits_of
from trainer.clock import Clock
from trainer.config import Config
from trainer.features.calibrate import calibrate
from trainer.hooks import Hooks, Rounding
from trainer.quantize import clip_rank, quantize_rows, scales_as_stored
from trainer.state import Run

# Times the diagonal's mean, added to it as in the authors' code: unseen directions stay bounded.
_DAMPING = 0.01


def compensate(t: Tensor, gram: Tensor, bits: int, search: bool, block: int) -> tuple[Tensor, Tensor]:
    """Return int8 values and fp16 scales a row, as `quantize_tensor` does, for inputs of this gram.

    t: (rows, columns); gram: (columns, columns). Scales are those of plain rounding. A row that plain
    rounding serves better, measured as the squared error of its outputs, keeps it.
    """
    w = t.float()
    plain, scale = quantize_rows(w, bits, search, clip_rank(w.size(1)))
    scale = scales_as_stored(scale)
    q = _round_in_order(w, scale, gram, float(2 ** (bits - 1) - 1), block)
    # The greedy order is no optimum: row by row, what has the smaller error on the inputs seen is kept.
    better = output_errors(w, q * scale[:, None], gram) < output_errors(w, plain * scale[:, None], gram)
    q = torch.where(better[:, None], q, plain)
    return q.to(torch.int8).contiguous(), scale.to(torch.float16).contiguous()


def output_errors(w: Tensor, rounded: Tensor, gram: Tensor) -> Tensor:
    """Return for each row the summed squared error of its outputs over the inputs of a gram, float64."""
    difference = (w - rounded).double()
    return ((difference @ gram.double()) * difference).sum(1)


def _round_in_order(w: Tensor, scale: Tensor, gram: Tensor, most: float, block: int) -> Tensor:
    """Round column after column; each one's error moves the later ones to where they make up for it best.

    The move is error / U[i, i] * U[i, i:], U the upper Cholesky factor of the inverse of the damped gram (the
    paper's algorithm 1). Columns of a block see it at once, those behind it once a block.
    """
    # Largest diagonal first: where an error costs most, many columns are still free to correct it.
    order = gram.diagonal().argsort(descending=True, stable=True)
    # fp64: in fp32 Cholesky may find a gram of few samples not positive definite.
    remaining = w[:, order].double()
    damped = gram[order][:, order].double()
    mean = damped.diagonal().mean()
    damped.diagonal().add_(_DAMPING * mean if mean > 0 else 1.0)
    # All the updates the algorithm will need, at once: the paper's step 3, which made it stable.
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    steps = scale.double()
    q = torch.empty_like(remaining)
    # The paper's lazy batches: updates of far columns wait for the end of the block, one large product each.
    for start in range(0, w.size(1), block):
        stop = min(start + block, w.size(1))
        errors = torch.empty_like(remaining[:, start:stop])
        for at in range(start, stop):
            column = remaining[:, at]
            q[:, at] = torch.round(column / steps).clamp_(-most, most)
            error = (column - q[:, at] * steps) / upper[at, at]
            errors[:, at - start] = error
            remaining[:, at:stop] -= error[:, None] * upper[at, at:stop]
        remaining[:, stop:] -= errors @ upper[start:stop, stop:]
    # Into the order of the columns as the model has them.
    back = torch.empty_like(q)
    back[:, order] = q
    return back.float()


class _CompensatedRounding(Hooks):
    def matrix_rounding(self, run: Run) -> dict[str, Rounding]:
        """Gather grams on the training tokens that come next; the time is training's, since they are read."""
        c, p = self.c, run.progress
        budget = c.max_wallclock_seconds - p.train_ms / 1000 if c.max_wallclock_seconds > 0 else math.inf
        clock = Clock(run.setup.device, 0.0)
        grams, batches = calibrate(run.model, lambda: run.batches.next()[0], c, run.setup.autocast, budget)
        p.calibration_ms = clock.pause()
        run.say(
            f"gptq:calibrated matrices:{len(grams)} batches:{batches}/{c.gptq_calibration_batches} "
            f"time:{p.calibration_ms:.0f}ms"
        )
        search = c.quant_clip == "search"
        return {
            name: partial(
                compensate, gram=gram, bits=bits_of(name, c), search=search, block=c.gptq_block_size
            )
            for name, gram in grams.items()
        }


def hooks(c: Config) -> Hooks:
    return _CompensatedRounding(c)
