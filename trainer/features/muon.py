"""Variants of Muon: decoupled weight decay, Polar Express coefficients, rows of one length."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.optim import TINY, Muon

# Polar Express (Amsel, Persson, Musco, Gower 2025, arXiv:2505.16932): at each step the quintic that is best
# after the ones before it, for singular values from 1e-3 on; the last one repeats.
_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.875, -1.25, 0.375),
)
_SAFETY = 1.01  # the paper's: bfloat16 may push a singular value over 1, where the quintics diverge
POLAR_EXPRESS = (
    *((a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5) for a, b, c in _EXPRESS[:-1]),
    _EXPRESS[-1],
)


def even_rows(updates: Tensor) -> Tensor:
    """Give the rows of updates one length: a neuron of small gradients learns as much as the others."""
    lengths: Tensor = updates.norm(dim=-1, keepdim=True)
    return updates / (lengths + TINY)


class _MuonVariants(Hooks):
    def extend_optimizers(self, optimizers: list[Optimizer]) -> None:
        for optimizer in optimizers:
            if isinstance(optimizer, Muon):
                # Decoupled, as AdamW's (arXiv:1711.05101): p shrinks by rate * decay.
                optimizer.weight_decay = self.c.muon_wd
                if self.c.muon_polynomial == "polar_express":
                    optimizer.polynomials = POLAR_EXPRESS
                if self.c.muon_row_normalize:
                    optimizer.prepare = even_rows


def hooks(c: Config) -> Hooks:
    return _MuonVariants(c)
