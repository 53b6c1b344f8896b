"""What happens to embeddings before the first block: hashed bigrams, and a share of the token before."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import Config
from trainer.model import Linear

BOS = 1  # id of the beginning of a document, in the challenge's vocabularies and in ours
GATE_WINDOW = 12  # leading channels that drive the smear gate
_CURRENT, _PREVIOUS = 36_313, 27_191  # primes of the hash, as in the field


class BigramHash(nn.Module):
    """An embedding of (previous token, token), hashed into buckets and projected to the model's width.

    The projection begins at zero, so that training begins as without it.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.buckets = c.bigram_vocab_size
        self.emb = nn.Embedding(c.bigram_vocab_size, c.bigram_dim)
        self.proj = Linear(c.bigram_dim, c.model_dim)
        nn.init.normal_(self.emb.weight, std=0.02)
        nn.init.zeros_(self.proj.weight)

    def bucket_of(self, ids_BT: Tensor) -> Tensor:
        """The first token of a row has no previous one: it gets the last bucket, which no pair falls into."""
        mixed = (_CURRENT * ids_BT[:, 1:]) ^ (_PREVIOUS * ids_BT[:, :-1])
        return F.pad(mixed % (self.buckets - 1), (1, 0), value=self.buckets - 1)

    def forward(self, ids_BT: Tensor) -> Tensor:
        y: Tensor = self.proj(self.emb(self.bucket_of(ids_BT)))
        return y


class SmearGate(nn.Module):
    """Add a gated share of the previous token's embedding; never across the beginning of a document.

    share = smear_scale * sigmoid(smear_gate . leading channels). The scale begins at zero: training begins as without it.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.window = min(GATE_WINDOW, c.model_dim)
        self.smear_gate = nn.Parameter(torch.zeros(self.window))
        self.smear_scale = nn.Parameter(torch.zeros(1))

    def forward(self, x_BTC: Tensor, ids_BT: Tensor) -> Tensor:
        gate = torch.sigmoid(x_BTC[..., : self.window].float() @ self.smear_gate)  # (B, T)
        share = (self.smear_scale * gate * (ids_BT != BOS))[:, 1:, None].to(x_BTC.dtype)
        return torch.cat((x_BTC[:, :1], x_BTC[:, 1:] + share * x_BTC[:, :-1]), dim=1)
