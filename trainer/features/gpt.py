"""The model with whichever parts a configuration has. `make_gpt` gives the plain one when it has none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.features.attention import ExtendedAttention, PartialRotary
from trainer.features.tokens import BigramHash, SmearGate
from trainer.model import GPT, MLP, Block, Rotary, rms_norm


class ActivatedMLP(MLP):
    """The MLP with another function between its two matrices."""

    def __init__(self, c: Config) -> None:
        super().__init__(c)
        self.activation = c.activation

    def forward(self, x_BTC: Tensor) -> Tensor:
        y: Tensor = self.proj(activate(self.fc(x_BTC), self.activation))
        return y


def activate(x: Tensor, name: str) -> Tensor:
    if name == "leaky_relu2":
        return F.leaky_relu(x, 0.5).square()
    if name == "gelu":
        return F.gelu(x)
    if name == "silu":
        return F.silu(x)
    return torch.relu(x).square()


class ExtendedBlock(Block):
    """A block whose norms may be scaled by depth, and whose MLP may stand beside attention, not behind it."""

    def __init__(self, c: Config, layer: int) -> None:
        super().__init__(c, ExtendedAttention(c, layer), ActivatedMLP(c))
        self.norm_scale = (layer + 1) ** -0.5 if c.ln_scale else 1.0
        self.parallel = 0 <= c.parallel_start_layer <= layer

    def forward(self, x: Tensor, x0: Tensor, rotary: Rotary, values: list[Tensor] | None = None) -> Tensor:
        mix = self.resid_mix.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
        attended = self.attn_scale.to(x.dtype) * self.attn(self._norm(x), rotary, values)
        before_mlp = x if self.parallel else x + attended
        y: Tensor = x + attended + self.mlp_scale.to(x.dtype) * self.mlp(self._norm(before_mlp))
        return y

    def _norm(self, x: Tensor) -> Tensor:
        return rms_norm(x) * self.norm_scale


class ExtendedGPT(GPT):
    """The model with parts before the blocks, in them, and with layers that are passed more than once.

    looping: whether those layers are, now; the trainer switches it on at ENABLE_LOOPING_AT.
    """

    def __init__(self, c: Config) -> None:
        super().__init__(c)
        self.rounds = layer_order(c)
        self.looping = c.num_loops > 0 and c.enable_looping_at == 0
        if c.rope_dims > 0:
            self.rotary = PartialRotary(c.rope_dims, self.rotary.max_len, c.rope_base)
        half = len(self.rounds) // 2
        self.skip_weights = nn.Parameter(torch.ones(min(half, len(self.rounds) - half), c.model_dim))
        self.bigram = BigramHash(c) if c.bigram_vocab_size > 0 else None
        self.smear = SmearGate(c) if c.smear_gate_enabled else None

    def make_block(self, c: Config, layer: int) -> Block:
        return ExtendedBlock(c, layer)

    def embed(self, inputs_BT: Tensor) -> Tensor:
        x = self.tok_emb(inputs_BT)
        if self.bigram is not None:
            x = x + self.bigram(inputs_BT.to(torch.int64)).to(x.dtype)
        x = rms_norm(x)
        return x if self.smear is None else self.smear(x, inputs_BT)

    def transform(self, x: Tensor) -> Tensor:
        """The plain model's walk, over the layers in their order of passing; halves are halves of that."""
        order = self.rounds if self.looping else range(len(self.blocks))
        half = len(order) // 2
        x0, stack, values = x, list[Tensor](), list[Tensor]()
        for place, layer in enumerate(order):
            if place >= half and stack:
                x = x + self.skip_weights[place - half].to(x.dtype) * stack.pop()
            x = self.blocks[layer](x, x0, self.rotary, values)
            if place < half:
                stack.append(x)
        return x


def layer_order(c: Config) -> list[int]:
    """Return the layers as they are passed: LOOP_START to LOOP_END come NUM_LOOPS times more."""
    loop = list(range(c.loop_start, c.loop_end + 1)) * c.num_loops
    layers = list(range(c.num_layers))
    return layers[: c.loop_end + 1] + loop + layers[c.loop_end + 1 :] if loop else layers


def make_gpt(c: Config) -> GPT:
    """Return the plain model, or the extended one when any of its parts is asked for."""
    extended = (
        c.activation != "relu2" or c.rope_dims > 0 or c.ln_scale or c.xsa_last_n > 0 or c.gated_attention
        or c.value_residual or c.parallel_start_layer >= 0 or c.num_loops > 0 or c.bigram_vocab_size > 0
        or c.smear_gate_enabled
    )  # fmt: skip
    if extended:
        return ExtendedGPT(c)
    return GPT(c)
