"""Seed, world size and parameters of a run, in whatever words and wherever in a line they stand.

A line of its own (`seed:42`, `model_params:17059912`) is read by `harness.field.log_lines`, and counts first.
"""

from __future__ import annotations

import re
from functools import lru_cache

from harness.field.log_events import Setting, Summary, read_count

# What the three facts are called: seed, world size, parameters.
_NAMES = (
    rb"((?:(?:random|manual|torch|train(?:ing)?|global|base|rng|set)[_ ])?seed)"
    rb"|((?:(?:ddp|dist)[_ ])?world[_ ]?size|world(?=\s?[:=]|$)"
    rb"|(?:num|n|number of|total)[_ ]?gpus?|gpus|(?:(?:num|n|number of|total)[_ ])?devices"
    rb"|(?:gpu|device)[_ ]count|nproc(?:[_-]per[_-]node)?|ws)"
    rb"|((?:(?:model|total|num|n|unique|all|trainable)[_ ]){0,2}param(?:eter)?s?"
    rb"(?:[_ ](?:count|total)|\s\(total\))?)"
)
_IS_NAME = re.compile(_NAMES, re.IGNORECASE).fullmatch
_NAMED = re.compile(
    rb"(?<![\w.-])-{0,2}(?:" + _NAMES + rb")['\"]?"
    rb"(?:\s{0,40}[:=]\s{0,40}|\s?\.{2,60}\s{0,4}|\s{1,4}(?:set\s)?(?:to\s|is\s)?|\()['\"]?"
    rb"(\d[\d,_]{0,20}+)(?![\w/-]|[.,]\d|\s?[kKmMbB]\b)",
    re.IGNORECASE,
).finditer
# `Hardware: 8xH100 80GB`, `gpu: NVIDIA H100 x 8`
_HARDWARE = re.compile(
    rb"(?<![\w.-])(?:hardware|machine|gpus?|devices?|accelerators?)\s{0,20}[:=]\s{0,20}"
    rb"(?:(\d{1,3})\s?(?:x|\*|\xc3\x97)\s?[a-z]|[^\d\n]{1,20}\d{2,4}[^\n]{0,40}?\s(?:x|\xc3\x97)\s?(\d{1,3})\s{0,4}$)",
    re.IGNORECASE,
).search
_COUNTED = re.compile(
    rb"(?<![\w.,/-])(?:(\d{1,4})\s?(?:x\s)?GPUs?\b"
    rb"|(\d[\d,_]{3,20}+)\s(?:(?:trainable|total|model|unique)\s)?param(?:eter)?s\b)",
    re.IGNORECASE,
).finditer
_AMOUNT = rb"(\d{1,6}(?:\.\d{1,4})?)\s?([kmb])(?:illion)?"
_ROUNDED = re.compile(
    rb"(?<![\w.])(?:(?:[a-z]{1,12}[_ ])?param(?:eter)?s?(?:[ _]count)?\s?[:=]\s{0,8}"
    + _AMOUNT
    + rb"\b(?:\s?\((\d[\d,_]{5,20}+)\b)?"
    rb"|" + _AMOUNT + rb" (?:(?:trainable|total|model|unique) )?param(?:eter)?s\b)",
    re.IGNORECASE,
).search
_RANKS = re.compile(
    rb"\brank\s?[:=]?\s?\d{1,5}\s{0,3}(?:/|of|,)\s{0,3}(?:world\s?[:=]?\s?)?(\d{1,5})(?![\w.])", re.IGNORECASE
).search
_WORDS = re.compile(
    rb"seed|world|gpu|device|nproc|param|\brank|\bws\b|hardware|machine|accelerator", re.IGNORECASE
).search
# A seed of something else, parameters of a part.
_NOT_OF_THE_RUN = re.compile(
    rb"(?:data|split|eval|val|shuffle|sampl\w+|calib\w*|noise|rotation|hadamard|ttt|lora)[ _]$", re.IGNORECASE
).search
_PART = rb"(?:tensor|decay|per[ _]layer|frozen|embed|lora|adapter|buffer)"
_PART_OF_PARAMS = re.compile(_PART, re.IGNORECASE).search
_PART_BEFORE = re.compile(_PART + rb"\w{0,8}[ _]$", re.IGNORECASE).search
_FACTS = ("seed", "world_size", "model_params")
# Fewer parameters are a number of tensors or groups.
_RANGES = {"seed": (0, 10**18), "world_size": (1, 10**5), "model_params": (1_000, 10**15)}


def read_facts(line: bytes, number: int) -> Setting | None:
    """Read seed, world size and parameters from the middle of a line; the first of each counts."""
    if not _WORDS(line):
        return None
    line = line[:2000]
    values: dict[str, str] = {}
    for match in _NAMED(line):
        fact = _FACTS[next(index for index in range(3) if match[index + 1])]
        before = line[: match.start()]
        if not (_NOT_OF_THE_RUN(before) or (fact == "model_params" and _PART_BEFORE(before))):
            _keep(values, fact, match[4])
    if ranks := _RANKS(line):
        _keep(values, "world_size", ranks[1])
    if hardware := _HARDWARE(line):
        _keep(values, "world_size", hardware[1] or hardware[2])
    for match in _COUNTED(line):
        if match[1] or not _PART_OF_PARAMS(line):
            _keep(values, "world_size" if match[1] else "model_params", match[1] or match[2])
    return Setting(number, tuple(values.items()), inline=True) if values else None


def read_rounded_params(line: bytes, number: int) -> Setting | Summary | None:
    """Read parameters printed in thousands, millions or billions; `27.0M (26,993,756)` has them exactly."""
    match = _ROUNDED(line[:2000]) if b"aram" in line else None
    if match is None or _PART_OF_PARAMS(line[: match.end()]):
        return None
    if match[3]:
        return Setting(number, (("model_params", str(read_count(match[3]) or "")),), inline=True)
    amount, unit = match[1] or match[4], (match[2] or match[5]).lower()
    value = float(amount) * {b"k": 1e3, b"m": 1e6, b"b": 1e9}[unit]
    return Summary(number, "params_rounded", value, (amount + unit).decode())


@lru_cache(4096)
def fact_of(name: str) -> str | None:
    """Return which fact a setting of this name is, such as `world_size` for `nproc_per_node`, or None."""
    match = _IS_NAME(name.encode("ascii", "replace"))
    return _FACTS[next(index for index in range(3) if match[index + 1])] if match else None


def read_fact(fact: str, value: str) -> str | None:
    """Return the count that a setting gives for a fact, or None where it can be none."""
    values: dict[str, str] = {}
    _keep(values, fact, value.encode("ascii", "replace"))
    return values.get(fact)


def _keep(values: dict[str, str], fact: str, text: bytes) -> None:
    text = text.rstrip(b",_")
    if fact == "world_size" and b"," in text:  # `devices: 0,1,2,3` names them
        count: int | None = text.count(b",") + 1
    else:
        count = read_count(text)
    if count is None:
        return
    low, high = _RANGES[fact]
    if low <= count < high:
        values.setdefault(fact, str(count))
