"""What a run needs to go on as if nothing had happened.

Weights, optimizers, random numbers, where it stood, and what its features remember.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from trainer.artifact import META
from trainer.config import KNOBS
from trainer.errors import CheckpointError
from trainer.files import write_whole
from trainer.setup import Setup

CHECKPOINT_FILE = "checkpoint.safetensors"

Optimizers = list[torch.optim.Optimizer]


def state_tensors(model: nn.Module, optimizers: Optimizers) -> dict[str, Tensor]:
    """Return what training has changed, by name; features add what is theirs."""
    tensors = {f"model/{name}": t for name, t in model.state_dict().items()}
    for index, optimizer in enumerate(optimizers):
        # torch numbers parameters in the order of its groups, which the configuration fixes.
        for number, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer/{index}/{number}/{key}"] = torch.as_tensor(value)
    # The CPU's generator: nothing in the baseline draws after the start, but a feature may.
    tensors["rng"] = torch.get_rng_state()
    return tensors


def restore_state(tensors: dict[str, Tensor], model: nn.Module, optimizers: Optimizers) -> None:
    """Put it all back."""
    model.load_state_dict(_below("model", tensors))
    for index, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, t in _below(f"optimizer/{index}", tensors).items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = t
        # Rates and momentum are not restored: the schedule sets them before every step.
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["rng"])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")
    }


def check_same_run(meta: dict[str, Any], setup: Setup) -> None:
    """Refuse a checkpoint of another configuration or other data, naming the first difference."""
    now = setup.config.to_env()
    for name, knob in KNOBS.items():
        then = meta["config"].get(name, knob.format(knob.default))
        # Another number of threads may add up in another order, which DETERMINISTIC rules out.
        free = knob.free_on_resume and not (name == "THREADS" and setup.config.deterministic)
        if not free and then != now[name]:
            raise CheckpointError(
                f"the checkpoint was made with {name}={then}, now it is {now[name]}",
                "resume with the settings it was started with, or start a new run",
            )
    check_same_data(meta, setup)


def check_same_data(meta: dict[str, Any], setup: Setup) -> None:
    """Refuse a checkpoint that was made with other data than what a run would read."""
    for what in ("val_sha256", "train_fingerprint", "tokenizer_sha256"):
        if meta["data"].get(what) != setup.data[what]:
            raise CheckpointError(
                f"the checkpoint was made with other data: {what} differs", "start a new run"
            )


# The file -------------------------------------------------------------------------------------------


def save_checkpoint(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write tensors and JSON data as one file that appears whole or not at all."""
    # To the CPU first: a checkpoint of a GPU must load on a machine without one.
    contiguous = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    stamped = json.dumps({"sha256": _hash_tensors(contiguous), "meta": meta})
    write_whole(path, save_tensors(contiguous, {META: stamped}))


def load_checkpoint(
    path: Path, hint: str = "start again without --resume"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint. Raises CheckpointError, with the hint, when it is missing or broken."""
    try:
        with safe_open(path, framework="pt") as file:
            stamped = json.loads(file.metadata()[META])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}", hint) from error
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise CheckpointError(f"checkpoint {path} is broken: {error}", hint) from error
    if _hash_tensors(tensors) != stamped["sha256"]:
        raise CheckpointError(f"checkpoint {path} is damaged: its checksum differs", hint)
    return tensors, stamped["meta"]


def _hash_tensors(tensors: dict[str, Tensor]) -> str:
    """Return a sha256 over names and bytes; safetensors itself would not notice a flipped bit."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
