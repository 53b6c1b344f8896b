"""Which torch is here, whether it fits the machine, and what to type where it does not.

torch is asked in a process of its own (`PROBE`): a broken installation is a finding and not our end.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.findings import Finding
from harness.plain_text import plain_line
from harness.run.command import isolated_python
from harness.run.resources import shows_gpu, shows_nvidia

PROBE = "harness.run.doctor.probe_torch"
PROBE_SECONDS = 120
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
_DRIVER = Path("/proc/driver/nvidia/version")
_MISSING = re.compile(r"No module named ['\"]torch['\"]")
_BROKEN = re.compile(r"^\s*import torch\b|^\s*from torch\b|site-packages[/\\]torch[/\\]", re.MULTILINE)


def install_command(platform: str = sys.platform, gpu: bool | None = None) -> str:
    """Return what to type for a torch that fits this kind of machine.

    PyPI's wheel for Linux brings CUDA, several gigabytes; those for macOS (with MPS) and Windows do not.
    """
    gpu = shows_gpu() if gpu is None else gpu
    if platform == "darwin" or (platform == "linux" and gpu):
        return "pip install torch"
    if gpu:
        return "pip install torch --index-url https://download.pytorch.org/whl/cu128"
    return f"pip install torch --index-url {CPU_WHEELS}"


def explain_torch(stderr: str) -> HarnessError | None:
    """Say that a process ended because torch is missing or broken; None where it was something else."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if _MISSING.search(stderr):
        return HarnessError(
            "the built-in trainer needs torch, which is not installed",
            f"`{install_command()}`; commands that train nothing work without it",
        )
    if lines and _BROKEN.search(stderr):
        return HarnessError(
            f"the built-in trainer needs torch, which does not load: {plain_line(lines[-1])[:300]}",
            f"`{install_command()} --force-reinstall`; `harness doctor` tries it again",
        )
    return None


def probe_torch() -> tuple[dict[str, Any], list[Finding]]:
    """Ask torch what it is and whether it computes; find what does not fit the machine.

    An empty answer comes with the finding that says why.
    """
    stderr = ""
    try:
        command, env = isolated_python(PROBE)
        process = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
        stderr = process.stderr
        torch: dict[str, Any] = json.loads(process.stdout)
        return torch, _fit(torch)
    except subprocess.TimeoutExpired:
        last = f"no answer within {PROBE_SECONDS} s"
    except (OSError, ValueError):
        last = (stderr.strip().splitlines() or ["it printed nothing"])[-1]
    missing = _MISSING.search(stderr) is not None
    return {}, [
        Finding(
            "error",
            "torch is not installed" if missing else f"torch does not work: {last:.200}",
            "nothing can be trained or scored; all other commands work",
            install_command() + ("" if missing else " --force-reinstall"),
        )
    ]


def _fit(torch: dict[str, Any]) -> list[Finding]:
    """Compare torch's build with the machine: of the CPU beside a GPU, of CUDA without one, an old driver."""
    version, built_for = torch["version"], torch["cuda"] or torch["hip"]
    if torch["gpus"] or torch["mps"]:
        return []
    if built_for is None:
        if not shows_gpu():
            return []
        return [
            Finding(
                "warning",
                f"torch {version} is a build for the CPU, and this machine shows a GPU",
                "the GPU is not used, and training on the CPU takes many times as long",
                install_command(gpu=True) + " --force-reinstall",
            )
        ]
    if not shows_gpu():
        return [
            Finding(
                "note",
                f"torch {version} is a build for CUDA, and this machine shows no GPU",
                "it works on the CPU; its packages for a GPU take several GB of disk",
                f"pip install torch --force-reinstall --index-url {CPU_WHEELS}",
            )
        ]
    driver = _driver_version()
    reason = f": {torch['cuda_error']}" if torch["cuda_error"] else ""
    return [
        Finding(
            "warning",
            f"torch {version} (CUDA {built_for}) finds no GPU, but this machine shows one"
            f"{driver}{reason:.300}",
            "training on the CPU takes many times as long",
            "update a driver that is too old, or take the wheel of an older CUDA: `pip install torch "
            "--force-reinstall --index-url https://download.pytorch.org/whl/cu126`"
            if shows_nvidia()
            else "see that this user may open the GPU's device files",
        )
    ]


def _driver_version() -> str:
    try:
        match = re.search(r"Module\s+([\d.]+)", _DRIVER.read_text())
    except OSError:
        return ""
    return f" (driver {match[1]})" if match else ""
