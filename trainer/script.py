"""The trainer as one script: what runs when `harness submit` has packed the modules into one train_gpt.py.

A submission trains once, from a configuration that was played before: no result file, no curve, no
checkpoints.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from trainer.clock import Stop
from trainer.config import load_config
from trainer.errors import TrainerError
from trainer.setup import Workers, prepare, start_torch
from trainer.state import Observer
from trainer.train import start, train_and_pack


def main() -> None:
    """Train, pack, read back and score as the environment says. The log goes to logs/RUN_ID.txt, too."""
    try:
        config = load_config(os.environ)
        workers = Workers.of(dict(os.environ))
        start_torch(config, workers)
        setup = prepare(config, workers, counted=Path(sys.argv[0]).stat().st_size)
    except TrainerError as error:
        raise SystemExit(f"{error.message}; {error.hint}") from error
    if workers.leads:
        path = Path("logs", f"{config.run_id}.txt")
        path.parent.mkdir(exist_ok=True)
        sys.stdout = Tee(sys.stdout, path.open("a", encoding="utf-8"))
    train_and_pack(start(setup, Path(), Observer()), Stop())


class Tee:
    """Writes to two files, each line at once."""

    def __init__(self, *files: TextIO) -> None:
        self.files = files

    def write(self, text: str) -> None:
        for file in self.files:
            file.write(text)

    def flush(self) -> None:
        for file in self.files:
            file.flush()
