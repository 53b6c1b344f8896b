"""The trainer as one script: what runs when `harness submit` has written the package into a single train_gpt.py.

`main` is the script's story. The other functions stand in for the package's own (`STAND_INS`), and calls that only
watch, keep or check (`SILENT`) are left out: a submission trains once, from a configuration that was played before.
"""

from __future__ import annotations

import os
from pathlib import Path

from trainer.clock import Stop
from trainer.config import load_config
from trainer.progress import Observer
from trainer.setup import Workers, prepare, start_torch
from trainer.train import Run

# What the script uses in place of the package's definitions.
STAND_INS = {"events.say": "say", "setup.code_bytes": "code_bytes", "setup.fingerprints": "no_fingerprints"}

# Functions, methods, and classes with all their methods, whose calls change no number of a run.
SILENT = frozenset(
    {"progress.Observer", "train.Run._log", "train.Run._save", "setup.check_ids", "data.check_byte_table",
     "config.Config.check"}
)  # fmt: skip

# Knobs whose other values only keep more or fewer files.
SETTLED = {"CHECKPOINT_EVERY": 0, "CHECKPOINT_SECONDS": 0.0}


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
