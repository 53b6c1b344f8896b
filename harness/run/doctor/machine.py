"""The machine a run would use: Python, packages, torch, cores, memory, disk, clock.

What torch is and whether it fits the machine is asked in `harness.run.torch_install`.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

from harness.figures import number
from harness.files import PACKAGE, cache_dir
from harness.findings import Finding
from harness.records.record import RunRecord
from harness.run.processes import in_own_process

DISTRIBUTION = "parameter-golf-harness"
LEAST_FREE_BYTES = 1_000_000_000


def played_here(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the records of this machine, told by its processor and GPUs; one that names none counts.

    Where torch does not load no device can be named, and only records that name none count.
    """
    named = {record.environment.device_name for record in records} - {None}
    here = {None, *(in_own_process(_device_names) if named else ())}
    return [record for record in records if record.environment.device_name in here]


def _device_names() -> list[str]:
    """The names under which the trainer records the devices of this machine."""
    try:
        import torch

        from trainer.setup import device_name
    except (ImportError, OSError):  # missing, or a library of its own is
        return []
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [device_name(torch.device(name)) for name in ("cpu", *gpus)]


def describe_torch(torch: dict[str, Any]) -> str:
    """`torch 2.13.0+cpu, CPU` or `2 x NVIDIA H100`."""
    if not torch:
        return "no torch"
    gpus = [str(gpu["name"]) for gpu in torch["gpus"]]
    where = f"{len(gpus)} x {gpus[0]}" if gpus else "MPS" if torch["mps"] else "CPU only"
    return f"torch {torch['version']}, {where}"


def check_packages() -> list[Finding]:
    """Compare what is installed with what this distribution needs, and with a checkout's constraints.txt."""
    findings = []
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        required = []
    pins = PACKAGE.parent / "constraints.txt"
    pinned = pins.read_text("utf-8").splitlines() if pins.is_file() else []
    for level, lines, place in (("error", required, "pyproject.toml"), ("warning", pinned, pins.name)):
        for line in lines:
            text = line.partition("#")[0].strip()
            if not text:
                continue
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            try:
                version = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                if place == pins.name:
                    continue
                version = "missing"
            # A local label (2.13.0+cpu) is the same release.
            if version == "missing" or not requirement.specifier.contains(
                Version(version).public, prereleases=True
            ):
                findings.append(
                    Finding(
                        "error" if level == "error" else "warning",
                        f"{requirement.name} is {version}, {place} asks for {requirement.specifier or 'it'}",
                        "other versions may give other numbers, or none",
                        "pip install -c constraints.txt -e .",
                    )
                )
    return findings


def check_threads(threads: int, cores: int) -> list[Finding]:
    """More threads than cores wait for each other."""
    if threads <= cores:
        return []
    return [
        Finding(
            "warning",
            f"THREADS={threads}, but this process may use {number(cores, 'core')}",
            "threads that share a core wait for each other: several times slower",
            f"-o THREADS={cores}",
        )
    ]


def check_folders(runs: Path) -> list[Finding]:
    """See that runs/ and the cache can be written, or made, and that their disks have room.

    Writes nothing.
    """
    findings = []
    cache = cache_dir()
    for folder, name, todo in (
        (runs, "--runs", "name another folder with --runs DIR"),
        (cache, "the cache", "set HARNESS_CACHE to a folder that can be written"),
    ):
        if folder is None:
            findings.append(
                Finding("error", "there is no folder for the cache", "courses are prepared there", todo)
            )
            continue
        parent = next(part for part in (folder.absolute(), *folder.absolute().parents) if part.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            findings.append(
                Finding("error", f"{name}: {parent} cannot be written", "nothing could be kept", todo)
            )
        elif (free := shutil.disk_usage(parent).free) < LEAST_FREE_BYTES:
            findings.append(
                Finding(
                    "warning",
                    f"{name}: {free / 1e6:,.0f} MB are free at {parent}",
                    "checkpoints and artifacts need room, and a full disk ends a run",
                    "free some space",
                )
            )
    return findings


def check_clock(days: Iterable[dt.datetime]) -> list[Finding]:
    """See that the clock is not behind what was written already: comparisons go by the day of play.

    days: when earlier attempts were played.
    """
    now = dt.datetime.now(dt.UTC)
    built = dt.datetime.fromtimestamp(max(p.stat().st_mtime for p in PACKAGE.glob("*.py")), dt.UTC)
    latest = max([*days, built])
    if latest - now < dt.timedelta(hours=1):
        return []
    return [
        Finding(
            "warning",
            f"the clock says {now:%Y-%m-%d %H:%M} UTC; files here are from {latest:%Y-%m-%d %H:%M}",
            "each hole is compared with the field of its day",
            "set the clock (`timedatectl`), then play",
        )
    ]
