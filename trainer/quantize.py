"""Matrices as small integers with a scale a row, and back.

The challenge's own form (8 bits, clip at a quantile, a floor under the scale) is followed operation for operation;
fewer bits and a searched clip are ours. Source of the first: the challenge's train_gpt.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

CLIP_QUANTILE = 99.99984 / 100.0
# Shares of a row's largest weight that the search tries as its clip; 4 bits want about half, 8 bits nearly all.
_CLIPS = tuple(share / 40 for share in range(40, 11, -1))
_TINY = 2.0**-14  # the smallest normal fp16: a scale below it would lose its digits


def quantize_tensor(t: Tensor, bits: int = 8, search: bool = False) -> tuple[Tensor, Tensor]:
    """Return int8 values of `bits` bits and fp16 scale(s): per row for matrices, per tensor otherwise.

    The clip is the 99.99984 % quantile of |w|, or with `search` the one of 29 that leaves the least squared error.
    At 8 bits without a search the scale is at least 1/127, as in the challenge, which costs matrices of small
    weights most of their bits.
    """
    w = t.float()
    most = float(2 ** (bits - 1) - 1)
    if w.ndim == 2:
        if bits < 8 or search:
            return _quantize_rows(w, most, search)
        clip = largest_quantile(w.abs())
        clipped = torch.maximum(torch.minimum(w, clip[:, None]), -clip[:, None])
        scale = (clip / 127.0).clamp_min(1.0 / 127.0)
        q = torch.round(clipped / scale[:, None]).clamp(-127, 127).to(torch.int8)
        return q.contiguous(), scale.to(torch.float16).contiguous()
    clip_value = float(largest_quantile(w.abs().view(1, -1))) if w.numel() else 0.0
    scale = torch.tensor(clip_value / most if clip_value > 0 else 1.0, dtype=torch.float32)
    q = torch.round(w.clamp(-clip_value, clip_value) / scale).clamp(-most, most).to(torch.int8)
    return q.contiguous(), scale


def _quantize_rows(w: Tensor, most: float, search: bool) -> tuple[Tensor, Tensor]:
    clip = largest_quantile(w.abs())
    best_q, best_scale = _round_rows(w, clip, most)
    if not search:
        return best_q.to(torch.int8), best_scale.to(torch.float16)
    least = _row_errors(w, best_q, best_scale)
    for share in _CLIPS[1:]:
        q, scale = _round_rows(w, clip * share, most)
        errors = _row_errors(w, q, scale)
        better = errors < least
        least = torch.where(better, errors, least)
        best_scale = torch.where(better, scale, best_scale)
        best_q = torch.where(better[:, None], q, best_q)
    return best_q.to(torch.int8), best_scale.to(torch.float16)


def _round_rows(w: Tensor, clip: Tensor, most: float) -> tuple[Tensor, Tensor]:
    """Return values and scales; the scale is one that fp16 holds exactly, as it will be read back."""
    scale = row_scales(clip, most)
    return torch.round(w / scale[:, None]).clamp(-most, most), scale


def row_scales(clip: Tensor, most: float) -> Tensor:
    return (clip / most).clamp_min(_TINY).to(torch.float16).float()


def _row_errors(w: Tensor, q: Tensor, scale: Tensor) -> Tensor:
    return (w - q * scale[:, None]).square().sum(1)


def dequantize_tensor(q: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    if scale.ndim > 0:
        return (q.float() * scale.float().view(-1, *([1] * (q.ndim - 1)))).to(dtype).contiguous()
    return (q.float() * float(scale)).to(dtype).contiguous()


def largest_quantile(rows: Tensor) -> Tensor:
    """Return the clip quantile of each row, bit for bit what torch.quantile gives, without sorting whole rows.

    The quantile lies so high that only a row's few largest values matter: two, up to 625,000 columns.
    """
    columns = rows.size(1)
    if not rows.numel():
        return torch.empty(rows.size(0))
    rank = torch.tensor(CLIP_QUANTILE, dtype=torch.float32) * (columns - 1)
    below = int(rank)
    top = rows.topk(columns - below, dim=1).values
    low, high = top[:, -1], top[:, max(columns - below - 2, 0)]
    return low.lerp(high, (rank - below).expand_as(low))
