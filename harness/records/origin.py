"""Where the figures of a record come from when nothing was trained for it here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from harness.records.frozen import Frozen, PositiveInt

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class EvaluatedFrom(Frozen):
    """The attempt whose trained weights were packed or scored another way: this one trained nothing.

    weights: unrounded, or those of its artifact. file, sha256: where they lie in its folder.
    source_sha256: of the trainer that trained them.
    """

    hole: Annotated[str, StringConstraints(pattern=r"^round_[0-9]{3,6}(_[a-z0-9_]+)?$", max_length=80)]
    attempt: PositiveInt
    weights: Literal["unrounded", "artifact"]
    file: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=80)]
    sha256: Sha256
    source_sha256: Sha256 | None = None

    @property
    def hole_number(self) -> int:
        return int(self.hole.split("_")[1])


def trained_in(origins: Sequence[EvaluatedFrom | None]) -> tuple[int, str] | None:
    """Name the hole and the attempts that trained what was evaluated: 6, "attempts 1 and 2".

    None where something was trained for one of them, or where they go back to several holes.
    """
    known = [origin for origin in origins if origin is not None]
    holes = {origin.hole_number for origin in known}
    if len(holes) != 1 or len(known) < len(origins):
        return None
    numbers = [str(number) for number in sorted({origin.attempt for origin in known})]
    if len(numbers) == 1:
        return holes.pop(), f"attempt {numbers[0]}"
    return holes.pop(), f"attempts {', '.join(numbers[:-1])} and {numbers[-1]}"


class Provenance(Frozen):
    """Where an imported record was read from. `lines` maps a fact to its line in the log.

    row: of a ledger, what stood in each column; empty for a log.
    """

    source: str
    sha256: str
    importer: str
    author: str | None = None
    lines: dict[str, PositiveInt] = Field(default_factory=dict)
    row: dict[str, str] = Field(default_factory=dict)
