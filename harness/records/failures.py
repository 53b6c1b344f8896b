"""In which ways an attempt ends without a score."""

from __future__ import annotations

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
