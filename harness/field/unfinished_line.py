"""A last line without a newline: whether what it says can be trusted."""

from __future__ import annotations

import re

from harness.field.log_events import (
    Event,
    ResultLine,
    Setting,
    Size,
    StepLine,
    StopLine,
    TrainLine,
    ValLine,
)


def may_be_cut(event: Event, line: bytes) -> bool:
    """Whether an unterminated line may end inside its last number.

    The field prints loss and score with the same digits, step lines end in a unit, sizes in "bytes".
    """
    line = line.rstrip()
    if isinstance(event, ResultLine):
        loss_digits = len(event.val_loss_text.partition(".")[2])
        return line.endswith(event.val_bpb_text.encode()) and event.decimals < loss_digits
    if isinstance(event, TrainLine):
        return not line.endswith((b"ms", b"True", b"False")) and b"tok/s:" not in line
    if isinstance(event, ValLine):
        if line.endswith(b"ms"):
            return False
        match = re.search(rb"val_loss:\s?[^\s.]*\.(\d+)\s+val_bpb:\s?[^\s.]*\.(\d+)$", line)
        return match is None or len(match[1]) != len(match[2])
    if isinstance(event, Size):
        return b"bytes" not in line and not line.endswith(b"FITS")
    if isinstance(event, StopLine):
        return event.time_ms is None
    return isinstance(event, Setting | StepLine)
