"""What this machine has for a run, and what a run of the built-in trainer needs: cores, memory, a GPU.

Nothing here imports torch: what a GPU has is asked by the trainer's own check.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_GPU_FILES = ("nvidia0", "nvidiactl", "nvidia-uvm", "dxg", "kfd")  # NVIDIA's, that of WSL, ROCm's
# Weights, gradients and one moment of a parameter in fp32: no run of ours does with less.
LEAST_BYTES_PER_PARAM = 12
CHALLENGE_PROCESSES = 8
# For each token of a micro-batch, layer and channel. CPU: 40 floats. GPU, in bfloat16 and compiled: the
# public baseline's 10,184 MiB at 65,536 tokens, less its parameters and logits.
_ACTIVATION_BYTES = {"cpu": 160, "cuda": 30, "mps": 160}
_LOGIT_BYTES = 12  # a token and piece in training: three rows of fp32
_SCORED_LOGIT_BYTES = 8


@dataclass(frozen=True)
class Resources:
    """What a process here may use, with the limits of its control group.

    free_bytes: memory that is free now. all_bytes: memory and swap that could ever be.
    """

    cores: int
    free_bytes: int
    all_bytes: int


def resources() -> Resources:
    """Read how many cores and how much memory are there for us."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1
    quota = _cpu_quota()
    memory = psutil.virtual_memory()
    free, everything = memory.available, memory.total + psutil.swap_memory().total
    most, used = _cgroup("memory.max") or "", _cgroup("memory.current") or ""
    if most.isdecimal():
        everything = min(everything, int(most))
        free = min(free, max(0, int(most) - int(used))) if used.isdecimal() else free
    return Resources(max(1, min(cores, int(quota))) if quota else cores, free, everything)


def shows_gpu() -> bool:
    """Whether a GPU's device file is here and not hidden; asking torch would take seconds."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return any(Path("/dev", name).exists() for name in _GPU_FILES)


def shows_nvidia() -> bool:
    return any(Path("/dev", name).exists() for name in _GPU_FILES if name.startswith("nvidia"))


def most_processes() -> int:
    """Return how many processes a run may start here: one for each core or GPU, or the challenge's eight."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return max(resources().cores, gpus, CHALLENGE_PROCESSES)


def _cgroup(name: str) -> str | None:
    try:
        return Path("/sys/fs/cgroup", name).read_text().strip()
    except OSError:
        return None


def _cpu_quota() -> float | None:
    """Cores' worth of time that the control group may use (cgroup v2), or None without a limit."""
    quota, _, period = (_cgroup("cpu.max") or "").partition(" ")
    return float(quota) / float(period) if quota.isdecimal() and period.isdecimal() else None


def estimate_memory(config: Mapping[str, str], params: int, nproc: int = 1) -> int:
    """Estimate the peak of a run in bytes: on the CPU of all processes, on GPUs of the fullest one.

    config: every knob by name, as resolved. torch itself 0.4 GB; 24 bytes a parameter (weights, gradients,
    two moments, a checkpoint); then the activations of a micro-batch and its logits, or those of a validation
    batch. Against the practice presets it comes out a quarter too low.
    """
    c = {name: int(text) for name, text in config.items() if text.isdecimal()}
    device = config.get("DEVICE", "cpu")
    parts = nproc * (c["GRAD_ACCUM_STEPS"] or max(1, 8 // nproc))
    per_token = c["NUM_LAYERS"] * c["MODEL_DIM"] * _ACTIVATION_BYTES.get(device, 160)
    train = c["TRAIN_BATCH_TOKENS"] / parts * (per_token + c["VOCAB_SIZE"] * _LOGIT_BYTES)
    val = c["VAL_BATCH_SIZE"] / parts * c["VOCAB_SIZE"] * _SCORED_LOGIT_BYTES
    one = int(4e8 + 24 * params + max(train, val))
    return one if device == "cuda" else nproc * one


def estimate_params(settings: Mapping[str, str]) -> int:
    """Estimate the parameters of a model from a few settings, without building it; features are left out."""
    width, layers = int(settings["MODEL_DIM"]), int(settings["NUM_LAYERS"])
    narrow = width * int(settings["NUM_KV_HEADS"]) // int(settings["NUM_HEADS"])
    mlp = int(float(settings["MLP_MULT"]) * width)
    tables = int(settings["VOCAB_SIZE"]) * width
    return tables + layers * (2 * width * width + 2 * width * narrow + 2 * width * mlp)
