"""What a run prints and logs: the field's log lines on standard output, and `curve.jsonl` at full precision.

A point is one append of one whole line to a file opened for appending: once `log` has returned, not even
kill -9 of this process can lose it.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from trainer.files import write_whole


class CurveLog:
    """Appends points to `curve.jsonl`."""

    def __init__(self, path: Path) -> None:
        # No buffer of Python's own between a point and the kernel; O_APPEND puts each write at the end.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def log(self, point: dict[str, float]) -> None:
        """Append one point, whole or not at all. A full disk raises OSError."""
        line = (json.dumps(point) + "\n").encode()
        written = os.write(self._file, line)
        if written == len(line):
            return
        before = os.fstat(self._file).st_size - written
        try:
            while written < len(line):  # the disk took a part: it is full, or says so now
                written += os.write(self._file, line[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, before)
            raise

    def close(self) -> None:
        os.close(self._file)


def cut_curve(path: Path, length: int) -> None:
    """Keep the first `length` lines of a curve, whole or not at all: a resumed run logs the rest again."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    write_whole(path, b"".join(lines[:length]))  # a second kill must not leave half a curve


def say(line: str) -> None:
    """Print a line of the log at once."""
    # Flushed: a pipe is read while the run goes on, and a killed process loses what it has not written.
    print(line, flush=True)


def train_line(step: int, planned: int, loss: float, train_ms: float) -> str:
    average = train_ms / max(step, 1)
    return f"step:{step}/{planned} train_loss:{loss:.4f} train_time:{train_ms:.0f}ms step_avg:{average:.2f}ms"


def val_line(step: int, planned: int, loss: float, bpb: float, train_ms: float) -> str:
    average = train_ms / max(step, 1)
    return (
        f"step:{step}/{planned} val_loss:{loss:.4f} val_bpb:{bpb:.4f} "
        f"train_time:{train_ms:.0f}ms step_avg:{average:.2f}ms"
    )


def result_lines(label: str, loss: float, bpb: float, seconds: float, how: str = "") -> list[str]:
    """The score twice, as the field prints it: four digits and how it was made, then eight digits."""
    return [
        f"{label} val_loss:{loss:.4f} val_bpb:{bpb:.4f} {how}eval_time:{seconds * 1000:.0f}ms",
        f"{label}_exact val_loss:{loss:.8f} val_bpb:{bpb:.8f}",
    ]


def hyperparameter_lines(settings: dict[str, Any]) -> list[str]:
    return ["Hyperparameters:", *(f"  {name.lower()}: {value}" for name, value in sorted(settings.items()))]


def ends_with_val(curve: Path, step: int) -> bool:
    """Whether the last point of a curve is the validation at a step."""
    try:
        last = curve.read_text().splitlines()[-1]
    except (OSError, IndexError):
        return False
    return f'"step": {step}, "val_loss"' in last
