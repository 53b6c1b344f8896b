"""Variants of attention: partial rotary embedding, values of the first layer, exclusive self attention, output gates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.model import Attention, Rotary

_GATE_BIAS = 4.0  # sigmoid(4) = 0.982: gates begin almost open


class PartialRotary(Rotary):
    """Rotate the first dimensions of a head only; the others know no position."""

    def __init__(self, dims: int, max_len: int, base: float) -> None:
        super().__init__(dims, max_len, base)
        self._dims = dims

    def forward(self, x_BHTD: Tensor) -> Tensor:
        turned = super().forward(x_BHTD[..., : self._dims])
        return torch.cat((turned, x_BHTD[..., self._dims :]), dim=-1)


class HeadGate(nn.Module):
    """A sigmoid gate for each head's output, from the block's input."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.attn_gate = nn.Parameter(torch.zeros(c.num_heads, c.model_dim))
        self.attn_gate_bias = nn.Parameter(torch.full((c.num_heads,), _GATE_BIAS))

    def forward(self, y_BHTD: Tensor, x_BTC: Tensor) -> Tensor:
        scores = F.linear(x_BTC, self.attn_gate.to(x_BTC.dtype), self.attn_gate_bias.to(x_BTC.dtype))
        return y_BHTD * torch.sigmoid(scores).transpose(1, 2)[..., None]


class ValueMix(nn.Module):
    """Values mixed with the first layer's: value_mix[0] of the own ones and value_mix[1] of those."""

    def __init__(self) -> None:
        super().__init__()
        self.value_mix = nn.Parameter(torch.tensor([0.5, 0.5]))

    def forward(self, v: Tensor, first: Tensor) -> Tensor:
        mix = self.value_mix.to(v.dtype)
        return mix[0] * v + mix[1] * first


def exclude_self(y_BHTD: Tensor, v_BKTD: Tensor) -> Tensor:
    """Take out of each head's output its component along the token's own value (exclusive self attention)."""
    B, H, T, D = y_BHTD.shape
    K = v_BKTD.size(1)
    own = F.normalize(v_BKTD, dim=-1)[:, :, None]  # (B, K, 1, T, D)
    y = y_BHTD.view(B, K, H // K, T, D)
    return (y - (y * own).sum(-1, keepdim=True) * own).view(B, H, T, D)


class ExtendedAttention(Attention):
    """Attention with whichever of these parts a configuration has in a layer."""

    def __init__(self, c: Config, layer: int) -> None:
        super().__init__(c)
        self.exclusive = layer >= c.num_layers - c.xsa_last_n
        self.gate = HeadGate(c) if c.gated_attention else None
        self.mix = ValueMix() if c.value_residual and layer > 0 else None

    def forward(self, x_BTC: Tensor, rotary: Rotary, values: list[Tensor] | None = None) -> Tensor:
        """values: those of the first layer, which puts them there."""
        q, k, v = self.split(x_BTC, rotary)
        if self.mix is not None and values:
            v = self.mix(v, values[0])
        elif values is not None and not values:
            values.append(v)
        y = self.attend(q, k, v)
        if self.exclusive:
            y = exclude_self(y, v)
        if self.gate is not None:
            y = self.gate(y, x_BTC)
        return self.join(y)
