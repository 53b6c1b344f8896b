"""Muon for the blocks' matrices, Adam for the rest, and the schedules of both.

Muon: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon), with the challenge's constants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.config import Config
from trainer.model import GPT, matches

_A, _B, _C = (
    3.4445,
    -4.7750,
    2.0315,
)  # quintic whose fixed points spread singular values over about 0.7 to 1.2
_TINY = 1e-7


def orthogonalise(g: Tensor, steps: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Return the nearest semi-orthogonal matrix, roughly, by Newton-Schulz iterations.

    g: (..., rows, columns); leading dimensions are a batch. The result has `dtype`.
    """
    x: Tensor = g.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + _TINY)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised. Over several ranks each matrix is dealt to one, then all are summed.

    Matrices of one shape are orthogonalised together; on a CPU that gives the same bits as one by one.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float, steps: int, dtype: torch.dtype
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self._steps, self._dtype = steps, dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            mine = {
                i: self._momentum(p, group["momentum"]) for i, p in enumerate(params) if i % world == rank
            }
            updates = self._orthogonalise(mine)
            if world > 1:
                updates = _sum_over_ranks(params, updates, self._dtype)
            for index, p in enumerate(params):
                p.add_(updates[index].to(p.dtype), alpha=-group["lr"])

    def _momentum(self, p: nn.Parameter, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p.grad)
        buffer: Tensor = state["momentum_buffer"]
        buffer.mul_(momentum).add_(p.grad)
        return p.grad.add(buffer, alpha=momentum)  # Nesterov

    def _orthogonalise(self, updates: dict[int, Tensor]) -> dict[int, Tensor]:
        by_shape: dict[torch.Size, list[int]] = defaultdict(list)
        for index, update in updates.items():
            by_shape[update.shape].append(index)
        done = {}
        for (rows, columns), indices in by_shape.items():
            batch = torch.stack([updates[index] for index in indices])
            scale = max(1.0, rows / columns) ** 0.5
            for index, ortho in zip(indices, orthogonalise(batch, self._steps, self._dtype), strict=True):
                done[index] = ortho * scale
        return done


def _sum_over_ranks(
    params: list[nn.Parameter], updates: dict[int, Tensor], dtype: torch.dtype
) -> dict[int, Tensor]:
    sizes = [p.numel() for p in params]
    flat = torch.zeros(sum(sizes), dtype=dtype, device=params[0].device)
    parts = torch.split(flat, sizes)
    for index, update in updates.items():
        parts[index].copy_(update.flatten())
    dist.all_reduce(flat)
    return {index: parts[index].view_as(p) for index, p in enumerate(params)}


def make_optimizers(model: GPT, c: Config, device: torch.device) -> list[torch.optim.Optimizer]:
    """Return embedding Adam, head Adam (untied only), Muon, scalar Adam, in the challenge's order."""
    named = list(model.blocks.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and not matches(name, c.control_names)]
    scalars = [p for name, p in named if p.ndim < 2 or matches(name, c.control_names)]
    if model.skip_weights.numel() > 0:
        scalars.append(model.skip_weights)
    adam: dict[str, Any] = {
        "betas": (c.beta1, c.beta2),
        "eps": c.adam_eps,
        "fused": device.type in ("cpu", "cuda"),
    }
    muon_dtype = getattr(torch, c.muon_dtype)
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Adam([model.tok_emb.weight], lr=c.token_lr, **adam),
        Muon(matrices, c.matrix_lr, c.muon_momentum, c.muon_backend_steps, muon_dtype),
        torch.optim.Adam(scalars, lr=c.scalar_lr, **adam),
    ]
    if model.lm_head is not None:
        optimizers.insert(1, torch.optim.Adam([model.lm_head.weight], lr=c.head_lr, **adam))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def lr_scale(c: Config, step: int, elapsed_ms: float) -> float:
    """Return the warmdown factor before a step.

    With a wall-clock cap the decay starts when the time left is what WARMDOWN_ITERS steps take at the pace so
    far; without one, WARMDOWN_ITERS steps before the end.
    """
    if c.warmdown_iters <= 0:
        return 1.0
    if c.max_wallclock_seconds <= 0:
        left = c.iterations - step
        return max(left / c.warmdown_iters, 0.0) if left <= c.warmdown_iters else 1.0
    step_ms = elapsed_ms / max(step, 1)
    warmdown_ms = c.warmdown_iters * step_ms
    left_ms = max(1000.0 * c.max_wallclock_seconds - elapsed_ms, 0.0)
    return left_ms / max(warmdown_ms, 1e-9) if left_ms <= warmdown_ms else 1.0


def muon_momentum(c: Config, step: int) -> float:
    """Return Muon's momentum at a step: a linear ramp, then constant."""
    share = min(step / c.muon_momentum_warmup_steps, 1.0) if c.muon_momentum_warmup_steps > 0 else 1.0
    return (1 - share) * c.muon_momentum_warmup_start + share * c.muon_momentum


def set_schedule(optimizers: list[torch.optim.Optimizer], scale: float, momentum: float) -> None:
    """Put a step's learning rates and momentum in place."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * scale
            if isinstance(optimizer, Muon):
                group["momentum"] = momentum
