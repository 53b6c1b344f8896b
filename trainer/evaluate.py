"""Validation: mean loss over the whole text and bits per byte."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from trainer.config import Config
from trainer.data import ByteTable, Tokens
from trainer.machine import Ranks


class Evaluation(NamedTuple):
    """A score over `tokens` targets that stand for `bytes` bytes. val_loss in nats per token."""

    val_loss: float
    val_bpb: float
    tokens: int
    bytes: int
    seconds: float


def bits_per_byte(loss_nats: float, tokens: int, bytes_: int) -> float:
    """Turn a mean token loss into the challenge's score.

    loss_nats: mean cross-entropy over the scored tokens, in nats per token.
    bytes_: UTF-8 bytes those tokens stand for; the count rules are in `trainer.data.byte_table`.
    Raises ValueError if no byte was scored, since a score of 0 would look like a record.

    Source: `eval_val` in the challenge's train_gpt.py.
    """
    if bytes_ <= 0:
        raise ValueError(f"{tokens} tokens stand for {bytes_} bytes")
    return loss_nats / math.log(2) * tokens / bytes_


def evaluate(
    model: nn.Module,
    config: Config,
    tokens: Tokens,
    table: ByteTable,
    device: torch.device,
    ranks: Ranks | None = None,
    between_batches: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score every target of `tokens` once, in windows of TRAIN_SEQ_LEN that do not overlap.

    tokens: whole sequences plus the last target. between_batches: called often; may raise to give up.
    Sums are float64. The loss of a batch is a mean in fp32, as in the challenge's script.
    """
    ranks = ranks or Ranks()
    began = time.perf_counter()
    sums = torch.zeros(3, dtype=torch.float64)  # nats, targets, bytes
    model.eval()
    with torch.inference_mode():
        for window in _windows(config, tokens, ranks):
            between_batches()
            ids = torch.from_numpy(window.astype(np.int64)).to(device)
            inputs = ids[:-1].view(-1, config.train_seq_len)
            targets = ids[1:].view(-1, config.train_seq_len)
            with autocast(config, device):
                loss = model(inputs, targets)
            count = targets.numel()
            sums += torch.tensor(
                [loss.item() * count, count, table.count(window[:-1], window[1:])], dtype=torch.float64
            )
    model.train()
    nats, scored, bytes_ = ranks.sum_(sums.to(device)).tolist() if ranks.world_size > 1 else sums.tolist()
    val_loss = nats / scored
    return Evaluation(
        val_loss,
        bits_per_byte(val_loss, int(scored), int(bytes_)),
        int(scored),
        int(bytes_),
        time.perf_counter() - began,
    )


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """Return the context in which the model computes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.dtype == "bfloat16")


def _windows(config: Config, tokens: Tokens, ranks: Ranks) -> Iterator[Tokens]:
    """Cut this rank's share of the sequences into batches, each with one token more than it predicts."""
    seq_len = config.train_seq_len
    rows = config.val_batch_size // (ranks.world_size * config.micro_batches(ranks.world_size)) // seq_len
    sequences = (len(tokens) - 1) // seq_len
    first = sequences * ranks.rank // ranks.world_size
    end = sequences * (ranks.rank + 1) // ranks.world_size
    for start in range(first, end, rows):
        yield tokens[start * seq_len : min(start + rows, end) * seq_len + 1]
