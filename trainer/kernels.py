"""Faster forms, for a CPU, of what `trainer.model` says plainly: attention and loss, gradients written out.

torch's flash kernel takes half of a step on a CPU in bfloat16, and a loss over a vocabulary passes over the
whole matrix of logits ten times. Here both go in pieces that stay in the cache, and keep only what the
backward pass needs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

QUERY_BLOCK = 256  # queries at a time: fastest at 1,024 tokens on two cores
LOSS_ROWS = 128  # targets at a time: 0.5 MB of logits at a vocabulary of 1,024
LARGEST_CAP = 80.0  # logits are bounded by their cap, so that exp needs no maximum taken off: e^80 fits fp32


class BlockedAttention(torch.autograd.Function):
    """Causal attention in blocks of queries; a group's heads are folded into the time axis without a copy."""

    # After FlashAttention (arXiv:2205.14135), whose tiles never leave fast memory. Here a whole row of scores
    # is kept for the backward pass, so no running maximum is needed and nothing is computed twice.
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q: (B, H, T, D); k, v: (B, K, T, D); returns (B, H, T, D)."""
        B, H, T, D = q.shape
        heads, group = B * k.size(1), H // k.size(1)  # B * K, and the query heads of each
        # The scale goes into the queries: T * D products instead of T * T.
        q = (q * D**-0.5).reshape(heads, group, T, D)
        k, v = k.reshape(heads, T, D), v.reshape(heads, T, D)
        out, weights_by_block = torch.empty_like(q), []
        for start in range(0, T, QUERY_BLOCK):
            stop = min(T, start + QUERY_BLOCK)
            # The queries of all heads that share a key head become rows of one product: larger products, and
            # the keys are read once.
            folded = q[:, :, start:stop].reshape(heads, -1, D)
            # Keys up to the block's last query only: the half in the future is never computed.
            scores = torch.bmm(folded, k[:, :stop].mT)  # (heads, group * t, stop)
            # Only the block's own square holds some of the future.
            future = torch.full((stop - start, stop - start), float("-inf"), dtype=q.dtype).triu_(1)
            scores.view(heads, group, -1, stop)[..., start:].add_(future.to(q.device))
            weights = scores.softmax(-1)  # what the backward pass needs
            out[:, :, start:stop] = torch.bmm(weights, v[:, :stop]).view(heads, group, -1, D)
            weights_by_block.append(weights)  # T * T / 2 numbers a head in all
        ctx.save_for_backward(q, k, v, *weights_by_block)
        return out.view(B, H, T, D)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *weights_by_block = ctx.saved_tensors
        heads, group, T, D = q.shape
        grad = grads[0].reshape(q.shape)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for index, weights in enumerate(weights_by_block):
            start = index * QUERY_BLOCK
            stop = min(T, start + QUERY_BLOCK)
            folded = q[:, :, start:stop].reshape(heads, -1, D)
            grad_folded = grad[:, :, start:stop].reshape(heads, -1, D)
            # y = W v: dv = W' dy and dW = dy v'.
            dv[:, :stop] += torch.bmm(weights.mT, grad_folded)
            dweights = torch.bmm(grad_folded, v[:, :stop].mT)
            # Softmax: ds = W * (dW - sum(dW * W)), by row.
            dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
            # s = q k': dq = ds k and dk = ds' q; the queries' scale is put back at the end.
            dq[:, :, start:stop] = torch.bmm(dscores, k[:, :stop]).view(heads, group, -1, D)
            dk[:, :stop] += torch.bmm(dscores.mT, folded)
        B = grads[0].size(0)
        return (dq * D**-0.5).view(B, -1, T, D), dk.view(B, -1, T, D), dv.view(B, -1, T, D)


def blocked_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention with grouped heads, as `trainer.model.causal_attention`."""
    out: Tensor = BlockedAttention.apply(q, k, v)  # type: ignore[no-untyped-call]
    return out


class CappedLoss(torch.autograd.Function):
    """Cross-entropy of soft-capped logits; the logits' gradient is computed with the loss, piece by piece."""

    # Fusing head and loss, as in Liger Kernel (arXiv:2410.10989) and Cut Cross-Entropy (arXiv:2411.09009): of
    # the logits nothing but their gradient is ever stored whole.
    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor, cap: float) -> Tensor:
        """x: (N, C); head: (V, C); targets: (N,); returns the mean loss in nats, fp32."""
        dlogits = torch.empty(x.size(0), head.size(0), dtype=x.dtype, device=x.device)
        total = torch.zeros((), device=x.device)
        for start in range(0, x.size(0), LOSS_ROWS):
            rows, target = x[start : start + LOSS_ROWS], targets[start : start + LOSS_ROWS, None]
            # The product in the activations' type, all after it in fp32.
            squashed = (rows @ head.mT).float().div_(cap).tanh_()  # (rows, V)
            capped = squashed * cap
            # loss = log sum exp(z) - z[target]; the two terms as they come up.
            total -= capped.gather(1, target).sum()
            # No maximum is taken off: the cap bounds every logit (LARGEST_CAP).
            shares = capped.exp_()
            sums = shares.sum(1, keepdim=True)
            total += sums.log().sum()
            # d loss / d z = softmax(z) - 1 at the target.
            shares.div_(sums).scatter_add_(1, target, shares.new_full(target.shape, -1.0))
            # The cap's own slope: d(cap * tanh(z / cap)) / dz = 1 - tanh^2.
            slope = squashed.square_().neg_().add_(1.0)
            dlogits[start : start + LOSS_ROWS] = shares.mul_(slope).div_(x.size(0))
        ctx.save_for_backward(x, head, dlogits)
        return total / x.size(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, head, dlogits = ctx.saved_tensors
        # The loss is one number, so its gradient is one: everything scales with it.
        share = grads[0].to(x.dtype)
        return (dlogits @ head) * share, (dlogits.mT @ x) * share, None, None


def capped_loss(x: Tensor, head: Tensor, targets: Tensor, cap: float, reduction: str) -> Tensor:
    """Cross-entropy of cap * tanh(x head' / cap): its mean, or with "none" that of every row."""
    if reduction == "mean":
        mean: Tensor = CappedLoss.apply(x, head, targets, cap)  # type: ignore[no-untyped-call]
        return mean
    pieces = [
        F.cross_entropy(
            (x[start : start + LOSS_ROWS] @ head.mT).float().div_(cap).tanh_().mul_(cap),
            targets[start : start + LOSS_ROWS],
            reduction="none",
        )
        for start in range(0, x.size(0), LOSS_ROWS)
    ]
    return torch.cat(pieces)
