"""The lines that say why a program ended: the last one of a traceback, a signal, a watchdog, a scheduler.

A launcher repeats at length that one of its processes failed; which line of all is the reason is said by
`outweighs`.
"""

from __future__ import annotations

import re

from harness.field.log_events import Crash, to_text
from harness.records.failures import FAILURE_SIGNS, FailureKind

_CRASH = re.compile(
    rb"(?:\w{1,60}\.){0,8}\w{0,60}(?:Error|Exception|Interrupt|Exit|OutOfResources)\b(?::|\s{0,4}$)"
    rb"|Traceback \(most recent call last\):|terminate called after throwing"
    rb"|(?:libc\+\+abi: )?terminating due to uncaught exception|CUDA error: "
    rb"|.{0,120}\bexit(?:ed)?(?: with)?(?: exit)? (?:code|status)[ :=]{1,2}(?:137|-9)\b"
    rb"|(?:(?:srun|slurmstepd): )?error:.{0,200}(?:Out Of Memory|oom.kill|CANCELLED|Killed)"
    rb"|(?:[\w./-]{1,80}: line \d{1,6}: +\d{1,9} +)?(?:Killed|Terminated|Aborted"
    rb"|Segmentation fault|Bus error)(?: \(core dumped\))?(?:  |\s{0,4}$)"
    rb"|\s{0,8}(?:exitcode\s{0,4}: -\d|traceback : Signal \d)|.{0,200}\bfailed \(exitcode: -\d"
    rb"|(?:.{0,200}\] )?(?:\[Rank \d{1,5}\] )?(?:Some NCCL operations have failed or timed out"
    rb"|Watchdog caught collective operation timeout)"
    rb"|.{0,80}?\b(?i:loss (?:is|became|went|=) ?(?:to )?(?:nan|inf)\b|nan loss\b"
    rb"|loss\b.{0,30}?\b(?:nan|inf)\b.{0,60}(?:abort|stop|exit))"
    rb"|FAIL\s{0,4}$"
).match
_WORDS = re.compile(
    rb"Error|Exception|Interrupt|Exit|illed|erminated|rror:|Traceback|terminate|fault|Abort|timed out"
    rb"|Watchdog|FAIL|exitcode|exit|Signal|terminating|CUDA error|OutOfRes|\b(?i:nan|inf)\b"
).search

# What the words of a line say beyond the signs that all failures share; the first that fits counts.
_KINDS: tuple[tuple[FailureKind, re.Pattern[str]], ...] = (
    ("timeout", re.compile(r"operation timeout|timed out|DUE TO TIME LIMIT")),
    *FAILURE_SIGNS[:-1],
    ("out_of_memory", re.compile(r"Insufficient Memory")),
    (
        "killed",
        re.compile(
            r"(?:^|\s)(?:Killed|Terminated)(?:  |$)|oom.kill|CANCELLED|exitcode\s*: -(?:9|15)\b"
            r"|exit.{0,20}(?:137|-9)\b"
        ),
    ),
    ("interrupted", re.compile(r"^KeyboardInterrupt")),
    ("nan", re.compile(r"\bloss\b.{0,40}?\b(?:nan|inf)\b|nan loss\b|^FAIL$", re.I)),
)

# How little a line says of the reason, least first; a line that is none of these is a reason.
_WEIGHTS = (
    re.compile(r"^(?:Traceback|terminate called)"),
    re.compile(
        r"ChildFailedError|SignalException|DistBackendError|DistNetworkError|ncclRemoteError"
        r"|Connection (?:reset|closed)|NCCL operations have failed"
    ),
    re.compile(r"exitcode|traceback :|Watchdog|^(?:srun|slurmstepd):"),
)


def read_crash(line: bytes, number: int) -> Crash | None:
    """Read the line that names why a program ended; None for every other line."""
    if not (_WORDS(line) and _CRASH(line)):
        return None
    text = to_text(line)
    kind: FailureKind = next((kind for kind, sign in _KINDS if sign.search(text)), "error")
    return Crash(number, kind, text)


def outweighs(crash: Crash, earlier: Crash) -> bool:
    """Whether a crash is nearer to the reason than an earlier one of the same end.

    Of several errors the last counts, as in a chain of exceptions, but memory that ran out in one process is
    the reason of what the others say afterwards.
    """
    new, old = _weight(crash), _weight(earlier)
    if new != old:
        return new > old
    return new == len(_WEIGHTS) and not (earlier.kind == "out_of_memory" and crash.kind == "error")


def _weight(crash: Crash) -> int:
    return next((i for i, sign in enumerate(_WEIGHTS) if sign.search(crash.text)), len(_WEIGHTS))
