"""In which ways an attempt ends without a score."""

from __future__ import annotations

import re
from typing import Literal

FailureKind = Literal[
    "out_of_memory",
    "nan",
    "missing_data",
    "missing_module",
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
        re.compile(r"out of memory|can't allocate memory|MemoryError|CUBLAS_STATUS_ALLOC_FAILED", re.I),
    ),
    ("killed", re.compile(r"exitcode\s*:\s*-9|Signal 9 \(SIGKILL\)")),
    ("disk_full", re.compile(r"No space left on device|Disk quota exceeded")),
    ("missing_module", re.compile(r"ModuleNotFoundError|No module named")),
    ("missing_data", re.compile(r"FileNotFoundError|No such file or directory|[Nn]o files found")),
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
