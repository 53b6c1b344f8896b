"""The machine a run is on: device, threads, ranks, memory, and what `auto` means on it."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
import torch.distributed as dist

from trainer.config import Config
from trainer.errors import ConfigError


@dataclass(frozen=True)
class Ranks:
    """Which of several processes this one is, as torchrun tells it. Only the first one writes files."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Ranks:
        return cls(int(env.get("RANK", 0)), int(env.get("WORLD_SIZE", 1)), int(env.get("LOCAL_RANK", 0)))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        """Add up a tensor over all ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def any_of(self, flags: tuple[bool, ...], device: torch.device) -> tuple[bool, ...]:
        """Tell each flag that is up on at least one rank, so that all ranks stop together."""
        if self.world_size == 1:
            return flags
        return tuple(
            bool(up) for up in self.sum_(torch.tensor(flags, dtype=torch.int32, device=device)).tolist()
        )


def resolve(config: Config, ranks: Ranks) -> Config:
    """Return the configuration with every `auto` replaced by what it means here, and checked.

    Raises ConfigError for a device that is not there.
    """
    device = config.device if config.device != "auto" else _best_device()
    if device != "cpu" and not _AVAILABLE[device]():
        raise ConfigError(f"DEVICE={device}, but torch {torch.__version__} sees none here", "use DEVICE=auto")
    bfloat16 = device == "cuda" or (device == "cpu" and _cpu_has_bfloat16())
    dtype = config.dtype if config.dtype != "auto" else ("bfloat16" if bfloat16 else "float32")
    fast_blocked = device == "cpu" and dtype == "bfloat16"
    return config.with_values(
        device=device,
        dtype=dtype,
        attention=config.attention if config.attention != "auto" else ("blocked" if fast_blocked else "sdpa"),
        compile=config.compile if config.compile != "auto" else ("on" if device == "cuda" else "off"),
        grad_accum_steps=config.micro_batches(ranks.world_size),
    ).check(ranks.world_size)


def set_up(config: Config, ranks: Ranks) -> torch.device:
    """Choose threads and fast products, join the other ranks, and return this rank's device."""
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    if config.device == "cuda":
        torch.cuda.set_device(ranks.local_rank)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    if ranks.world_size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if config.device == "cuda" else "gloo")
    return torch.device(config.device, ranks.local_rank if config.device == "cuda" else None)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory the accelerator has held for us; on a CPU, the most the process has held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe(device: torch.device, ranks: Ranks) -> dict[str, Any]:
    """Return versions and hardware, for the record."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "sentencepiece": version("sentencepiece"),
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "threads": torch.get_num_threads(),
        "world_size": ranks.world_size,
    }


_AVAILABLE = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}


def _best_device() -> str:
    return next((name for name, available in _AVAILABLE.items() if available()), "cpu")


def _cpu_has_bfloat16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware: 4.5 times as fast as fp32, slower than it without."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(present for name, present in capabilities.items() if "bf16" in name)


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, "") or platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
