"""How long the knobs of a training script take to read: processor seconds beyond Python's start.

    python -m benchmarks.scripts [FILE ...] [--scripts N] [--lines N]

Without FILE, scripts are written for it: classes that make one another and read the environment in
`__init__`, helpers that call helpers, a class of settings, tables that are looped over.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from pathlib import Path

from harness.scripts.knobs import read_script

HEAD = """import os
import torch
import torch.nn as nn
environ = os.environ.get

def flag(name, default=False):
    raw = os.environ.get(name)
    if raw is None:
        return default
    return raw.strip().lower() in ("1", "true", "yes")

def number(name, default, kind=int):
    return kind(os.environ.get(name, default))

def either(name, other, default):
    return number(name, number(other, default))
"""
READS = (
    "self.width = int(os.environ.get('WIDTH_{n}', str(dim * 4)))",
    "self.on = flag('FLAG_{n}', True)",
    "self.count = either('NEW_{n}', 'OLD_{n}', {n})",
    "self.mode = environ(f'MODE_{{layer % 2}}_{n}', 'plain')",
)


def write_script(seed: int, lines: int) -> str:
    """Return a script of about that many lines; the same for the same seed."""
    rng, parts, made = random.Random(seed), [HEAD], list[str]()
    while sum(part.count("\n") + 1 for part in parts) < lines - 150:
        n = len(made)
        body = [
            f"class Block{n}(nn.Module):",
            "    def __init__(self, dim, heads, layer=0, scale=1.0):",
            "        super().__init__()",
        ]
        if n % 3 == 0:
            body.append("        " + READS[n // 3 % len(READS)].format(n=n))
        for name in rng.sample(made, min(len(made), 4)):
            inner = f"{name}(dim, heads, layer + {rng.randrange(3)}, scale=scale * 0.5)"
            body.append(f"        self.{name.lower()} = {inner}")
        body += [
            f"        self.w{i} = nn.Parameter(torch.zeros(dim, {i} + heads) * scale)"
            for i in range(rng.randrange(3, 25))
        ]
        body.append("    def forward(self, x):")
        body += [
            f"        x = torch.relu(x @ self.w{i % 3}) + x * {i}.0" for i in range(rng.randrange(3, 20))
        ]
        parts.append("\n".join([*body, "        return x"]))
        made.append(f"Block{n}")
    settings = [f"    knob_{i} = {('int', 'float')[i % 2]}(environ('KNOB_{i}', {i}))" for i in range(80)]
    parts.append("\n".join(["class Hyperparameters:", *settings]))
    parts.append("for name, usual in (('A', 1), ('B', 2)):\n    number(name + '_TABLE', usual)")
    blocks = [f"        {name}(args.knob_0, 4, layer)" for name in made[-6:]]
    parts.append("\n".join(["def main(args=Hyperparameters()):", "    for layer in range(4):", *blocks]))
    return "\n".join([*parts, "main()", ""])


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("files", nargs="*", type=Path)
    words.add_argument("--scripts", type=int, default=100)
    words.add_argument("--lines", type=int, default=3000)
    asked = words.parse_args()
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in asked.files]
    texts = texts or [write_script(seed, asked.lines) for seed in range(asked.scripts)]
    seconds, knobs = [], 0
    for text in texts:
        began = time.process_time()
        knobs += len(read_script(text).knobs)
        seconds.append(time.process_time() - began)
    lines = statistics.median(text.count("\n") for text in texts)
    print(f"{len(texts)} scripts of {lines:,.0f} lines, {knobs:,} knobs: ", end="")
    print(f"median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s of processor time")


if __name__ == "__main__":
    main()
