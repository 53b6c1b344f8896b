"""What launchers print before a line: clocks, log levels, ranks, names of jobs."""

from __future__ import annotations

import re
from collections import Counter

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


# A prefix that no list knows: what stands before the beginnings of known lines, on most lines of the file.
_BEFORE_KNOWN = re.compile(
    rb"(?m)^([^\n\r]{2,80}?[\s:|\])>-])(?:step:\d+/\d+ |\d+/\d+ (?:train|val)_loss"
    rb"|model_params:|seed:\d|world_size:\d|warmup_step:|final_\w+ val_loss"
    rb"|Serialized model|Total submission size|stopping_early:|val_loader:)"
)
MIN_LINES = 6  # fewer show no habit


def learn_prefix(block: bytes) -> re.Pattern[bytes] | None:
    """Return a pattern of the prefix that most lines of a block share, digits aside; None if there is none.

    What `strip_prefix` knows is left to it, since it tells ranks apart.
    """
    lines = [line for line in block[:65_536].split(b"\n")[:400] if line.strip()]
    prefixes = _BEFORE_KNOWN.findall(block[:65_536])
    if len(lines) < MIN_LINES or not prefixes:
        return None
    shape, count = Counter(re.sub(rb"\d+", b"0", prefix) for prefix in prefixes).most_common(1)[0]
    if count < 3 or strip_prefix(shape + b"x")[0] == b"x":
        return None
    pattern = rb"(?m)^" + rb"\d{1,20}".join(re.escape(part) for part in shape.split(b"0"))
    begins = re.compile(pattern)
    return begins if 2 * sum(1 for line in lines if begins.match(line)) > len(lines) else None
