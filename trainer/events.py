"""What a run says while it goes: lines of the field's log on stdout, points of the curve in `curve.jsonl`.

The lines are those of the challenge's train_gpt.py, so that anything that reads its logs reads ours. The curve is the
same in full precision: one JSON object a line, appended by a single system call, so that `kill -9` loses nothing that
was logged. Knows nothing of torch; a point costs about one flushed line.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True)
class TrainPoint:
    """The loss of the step that ended as number `step`, before its update; nats per token."""

    step: int
    train_loss: float
    train_time_ms: float
    tokens_per_second: float

    def to_json(self) -> str:
        # By hand: a third of the time of json.dumps. repr gives floats that read back equal.
        return (
            f'{{"step": {self.step}, "train_loss": {self.train_loss!r}, '
            f'"train_time_ms": {self.train_time_ms!r}, "tokens_per_second": {self.tokens_per_second!r}}}'
        )

    def to_line(self, planned_steps: int) -> str:
        return (
            f"step:{self.step}/{planned_steps} train_loss:{self.train_loss:.4f} "
            f"train_time:{self.train_time_ms:.0f}ms step_avg:{self.train_time_ms / self.step:.2f}ms"
        )


@dataclass(frozen=True)
class ValPoint:
    """A validation after `step` steps. val_loss in nats per token, val_bpb in bits per byte."""

    step: int
    val_loss: float
    val_bpb: float
    train_time_ms: float

    def to_json(self) -> str:
        return (
            f'{{"step": {self.step}, "val_loss": {self.val_loss!r}, "val_bpb": {self.val_bpb!r}, '
            f'"train_time_ms": {self.train_time_ms!r}}}'
        )

    def to_line(self, planned_steps: int) -> str:
        return (
            f"step:{self.step}/{planned_steps} val_loss:{self.val_loss:.4f} val_bpb:{self.val_bpb:.4f} "
            f"train_time:{self.train_time_ms:.0f}ms step_avg:{self.train_time_ms / max(self.step, 1):.2f}ms"
        )


Point = TrainPoint | ValPoint


def parse_point(line: str) -> Point:
    """Read a line of `curve.jsonl`. Raises ValueError if it is none."""
    values = json.loads(line)
    try:
        return TrainPoint(**values) if "train_loss" in values else ValPoint(**values)
    except TypeError as error:
        raise ValueError(f"no point: {line!r}") from error


class Curve:
    """`curve.jsonl`, open for appending. `points` counts the lines in it."""

    def __init__(self, path: Path, keep: int = 0) -> None:
        """Open the file and cut it back to its first `keep` points, as a resume must: the rest comes again."""
        self.points = keep
        kept = path.read_bytes().splitlines(keepends=True)[:keep] if keep else []
        if len(kept) < keep:
            raise ValueError(f"{path} holds {len(kept)} points, fewer than the {keep} of the checkpoint")
        write_atomically(path, b"".join(kept))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))

    def append(self, point: Point) -> None:
        os.write(self._file, (point.to_json() + "\n").encode())
        self.points += 1

    def close(self) -> None:
        os.close(self._file)


class Log:
    """The run's voice: log lines on stdout, each flushed, and points that go to the curve as well.

    A rank that is not the first one is given no curve and stays silent.
    """

    def __init__(self, curve: Curve | None, planned_steps: int, stream: TextIO | None = None) -> None:
        self.curve = curve
        self.planned_steps = planned_steps
        self._stream = stream or sys.stdout

    def point(self, point: Point) -> None:
        """Log a point in the curve first, which is the one that counts."""
        if self.curve is not None:
            self.curve.append(point)
            self.line(point.to_line(self.planned_steps))

    def line(self, text: str) -> None:
        if self.curve is not None:
            self._stream.write(text + "\n")
            self._stream.flush()

    def hyperparameters(self, values: dict[str, str]) -> None:
        """Print the block that importers read the effective configuration from."""
        self.line(
            "\n".join(["Hyperparameters:", *(f"  {name.lower()}: {value}" for name, value in values.items())])
        )


def result_lines(label: str, val_loss: float, val_bpb: float, seconds: float) -> list[str]:
    """Return the score of the packed model as the field prints it, rounded and exact."""
    return [
        f"{label} val_loss:{val_loss:.4f} val_bpb:{val_bpb:.4f} eval_time:{1000 * seconds:.0f}ms",
        f"{label}_exact val_loss:{val_loss:.8f} val_bpb:{val_bpb:.8f}",
    ]


def to_indented_json(value: Any) -> bytes:
    """Return readable JSON of a dataclass or plain value, with a final newline."""
    plain = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    return (json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside `path`, reach the disk, then rename: a reader sees the old file or the whole new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
