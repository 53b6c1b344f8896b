"""Muon for the blocks' matrices, Adam for the rest, and the schedules of both.

Muon: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon), with the challenge's constants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.config import Config
from trainer.features import load
from trainer.model import GPT, matches

# Coefficients of a x + b x^3 + c x^5, by step, the last one for all later steps.
Polynomials = tuple[tuple[float, float, float], ...]
# Jordan's quintic: the steepest slope at 0 whose iteration stays bounded. Singular values end between about
# 0.7 and 1.2, not at 1, which he found to cost no loss.
JORDAN: Polynomials = ((3.4445, -4.7750, 2.0315),)
TINY = 1e-7  # keeps a gradient of zeros from becoming no number; the challenge's


def orthogonalise(
    g: Tensor,
    steps: int,
    dtype: torch.dtype = torch.bfloat16,
    polynomials: Polynomials = JORDAN,
) -> Tensor:
    """Return the nearest semi-orthogonal matrix, roughly, by Newton-Schulz iterations.

    g: (..., rows, columns); leading dimensions are a batch. The result has `dtype`.
    """
    x: Tensor = g.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + TINY)
    # Frobenius norm 1 bounds the largest singular value by 1, where the polynomials converge. The gram is
    # taken on the short side: for an MLP of twice the width a quarter of the products.
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    for step in range(steps):
        a, b, c = polynomials[min(step, len(polynomials) - 1)]
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised.

    Over several ranks each matrix is dealt to one, then all are summed.

    Matrices of one shape are orthogonalised together; on a CPU that gives the same bits as one by one.
    """

    def __init__(self, params: Iterable[nn.Parameter], c: Config) -> None:
        super().__init__(params, {"lr": c.matrix_lr, "momentum": c.muon_momentum})
        self._steps, self._dtype = c.muon_backend_steps, getattr(torch, c.muon_dtype)
        # Hook points for `trainer.features`; as they are here, the challenge's Muon.
        self.polynomials = JORDAN
        self.prepare: Callable[[Tensor], Tensor] | None = None
        self.weight_decay = 0.0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            # Every rank keeps the momentum of every matrix: the checkpoint that one of them writes is whole.
            directions = [self._momentum(p, group["momentum"]) for p in params]
            updates = self._orthogonalise({i: directions[i] for i in range(rank, len(params), world)})
            if world > 1:
                updates = _sum_over_ranks(params, updates, self._dtype)
            for index, p in enumerate(params):
                if self.weight_decay > 0:
                    p.mul_(1.0 - group["lr"] * self.weight_decay)
                p.add_(updates[index].to(p.dtype), alpha=-group["lr"])

    def _momentum(self, p: nn.Parameter, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        # Made at the first step, as torch's SGD does, so that a checkpoint of step 0 has none.
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p.grad)
        buffer: Tensor = state["momentum_buffer"]
        buffer.mul_(momentum).add_(p.grad)
        return p.grad.add(buffer, alpha=momentum)  # Nesterov

    def _orthogonalise(self, updates: dict[int, Tensor]) -> dict[int, Tensor]:
        # One call for all matrices of a shape: one by one, calls outlast the products of small ones.
        by_shape: dict[torch.Size, list[int]] = defaultdict(list)
        for index, update in updates.items():
            by_shape[update.shape].append(index)
        results = {}
        for (rows, columns), indices in by_shape.items():
            batch = torch.stack([updates[index] for index in indices])
            if self.prepare is not None:
                batch = self.prepare(batch)
            # Jordan's factor: entries of tall and wide updates then have one RMS, 1 / sqrt(columns).
            scale = max(1.0, rows / columns) ** 0.5
            orthogonal = orthogonalise(batch, self._steps, self._dtype, self.polynomials)
            for index, ortho in zip(indices, orthogonal, strict=True):
                results[index] = ortho * scale
        return results


def _sum_over_ranks(
    params: list[nn.Parameter], updates: dict[int, Tensor], dtype: torch.dtype
) -> dict[int, Tensor]:
    # One transfer for all matrices: many small ones would each wait for the slowest rank.
    sizes = [p.numel() for p in params]
    flat = torch.zeros(sum(sizes), dtype=dtype, device=params[0].device)
    parts = torch.split(flat, sizes)
    for index, update in updates.items():
        parts[index].copy_(update.flatten())
    dist.all_reduce(flat)
    return {index: parts[index].view_as(p) for index, p in enumerate(params)}


_BASELINE = ("tok_emb.", "skip_weights", "blocks.", "lm_head.")  # names of the plain model's parameters


def make_optimizers(model: GPT, c: Config, device: torch.device) -> list[torch.optim.Optimizer]:
    """Return embedding Adam, head Adam (untied only), Muon, scalar Adam, in the challenge's order."""
    named = list(model.blocks.named_parameters())
    # What a feature added: its tables train like the token embedding, the rest like the blocks.
    added = [(name, p) for name, p in model.named_parameters() if not name.startswith(_BASELINE)]
    tables = [p for name, p in added if name.endswith("emb.weight")]
    named += [(name, p) for name, p in added if not name.endswith("emb.weight")]
    # Muon is for maps between activations. Vectors have no singular values, and rows of a table or of
    # resid_mix are not outputs of one map.
    matrices = [p for name, p in named if p.ndim == 2 and not matches(name, c.control_names)]
    scalars = [p for name, p in named if p.ndim < 2 or matches(name, c.control_names)]
    # A model of one layer has none; the challenge's script leaves the empty tensor out, too.
    if model.skip_weights.numel() > 0:
        scalars.append(model.skip_weights)
    adam: dict[str, Any] = {
        "betas": (c.beta1, c.beta2),
        "eps": c.adam_eps,
        "weight_decay": c.adam_wd,  # 0 in the challenge: AdamW is Adam then
        "fused": device.type in ("cpu", "cuda"),
    }
    optimizers: list[torch.optim.Optimizer] = [
        # The embedding has its own rate: a token's row moves only when the token is there.
        torch.optim.AdamW(
            [model.tok_emb.weight, *tables], lr=c.token_lr, **adam | {"weight_decay": c.embedding_wd}
        ),
        Muon(matrices, c),
        torch.optim.AdamW(scalars, lr=c.scalar_lr, **adam),
    ]
    if model.lm_head is not None:
        optimizers.insert(1, torch.optim.AdamW([model.lm_head.weight], lr=c.head_lr, **adam))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]  # the schedule scales this, so that its factors do not add up
    for feature in load(c):
        feature.extend_optimizers(optimizers)
    return optimizers


def set_schedule(optimizers: list[torch.optim.Optimizer], scale: float, momentum: float) -> None:
    """Put a step's learning rates and momentum in place."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * scale
            if "momentum" in group:  # Muon's; Adam keeps its betas
                group["momentum"] = momentum
