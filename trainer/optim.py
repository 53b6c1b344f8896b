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

# Quintic whose fixed points spread singular values over about 0.7 to 1.2; the same one at every step.
JORDAN = ((3.4445, -4.7750, 2.0315),)
# Polar Express (Amsel, Persson, Musco, Gower 2025, arXiv 2505.16932): at each step the quintic that is best after the
# ones before it, for singular values from 1e-3 on; the last one repeats. Scaled down by 1 % for rounding in bfloat16.
_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.875, -1.25, 0.375),
)
_SAFETY = 1.01
POLAR_EXPRESS = (
    *((a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5) for a, b, c in _EXPRESS[:-1]),
    _EXPRESS[-1],
)
_TINY = 1e-7


def orthogonalise(
    g: Tensor,
    steps: int,
    dtype: torch.dtype = torch.bfloat16,
    polynomials: tuple[tuple[float, float, float], ...] = JORDAN,
) -> Tensor:
    """Return the nearest semi-orthogonal matrix, roughly, by Newton-Schulz iterations.

    g: (..., rows, columns); leading dimensions are a batch. polynomials: of each step, the last one for the rest.
    The result has `dtype`.
    """
    x: Tensor = g.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + _TINY)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    for step in range(steps):
        a, b, c = polynomials[min(step, len(polynomials) - 1)]
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised. Over several ranks each matrix is dealt to one, then all are summed.

    Matrices of one shape are orthogonalised together; on a CPU that gives the same bits as one by one.
    """

    def __init__(self, params: Iterable[nn.Parameter], c: Config) -> None:
        super().__init__(params, {"lr": c.matrix_lr, "momentum": c.muon_momentum})
        self._steps, self._dtype = c.muon_backend_steps, getattr(torch, c.muon_dtype)
        self._polynomials = POLAR_EXPRESS if c.muon_polynomial == "polar_express" else JORDAN
        self._even_rows, self._decay = c.muon_row_normalize, c.muon_wd

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            # Every rank keeps the momentum of every matrix: the checkpoint that one of them writes is whole.
            moved = [self._momentum(p, group["momentum"]) for p in params]
            updates = self._orthogonalise({i: moved[i] for i in range(rank, len(params), world)})
            if world > 1:
                updates = _sum_over_ranks(params, updates, self._dtype)
            for index, p in enumerate(params):
                if self._decay > 0:
                    p.mul_(1.0 - group["lr"] * self._decay)
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
            if self._even_rows:
                batch = batch / (batch.norm(dim=-1, keepdim=True) + _TINY)
            scale = max(1.0, rows / columns) ** 0.5
            orthogonal = orthogonalise(batch, self._steps, self._dtype, self._polynomials)
            for index, ortho in zip(indices, orthogonal, strict=True):
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
    added = [(name, p) for name, p in model.named_parameters() if name.startswith(("bigram.", "smear."))]
    tables = [p for name, p in added if name.endswith("emb.weight")]
    named += [(name, p) for name, p in added if not name.endswith("emb.weight")]
    matrices = [p for name, p in named if p.ndim == 2 and not matches(name, c.control_names)]
    scalars = [p for name, p in named if p.ndim < 2 or matches(name, c.control_names)]
    if model.skip_weights.numel() > 0:
        scalars.append(model.skip_weights)
    adam: dict[str, Any] = {
        "betas": (c.beta1, c.beta2),
        "eps": c.adam_eps,
        "weight_decay": c.adam_wd,
        "fused": device.type in ("cpu", "cuda"),
    }
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([model.tok_emb.weight, *tables], lr=c.token_lr, **adam),
        Muon(matrices, c),
        torch.optim.AdamW(scalars, lr=c.scalar_lr, **adam),
    ]
    if model.lm_head is not None:
        optimizers.insert(1, torch.optim.AdamW([model.lm_head.weight], lr=c.head_lr, **adam))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def set_schedule(optimizers: list[torch.optim.Optimizer], scale: float, momentum: float) -> None:
    """Put a step's learning rates and momentum in place."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * scale
            if isinstance(optimizer, Muon):
                group["momentum"] = momentum
