"""Seed, world size and parameters of a run, in whatever words and wherever in a line they stand.

A line of its own (`seed:42`, `model_params:17059912`) is read by `harness.field.log_lines`, and counts first.
"""

from __future__ import annotations

import re

from harness.field.log_events import Setting, Summary, read_count

_NAMED = re.compile(
    rb"(?<![\w.-])-{0,2}(?:"
    rb"((?:(?:random|manual|torch|train(?:ing)?|global|base|rng)[_ ])?seed)"
    rb"|(world[_ ]?size|(?:num|n)_?gpus?|gpus|nproc[_-]per[_-]node|ws)"
    rb"|((?:(?:model|total|num|n|unique|all|trainable)[_ ])?param(?:eter)?s?(?:[_ ](?:count|total))?)"
    rb")['\"]?(?:\s{0,40}[:=]\s{0,40}|\.{2,60}\s{0,4}|\s{1,4}(?:to\s|is\s)?)['\"]?"
    rb"(\d[\d,_]{0,20}+)(?![\w/-]|[.,]\d|\s?[kKmMbB]\b)",
    re.IGNORECASE,
).finditer
_COUNTED = re.compile(
    rb"(?<![\w.,/-])(?:(\d{1,4})\s?(?:x\s)?GPUs?\b"
    rb"|(\d[\d,_]{3,20}+)\s(?:(?:trainable|total|model|unique)\s)?param(?:eter)?s\b)",
    re.IGNORECASE,
).finditer
_ROUNDED = re.compile(
    rb"(?<![\w.])(?:(?:[a-z]{1,12}[_ ])?param(?:eter)?s?(?:[ _]count)?\s?[:=]\s{0,8}"
    rb"(\d{1,6}(?:\.\d{1,4})?)\s?([kmb])\b"
    rb"(?:\s?\((\d[\d,_]{5,20}+)\b)?"
    rb"|(\d{1,6}(?:\.\d{1,4})?)\s?([kmb]) (?:(?:trainable|total|model|unique) )?param(?:eter)?s\b)",
    re.IGNORECASE,
).search
_RANKS = re.compile(
    rb"\brank\s?[:=]?\s?\d{1,5}\s{0,3}(?:/|of|,)\s{0,3}(?:world\s?[:=]?\s?)?(\d{1,5})(?![\w.])", re.IGNORECASE
).search
_WORDS = re.compile(rb"seed|world|gpu|nproc|param|\brank|\bws\b", re.IGNORECASE).search
# A seed of something else, parameters of a part.
_NOT_OF_THE_RUN = re.compile(
    rb"(?:data|split|eval|val|shuffle|sampl\w+|calib\w*|noise|rotation|hadamard|ttt|lora)[ _]$", re.IGNORECASE
).search
_PART_OF_PARAMS = re.compile(
    rb"tensor|decay|per[ _]layer|frozen|embed|lora|adapter|buffer", re.IGNORECASE
).search
_FACTS = ("seed", "world_size", "model_params")
# Names of settings that are these facts, where no line says them outright.
ALIASES = {
    "nproc_per_node": "world_size",
    "nproc": "world_size",
    "num_gpus": "world_size",
    "n_gpus": "world_size",
    "ngpus": "world_size",
    "gpus": "world_size",
    "ws": "world_size",
    "train_seed": "seed",
    "random_seed": "seed",
    "params": "model_params",
    "n_params": "model_params",
    "num_params": "model_params",
    "total_params": "model_params",
    "parameters": "model_params",
}
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
        if not _NOT_OF_THE_RUN(line[: match.start()]):
            _keep(values, fact, match[4])
    if ranks := _RANKS(line):
        _keep(values, "world_size", ranks[1])
    for match in _COUNTED(line):
        if match[1] or not _PART_OF_PARAMS(line):
            _keep(values, "world_size" if match[1] else "model_params", match[1] or match[2])
    return Setting(number, tuple(values.items()), inline=True) if values else None


def read_rounded_params(line: bytes, number: int) -> Setting | Summary | None:
    """Read parameters printed in thousands, millions or billions; `27.0M (26,993,756)` has them exactly."""
    match = _ROUNDED(line[:2000]) if b"aram" in line else None
    if match is None or _PART_OF_PARAMS(line):
        return None
    if match[3]:
        return Setting(number, (("model_params", str(read_count(match[3]) or "")),), inline=True)
    amount, unit = match[1] or match[4], (match[2] or match[5]).lower()
    value = float(amount) * {b"k": 1e3, b"m": 1e6, b"b": 1e9}[unit]
    return Summary(number, "params_rounded", value, (amount + unit).decode())


def as_fact(name: str, value: str) -> tuple[str, str] | None:
    """Return a setting as the fact that it is under another name, or None."""
    fact = ALIASES.get(name.lower())
    values: dict[str, str] = {}
    if fact is not None:
        _keep(values, fact, value.encode("ascii", "replace"))
    return next(iter(values.items()), None)


def _keep(values: dict[str, str], fact: str, text: bytes) -> None:
    count = read_count(text.rstrip(b",_"))
    if count is None:
        return
    low, high = _RANGES[fact]
    if low <= count < high:
        values.setdefault(fact, str(count))
