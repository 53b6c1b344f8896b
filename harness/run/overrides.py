"""`KEY=VALUE` as people type it -> typed, in range, in one spelling.

What a knob is (type, range, unit) is the trainer's knowledge (`trainer.config`); this module turns its
refusals into errors with a next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from harness.errors import UsageError, nearest
from harness.resources import data_path
from trainer.config import ALIASES, KNOBS
from trainer.errors import ConfigError
from trainer.names import resolve_alias


def parse_overrides(assignments: Iterable[str]) -> dict[str, str]:
    """Read `--override` words into canonical text by name.

    Raises UsageError for a word without `=`, an unknown name (with the nearest known one), a value of the
    wrong type or out of range, and a name given twice with different values.
    """
    found: dict[str, str] = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f'override "{word}" is not KEY=VALUE', "write it like FP16_EMBED=true")
        name, text = _ours(name, text)
        value = canonical(name, text)
        if found.get(name, value) != value:
            raise UsageError(f"override {name} is given twice: {found[name]} and {value}", "keep one of them")
        found[name] = value
    return found


def alias_notices(assignments: Iterable[str]) -> tuple[str, ...]:
    """Say which words named a knob by another name than ours, and what they are read as."""
    given = [(name.strip(), text) for name, _, text in (word.partition("=") for word in assignments)]
    return tuple(
        "{}={} is read as {}={}".format(name, text, *_ours(name, text))
        for name, text in given
        if name in ALIASES
    )


def _ours(name: str, text: str) -> tuple[str, str]:
    try:
        return resolve_alias(name, text)
    except ConfigError as error:
        raise UsageError(f"override {error.message}", error.hint) from error


def canonical(name: str, text: str) -> str:
    """Return the one spelling of a knob's value: `1`, `yes` and `True` are all `true`."""
    knob = KNOBS.get(name)
    if knob is None:
        close, elsewhere = nearest(name, KNOBS), unknown_name(name)
        hint = f"{elsewhere}; " if elsewhere else f"did you mean {close}? " if close else ""
        raise UsageError(
            f"override {name}={text} names no knob of the trainer", hint + "`harness knobs` lists all of them"
        )
    try:
        return knob.format(knob.parse(text.strip()))
    except ConfigError as error:
        raise UsageError(f"override {error.message}", error.hint) from error


def canonical_all(values: Mapping[str, str], place: str) -> dict[str, str]:
    """Check overrides that stand in a file; `place` names it in the error."""
    try:
        ours = dict(_ours(name, text) for name, text in values.items())
        return {name: canonical(name, text) for name, text in ours.items()}
    except UsageError as error:
        raise UsageError(f"{place}: {error.message}", error.hint) from error


@cache
def field_knobs() -> dict[str, str]:
    """Return the knobs of the field's scripts by name, with their meaning; ours are not among them."""
    lines = data_path("field", "knobs.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t", 1) for line in lines if line and not line.startswith("#"))
    return {name: meaning for name, meaning in rows if name not in KNOBS and name not in ALIASES}


def unknown_name(name: str) -> str:
    """Say what a name that is no knob of ours means to other people's scripts; "" where nobody uses it."""
    meaning = field_knobs().get(name)
    return f"other scripts read {name} ({meaning}); this trainer does not" if meaning else ""
