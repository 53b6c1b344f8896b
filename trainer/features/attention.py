"""Variants of attention: partial rotary embedding, first values, exclusive self attention, output gates."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.model import GPT, Rotary, Shared

_GATE_BIAS = (
    4.0  # sigmoid(4) = 0.982: gates begin almost open, so that training begins almost as without them
)
_FIRST_VALUES = "first values"


class PartialRotary(Rotary):
    """Rotate the first dimensions of a head only; the others know no position.

    As in GPT-NeoX-20B (arXiv:2204.06745), which rotates a quarter.
    """

    def __init__(self, dims: int, max_len: int, base: float) -> None:
        super().__init__(dims, max_len, base)
        self._dims = dims

    def forward(self, x_BHTD: Tensor) -> Tensor:
        # The frequencies are those of a head of ROPE_DIMS, not the first ones of the whole head's.
        turned = super().forward(x_BHTD[..., : self._dims])
        return torch.cat((turned, x_BHTD[..., self._dims :]), dim=-1)


class HeadGate(nn.Module):
    """A sigmoid gate for each head's output, from the block's input.

    Gated attention for large language models, arXiv:2505.06708, the form with one gate a head. The public
    scripts of the challenge have two: with a bias, almost open (GATED_ATTENTION, March 2026), and without
    one, random and half open (GATED_ATTN_ENABLED, since 2026-04-19).
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.attn_gate = nn.Parameter(torch.zeros(c.num_heads, c.model_dim))
        if c.gated_attn_enabled:
            nn.init.normal_(self.attn_gate, std=c.gated_attn_init_std)
            self.attn_gate_bias = None
        else:
            self.attn_gate_bias = nn.Parameter(torch.full((c.num_heads,), _GATE_BIAS))

    def forward(self, y_BHTD: Tensor, v_BKTD: Tensor, x_BTC: Tensor) -> Tensor:
        bias = None if self.attn_gate_bias is None else self.attn_gate_bias.to(x_BTC.dtype)
        # The same input as the queries': the gate asks what the token wants to hear.
        scores = F.linear(x_BTC, self.attn_gate.to(x_BTC.dtype), bias)
        return y_BHTD * torch.sigmoid(scores).transpose(1, 2)[..., None]  # (B, H, T, 1)


class ValueMix(nn.Module):
    """Values mixed with the first layer's: value_mix[0] of the own ones and value_mix[1] of those.

    Value residual learning, arXiv:2410.17897.
    """

    def __init__(self) -> None:
        super().__init__()
        self.value_mix = nn.Parameter(torch.tensor([0.5, 0.5]))

    def forward(self, v: Tensor, shared: Shared) -> Tensor:
        first = shared.get(_FIRST_VALUES)
        if first is None:  # the layer is called alone
            return v
        mix = self.value_mix.to(v.dtype)
        return mix[0] * v + mix[1] * first


def keep_first_values(v: Tensor, shared: Shared) -> Tensor:
    """Leave the first layer's values to the later ones.

    A looped first layer keeps those of its first pass.
    """
    shared.setdefault(_FIRST_VALUES, v)
    return v


def exclude_self(y_BHTD: Tensor, v_BKTD: Tensor, x_BTC: Tensor | None = None) -> Tensor:
    """Take out of each head's output its component along the token's own value (exclusive self attention).

    What a token knows of itself is in the stream already; attention is left with what the others say.
    """
    B, H, T, D = y_BHTD.shape
    K = v_BKTD.size(1)
    # Values need not have length 1; a projection needs the direction alone.
    own = F.normalize(v_BKTD, dim=-1)[:, :, None]  # (B, K, 1, T, D): the heads of a group share it
    y = y_BHTD.view(B, K, H // K, T, D)  # the heads of a group beside each other
    return (y - (y * own).sum(-1, keepdim=True) * own).view(B, H, T, D)


class _AttentionVariants(Hooks):
    def extend_model(self, model: GPT) -> None:
        c = self.c
        if c.rope_dims > 0:
            # Replaces the plain tables, at the same length; no weights, so no random number is drawn.
            model.rotary = PartialRotary(c.rope_dims, model.rotary.max_len, c.rope_base)
        for layer, block in enumerate(model.each_block()):
            attn = block.attn
            if c.value_residual:
                # The first layer has nothing to mix in; its part only leaves its values to the others.
                if layer > 0:
                    attn.add_module("mix", ValueMix())
                attn.value_parts += (attn.get_submodule("mix") if layer > 0 else keep_first_values,)
            # Before the gate: a gate scales what is left, and the projection does not depend on it.
            if layer >= c.num_layers - c.xsa_last_n:
                attn.head_parts += (exclude_self,)
            if c.gated_attention or c.gated_attn_enabled:
                attn.add_module("gate", HeadGate(c))
                attn.head_parts += (attn.get_submodule("gate"),)


def hooks(c: Config) -> Hooks:
    return _AttentionVariants(c)
