"""Bits per byte of a model on the validation tokens.

Windows of tokens are scored in batches, each target once. The loss of every single token is added up in
float64, so neither the size of a batch nor the number of ranks changes a score beyond 1e-9.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.config import Config
from trainer.data import ByteTable, Tokens


@dataclass(frozen=True)
class Validation:
    """Validation tokens with the bytes their targets stand for, counted once."""

    tokens: Tokens  # whole training sequences, plus the last target
    bytes: int

    @property
    def targets(self) -> int:
        return len(self.tokens) - 1

    @staticmethod
    def of(tokens: Tokens, table: ByteTable) -> Validation:
        return Validation(tokens, table.count(tokens[:-1], tokens[1:]))


class Window(NamedTuple):
    """Inputs start:start+length; of the targets, one further on, only those from `first` on are scored."""

    start: int
    length: int
    first: int  # counted from the window's start


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
    # A score of 0 would be a record.
    if bytes_ <= 0:
        raise ValueError("no byte was scored")
    # Nats to bits, and tokens to bytes: a score that no choice of tokenizer can flatter.
    return loss_nats / math.log(2.0) * (tokens / bytes_)


def windows(targets: int, length: int, stride: int) -> list[Window]:
    """Lay windows over `targets` so that each target is scored once, in the first window that reaches it.

    stride = length: side by side. A smaller stride gives every target but those of the first window at least
    length - stride tokens of context. The last window ends with the text, so it may score fewer.
    """
    # A text shorter than a window is one window.
    length = min(length, targets)
    result, covered = [], 0
    while covered < targets:
        # Back by what is to be context; the last window is moved back to end with the text.
        context = 0 if covered == 0 or stride >= length else length - stride
        start = min(covered - context, targets - length)
        result.append(Window(start, length, covered - start))
        covered = start + length
    return result


def evaluate(
    model: nn.Module,
    validation: Validation,
    c: Config,
    device: torch.device,
    autocast: bool,
    rank: int = 0,
    world_size: int = 1,
    stride: int = 0,
) -> Evaluation:
    """Score the validation tokens; each rank takes its share of the windows.

    stride: of a sliding window; 0 for windows side by side. Batches have VAL_BATCH_SIZE / (world size *
    micro-batches) tokens, as in the challenge.
    """
    began = time.perf_counter()
    length = c.eval_length
    # Memory decides the batch; no score depends on it.
    rows = max(1, c.val_batch_size // (world_size * c.accumulation(world_size)) // length)
    chosen = windows(validation.targets, length, stride or length)
    chosen = chosen[len(chosen) * rank // world_size : len(chosen) * (rank + 1) // world_size]
    total = torch.zeros((), dtype=torch.float64)
    was_training = model.training
    model.eval()
    # Faster than no_grad: tensors made here can never enter a graph.
    with torch.inference_mode():
        for at in range(0, len(chosen), rows):
            total += score_windows(model, validation.tokens, chosen[at : at + rows], device, autocast)
    model.train(was_training)
    if world_size > 1:
        total = total.to(device)
        # float64 on the device: sums of ranks agree to 1e-9 in any order.
        dist.all_reduce(total)
    mean = float(total) / validation.targets
    return Evaluation(
        mean, bits_per_byte(mean, validation.targets, validation.bytes), time.perf_counter() - began
    )


def score_windows(
    model: nn.Module, tokens: Tokens, batch: list[Window], device: torch.device, autocast: bool
) -> Tensor:
    """Return the sum of the losses of a batch's own targets, float64, on the CPU."""
    # uint16 on disk, int64 for an embedding; one more token than inputs, for the last target.
    raw = np.stack([tokens[w.start : w.start + w.length + 1] for w in batch]).astype(np.int64)
    ids = torch.from_numpy(raw).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        losses = model(ids[:, :-1], ids[:, 1:], "none")  # (windows * length), fp32
    # In a sliding window all losses are computed, but only those of targets not scored before count.
    places = torch.arange(batch[0].length)
    counted = places >= torch.tensor([w.first for w in batch])[:, None]
    total: Tensor = (losses.cpu().double() * counted.flatten()).sum()
    return total
