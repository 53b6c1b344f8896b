"""In which ways an attempt ends without a score."""

from __future__ import annotations

import re
from typing import Literal

FailureKind = Literal[
    "out_of_memory",
    "nan",
    "missing_data",
    "missing_module",
    "missing_program",
    "no_gpu",
    "wrong_python",
    "bad_knob",
    "killed",
    "timeout",
    "no_result",
    "interrupted",
    "error",
    "budget",
    "aborted",
    "stalled",
    "slow",
    "disk_full",
]

# What a further seed of the same command would meet as well, or what was to end all of it.
ENDS_SERIES: frozenset[FailureKind] = frozenset(
    {
        "interrupted",
        "aborted",
        "budget",
        "bad_knob",
        "missing_data",
        "missing_module",
        "missing_program",
        "no_gpu",
        "wrong_python",
        "disk_full",
        "out_of_memory",
        "error",
        "no_result",
    }
)

# Signs in the last lines of a log, the first that fits names the failure.
FAILURE_SIGNS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    (
        "out_of_memory",
        re.compile(
            r"out of memory|can't allocate memory|unable to allocate|MemoryError|CUBLAS_STATUS_ALLOC_FAILED"
            r"|attempting to allocate \d+ bytes",
            re.I,
        ),
    ),
    ("killed", re.compile(r"exitcode\s*:\s*-9|Signal 9 \(SIGKILL\)")),
    ("disk_full", re.compile(r"No space left on device|Disk quota exceeded")),
    (
        "no_gpu",
        re.compile(
            r"\b(?:CUDA|GPUs?|H100s?|NVIDIA|MPS backend|HIP)\b(?: (?:GPUs?|devices?|driver|runtime|support))?"
            r" (?:is |are |was )?"
            r"(?:required|needed|missing|unavailable|not (?:available|found|detected))\b"
            r"|\b(?:requires?|needs?|no|without)(?: an?| any| at least (?:\w+)| one)? ?"
            r"(?:NVIDIA|CUDA|HIP|Metal|GPUs?|H100s?)\b"
            r"|not compiled with CUDA|doesn't have NCCL"
            r"|CUDA driver version is insufficient|NVIDIA driver .{0,80}too old"
            r"|invalid device ordinal|libcuda\.so|torch\.cuda\.is_available\(\) is False|0 active drivers",
            re.I,
        ),
    ),
    (
        "missing_program",
        re.compile(
            r"(?:FileNotFoundError|No such file or directory): .{0,40}"
            r"'(?:nvidia-smi|rocm-smi|nvcc|gcc|g\+\+|c\+\+|cc|clang|git|curl|wget|ninja|make|cmake|zstd|brotli"
            r"|tar|lscpu|bash|hf|huggingface-cli|uv|pip)'"
            r"|exit status 127\b|: command not found|^(?:/bin/)?\w*sh: (?:line )?\d+: [\w./+-]+: not found"
            r"|Ninja is required|Failed to find C compiler|No working C\+\+ compiler"
            r"|CUDA_HOME environment variable is not set",
            re.M,
        ),
    ),
    (
        "wrong_python",
        re.compile(
            r"\b(?:requires?|needs?)(?: at least)? Python\b"
            r"|\bPython ?(?:>=? ?|version )?3\.\d+"
            r"(?:\+| or (?:newer|later|higher|above)| is required| required)"
            r"|unsupported operand type\(s\) for \|: '(?:type|NoneType|_GenericAlias|ABCMeta)'"
            r"|cannot import name '\w+' from 'typing'|No module named 'tomllib'",
            re.I,
        ),
    ),
    ("missing_module", re.compile(r"ModuleNotFoundError|No module named|^ImportError:", re.M)),
    (
        "missing_data",
        re.compile(r"FileNotFoundError|No such file or directory|[Nn]o files found|DatasetNotFoundError"),
    ),
    ("nan", re.compile(r"\b(?:loss|grad\w*) (?:is|became) (?:nan|inf)", re.I)),
    (
        "bad_knob",
        re.compile(
            r"^error: .*(?:is not|out of range|does not)"
            r"|invalid literal for int\(\)|could not convert string to float",
            re.M,
        ),
    ),
    ("error", re.compile(r"^[\w.]*(?:Error|Exception)\b.*", re.M)),
)
