"""`round.toml`: what a hole is meant to try, written before it is played; and how holes are named.

This module owns the intent's shape and the naming rule, not the folders (`harness.store`).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.course import read_toml
from harness.errors import HarnessError, UsageError, first_problem

HOLES_PER_ROUND = 18
HOLE_NAME = re.compile(r"round_(\d{3,6})(?:_([a-z0-9][a-z0-9_]*))?")
MAX_NAME = 80

# The closed list of kinds of play, as the caddie names them.
Strategy = Literal[
    "safe tweak", "architecture", "schedule", "optimizer", "tokenizer", "export", "long shot", "reference"
]


def _as_text(value: object) -> object:
    """Accept `FP16_EMBED = true` and `MATRIX_LR = 0.03` as people write them in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class Intent(BaseModel):
    """What `round.toml` says: the idea, before the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    strategy: Strategy | None = None
    hypothesis: str = ""
    course: str | None = None
    preset: str | None = None
    script: str | None = None  # a training script of one's own instead of the built-in trainer
    seeds: tuple[int, ...] = ()
    parent: str | None = None
    created: dt.date | None = None
    overrides: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(default_factory=dict)


@dataclass(frozen=True)
class HoleName:
    """`round_006_fp16embed`: number 6 in the season, slug `fp16embed`."""

    folder: str
    number: int
    slug: str

    @property
    def round(self) -> int:
        """Which round of 18 the hole belongs to, from 1."""
        return (self.number - 1) // HOLES_PER_ROUND + 1

    @property
    def hole(self) -> int:
        """Its place in that round, 1 to 18."""
        return (self.number - 1) % HOLES_PER_ROUND + 1

    @property
    def position(self) -> str:
        return f"Round {self.round}, Hole {self.hole}"


def parse_hole_name(text: str) -> HoleName | None:
    """Read a hole's folder name, or return None when it is not one."""
    match = HOLE_NAME.fullmatch(text)
    if match is None or len(text) > MAX_NAME or int(match[1]) == 0:
        return None
    return HoleName(text, int(match[1]), match[2] or "")


def require_hole_name(text: str) -> HoleName:
    """Read a name for a new hole. Raises UsageError with the form that is expected."""
    name = parse_hole_name(text)
    if name is None:
        raise UsageError(
            f'"{text}" is not a name for a hole',
            "a hole is called round_NNN or round_NNN_what_it_tries, such as round_006_fp16embed",
        )
    return name


def slugify(title: str) -> str:
    """Turn a title into the tail of a folder name: lower case, digits, underscores, at most 40 characters."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:40].strip("_")


def load_intent(path: Path) -> Intent:
    """Read a `round.toml`; a missing file is an empty intent. Raises HarnessError with the place of a mistake."""
    if not path.is_file():
        return Intent()
    try:
        return Intent.model_validate(read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(Intent.model_fields)
        hint = f"known keys: {known}" if first["type"] == "extra_forbidden" else "mend that line"
        raise HarnessError(f"{path}: {first_problem(error)} (found {first['input']!r:.80})", hint) from error


def dump_intent(intent: Intent) -> str:
    """Return the text of a `round.toml`: only what is set, tables last."""
    raw: dict[str, Any] = intent.model_dump(exclude_defaults=True)
    if "seeds" in raw:
        raw["seeds"] = list(raw["seeds"])
    return tomli_w.dumps(raw)
