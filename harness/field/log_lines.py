"""The lines of the field's logs: what one line says, as an event.

Owns the patterns of every line but results and sizes, which have modules of their own, and knows no file, no
run and no earlier line; `harness.field.log_parser` keeps those.
Patterns work on bytes (nearly all lines are never decoded), are anchored at the line's start and read numbers
of bounded length only, so that no line can make them slow. Counted over the 165 logs of the public records;
see tests/data/field/README.md for where those come from.
"""

from __future__ import annotations

import re

from harness.field.crash_lines import read_crash
from harness.field.log_events import (
    COUNT,
    NUMBER,
    STEP,
    TO_MS,
    Event,
    Marker,
    Setting,
    StepLine,
    TrainLine,
    ValLine,
    read_count,
    to_text,
)
from harness.field.metric_lines import read_metrics, read_summary
from harness.field.result_lines import VAL_BPB, VAL_LOSS, read_result
from harness.field.run_facts import read_facts, read_rounded_params
from harness.field.size_lines import read_size
from harness.field.source_listing import begins_source
from harness.field.stop_lines import read_stop

# Step lines ---------------------------------------------------------------------------------------

# The commonest line of all, read in one match; every other form takes the slower way below.
_TRAIN_A = re.compile(
    rb"step:(\d{1,12})/(\d{1,12}) train_loss:(\d{1,9}\.\d{1,17}) train_time:(\d{1,15})ms"
    rb" step_avg:(\d{1,12}\.\d{1,9})ms"
).match
_TRAIN_B = re.compile(
    rb"(\d{1,12})/(\d{1,12}) train_loss: (\d{1,9}\.\d{1,17}) train_time: (\d{1,9}\.\d{1,9})m\b"
).match
_STEP = re.compile(rb"step:\s?" + STEP + rb"\s+(\S.*)", re.DOTALL).match
_BARE_STEP = re.compile(STEP + rb"\s+((?:train_loss|val_loss)\b.*)", re.DOTALL).match
_TAG = re.compile(rb"\[([^\]]{1,40})\]\s*").match
_TRAIN_LOSS = re.compile(rb"(?<![\w.])(?:train_)?loss\s?[:=]\s?" + NUMBER, re.IGNORECASE).search
_TIME = re.compile(rb"(?<![\w.])(?:train_time|t)\s?[:=]\s?" + NUMBER + rb"\s?(ms|s|min|m|h)\b").search
_AVG = re.compile(rb"(?<![\w.])(?:step_)?avg\s?[:=]\s?" + NUMBER + rb"\s?(ms|s)\b").search
_METRIC = re.compile(rb"(?:\[[^\]]{1,40}\]\s*)?[A-Za-z_][\w/.]{0,40}\s?[:=]\s?[-+.\dni]").match


def _read_step(match: re.Match[bytes], number: int) -> Event | None:
    step, planned, rest = int(match[1]), int(match[2]), match[3]
    time, avg = _TIME(rest), _AVG(rest)
    time_ms = float(time[1]) * TO_MS[time[2]] if time else None
    time_is_ms = time is not None and time[2] == b"ms"
    avg_ms = float(avg[1]) * TO_MS[avg[2]] if avg else None
    loss, bpb = VAL_LOSS(rest), VAL_BPB(rest)
    if loss and bpb:
        values = float(loss[1]), float(bpb[1])
        return ValLine(number, step, planned, *values, time_ms, avg_ms, time_is_ms)
    if loss:
        return ValLine(number, step, planned, float(loss[1]), None, time_ms, avg_ms, time_is_ms)
    if train := _TRAIN_LOSS(rest):
        tag = _TAG(rest)
        tag_text = to_text(tag[1]) if tag else None
        return TrainLine(number, step, planned, float(train[1]), time_ms, avg_ms, time_is_ms, tag_text)
    if _METRIC(rest):
        return StepLine(number, step, planned, time_ms if time_is_ms else None, avg_ms)
    return None


# Everything else, by how the line begins ----------------------------------------------------------

_PYTHON = re.compile(rb"(?:Running )?Python (\d+\.\d+\S{0,20})").match
_TORCH = re.compile(
    rb"(?:Running )?(?:Py)?Torch(?: version)?:? v?(\d+\.\d[\w.+-]{0,40})", re.IGNORECASE
).match
_PARAMS_NAME = (
    rb"(?:(?:model|total|num|n|number of|trainable)[ _])?param(?:eter)?s?(?:[ _]count)?\s?[:=]\s{0,8}"
)
_PARAMS = re.compile(
    _PARAMS_NAME + COUNT + rb"(?!\.|\s?[kKmMbB]\b)(.{0,300})", re.IGNORECASE | re.DOTALL
).match
_SHORT_KEYS = re.compile(rb"(?<![\w.])(ws|s|ga):(\d{1,18})(?![\w.])").finditer
_VAL_LOADER = re.compile(rb"val_loader\b.{0,1000}?\btokens:\s?" + COUNT, re.DOTALL).match
_PEAK = re.compile(rb"peak memory allocated:\s{0,8}(\d{1,9}(?:\.\d{1,9})?)\s?MiB").match
_EVAL_TOTAL = re.compile(rb"total_eval_time:\s?" + NUMBER + rb"s\b").match
_WORDS = re.compile(
    rb"[A-Za-z_][\w.-]{0,80}[:=]\s?[^\s:=][^\s=]{0,400}(?:\s[A-Za-z_][\w.-]{0,80}[:=][^\s=]{1,400}){0,60}\s{0,8}$"
).match
_WORD = re.compile(rb"([A-Za-z_][\w.-]{0,80})[:=]\s?(\S{1,400})").finditer
_INDENTED = re.compile(rb" {1,8}([A-Za-z_][\w.-]{0,80})\s{0,30}[:=](?: (.{0,4000}))?$", re.DOTALL).match
_ASSIGNED = re.compile(rb"(?<!\S)([A-Za-z_]\w{0,80})=((?:[^\s=]|\s(?!\w{1,80}=)){0,400})").finditer
_HEADING = re.compile(rb"\W{0,8}hyper-?param(?:eter)?s\W{0,8}$", re.IGNORECASE).match
_PARAMS_TABLE = re.compile(
    rb"\W{0,8}[\w ]{0,20}param\w{0,8} (?:budget|counts?|breakdown|table)\b", re.IGNORECASE
).match
_TABLE_TOTAL = re.compile(rb"\W{0,8}total\b[^\d\n]{0,60}(\d[\d,_]{3,20})(?![\d.])", re.IGNORECASE).match
_TABLE_ROW = re.compile(
    rb"\|\s{1,20}([A-Za-z][\w ]{0,40}?)\s{1,40}\|\s{1,20}(\d[\d,_]{0,20})\s{0,80}\|?\s*$"
).match
_RESUME = re.compile(
    rb"resum\w{0,6}\b.{0,200}?\bstep[ :=]{1,3}(\d{1,12})(?!\d)", re.IGNORECASE | re.DOTALL
).match
_WARMUP = re.compile(rb"(?:[a-z0-9]{1,12}_){0,3}warm_?up(?:_[a-z0-9]{1,12}){0,3}:\s?\d{1,9}/\d").match
_RULE = re.compile(rb"={20,}\s*$").match


def _read_params(match: re.Match[bytes], number: int) -> Setting | None:
    count = read_count(match[1])
    if count is None:
        return None
    names = {b"ws": "world_size", b"s": "seed", b"ga": "grad_accum_steps"}
    more = tuple((names[word[1]], word[2].decode()) for word in _SHORT_KEYS(match[2]))
    if (inline := read_facts(match[2], number)) is not None:
        more += tuple(pair for pair in inline.values if pair[0] != "model_params")
    return Setting(number, (("model_params", str(count)), *more))


def _read_words(line: bytes, number: int) -> Event | None:
    if _WARMUP(line):
        return Marker(number, "warmup")
    if not _WORDS(line):
        return read_facts(line, number)
    return Setting(number, tuple((to_text(word[1]), to_text(word[2])) for word in _WORD(line)))


def _read_other(line: bytes, number: int) -> Event | None:
    """Read a line that is neither a step nor a result; the table below says which pattern may fit."""
    first = line[0] | 0x20  # ASCII lower case
    if first in b"bfmnptv" and (summary := read_summary(line, number)):
        return summary
    if first in b"abcefimpqstw" and (size := read_size(line, number)):
        return size
    if first == 0x70 or first == 0x72:  # p, r
        if match := _PARAMS(line):
            return _read_params(match, number)
        if match := _PYTHON(line):
            return Marker(number, "python", to_text(match[1]))
        if match := _TORCH(line):
            return Setting(number, (("torch", to_text(match[1])),))
        if match := _PEAK(line):
            return Setting(number, (("peak_memory_mib", match[1].decode()),))
        if match := _RESUME(line):
            return Marker(number, "resume", match[1].decode())
    elif first in b"tma":
        if match := _PARAMS(line):  # model_params, total params, all params
            return _read_params(match, number)
        if first == 0x74 and (match := _EVAL_TOTAL(line)):
            return Setting(number, (("total_eval_seconds", match[1].decode()),))
        if first == 0x74 and (match := _TORCH(line)):
            return Setting(number, (("torch", to_text(match[1])),))
    elif first == 0x76:  # v
        if match := _VAL_LOADER(line):
            return Setting(number, (("val_tokens", str(read_count(match[1]) or "")),))
    elif first == 0x68 and _HEADING(line):  # h
        return Marker(number, "hyperparameters")
    elif first == 0x6E and (match := _PARAMS(line)):  # n
        return _read_params(match, number)
    if b"aram" in line and (rounded := read_rounded_params(line, number)):
        return rounded
    if b"step" in line and (stop := read_stop(line, number)):
        return stop
    if begins_source(line):
        return Marker(number, "code", to_text(line, 80))
    if crash := read_crash(line, number):
        return crash
    if b"aram" in line and _PARAMS_TABLE(line):
        return Marker(number, "params_table")
    return _read_words(line, number)


# Digits do not decide whether a line means something, only what: lines of one shape are alike.
SHAPES = bytes.maketrans(b"123456789", b"000000000")

DIGITS = frozenset(b"0123456789")


def read_bare_train(line: bytes, number: int) -> TrainLine | None:
    """Read `100/20000 train_loss: 3.41 train_time: 0.2m ..`, which no prefix looks like."""
    match = _TRAIN_B(line)
    if match is None:
        return None
    step, planned, loss, time = match.groups()
    return TrainLine(number, int(step), int(planned), float(loss), float(time) * 60_000, None, False)


_METRIC_STARTS = frozenset(b"sSiIuU[")


def read_line(line: bytes, number: int) -> Event | None:
    """Say what one line means, or None when it means nothing here.

    line: without its newline, prefix and escape sequences; not empty. number: its place in the file.
    """
    if match := _TRAIN_A(line):
        step, planned, loss, time, avg = match.groups()
        return TrainLine(number, int(step), int(planned), float(loss), float(time), float(avg))
    first = line[0]
    if line.startswith(b"step:"):
        match = _STEP(line)
        return _read_step(match, number) if match else read_metrics(line, number)
    if 0x30 <= first <= 0x39:
        if (train := read_bare_train(line, number)) is not None:
            return train
        match = _BARE_STEP(line)
        return _read_step(match, number) if match else _read_count_of_params(line, number)
    if first in _METRIC_STARTS and (point := read_metrics(line, number)):
        return point
    if (b"bpb" in line or b"BPB" in line or b"per byte" in line or b"per_byte" in line) and (
        result := read_result(line, number)
    ):
        return result
    if 0x41 <= first <= 0x7A:  # a letter, an underscore or an opening bracket
        return _read_other(line, number)
    if first == 0x20:
        if (b"exitcode" in line or b"traceback" in line) and (crash := read_crash(line, number)):
            return crash
        if match := _INDENTED(line):
            return Setting(number, ((to_text(match[1]), to_text(match[2] or b"", 2000)),), True)
        return None
    if first == 0x3D:  # =
        if _PARAMS_TABLE(line):
            return Marker(number, "params_table")
        return Marker(number, "rule") if _RULE(line) else None
    if first == 0x2D:  # -
        if _HEADING(line):
            return Marker(number, "hyperparameters")
        return Marker(number, "params_table") if _PARAMS_TABLE(line) else read_facts(line, number)
    if first == 0x7C and (cells := _TABLE_ROW(line)):  # |
        return read_line(cells[1] + b": " + cells[2], number)
    if first in b"\"'#@" and begins_source(line):
        return Marker(number, "code", to_text(line, 80))
    return read_crash(line, number) or read_facts(line, number)


def _read_count_of_params(line: bytes, number: int) -> Event | None:
    return read_rounded_params(line, number) or read_facts(line, number)


def read_assignments(line: bytes, number: int) -> Setting | None:
    """Read one long line of `key=value` words, as it follows `--- Hyperparameters ---`."""
    values = tuple((to_text(word[1]), to_text(word[2])) for word in _ASSIGNED(line[:32_768]))
    return Setting(number, values, True) if len(values) > 1 else None


def read_table_total(line: bytes) -> int | None:
    """Read the total of a table of parameters."""
    match = _TABLE_TOTAL(line)
    return read_count(match[1]) if match else None
