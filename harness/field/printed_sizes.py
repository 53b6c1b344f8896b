"""The sizes that one run prints: models, code and totals, in order; which of them belong together.

Which artifact is the scored one is `harness.field.logged_run`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.field.log_events import Size

_KEPT = 8  # models and totals each: a script that tries many packings prints them all


@dataclass
class PrintedSizes:
    """raw_model: bytes of the checkpoint. packed_at: the line with the first size of an artifact.

    vague: size lines in megabytes only.
    """

    raw_model: int | None = None
    codec: str | None = None
    packed_at: int | None = None
    vague: list[str] = field(default_factory=list)
    models: list[Size] = field(default_factory=list)
    codes: dict[str, Size] = field(default_factory=dict)  # `compressed` -> the last such line
    totals: list[Size] = field(default_factory=list)

    def add(self, size: Size) -> None:
        """Keep a printed size."""
        if size.bytes is None:
            if len(self.vague) < 20:
                self.vague.append(size.text)
            return
        if size.kind == "raw_model":
            self.raw_model = size.bytes
        elif size.kind == "model":
            self.models = [*self.models[1 - _KEPT :], size]
            self.codec = size.codec
        elif size.kind == "code":
            if len(self.codes) < 20:
                self.codes[(size.codec or "").lower()] = size
        else:
            self.totals = [*self.totals[1 - _KEPT :], size]
        if self.packed_at is None and (
            size.kind == "model" or (size.kind == "total" and self.counted_totals())
        ):
            self.packed_at = size.line

    def fill_from(self, other: PrintedSizes) -> None:
        """Take what only another printing of the same run has."""
        self.models, self.totals = self.models or other.models, self.totals or other.totals
        self.codes = self.codes or other.codes
        if self.raw_model is None:
            self.raw_model = other.raw_model
        if self.codec is None:
            self.codec = other.codec

    def counted_totals(self) -> list[Size]:
        """The totals that are not the raw checkpoint's; a wrapper's repetition only where nothing else is."""
        raw = self.raw_model
        raw_totals = {raw + (code.bytes or 0) for code in self.codes.values()} if raw is not None else set()
        counted = [size for size in self.totals if size.codec is not None or size.bytes not in raw_totals]
        return [size for size in counted if size.codec != "wrapper"] or counted[-1:]

    def model_before(self, total: Size | None) -> int | None:
        """The compressed model that a total counts: the last one before it, else the last one.

        Where no line calls one so, a count that adds up to it with the code (`Ternary artifact: N bytes`).
        """
        limit = total.bytes if total is not None and total.bytes is not None else None
        models = [model for model in self.models if limit is None or (model.bytes or 0) <= limit]
        if models and total is not None and total is not self.counted_totals()[-1]:
            models = [model for model in models if model.line < total.line] or models
        if models:
            return models[-1].bytes
        codes = {code.bytes for code in self.codes.values()}
        parts = [
            size.bytes for size in self.totals if limit is not None and limit - (size.bytes or 0) in codes
        ]
        return parts[-1] if parts else None
