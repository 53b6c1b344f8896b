"""What to say of a log without a score: which lines would have been read, and which line came closest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from harness.field.log_events import to_text
from harness.field.log_prefix import strip_prefix
from harness.files import open_file

SCORE_LINES = (
    "`final_int8_zlib_roundtrip_exact val_loss:2.0727 val_bpb:1.2244` (any label) after the artifact's size, "
    "or `val_bpb: 1.2244` alone on a line at the end"
)
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]{0,32}[ -/]?[@-~]")
_TAIL_BYTES = 1024 * 1024  # where a score would stand
_MAX_LINE_BYTES = 2_000
_NUMBER = rb"[^\n\d]{0,40}\d{0,6}\.\d"
_BITS = rb"(?:bpb|bits?[ _-]per[ _-]byte|bits?/byte)"
# What a line can say that is near to a score, nearest first.
_NEAR = tuple(
    re.compile(pattern, re.IGNORECASE).search
    for pattern in (
        _BITS + _NUMBER + rb"|\d\.\d{1,12} ?" + _BITS,
        rb"(?:val|eval|test|dev)\w{0,12}[ _/:-]{0,3}(?:loss|nll|ce|ppl|perplexity|score)" + _NUMBER,
        rb"(?:\b|_)(?:loss|score|perplexity)" + _NUMBER,
    )
)
_ANY = re.compile(rb"bpb|bits?[ _/-]|loss|nll|score|perplexity|ppl|_ce", re.IGNORECASE).search
_CODE = re.compile(
    rb"print\(|\bself\.|\breturn\b|\bdef |\bimport |=\s?\w+(?:\.\w+)*\(|[({\[]\s*$|^\s*#"
).search


class ClosestLine(NamedTuple):
    """A line that is no score but near to one. number: in the file, from 1."""

    number: int
    text: str


def find_closest_line(path: Path) -> ClosestLine | None:
    """Return the last of those lines of a log that are nearest to a score; None when none is near.

    Only the end of a long log is looked at. OSError is left to the caller.
    """
    with open_file(path) as file:
        size = file.seek(0, 2)
        begin = max(0, size - _TAIL_BYTES)
        file.seek(0)
        number = sum(
            file.read(min(_TAIL_BYTES, begin - at)).count(b"\n") for at in range(0, begin, _TAIL_BYTES)
        )
        lines = file.read().split(b"\n")
    best: tuple[int, ClosestLine] | None = None
    for at, raw in enumerate(lines, start=number + 1):
        line = raw.rstrip(b"\r").rpartition(b"\r")[2]
        if len(line) > _MAX_LINE_BYTES or not _ANY(line) or _CODE(line):
            continue
        rank = next((rank for rank, near in enumerate(_NEAR) if near(line)), None)
        if rank is not None and (best is None or rank <= best[0]):
            best = rank, ClosestLine(at, to_text(strip_prefix(_ESCAPES.sub(b"", line))[0], 160))
    return best[1] if best else None


def say_closest(path: Path) -> str:
    """Say which line of a log without a score came closest to one."""
    try:
        closest = find_closest_line(path)
    except OSError:
        closest = None
    return f"closest is line {closest.number}: {closest.text}" if closest else "no line comes near to one"
