"""`round.toml`: what a hole is meant to try, written before it is played; and how holes are named.

This module owns the intent's shape and the naming rule, not the folders (`harness.records.store`).
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.errors import HarnessError, UsageError, first_problem
from harness.files import parse_toml, read_plain
from harness.records.names import HOLES_PER_ROUND, HoleName, parse_hole_name

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
    try:
        content = read_plain(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return Intent()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}", "put a file there") from error
    try:
        return Intent.model_validate(parse_toml(content, path))
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


__all__ = [
    "HOLES_PER_ROUND",
    "HoleName",
    "Intent",
    "Strategy",
    "dump_intent",
    "load_intent",
    "parse_hole_name",
    "require_hole_name",
    "slugify",
]
