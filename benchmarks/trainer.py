"""Tokens a second of the trainer beside a plain transcription of the challenge's loop, alternating in one
run.

    python -m benchmarks.trainer [practice|baseline] [--steps N] [--rounds N] [--threads N]

The transcription does what the challenge's script does, in its plainest form: torch's own attention, Muon
one matrix at a time, quantiles by sorting. Both train the same weights on the same batches, and their losses
are printed side by side. Ratios are of medians; with one thread they are of CPU time, which other work on
the machine disturbs least.
Aims: 1.5 on the practice preset, 1.35 on the baseline model.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.artifact import decode, encode, load_into, pack
from trainer.config import PRESETS, Config, load_config
from trainer.schedule import lr_scale, muon_momentum
from trainer.scoring import score_validation
from trainer.setup import Setup, prepare
from trainer.state import Observer, Run
from trainer.train import report_step, start, take_step

PARITY = Path(__file__).resolve().parent.parent / "tests" / "data" / "parity"
PLACES = {"DATA_PATH": str(PARITY), "TOKENIZER_PATH": str(PARITY / "stdlib_1024_bpe.model"), "DEVICE": "cpu"}
SHAPES = {
    "practice": PRESETS["practice"],
    # the challenge's model on a batch that a CPU can bear: eight micro-batches of one sequence
    "baseline": {"TRAIN_BATCH_TOKENS": "8192", "VAL_BATCH_SIZE": "8192", "MAX_WALLCLOCK_SECONDS": "0"}
    | {"WARMUP_STEPS": "0", "ATTENTION": "blocked", "FUSED_CE_ENABLED": "1"},
}


# The plain transcription ------------------------------------------------------------------------------------


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


class Cast(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class PlainAttention(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads, self.kv, self.d = c.num_heads, c.num_kv_heads, c.head_dim
        self.c_q = Cast(c.model_dim, c.model_dim, bias=False)
        self.c_k = Cast(c.model_dim, self.kv * self.d, bias=False)
        self.c_v = Cast(c.model_dim, self.kv * self.d, bias=False)
        self.proj = Cast(c.model_dim, c.model_dim, bias=False)
        self.q_gain = nn.Parameter(torch.full((self.heads,), c.qk_gain_init))
        angles = torch.outer(
            torch.arange(c.train_seq_len).float(), 1 / c.rope_base ** (torch.arange(0, self.d, 2) / self.d)
        )
        self.register_buffer("cos", angles.cos()[None, None], persistent=False)
        self.register_buffer("sin", angles.sin()[None, None], persistent=False)

    def turn(self, x: Tensor) -> Tensor:
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        a, b = x[..., : self.d // 2], x[..., self.d // 2 :]
        return torch.cat((a * cos + b * sin, -a * sin + b * cos), dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        q = self.c_q(x).view(rows, length, self.heads, self.d).transpose(1, 2)
        k = self.c_k(x).view(rows, length, self.kv, self.d).transpose(1, 2)
        v = self.c_v(x).view(rows, length, self.kv, self.d).transpose(1, 2)
        q, k = self.turn(norm(q)), self.turn(norm(k))
        q = q * self.q_gain.to(q.dtype)[None, :, None, None]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.kv != self.heads)
        return self.proj(y.transpose(1, 2).reshape(rows, length, width))


class PlainMLP(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.fc = Cast(c.model_dim, int(c.mlp_mult * c.model_dim), bias=False)
        self.proj = Cast(int(c.mlp_mult * c.model_dim), c.model_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(torch.relu(self.fc(x)).square())


class PlainBlock(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.attn, self.mlp = PlainAttention(c), PlainMLP(c)
        self.attn_scale = nn.Parameter(torch.ones(c.model_dim))
        self.mlp_scale = nn.Parameter(torch.ones(c.model_dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(c.model_dim), torch.zeros(c.model_dim))))

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        mix = self.resid_mix.to(x.dtype)
        x = mix[0][None, None] * x + mix[1][None, None] * x0
        x = x + self.attn_scale.to(x.dtype)[None, None] * self.attn(norm(x))
        return x + self.mlp_scale.to(x.dtype)[None, None] * self.mlp(norm(x))


class PlainGPT(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.half, self.cap = c.num_layers // 2, c.logit_softcap
        self.tok_emb = nn.Embedding(c.vocab_size, c.model_dim)
        self.skip_weights = nn.Parameter(torch.ones(min(self.half, c.num_layers - self.half), c.model_dim))
        self.blocks = nn.ModuleList(PlainBlock(c) for _ in range(c.num_layers))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = norm(self.tok_emb(x))
        x0, skips = x, []
        for index, block in enumerate(self.blocks):
            if index >= self.half and skips:
                x = x + self.skip_weights[index - self.half].to(x.dtype)[None, None] * skips.pop()
            x = block(x, x0)
            if index < self.half:
                skips.append(x)
        x = norm(x).reshape(-1, x.size(-1))
        logits = self.cap * torch.tanh(F.linear(x, self.tok_emb.weight.to(x.dtype)) / self.cap)
        return F.cross_entropy(logits.float(), y.reshape(-1), reduction="mean")


def newton_schulz(g: Tensor, steps: int) -> Tensor:
    x = g.bfloat16()
    x = x / (x.norm() + 1e-7)
    if g.size(0) > g.size(1):
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if g.size(0) > g.size(1) else x


class PlainRun:
    """The challenge's step: micro-batches, backward, Adam for tables and vectors, Muon a matrix at a time."""

    def __init__(self, setup: Setup, weights: dict[str, Tensor]) -> None:
        c = self.c = setup.config
        self.setup = setup
        self.model = PlainGPT(c)
        if c.dtype == "bfloat16":
            self.model.tok_emb.bfloat16()
        self.model.load_state_dict(weights)
        named = list(self.model.blocks.named_parameters())
        self.matrices = [p for n, p in named if p.ndim == 2 and "resid_mix" not in n]
        scalars = [p for n, p in named if p.ndim < 2 or "resid_mix" in n] + [self.model.skip_weights]
        adam = {"betas": (c.beta1, c.beta2), "eps": c.adam_eps, "fused": True}
        self.adams = [
            torch.optim.Adam([self.model.tok_emb.weight], lr=c.tied_embed_lr, **adam),
            torch.optim.Adam(scalars, lr=c.scalar_lr, **adam),
        ]
        self.buffers = [torch.zeros_like(p) for p in self.matrices]
        self.tokens = np.concatenate([np.fromfile(p, "<u2", offset=1024) for p in setup.train_paths])
        self.at = 0

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        raw = self.tokens[self.at : self.at + count + 1].astype(np.int64)
        self.at = (self.at + count + 1) % (len(self.tokens) - count - 1)
        ids = torch.from_numpy(raw)
        return ids[:-1].view(-1, self.c.train_seq_len), ids[1:].view(-1, self.c.train_seq_len)

    def step(self, number: int, scale: float, momentum: float) -> float:
        c, parts, total = self.c, self.c.accumulation(1), 0.0
        for _ in range(parts):
            x, y = self.batch(c.micro_batch_tokens(1))
            with torch.autocast("cpu", torch.bfloat16, enabled=c.dtype == "bfloat16"):
                loss = self.model(x, y)
            (loss / parts).backward()
            total += loss.item() / parts
        for adam, rate in zip(self.adams, (c.tied_embed_lr, c.scalar_lr), strict=True):
            adam.param_groups[0]["lr"] = rate * scale
            adam.step()
        with torch.no_grad():
            for p, buffer in zip(self.matrices, self.buffers, strict=True):
                assert p.grad is not None
                buffer.mul_(momentum).add_(p.grad)
                update = newton_schulz(p.grad.add(buffer, alpha=momentum), c.muon_backend_steps)
                update = update * max(1.0, p.size(0) / p.size(1)) ** 0.5
                p.add_(update.to(p.dtype), alpha=-c.matrix_lr * scale)
        self.model.zero_grad(set_to_none=True)
        return total

    def round_trip(self) -> float:
        """Quantize, save, compress, read back, load and evaluate."""
        stored = {}
        for name, t in self.model.state_dict().items():
            if t.numel() <= 65_536:
                stored[name] = t.float() if t.ndim < 2 else t.half()
                continue
            w = t.float()
            clip = torch.quantile(w.abs(), 0.9999984, dim=1)
            scale = (clip / 127).clamp_min(1 / 127)
            q = torch.round(torch.clamp(w, -clip[:, None], clip[:, None]) / scale[:, None])
            stored[name] = (q.clamp(-127, 127).to(torch.int8), scale.half())
        file = io.BytesIO()
        torch.save(stored, file)
        back = torch.load(io.BytesIO(zlib.decompress(zlib.compress(file.getvalue(), 9))))
        for name, t in self.model.state_dict().items():
            kept = back[name]
            t.copy_(kept[0].float() * kept[1].float()[:, None] if isinstance(kept, tuple) else kept)
        return self.evaluate()

    def evaluate(self) -> float:
        c, v = self.c, self.setup.validation
        rows = c.val_batch_size // c.accumulation(1) // c.train_seq_len
        total, sequences = 0.0, v.targets // c.train_seq_len
        with torch.inference_mode():
            for start in range(0, sequences, rows):
                stop = min(start + rows, sequences)
                raw = v.tokens[start * c.train_seq_len : stop * c.train_seq_len + 1].astype(np.int64)
                ids = torch.from_numpy(raw)
                x, y = ids[:-1].view(-1, c.train_seq_len), ids[1:].view(-1, c.train_seq_len)
                with torch.autocast("cpu", torch.bfloat16, enabled=c.dtype == "bfloat16"):
                    total += self.model(x, y).item() * y.numel()
        return total / v.targets


# Measuring --------------------------------------------------------------------------------------------------


def our_round_trip(run: Run) -> float:
    load_into(run.model, decode(encode(pack(run.model.state_dict(), run.setup.config))))
    return score_validation(run).val_loss


def flops_of_a_step(model: nn.Module, c: Config) -> float:
    """Products of forward and backward (causal attention counted half), and of Newton-Schulz."""
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    token = 6 * weights + 6 * c.num_layers * c.train_seq_len * c.model_dim
    muon = 0
    for name, p in model.named_parameters():
        if p.ndim == 2 and name.startswith("blocks.") and "resid_mix" not in name:
            short, long = sorted(p.shape)
            muon += c.muon_backend_steps * (4 * short * short * long + 2 * short**3)
    return token * c.train_batch_tokens + muon


def gemm_rate(dtype: torch.dtype) -> float:
    """Return the machine's rate on a large product of matrices, in FLOP/s of the clock in use."""
    a, b = torch.randn(1024, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    a @ b
    return max(8 * 2 * 1024**3 / timed(lambda: [a @ b for _ in range(8)])[0] for _ in range(5))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    done = work()
    return clock() - began, done


def first_step_seconds(shape: dict[str, str]) -> float:
    """How long a process takes from its start to its first step, everything prepared before."""
    knobs = shape | PLACES | {"ITERATIONS": "1", "VAL_LOSS_EVERY": "0", "THREADS": "1"}
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", "--out", out + "/o"],
            env={**os.environ, **knobs},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step:1/"):
                break
        seconds = time.perf_counter() - began
        process.kill()
        process.communicate()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", nargs="?", choices=tuple(SHAPES), default="practice")
    parser.add_argument("--steps", type=int, help="of each, a round (20; 1 for the baseline model)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    steps = words.steps or {"practice": 20, "baseline": 1}[words.shape]
    planned = (words.rounds + 1) * steps
    knobs = SHAPES[words.shape] | PLACES | {"ITERATIONS": str(planned), "THREADS": str(words.threads)}
    knobs |= {"VAL_LOSS_EVERY": "0", "CHECKPOINT_SECONDS": "0", "TRAIN_LOG_EVERY": "10"}
    c = load_config(knobs)
    setup = prepare(c)

    with tempfile.TemporaryDirectory() as folder:
        ours = start(setup, Path(folder), Observer())
        plain = PlainRun(setup, ours.model.state_dict())
        compare(ours, plain, words.rounds, steps)
    print(f"time to the first step of a new process {first_step_seconds(SHAPES[words.shape]):.1f} s")


def compare(ours: Run, plain: PlainRun, rounds: int, steps: int) -> None:
    c = ours.setup.config

    def our_steps() -> float:
        for _ in range(steps):
            loss = take_step(ours, 0.0)
            ours.progress.step += 1
            report_step(ours, loss)
        return loss

    def plain_steps() -> float:
        for number in range(ours.progress.step - steps, ours.progress.step):
            loss = plain.step(number, lr_scale(c, number, 0.0), muon_momentum(c, number))
        return loss

    times: dict[str, list[float]] = {"trainer": [], "plain": []}
    for number in range(rounds + 1):  # the first round warms up
        our_time, our_loss = timed(our_steps)
        plain_time, plain_loss = timed(plain_steps)
        if number:
            times["trainer"].append(our_time / steps)
            times["plain"].append(plain_time / steps)
        print(f"  round {number}: losses {our_loss:.4f} {plain_loss:.4f}", file=sys.stderr)

    flops, peak = (
        flops_of_a_step(ours.model, c),
        gemm_rate(torch.bfloat16 if c.dtype != "float32" else torch.float32),
    )
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"{name:8} {median * 1000:9.1f} ms a step {c.train_batch_tokens / median:9,.0f} tokens/s "
            f"{flops / median / peak:6.1%} of {peak / 1e9:,.0f} GFLOP/s"
        )
    ratios = [b / a for a, b in zip(times["trainer"], times["plain"], strict=True)]
    print(f"training ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    our_time, our_score = timed(lambda: our_round_trip(ours))
    plain_time, plain_score = timed(plain.round_trip)
    print(f"round trip ratio {plain_time / our_time:.2f} (scores {our_score:.4f} {plain_score:.4f} nats)")


if __name__ == "__main__":
    main()
