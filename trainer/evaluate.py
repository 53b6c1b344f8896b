"""Bits per byte of a model on the validation tokens. Sums are float64, so batches and ranks do not matter."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from trainer.config import Config
from trainer.data import ByteTable, Tokens


@dataclass(frozen=True)
class Validation:
    """Validation tokens with the bytes their targets stand for, counted once."""

    tokens: Tokens  # whole sequences of seq_len, plus the last target
    seq_len: int
    bytes: int

    @property
    def targets(self) -> int:
        return len(self.tokens) - 1

    @staticmethod
    def of(tokens: Tokens, seq_len: int, table: ByteTable) -> Validation:
        return Validation(tokens, seq_len, table.count(tokens[:-1], tokens[1:]))


@dataclass(frozen=True)
class Evaluation:
    val_loss: float  # nats per token
    val_bpb: float
    seconds: float


def bits_per_byte(loss_nats: float, tokens: int, bytes_: int) -> float:
    """Turn a mean token loss into the challenge's score.

    loss_nats: mean cross-entropy in nats per token; bytes_: UTF-8 bytes those tokens stand for.
    Raises ValueError if no byte was scored, since a score of 0 would look like a record.

    Source: `eval_val` in the challenge's train_gpt.py.
    """
    if bytes_ <= 0:
        raise ValueError("no byte was scored")
    return loss_nats / math.log(2.0) * (tokens / bytes_)


def evaluate(
    model: nn.Module, validation: Validation, c: Config, device: torch.device, autocast: bool,
    rank: int = 0, world_size: int = 1,
) -> Evaluation:  # fmt: skip
    """Score non-overlapping windows of seq_len tokens; each rank takes its share of them.

    Batches have VAL_BATCH_SIZE / (world size * micro-batches) tokens, as in the challenge.
    """
    began = time.perf_counter()
    seq_len = validation.seq_len
    rows = max(1, c.val_batch_size // (world_size * c.accumulation(world_size)) // seq_len)
    sequences = validation.targets // seq_len
    first, last = sequences * rank // world_size, sequences * (rank + 1) // world_size
    total = torch.zeros((), dtype=torch.float64, device="cpu" if device.type == "mps" else device)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(first, last, rows):
            stop = min(start + rows, last)
            raw = validation.tokens[start * seq_len : stop * seq_len + 1].astype("int64")
            local = torch.from_numpy(raw).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                loss = model(local[:-1].view(-1, seq_len), local[1:].view(-1, seq_len))
            total += loss.to(total.device, torch.float64) * (len(raw) - 1)
    model.train(was_training)
    if world_size > 1:
        dist.all_reduce(total)
    mean = float(total) / validation.targets
    return Evaluation(
        mean, bits_per_byte(mean, validation.targets, validation.bytes), time.perf_counter() - began
    )
