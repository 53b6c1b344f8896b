"""Legal test-time training: the artifact learns from validation tokens that it has already been scored on.

Dynamic evaluation (arXiv:1709.07432), in the order that the challenge's rules ask for: score first, then
learn. The text is cut into chunks of TTT_CHUNK_TOKENS targets. Each is scored whole with the weights as they
are; only then is it learnt from (TTT_EPOCHS passes of SGD over its whole sequences), for the chunks after it.
So no token's score ever depends on that token, or on any after it. Every rank does all of it: training in
turn cannot be dealt out exactly.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn

from trainer.config import Config
from trainer.data import Tokens
from trainer.evaluate import Evaluation, Validation, bits_per_byte, score_windows, windows
from trainer.hooks import Hooks
from trainer.model import GPT
from trainer.scoring import keep_artifact_score
from trainer.state import Run


def adapt_and_score(
    model: GPT, validation: Validation, c: Config, device: torch.device, autocast: bool
) -> Evaluation:
    """Score all validation tokens chunk after chunk, learning from each one after it was scored.

    Changes the weights.
    """
    began = time.perf_counter()
    total = torch.zeros((), dtype=torch.float64)
    # Fresh at the start, and kept from chunk to chunk: momentum is knowledge of the text, too.
    optimizer = torch.optim.SGD(_adapted(model, c), lr=c.ttt_lr, momentum=c.ttt_momentum)
    length = c.eval_length
    all_windows = windows(validation.targets, length, c.eval_stride or length)
    rows = max(1, c.val_batch_size // c.accumulation(1) // length)
    at = 0
    for begin in range(0, validation.targets, c.ttt_chunk_tokens):
        # A window belongs to the chunk of its first scored target; its last may lie behind it.
        end = min(begin + c.ttt_chunk_tokens, validation.targets)
        until = at
        while until < len(all_windows) and all_windows[until].start + all_windows[until].first < end:
            until += 1
        # First the score. Inference mode makes sure that nothing of it can be learnt from.
        model.eval()
        with torch.inference_mode():
            for first in range(at, until, rows):
                batch = all_windows[first : min(first + rows, until)]
                total += score_windows(model, validation.tokens, batch, device, autocast)
        scored = all_windows[until - 1].start + all_windows[until - 1].length if until else 0
        at = until
        if scored < validation.targets:  # what comes last is learnt by nobody
            learn(model, optimizer, validation.tokens[begin : min(end, scored) + 1], c, device, autocast)
    mean = float(total) / validation.targets
    bpb = bits_per_byte(mean, validation.targets, validation.bytes)
    return Evaluation(mean, bpb, time.perf_counter() - began)


def learn(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    tokens: Tokens,
    c: Config,
    device: torch.device,
    autocast: bool,
) -> None:
    """Make TTT_EPOCHS passes over scored tokens, in batches of TTT_BATCH_SEQS training sequences."""
    # Whole sequences of the training length, the shape that the weights know; a rest is not learnt from.
    sequences = (len(tokens) - 1) // c.train_seq_len
    if not sequences:
        return
    ids = torch.from_numpy(tokens[: sequences * c.train_seq_len + 1].astype(np.int64)).to(device)
    x, y = ids[:-1].view(sequences, -1), ids[1:].view(sequences, -1)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    model.train()
    for _ in range(c.ttt_epochs):
        for first in range(0, sequences, c.ttt_batch_seqs):
            rows = slice(first, first + c.ttt_batch_seqs)
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                loss = model(x[rows], y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            # A chunk of another kind of text may have gradients that undo what was learnt in training.
            if c.ttt_grad_clip > 0:
                nn.utils.clip_grad_norm_(params, c.ttt_grad_clip)
            optimizer.step()
    model.zero_grad(set_to_none=True)  # what is frozen has gathered gradients, too


def _adapted(model: GPT, c: Config) -> list[nn.Parameter]:
    """All parameters but those of the first TTT_FREEZE_BLOCKS blocks."""
    frozen = tuple(f"blocks.{layer}." for layer in range(c.ttt_freeze_blocks))
    return [p for name, p in model.named_parameters() if not name.startswith(frozen)]


class _TestTimeTraining(Hooks):
    def extra_scores(self, run: Run) -> None:
        c, setup = self.c, run.setup
        scored = adapt_and_score(run.model, setup.validation, c, setup.device, setup.autocast)
        run.progress.eval_seconds += scored.seconds
        how = f"chunk_tokens:{c.ttt_chunk_tokens} epochs:{c.ttt_epochs} "
        keep_artifact_score(run, "test_time_training", "legal_ttt", scored, how)


def hooks(c: Config) -> Hooks:
    return _TestTimeTraining(c)
