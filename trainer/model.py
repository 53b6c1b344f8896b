"""The challenge's baseline transformer. Reads top to bottom: norm, rotary, attention, MLP, block, GPT.

Shapes: B sequences, T tokens, C model width, H query heads, K key/value heads, D head width, V vocabulary.
Source of the architecture: the challenge's train_gpt.py; see `GPT` for what is unusual about it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.kernels import blocked_attention, capped_loss


def rms_norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


class Linear(nn.Linear):
    """A linear map without bias whose fp32 weight is cast to the activations' type at use.

    rounding: what training sees in place of the weight, once `trainer.qat` has been switched on.
    """

    rounding: Callable[[Tensor], Tensor] | None = None

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.rounding is None or not self.training else self.rounding(self.weight)
        return F.linear(x, weight.to(x.dtype))


class Rotary(nn.Module):
    """Rotary position embedding by halves: angles position * base^(-2i/D)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, max_len: int, base: float) -> None:
        super().__init__()
        self._head_dim, self.max_len, self._base = head_dim, max_len, base
        self.fill(torch.float32)

    def fill(self, dtype: torch.dtype) -> None:
        """Compute the tables in a type. In bfloat16 even the positions are rounded, as in the challenge."""
        exponents = torch.arange(0, self._head_dim, 2, dtype=torch.float32) / self._head_dim
        inverse = (1.0 / self._base**exponents).to(dtype)
        angles = torch.outer(torch.arange(self.max_len, dtype=dtype), inverse)  # (T, D/2)
        # Buffers, not a lazy cache: a cache filled under inference mode breaks the next backward pass.
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x_BHTD: Tensor) -> Tensor:
        length = x_BHTD.size(-2)
        cos, sin = self.cos[:length].to(x_BHTD.dtype), self.sin[:length].to(x_BHTD.dtype)
        first, second = x_BHTD.chunk(2, dim=-1)
        return torch.cat((first * cos + second * sin, second * cos - first * sin), dim=-1)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """torch's own causal attention. q (B, H, T, D); k, v (B, K, T, D) -> (B, H, T, D)."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.size(1) != k.size(1))


class Attention(nn.Module):
    """Causal attention with grouped key/value heads, normalised queries and keys, and a gain per query head."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c.num_heads, c.num_kv_heads, c.head_dim
        self.attend = blocked_attention if c.attention == "blocked" else causal_attention
        kv_width = c.num_kv_heads * c.head_dim
        self.c_q = Linear(c.model_dim, c.model_dim)
        self.c_k = Linear(c.model_dim, kv_width)
        self.c_v = Linear(c.model_dim, kv_width)
        self.proj = Linear(c.model_dim, c.model_dim)
        self.q_gain = nn.Parameter(torch.full((c.num_heads,), c.qk_gain_init))

    def forward(self, x_BTC: Tensor, rotary: Rotary) -> Tensor:
        return self.join(self.attend(*self.split(x_BTC, rotary)))

    def split(self, x_BTC: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, H, T, D), keys and values (B, K, T, D), ready to attend."""
        B, T, _ = x_BTC.shape
        q = self.c_q(x_BTC).view(B, T, self.heads, self.head_dim).transpose(1, 2)  # (B, H, T, D)
        k = self.c_k(x_BTC).view(B, T, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.c_v(x_BTC).view(B, T, self.kv_heads, self.head_dim).transpose(1, 2)
        q, k = rotary(rms_norm(q)), rotary(rms_norm(k))
        return q * self.q_gain.to(q.dtype)[:, None, None], k, v

    def join(self, y_BHTD: Tensor) -> Tensor:
        """Put the heads beside each other again and project them."""
        y: Tensor = self.proj(y_BHTD.transpose(1, 2).flatten(2))
        return y


class MLP(nn.Module):
    """relu(fc(x))^2, projected back."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.fc = Linear(c.model_dim, c.mlp_width)
        self.proj = Linear(c.mlp_width, c.model_dim)

    def forward(self, x_BTC: Tensor) -> Tensor:
        y: Tensor = self.proj(torch.relu(self.fc(x_BTC)).square())
        return y


class Block(nn.Module):
    """Mix the stream with the first embedding, then attention and MLP, each scaled per channel."""

    def __init__(self, c: Config, attn: Attention, mlp: MLP) -> None:
        super().__init__()
        self.attn = attn
        self.mlp = mlp
        self.attn_scale = nn.Parameter(torch.ones(c.model_dim))
        self.mlp_scale = nn.Parameter(torch.ones(c.model_dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(c.model_dim), torch.zeros(c.model_dim))))

    def forward(self, x: Tensor, x0: Tensor, rotary: Rotary) -> Tensor:
        mix = self.resid_mix.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
        x = x + self.attn_scale.to(x.dtype) * self.attn(rms_norm(x), rotary)
        y: Tensor = x + self.mlp_scale.to(x.dtype) * self.mlp(rms_norm(x))
        return y


class GPT(nn.Module):
    """The whole model: token ids in, mean loss out.

    Unusual: the embedding is normalised; the first half of the blocks leave their outputs on a stack that the
    second half adds back, newest first; logits are squashed by a soft cap; matrices that end a branch start at 0.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.softcap, self.fused_loss = c.logit_softcap, c.fused_ce_enabled
        self.encoder_layers = c.num_layers // 2
        skips = min(self.encoder_layers, c.num_layers - self.encoder_layers)
        self.tok_emb = nn.Embedding(c.vocab_size, c.model_dim)
        self.skip_weights = nn.Parameter(torch.ones(skips, c.model_dim))
        self.blocks = nn.ModuleList(self.make_block(c, layer) for layer in range(c.num_layers))
        self.lm_head = None if c.tie_embeddings else Linear(c.model_dim, c.vocab_size)
        self.rotary = Rotary(c.head_dim, max(c.train_seq_len, c.eval_length), c.rope_base)
        self._initialise(c)

    def make_block(self, c: Config, layer: int) -> Block:
        return Block(c, Attention(c), MLP(c))

    def _initialise(self, c: Config) -> None:
        """After construction in order (one stream of random numbers): the tied embedding anew, zeros into projections."""
        if c.tie_embeddings:
            nn.init.normal_(self.tok_emb.weight, std=c.tied_embed_init_std)
        for block in self.blocks:
            nn.init.zeros_(block.attn.proj.weight)  # type: ignore[union-attr, arg-type]
            nn.init.zeros_(block.mlp.proj.weight)  # type: ignore[union-attr, arg-type]
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)

    def forward(self, inputs_BT: Tensor, targets_BT: Tensor, reduction: str = "mean") -> Tensor:
        """Return the mean cross-entropy in nats per target, in fp32; with "none", that of every target in a row."""
        return self.loss(self.transform(self.embed(inputs_BT)), targets_BT, reduction)

    def embed(self, inputs_BT: Tensor) -> Tensor:
        return rms_norm(self.tok_emb(inputs_BT))

    def transform(self, x: Tensor) -> Tensor:
        """Pass all blocks."""
        x0 = x
        stack: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            decoder = index - self.encoder_layers
            if decoder >= 0 and stack:
                x = x + self.skip_weights[decoder].to(x.dtype) * stack.pop()
            x = block(x, x0, self.rotary)
            if decoder < 0:
                stack.append(x)
        return x

    def loss(self, x: Tensor, targets_BT: Tensor, reduction: str) -> Tensor:
        x = rms_norm(x).flatten(0, 1)
        head = self.tok_emb.weight.to(x.dtype) if self.lm_head is None else self.lm_head.weight.to(x.dtype)
        if self.fused_loss:
            return capped_loss(x, head, targets_BT.flatten(), self.softcap, reduction)
        logits = self.softcap * torch.tanh(F.linear(x, head) / self.softcap)
        return F.cross_entropy(logits.float(), targets_BT.flatten(), reduction=reduction)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(part in name for part in patterns)
