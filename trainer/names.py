"""Other people's names for our knobs, read as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.config import KNOBS
from trainer.errors import ConfigError
from trainer.knob import Knob
from trainer.meanings import MEANINGS


@dataclass(frozen=True)
class Switch:
    """A yes/no name for what are numbers here, or several knobs.

    yes: what yes comes to, where those are not set themselves. no: what no comes to.
    """

    yes: Mapping[str, str]
    no: Mapping[str, str]


SWITCHES = {
    "EMA_ENABLED": Switch({"EMA_DECAY": "0.997"}, {"EMA_DECAY": "0"}),
    "SLIDING_WINDOW_ENABLED": Switch({"EVAL_STRIDE": "64"}, {"EVAL_STRIDE": "0"}),
    "LATE_QAT": Switch({"QAT_ENABLED": "1", "LATE_QAT_THRESHOLD": "0.15"}, {"QAT_ENABLED": "0"}),
}
RENAMED = {alias: knob.name for knob in KNOBS.values() for alias in knob.aliases}
# Every other name, with the knob whose part it is.
ALIASES = RENAMED | {alias: next(iter(switch.yes)) for alias, switch in SWITCHES.items()}


def resolve_aliases(
    given: Mapping[str, str], base: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Return settings in which our knobs have our names, and a sentence for each other name among them.

    given: settings by any name, or a whole environment; what is no knob stays as it is.
    base: settings by our names that the given ones go over. A switch leaves a value there that is on.
    Raises ConfigError when two names of one knob disagree, and for a switch that is not yes or no.
    """
    settings = {name: text for name, text in given.items() if name not in ALIASES}
    read_as: dict[str, tuple[str, ...]] = {}
    for alias, name in RENAMED.items():
        if alias in given:
            if name in settings and _value(name, settings[name]) != _value(name, given[alias]):
                raise _disagreement(alias, given[alias], name, settings[name])
            settings[name] = given[alias]
            read_as[alias] = (name,)
    # After the renamed ones: a switch looks at what is set by whatever name.
    for alias, switch in SWITCHES.items():
        if alias in given:
            is_yes = bool(Knob(alias, False, "").parse(given[alias]))
            read_as[alias] = _apply_switch(alias, given[alias], switch, is_yes, settings, base or {})
    return settings, [
        read_as_sentence(alias, given[alias], {name: settings[name] for name in read_as[alias]})
        for alias in ALIASES
        if alias in read_as
    ]


def _apply_switch(
    alias: str, text: str, switch: Switch, is_yes: bool, settings: dict[str, str], base: Mapping[str, str]
) -> tuple[str, ...]:
    """Put what a switch comes to among the settings; return the knobs that it is about."""
    side = switch.yes if is_yes else switch.no
    for name, value in side.items():
        is_number = not isinstance(KNOBS[name].default, bool)
        if name not in settings:
            # A number in round.toml is the one that the switch on the command line turns on.
            on = is_yes and is_number and name in base and _value(name, base[name]) != KNOBS[name].default
            settings[name] = base[name] if on else value
        elif is_number and not is_yes:
            settings[name] = value  # off, whatever the number is
        elif is_yes and not is_number and _value(name, settings[name]) != _value(name, value):
            raise _disagreement(alias, text, name, settings[name])
    return tuple(side)


def read_as_sentence(alias: str, text: str, settings: Mapping[str, str]) -> str:
    """Say what another name is read as, and what it means by our reading where that differs."""
    sentence = f"{alias}={text} is read as {' and '.join(f'{n}={value}' for n, value in settings.items())}"
    difference = MEANINGS.get(alias)
    return f"{sentence}: {difference}" if difference else sentence


def meaning_notes(settings: Mapping[str, str]) -> list[str]:
    """Say of each setting by our own name, where it is on, what the public scripts mean by that name."""
    notes = []
    for name, text in settings.items():
        if name not in KNOBS or name not in MEANINGS:
            continue
        off = KNOBS[name].parse(text) in (False, -1)  # 0 is False
        if not off:
            notes.append(f"{name}={text}: {MEANINGS[name]}")
    return notes


def _value(name: str, text: str) -> object:
    return KNOBS[name].parse(text)


def _disagreement(alias: str, text: str, name: str, other: str) -> ConfigError:
    return ConfigError(
        f"{alias}={text} and {name}={other} are two names of one knob and disagree", f"keep {name}"
    )
