"""How numbers are written, in the terminal and on pages alike: rounding happens here and nowhere else."""

from __future__ import annotations

MISSING = "not measured"


def bpb(value: float | None) -> str:
    """Four places: 1.4141."""
    return MISSING if value is None else f"{value:.4f}"


def delta(value: float | None) -> str:
    """Four places with the sign always shown: +0.1897. Never a negative zero."""
    if value is None:
        return MISSING
    return f"{round(value, 4) + 0.0:+.4f}"


def count(value: int | None) -> str:
    """Thousands separated: 17,059,912."""
    return MISSING if value is None else f"{value:,}"


def number(count: int, noun: str) -> str:
    """A count with its noun: 1 step, 2 steps. Only for nouns that take an s."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def megabytes(value: int | None) -> str:
    """Decimal megabytes, two places: 13.68 MB."""
    return MISSING if value is None else f"{value / 1e6:.2f} MB"


def tempo(step_ms: float | None) -> str:
    """Milliseconds a step: one place below 100, none above."""
    if step_ms is None:
        return MISSING
    return f"{step_ms:.1f} ms" if step_ms < 100 else f"{step_ms:,.0f} ms"


def seconds(value: float | None) -> str:
    """Seconds below a minute with one place, whole ones above: 31.5 s, 300 s."""
    if value is None:
        return MISSING
    return f"{value:.1f} s" if value < 60 else f"{value:,.0f} s"


def duration(value: float) -> str:
    """A time to wait: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
