"""What launchers print before a line: clocks, log levels, ranks, names of jobs."""

from __future__ import annotations

import re

# One blank at most is eaten after each, since hyperparameters are known by their indent.
_PREFIX = re.compile(
    rb"(?:\d{9,11}\.\d{1,9} "
    rb"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?:?(?: [-|:])? "
    rb"|\[?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]? "
    rb"|\[(?:rank|default|worker)[ :]?(\d{1,4})\]:? ?"
    rb"|(\d{1,4}): (?=step:|final_|quantized|\d+/\d)"
    rb"|\[(?:INFO|DEBUG|WARNING|ERROR|root|stdout|stderr|[a-z]{2,20}|__main__)\]:? "
    rb"|(?:INFO|DEBUG)(?::root)?(?:: ?| - | )"
    rb"){1,4}"
).match

# A clock before every line: removed from a whole block at once.
_CLOCK = rb"(?:\d{9,11}\.\d{1,9}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?Z?) (?![-|:] )"
starts_with_clock = re.compile(_CLOCK).match
_CLOCKS = re.compile(rb"\n" + _CLOCK)


def strip_clocks(block: bytes) -> bytes:
    """Take the clock off every line of a block that has one."""
    return _CLOCKS.sub(b"\n", b"\n" + block)[1:]


PREFIX_STARTS = frozenset(b"0123456789[ID")


def strip_prefix(line: bytes) -> tuple[bytes, int | None]:
    """Remove time stamps, log levels and rank tags; return the rest and the rank, if there is one."""
    match = _PREFIX(line)
    if match is None:
        return line, None
    rank = match[1] or match[2]
    return line[match.end() :], None if rank is None else int(rank)
