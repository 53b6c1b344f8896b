"""Matrices as small integers with a scale a row, and back.

The challenge's own form (8 bits, clip at a quantile, a floor under the scale) is followed operation for
operation; fewer bits and a searched clip are ours. Source of the first: the challenge's train_gpt.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The challenge's. It cuts one weight in 625,000 off whole; of shorter rows it takes a little off the largest.
CLIP_QUANTILE = 99.99984 / 100.0
# Shares of a row's largest weight to try as its clip; 4 bits want about half, 8 bits nearly all.
_CLIPS = tuple(share / 40 for share in range(40, 11, -1))
_TINY = 2.0**-14  # the smallest normal fp16: a scale below it would lose its digits


def quantize_tensor(t: Tensor, bits: int = 8, search: bool = False) -> tuple[Tensor, Tensor]:
    """Return int8 values of `bits` bits and fp16 scale(s): per row for matrices, per tensor otherwise.

    The clip is the 99.99984 % quantile of |w|, or with `search` the one of 29 that leaves the least squared
    error. At 8 bits without a search the scale is at least 1/127, as in the challenge, which costs matrices
    of small weights most of their bits.
    """
    w = t.float()
    if w.ndim == 2:
        q, scale = quantize_rows(w, bits, search, clip_rank(w.size(1)))
        return q.to(torch.int8).contiguous(), scale.to(torch.float16).contiguous()
    # A scale for a whole tensor that is no matrix; none of the baseline's is large enough to come here.
    most = float(2 ** (bits - 1) - 1)
    clip = float(largest_quantile(w.abs().view(1, -1), clip_rank(w.numel()))) if w.numel() else 0.0
    scale = torch.tensor(clip / most if clip > 0 else 1.0, dtype=torch.float32)
    q = torch.round(w.clamp(-clip, clip) / scale).clamp(-most, most).to(torch.int8)
    return q.contiguous(), scale


def quantize_rows(w: Tensor, bits: int, search: bool, rank: float) -> tuple[Tensor, Tensor]:
    """Return whole values and a scale a row, both still as floats; fp16 will hold the scales as it can."""
    most = float(2 ** (bits - 1) - 1)
    clip = largest_quantile(w.abs(), rank)
    # The challenge's own form, operation for operation: tests compare it bit for bit.
    if bits == 8 and not search:
        clipped = torch.maximum(torch.minimum(w, clip[:, None]), -clip[:, None])
        scale = (clip / 127.0).clamp_min(1.0 / 127.0)
        return torch.round(clipped / scale[:, None]).clamp(-127, 127), scale
    best_q, best_scale = _round_rows(w, clip, most)
    if not search:
        return best_q, best_scale
    least = _row_errors(w, best_q, best_scale)
    # Smaller clips round all weights finer and the largest ones worse; each row takes its best.
    for share in _CLIPS[1:]:
        q, scale = _round_rows(w, clip * share, most)
        errors = _row_errors(w, q, scale)
        better = errors < least
        least = torch.where(better, errors, least)
        best_scale = torch.where(better, scale, best_scale)
        best_q = torch.where(better[:, None], q, best_q)
    return best_q, best_scale


def scales_as_stored(scale: Tensor) -> Tensor:
    """Return scales as the artifact gives them back: it keeps them in fp16."""
    return scale.to(torch.float16).float()


def _round_rows(w: Tensor, clip: Tensor, most: float) -> tuple[Tensor, Tensor]:
    """Return values and scales; the scale is one that fp16 holds exactly, as it will be read back."""
    # Rounded before use: the error that is compared is then the one that will be read back.
    scale = (clip / most).clamp_min(_TINY).to(torch.float16).float()
    return torch.round(w / scale[:, None]).clamp(-most, most), scale


def _row_errors(w: Tensor, q: Tensor, scale: Tensor) -> Tensor:
    return (w - q * scale[:, None]).square().sum(1)


def dequantize_tensor(q: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    if scale.ndim > 0:
        return (q.float() * scale.float().view(-1, *([1] * (q.ndim - 1)))).to(dtype).contiguous()
    return (q.float() * float(scale)).to(dtype).contiguous()


def clip_rank(columns: int) -> float:
    """Return the clip quantile's place in a sorted row, from 0, rounded as torch.quantile rounds it."""
    return float(torch.tensor(CLIP_QUANTILE, dtype=torch.float32) * (columns - 1))


def largest_quantile(rows: Tensor, rank: float) -> Tensor:
    """Return the values at a place high up in each row, to the bit as torch.quantile does, without a sort.

    The clip quantile lies so high that only a row's few largest values matter: two, up to 625,000 columns.
    """
    columns, below = rows.size(1), int(rank)
    if not rows.numel():
        return torch.empty(rows.size(0))
    # Linear interpolation between neighbours, as torch.quantile does it by default.
    top = rows.topk(columns - below, dim=1).values
    low, high = top[:, -1], top[:, max(columns - below - 2, 0)]
    return low.lerp(high, rank - below)
