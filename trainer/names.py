"""Other people's names for our knobs, read as ours."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.config import ALIASES, KNOBS
from trainer.errors import ConfigError
from trainer.knob import Knob


def resolve_alias(name: str, text: str) -> tuple[str, str]:
    """Return our name for a knob, and the value as our knob reads it; others stay as they are."""
    ours, yes_no = ALIASES.get(name, (name, None))
    if yes_no is None or ours == name:
        return ours, text
    switch = Knob(name, False, "")
    return ours, yes_no[0] if switch.parse(text) else yes_no[1]


def resolve_aliases(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return an environment in which our knobs have our names, and a sentence for each other name in it.

    Raises ConfigError when both names are set and disagree.
    """
    renamed = {name: text for name, text in env.items() if name not in ALIASES}
    notices = []
    for alias in ALIASES:
        if alias not in env:
            continue
        name, text = resolve_alias(alias, env[alias])
        knob = KNOBS[name]
        if name in renamed and knob.parse(renamed[name]) != knob.parse(text):
            raise ConfigError(
                f"{alias}={env[alias]} and {name}={renamed[name]} are two names of one knob and disagree",
                f"keep {name}",
            )
        renamed[name] = text
        notices.append(f"{alias}={env[alias]} is read as {name}={text}")
    return renamed, notices
