"""What happens to embeddings before the first block: hashed bigrams, and a share of the token before."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.model import GPT, Linear

BOS = 1  # id of the beginning of a document, in the challenge's vocabularies and in ours
GATE_WINDOW = 12  # leading channels that drive the smear gate, as in modded-nanogpt
_CURRENT, _PREVIOUS = 36_313, 27_191  # primes of the hash, as in the field's scripts


class BigramHash(nn.Module):
    """An embedding of (previous token, token), hashed into buckets and projected to the model's width.

    Hashing many features into few rows: hash embeddings, arXiv:1709.03933; here one hash, as the field does
    it. The projection begins at zero, so that training begins as without it.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.buckets = c.bigram_vocab_size
        # Named as tables are, so that the optimizer and the quantizer take it for one.
        self.emb = nn.Embedding(c.bigram_vocab_size, c.bigram_dim)
        self.proj = Linear(c.bigram_dim, c.model_dim)
        nn.init.normal_(self.emb.weight, std=0.02)  # GPT-2's
        nn.init.zeros_(self.proj.weight)

    def bucket_of(self, ids_BT: Tensor) -> Tensor:
        """The first token of a row has no previous one: it gets the last bucket, which no pair falls into."""
        # xor of two products: (a, b) and (b, a) fall into different buckets, and neighbours far apart.
        mixed = (_CURRENT * ids_BT[:, 1:]) ^ (_PREVIOUS * ids_BT[:, :-1])
        return F.pad(mixed % (self.buckets - 1), (1, 0), value=self.buckets - 1)

    def forward(self, x_BTC: Tensor, ids_BT: Tensor) -> Tensor:
        # int64 before the products: primes times ids of 16 bits do not fit 32.
        pairs: Tensor = self.proj(self.emb(self.bucket_of(ids_BT.to(torch.int64))))
        return x_BTC + pairs.to(x_BTC.dtype)


class SmearGate(nn.Module):
    """Add a gated share of the previous token's embedding; never across the beginning of a document.

    share = smear_scale * sigmoid(smear_gate . leading channels). The scale begins at zero: training begins as
    without it. It reads and writes the embedding before its norm, so that what leaves has unit RMS whatever
    the share. Source: the "smear" gate of KellerJordan/modded-nanogpt, as the challenge's public scripts of
    2026-04-27 have it.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.window = min(GATE_WINDOW, c.model_dim)
        self.smear_gate = nn.Parameter(torch.zeros(self.window))
        self.smear_scale = nn.Parameter(torch.zeros(1))

    def forward(self, x_BTC: Tensor, ids_BT: Tensor) -> Tensor:
        # In fp32: a dozen products cost nothing, and the gate's gradient is small.
        gate = torch.sigmoid(x_BTC[..., : self.window].float() @ self.smear_gate)  # (B, T)
        # Not into a beginning of a document: what stands before it is another text.
        share = (self.smear_scale * gate * (ids_BT != BOS))[:, 1:, None].to(x_BTC.dtype)
        return torch.cat((x_BTC[:, :1], x_BTC[:, 1:] + share * x_BTC[:, :-1]), dim=1)


class _TokenParts(Hooks):
    def extend_model(self, model: GPT) -> None:
        if self.c.bigram_vocab_size > 0:
            model.add_module("bigram", BigramHash(self.c))
            model.embedding_parts += (model.get_submodule("bigram"),)
        if self.c.smear_gate_enabled:
            model.add_module("smear", SmearGate(self.c))
            model.embedding_parts += (model.get_submodule("smear"),)


def hooks(c: Config) -> Hooks:
    return _TokenParts(c)
