"""What a line of a log can say: the events that lines become, and how numbers are written in them.

Knows no pattern of a whole line; those are `harness.field.log_lines` and `harness.field.result_lines`.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from harness.records.failures import FailureKind
from harness.records.record import Stage

SizeKind = Literal["raw_model", "model", "code", "total"]
SummaryFact = Literal[
    "val_bpb", "best_val_bpb", "val_loss", "train_ms", "peak_mib", "steps", "params_rounded"
]
# How far a label speaks of the artifact; stated: no label, but the trainer's closing summary.
Claim = Literal["artifact", "evaluation", "unknown", "none", "stated"]


# NamedTuples, since a log of a gigabyte holds millions of them -------------------------------


class TrainLine(NamedTuple):
    """A step line with a training loss. The loss is NaN where the log says so."""

    line: int
    step: int
    planned: int
    loss: float
    time_ms: float | None = None  # minutes with one decimal in some families, then good to 6 s
    step_avg_ms: float | None = None  # mean since the start, as printed
    time_is_ms: bool = True  # whether the log printed milliseconds
    tag: str | None = None  # the stage in brackets; the loss changes its meaning between stages
    form: str = ""  # the word before the step; "" for the challenge's own lines


class ValLine(NamedTuple):
    """A step line with a validation loss, bits per byte or both, before quantization. None: not printed."""

    line: int
    step: int
    planned: int
    loss: float | None
    bpb: float | None
    time_ms: float | None = None
    step_avg_ms: float | None = None
    time_is_ms: bool = True
    form: str = ""


class StepLine(NamedTuple):
    """A step line without a loss we know (`fitness:`, say)."""

    line: int
    step: int
    planned: int
    time_ms: float | None = None
    step_avg_ms: float | None = None
    form: str = ""


class ResultLine(NamedTuple):
    """An evaluation under a label. Texts are as printed; a value is None where it is not a finite number."""

    line: int
    label: str
    stage: Stage
    val_loss: float | None
    val_bpb: float | None
    val_loss_text: str
    val_bpb_text: str
    eval_ms: float | None = None
    claim: Claim = "unknown"
    copy_of: int | None = None  # the line whose numbers stand here again under another label

    @property
    def decimals(self) -> int:
        """Digits printed after the point of val_bpb."""
        return len(re.split(r"[eE]", self.val_bpb_text)[0].partition(".")[2])


class Size(NamedTuple):
    """A byte count. bytes is None where only megabytes are printed."""

    line: int
    kind: SizeKind
    bytes: int | None
    text: str
    codec: str | None = None  # or "compressed", "uncompressed" for code


class Setting(NamedTuple):
    """`key:value` words: seed, world size, parameters, hyperparameters."""

    line: int
    values: tuple[tuple[str, str], ...]
    indented: bool = False  # as under a `Hyperparameters:` heading
    inline: bool = False  # in the middle of a line that says other things, too


class Summary(NamedTuple):
    """A number that a trainer states when it has ended: milliseconds, MiB, or as its name says."""

    line: int
    fact: SummaryFact
    value: float
    text: str


class StopLine(NamedTuple):
    """`stopping_early: REASON`."""

    line: int
    reason: str
    time_ms: float | None = None
    step: int | None = None
    planned: int | None = None


class Crash(NamedTuple):
    """The line that names why a program ended: the last one of a traceback, or a signal."""

    line: int
    kind: FailureKind
    text: str


class Marker(NamedTuple):
    """A line that structures the file: a program starts, a heading, warm-up, source code, a rule."""

    line: int
    what: Literal["python", "hyperparameters", "warmup", "code", "rule", "resume", "params_table"]
    text: str = ""


class Warn(NamedTuple):
    """Something a reader should know of; line 0 means the whole file."""

    line: int
    text: str


Event = (
    TrainLine | ValLine | StepLine | ResultLine | Size | Setting | Summary | StopLine | Crash | Marker | Warn
)


# Numbers ------------------------------------------------------------------------------------------

# At most 18 digits before the point and 40 after: a longer one is hostile, and is not read. What follows a
# number may be a letter: logs are pasted together without a newline between them.
FINITE = rb"[-+]?(?:\d{1,18}+(?:\.\d{0,40}+)?+|\.\d{1,40}+)(?:[eE][-+]?\d{1,3}+)?+(?!\d)"
NUMBER = rb"(" + FINITE + rb"|[-+]?(?:nan|inf)(?![a-z]))"
COUNT = rb"(\d[\d,_]{0,20}+)(?![\d,_])"
STEP = rb"(\d{1,12})/(\d{1,12})(?![\d/])"


def finite(text: bytes) -> float | None:
    value = float(text)
    return value if -1e300 < value < 1e300 else None


def read_count(text: bytes) -> int | None:
    """Turn `36,915,884` into a number; None beyond 15 digits, which no count has."""
    digits = text.replace(b",", b"").replace(b"_", b"")
    return int(digits) if 0 < len(digits) <= 15 and digits.isdigit() else None


def to_text(raw: bytes, limit: int = 300) -> str:
    """Decode what is kept of a line: UTF-8 or else Latin-1, printable, bounded."""
    raw = raw[: 4 * limit]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if not text.isprintable():
        text = "".join(char for char in text if char.isprintable())
    return text[:limit].strip()


TO_MS = {b"ms": 1.0, b"s": 1000.0, b"m": 60_000.0, b"min": 60_000.0, b"h": 3_600_000.0}
