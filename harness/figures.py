"""How numbers are written, in the terminal and on pages alike: rounding happens here and nowhere else."""

from __future__ import annotations

MISSING = "not measured"


def bpb(value: float | None) -> str:
    """Four places: 1.4141. Never a negative zero."""
    return MISSING if value is None else f"{_rounded(value, 4):.4f}"


def nats(value: float | None) -> str:
    """A loss with four places: 2.3876."""
    return MISSING if value is None else f"{value:.4f}"


def delta(value: float | None) -> str:
    """Four places with the sign always shown: +0.1897. Never a negative zero."""
    return MISSING if value is None else signed(value, 4)


def signed(value: float, places: int) -> str:
    """So many places with the sign always shown, thousands separated: -1,204.5. Never a negative zero."""
    return f"{_rounded(value, places):+,.{places}f}"


def percent(share: float) -> str:
    """A change as a share, with its sign: -1.25%. Never a negative zero."""
    return f"{signed(100 * share, 2)}%"


def _rounded(value: float, places: int) -> float:
    """Adding zero turns the negative zero that a small negative value is rounded to into a plain one."""
    return round(value, places) + 0.0


def count(value: int | None) -> str:
    """Thousands separated: 17,059,912."""
    return MISSING if value is None else f"{value:,}"


def number(count: int, noun: str) -> str:
    """A count with its noun: 1 step, 2,000 steps. Only for nouns that take an s."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def share(part: int, whole: int, noun: str) -> str:
    """`3 of 5 seeds`, or `5 seeds` where none is missing."""
    return number(part, noun) if part == whole else f"{part} of {number(whole, noun)}"


def change(count: int, noun: str) -> str:
    """A signed count with its noun: +1 byte, -2,000 bytes."""
    return f"{count:+,} {noun}" + ("" if abs(count) == 1 else "s")


def money(value: float) -> str:
    """An amount of money: 12.50; below a hundredth two digits that are not 0, so that 0.001 is no 0.00."""
    return f"{value:,.2f}" if value >= 0.01 or value == 0 else f"{value:.2g}"


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
