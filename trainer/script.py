"""The trainer as one script: what runs when `harness submit` has written the package into a single train_gpt.py.

`main` is the script's story. The other functions stand in for the package's own; which for which, and what is left out,
says `harness.scripts.one_file`: a submission trains once, from a configuration that was played before.
"""

from __future__ import annotations

import os
from pathlib import Path

from trainer.clock import Stop
from trainer.config import load_config
from trainer.progress import Observer
from trainer.setup import Workers, prepare, start_torch
from trainer.train import Run


def main() -> None:
    """Train, pack, read back and score as the environment says."""
    config = load_config(os.environ)
    workers = Workers.of(dict(os.environ))
    start_torch(config, workers)
    Run(prepare(config, workers), Path(), Observer()).go(Stop())


def say(line: str) -> None:
    """Print a line of the log at once, and keep it in logs/RUN_ID.txt."""
    print(line, flush=True)
    path = Path("logs", os.environ.get("RUN_ID", "run") + ".txt")
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        print(line, file=log)


def code_bytes() -> int:
    """Bytes of this file, which is all of the code."""
    return Path(__file__).stat().st_size


def no_fingerprints(train: list[Path], val: list[Path], tokenizer: Path) -> dict[str, str]:
    """A script's log has no place for them."""
    return {}
