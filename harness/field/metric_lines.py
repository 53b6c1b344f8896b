"""Step lines and closing summaries of trainers that are not the challenge's, by one grammar.

A step line is a head that names a step (`step 00010/21400 (0.05%) |`, `iter 100:`, `Step 00250 |`) and then
fields, each a name, a sign or a blank, and a number; which name means what is one table. Tried on lines of
nanochat, autoresearch, slowrun, llm.c, nanoGPT, modded-nanogpt and GDN scripts.
A summary line is such a field alone on its line. What a run makes of either is the run tracker's to say.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from harness.field.log_events import (
    NUMBER,
    TO_MS,
    StepLine,
    Summary,
    SummaryFact,
    TrainLine,
    ValLine,
    finite,
)

_HEAD = re.compile(
    rb"(?i:(step|iter|iteration|it|update|s)\b)\s{0,2}[:=#]?\s{0,8}(\d{1,12})(?:\s{0,2}/\s{0,8}(\d{1,12}))?"
    rb"(?![\w./])[\s:|,;)\]-]{0,8}"
).match
_BRACKETED = re.compile(rb"\[(?i:(step|iter|iteration) )?(\d{1,12})/(\d{1,12})\][\s:|,-]{0,8}").match

# Name of a field -> what it is. The longest name that fits is taken; `_` and `/` are blanks.
_NAMES = {
    "loss": "train",
    "train loss": "train",
    "training loss": "train",
    "lm loss": "train",
    "ce loss": "train",
    "trl": "train",
    "val loss": "val",
    "valid loss": "val",
    "validation loss": "val",
    "eval loss": "val",
    "test loss": "val",
    "tel": "val",
    "val": "val",
    "val bpb": "bpb",
    "valid bpb": "bpb",
    "validation bpb": "bpb",
    "eval bpb": "bpb",
    "val bits per byte": "bpb",
    "bpb": "bpb_of_val",
    "train time": "total",
    "training time": "total",
    "total training time": "total",
    "total time": "total",
    "elapsed": "total",
    "step avg": "avg",
    "avg": "avg",
}


def _names_pattern(names: list[str]) -> bytes:
    longest_first = sorted(names, key=len, reverse=True)
    return (
        rb"(?i:"
        + rb"|".join(re.escape(n).replace(rb"\ ", rb"[ _/]") for n in map(str.encode, longest_first))
        + rb")"
    )


_FIELD = re.compile(
    rb"(?<![\w./-])("
    + _names_pattern(list(_NAMES))
    + rb")(?:\s{0,4}[:=]\s{0,12}|\s{1,8})"
    + NUMBER
    + rb"\s?(?:(ms|s|sec|min|m|h)\b)?"
).finditer
_WORD_BEFORE = re.compile(rb"(?<![\w.])[A-Za-z_]{2,40}\s{0,4}$").search  # `aux loss` is not `loss`
_MAX_BYTES = 800


class _Fields(NamedTuple):
    train: float | None = None
    val: float | None = None
    bpb: float | None = None
    total_ms: float | None = None
    avg_ms: float | None = None


def read_metrics(line: bytes, number: int) -> TrainLine | ValLine | StepLine | None:
    """Read a step line of any family; None where it has no loss and no score that a name vouches for."""
    head = _HEAD(line) or _BRACKETED(line)
    if head is None:
        return None
    step, planned, rest = int(head[2]), int(head[3] or 0), line[head.end() : _MAX_BYTES]
    fields = _read_fields(rest)
    form = (head[1] or b"[").lower().decode()
    timed = fields.total_ms, fields.avg_ms
    if fields.val is not None or fields.bpb is not None:
        return ValLine(number, step, planned, fields.val, fields.bpb, *timed, form=form)
    if fields.train is not None:
        return TrainLine(number, step, planned, fields.train, *timed, form=form)
    if planned and (fields.total_ms is not None or fields.avg_ms is not None):
        return StepLine(number, step, planned, *timed, form=form)
    return None


def _read_fields(text: bytes) -> _Fields:
    found: dict[str, float] = {}
    for match in _FIELD(text):
        what = _NAMES[re.sub(r"[_/]", " ", match[1].decode().lower())]
        if what in found or _WORD_BEFORE(text[: match.start()]):
            continue
        if what in ("total", "avg"):
            unit = {b"sec": b"s", b"": b"ms"}.get(match[3] or b"", match[3])
            value = float(match[2]) * TO_MS[unit]
            if match[3] is None:
                continue  # a time without a unit says nothing
            found[what] = value
        else:
            found[what] = float(match[2])
    bpb = found.get("bpb", found.get("bpb_of_val") if "val" in found else None)
    return _Fields(found.get("train"), found.get("val"), bpb, found.get("total"), found.get("avg"))


# Closing summaries --------------------------------------------------------------------------------

_SUMMARY_NAMES: dict[str, SummaryFact] = {
    "val bpb": "val_bpb",
    "final val bpb": "val_bpb",
    "min val bpb": "best_val_bpb",
    "best val bpb": "best_val_bpb",
    "minimum validation bpb": "best_val_bpb",
    "val loss": "val_loss",
    "validation loss": "val_loss",
    "final val loss": "val_loss",
    "training seconds": "train_ms",
    "train seconds": "train_ms",
    "total training time": "train_ms",
    "peak vram mb": "peak_mib",
    "peak memory mb": "peak_mib",
    "peak memory usage": "peak_mib",
    "peak memory": "peak_mib",
    "num steps": "steps",
    "total steps": "steps",
    "num params m": "params_rounded",
    "params m": "params_rounded",
    "total params m": "params_rounded",
}
_SUMMARY_UNIT = rb"(?:\s?(MiB|MB|GiB|GB|ms|sec|s|min|m|h))?\s{0,8}$"
_SUMMARY = re.compile(
    rb"("
    + _names_pattern(list(_SUMMARY_NAMES))
    + rb")(?:\s{0,8}[:=]\s{0,40}|\s{1,8})"
    + NUMBER
    + _SUMMARY_UNIT
).match
_MEMORY = {b"MiB": 1.0, b"MB": 1.0, b"GiB": 1024.0, b"GB": 1024.0}  # torch's "MB" are 2^20 bytes


def read_summary(line: bytes, number: int) -> Summary | None:
    """Read a line of a closing summary: a known name, a number, nothing else."""
    match = _SUMMARY(line)
    value = finite(match[2]) if match else None
    if match is None or value is None or value < 0:
        return None
    fact, unit = _SUMMARY_NAMES[re.sub(r"[_/]", " ", match[1].decode().lower())], match[3]
    if fact == "train_ms":
        value *= TO_MS.get({b"sec": b"s"}.get(unit, unit) if unit else b"s", 0.0)
    elif fact == "peak_mib":
        value *= _MEMORY.get(unit or b"MiB", 0.0)
    elif fact == "params_rounded":
        value *= 1e6
    elif unit is not None:
        return None
    return Summary(number, fact, value, match[2].decode())
