"""The challenge's baseline transformer. Reads top to bottom: norm, rotary, attention, MLP, block, GPT.

Shapes: B sequences, T tokens, C model width, H query heads, K key/value heads, D head width, V vocabulary.
Source of the architecture: the challenge's train_gpt.py, a small relative of KellerJordan/modded-nanogpt; see
`GPT` for what is unusual about it.

Hook points, for `trainer.features`: an attribute that the plain model fills with nothing, or with its own
plain function, and that a feature may replace. They are `Linear.rounding`, `Attention.value_parts` and
`.head_parts`, `MLP.activation`, `Block.norm` and `.mlp_input`, `GPT.embedding_parts` and `.layers`. No
feature overrides a `forward`, so the order of the plain model's operations, and with it its bits, is written
once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.kernels import blocked_attention, capped_loss

# What layers hand to later layers within one pass, by name; empty in the plain model.
Shared = dict[str, Tensor]


def rms_norm(x: Tensor) -> Tensor:
    """RMSNorm (arXiv:1910.07467) without a learnt gain: the scales of the branches do what it would."""
    return F.rms_norm(x, (x.size(-1),))


class Linear(nn.Linear):
    """A linear map without bias whose fp32 weight is cast to the activations' type at use.

    rounding: what training sees in place of the weight (quantization-aware training); None for the weight
    itself.
    """

    rounding: Callable[[Tensor], Tensor] | None = None

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Only in training: a validation on the way must score the weights that exist, not those to come.
        weight = self.weight if self.rounding is None or not self.training else self.rounding(self.weight)
        return F.linear(x, weight.to(x.dtype))


class Rotary(nn.Module):
    """Rotary position embedding (arXiv:2104.09864) by halves: angles position * base^(-2i/D)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, max_len: int, base: float) -> None:
        super().__init__()
        self._head_dim, self.max_len, self._base = head_dim, max_len, base
        self.fill(torch.float32)

    def fill(self, dtype: torch.dtype) -> None:
        """Compute the tables in a type. In bfloat16 even the positions are rounded, as in the challenge."""
        # Exponents in fp32, as in the challenge: frequencies and positions are rounded.
        exponents = torch.arange(0, self._head_dim, 2, dtype=torch.float32) / self._head_dim
        inverse = (1.0 / self._base**exponents).to(dtype)
        angles = torch.outer(torch.arange(self.max_len, dtype=dtype), inverse)  # (T, D/2)
        # Buffers, not a lazy cache: a cache filled under inference mode breaks the next backward pass.
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x_BHTD: Tensor) -> Tensor:
        length = x_BHTD.size(-2)
        cos, sin = self.cos[:length].to(x_BHTD.dtype), self.sin[:length].to(x_BHTD.dtype)
        # Pairs are (i, i + D/2), as in GPT-NeoX and Llama, not the paper's neighbours (2i, 2i + 1).
        first, second = x_BHTD.chunk(2, dim=-1)  # (B, H, T, D/2) each
        return torch.cat((first * cos + second * sin, second * cos - first * sin), dim=-1)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """torch's own causal attention. q (B, H, T, D); k, v (B, K, T, D) -> (B, H, T, D)."""
    # torch's own grouping: repeating keys and values would copy them H / K times.
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.size(1) != k.size(1))


class Attention(nn.Module):
    """Causal attention with grouped key/value heads, normalised queries and keys, and a gain per query head.

    Grouped heads: arXiv:2305.13245. Normalised queries and keys: arXiv:2010.04245, whose one learnt
    temperature is here a gain for each query head. value_parts: each turns values into values before they are
    attended to, (v, shared) -> v. head_parts: each turns the heads' outputs into outputs, (y, v, x) -> y,
    where x is the branch's input.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c.num_heads, c.num_kv_heads, c.head_dim
        # Chosen once, at construction: a branch in forward would break the compiled graph.
        self.attend = blocked_attention if c.attention == "blocked" else causal_attention
        self.value_parts: tuple[Callable[[Tensor, Shared], Tensor], ...] = ()
        self.head_parts: tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...] = ()
        kv_width = c.num_kv_heads * c.head_dim
        self.c_q = Linear(c.model_dim, c.model_dim)  # C -> H * D
        self.c_k = Linear(c.model_dim, kv_width)  # C -> K * D
        self.c_v = Linear(c.model_dim, kv_width)
        self.proj = Linear(c.model_dim, c.model_dim)
        # A gain a head, not a channel: after the norm only a head's sharpness is left to learn.
        self.q_gain = nn.Parameter(torch.full((c.num_heads,), c.qk_gain_init))

    def forward(self, x_BTC: Tensor, rotary: nn.Module, shared: Shared | None = None) -> Tensor:
        B, T, _ = x_BTC.shape
        q = self.c_q(x_BTC).view(B, T, self.heads, self.head_dim).transpose(1, 2)  # (B, H, T, D)
        k = self.c_k(x_BTC).view(B, T, self.kv_heads, self.head_dim).transpose(1, 2)  # (B, K, T, D)
        v = self.c_v(x_BTC).view(B, T, self.kv_heads, self.head_dim).transpose(1, 2)
        # Normed before they are turned: rotation keeps lengths, but the rounding differs.
        q, k = rotary(rms_norm(q)), rotary(rms_norm(k))
        q = q * self.q_gain.to(q.dtype)[:, None, None]
        # Hook points. The plain model's tuples are empty, and torch.compile unrolls these loops.
        for value_part in self.value_parts:
            v = value_part(v, {} if shared is None else shared)
        y = self.attend(q, k, v)  # (B, H, T, D)
        for head_part in self.head_parts:
            y = head_part(y, v, x_BTC)
        out: Tensor = self.proj(y.transpose(1, 2).flatten(2))  # the heads side by side again
        return out


def relu_squared(x: Tensor) -> Tensor:
    """The activation that the search of Primer found (arXiv:2109.08668)."""
    return torch.relu(x).square()


class MLP(nn.Module):
    """activation(fc(x)), projected back."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.activation: Callable[[Tensor], Tensor] = relu_squared
        self.fc = Linear(c.model_dim, c.mlp_width)  # C -> MLP_MULT * C
        self.proj = Linear(c.mlp_width, c.model_dim)

    def forward(self, x_BTC: Tensor) -> Tensor:
        y: Tensor = self.proj(self.activation(self.fc(x_BTC)))
        return y


def after_attention(x: Tensor, attended: Tensor) -> Tensor:
    """What the MLP of a plain block reads: the stream with attention's output in it."""
    return attended


class Block(nn.Module):
    """Mix the stream with the first embedding, then attention and MLP, each scaled per channel.

    The mix with the embedding and the per-channel scales are modded-nanogpt's. They begin as if they were not
    there. norm: of each branch's input. mlp_input: chooses what the MLP reads, of the stream before and after
    attention.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.norm: Callable[[Tensor], Tensor] = rms_norm
        self.mlp_input: Callable[[Tensor, Tensor], Tensor] = after_attention
        self.attn = Attention(c)
        self.mlp = MLP(c)
        self.attn_scale = nn.Parameter(torch.ones(c.model_dim))
        self.mlp_scale = nn.Parameter(torch.ones(c.model_dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(c.model_dim), torch.zeros(c.model_dim))))

    def forward(self, x: Tensor, x0: Tensor, rotary: nn.Module, shared: Shared | None = None) -> Tensor:
        # The embedding reaches every block: the stream need not carry what the token is.
        mix = self.resid_mix.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
        attended = x + self.attn_scale.to(x.dtype) * self.attn(self.norm(x), rotary, shared)
        mlp = self.mlp(self.norm(self.mlp_input(x, attended)))
        y: Tensor = attended + self.mlp_scale.to(x.dtype) * mlp
        return y


class GPT(nn.Module):
    """The whole model: token ids in, mean loss out.

    Unusual: the embedding is normalised; the first half of the blocks leave their outputs on a stack that the
    second half adds back, newest first (U-net skips, from modded-nanogpt); logits are squashed by a soft cap
    (Gemma 2, arXiv:2408.00118); matrices that end a branch start at 0, so that every block begins as the
    identity.

    embedding_parts: each adds to the embedding before its norm, (x, ids) -> x. layers: the blocks in the
    order in which they are passed; one may come more than once.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        # fused_loss: the same function in pieces that stay in the cache (trainer.kernels).
        self.softcap, self.fused_loss = c.logit_softcap, c.fused_ce_enabled
        self.embedding_parts: tuple[Callable[[Tensor, Tensor], Tensor], ...] = ()
        self.layers = tuple(range(c.num_layers))
        # The order of construction is the order of random numbers: another one gives other initial weights.
        self.tok_emb = nn.Embedding(c.vocab_size, c.model_dim)
        self.skip_weights = nn.Parameter(torch.ones(skip_count(c.num_layers), c.model_dim))
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.num_layers))
        self.lm_head = None if c.tie_embeddings else Linear(c.model_dim, c.vocab_size)
        self.rotary = Rotary(c.head_dim, max(c.train_seq_len, c.eval_length), c.rope_base)
        self._initialise(c)

    def _initialise(self, c: Config) -> None:
        """After all construction: the tied embedding anew, zeros into what ends a branch."""
        # torch's own initialisation has a deviation of 1, far too much for a table that is the head, too.
        if c.tie_embeddings:
            nn.init.normal_(self.tok_emb.weight, std=c.tied_embed_init_std)
        for block in self.each_block():
            # A branch that ends in zeros adds nothing at first, yet learns: its gradient is not zero.
            nn.init.zeros_(block.attn.proj.weight)
            nn.init.zeros_(block.mlp.proj.weight)
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)

    def each_block(self) -> list[Block]:
        """The blocks, typed: a ModuleList only knows modules."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def forward(self, inputs_BT: Tensor, targets_BT: Tensor, reduction: str = "mean") -> Tensor:
        """Return the mean cross-entropy in nats per target, fp32; with "none", every target's, in a row."""
        return self.loss(self.transform(self.embed(inputs_BT)), targets_BT, reduction)

    def embed(self, inputs_BT: Tensor) -> Tensor:
        x: Tensor = self.tok_emb(inputs_BT)
        for part in self.embedding_parts:
            x = part(x, inputs_BT)
        return rms_norm(x)

    def transform(self, x: Tensor) -> Tensor:
        """Pass all layers. Of an odd number the second half has one more, which finds the stack empty."""
        x0, half = x, len(self.layers) // 2
        stack: list[Tensor] = []
        shared: Shared = {}
        for place, layer in enumerate(self.layers):
            # Newest first: last layer of the first half to first of the second, whose streams are alike.
            if place >= half and stack:
                x = x + self.skip_weights[place - half].to(x.dtype) * stack.pop()
            x = self.blocks[layer](x, x0, self.rotary, shared)
            if place < half:
                stack.append(x)
        return x

    def loss(self, x: Tensor, targets_BT: Tensor, reduction: str) -> Tensor:
        x = rms_norm(x).flatten(0, 1)  # (B * T, C)
        head = self.tok_emb.weight.to(x.dtype) if self.lm_head is None else self.lm_head.weight.to(x.dtype)
        if self.fused_loss:
            return capped_loss(x, head, targets_BT.flatten(), self.softcap, reduction)
        logits = self.softcap * torch.tanh(F.linear(x, head) / self.softcap)  # (B * T, V)
        # The cap in the activations' type, the softmax in fp32: where the challenge rounds, this rounds.
        return F.cross_entropy(logits.float(), targets_BT.flatten(), reduction=reduction)


def skip_count(passes: int) -> int:
    """Skips from the first half of the passes to the second."""
    return min(passes // 2, passes - passes // 2)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a tensor's name holds one of some parts, the way the challenge's script groups tensors."""
    return any(part in name for part in patterns)
