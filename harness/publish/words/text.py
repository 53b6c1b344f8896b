"""Text of records and logs, fit for a page."""

from __future__ import annotations

import re

# Control characters and those that turn the direction of the text around them; lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


def tidy(text: str, limit: int | None = None) -> str:
    """Make one line of anything: no control or direction-changing characters, cut at a word when too long."""
    line = " ".join((text if text.isprintable() else _UNPRINTABLE.sub(" ", text)).split())
    if limit is None or len(line) <= limit:
        return line
    cut = line[: limit - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > limit // 2 else cut).rstrip(" ,;:.") + "…"
