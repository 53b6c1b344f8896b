"""A script's command-line options among a record's settings, and the seed among its words. Pure.

What a script takes is read off its source in `harness.scripts.options`; here stands what needs no source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ALL = "arguments"  # the name of all words without dashes, where the script gives them none
BARE = "argument "  # before the name of a word without dashes
SEED = "{seed}"  # stands for the seed of each attempt
YES = "true"  # the value of an option that takes none
_NEGATIVE = re.compile(r"-\.?\d")
_ASSIGNED = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)  # as nanochat's and Hydra's `depth=12`


def is_argument(name: str) -> bool:
    """Whether a setting came from the command line: `--depth`, or a word without dashes."""
    return name.startswith(("-", BARE)) or name == ALL


def read_arguments(words: Sequence[str]) -> dict[str, str]:
    """Return options with their values, of a script that does not show what it takes.

    `--depth 12`, `--depth=12`, `-d 12` and a bare `--flag`; several values of one option are joined by
    blanks. A word that belongs to no option goes by its place.

    >>> read_arguments(["shards", "lr=0.1", "--depth", "12", "--fp16"])
    {'argument 1': 'shards', 'argument lr': '0.1', '--depth': '12', '--fp16': 'true'}
    """
    options: dict[str, list[str]] = {}
    open_option: str | None = None
    for number, word in enumerate(words, start=1):
        if word.startswith("-") and len(word) > 1 and not _NEGATIVE.match(word):
            name, equals, value = word.partition("=")
            values = options.setdefault(name, [])
            open_option = None if equals else name
            if equals:
                values.append(value)
        elif open_option is not None:
            options[open_option].append(word)
        elif match := _ASSIGNED.fullmatch(word):
            options.setdefault(BARE + match[1], []).append(match[2])
        else:
            options[f"{BARE}{number}"] = [word]
    return {name: " ".join(values) or YES for name, values in options.items()}


def takes_seed(words: Sequence[str]) -> bool:
    return any(SEED in word for word in words)


def with_seed(words: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return the words of one attempt."""
    return tuple(word.replace(SEED, str(seed)) for word in words)


def without_seed(words: Sequence[str], option: str) -> tuple[tuple[str, ...], str | None]:
    """Put `{seed}` for the value of an option; return the value, too: None where it was not given."""
    for at, word in enumerate(words):
        if word == option and at + 1 < len(words):
            return (*words[: at + 1], SEED, *words[at + 2 :]), words[at + 1]
        if word.startswith(f"{option}="):
            return (*words[:at], f"{option}={SEED}", *words[at + 1 :]), word.partition("=")[2]
    return tuple(words), None


def as_template(words: Sequence[str], seed: int | None) -> tuple[str, ...]:
    """Return the words of an attempt with `{seed}` for its seed, wherever an option of that name has it."""
    if seed is None:
        return tuple(words)
    template = list(words)
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if "seed" not in name.lower():
            continue
        if equals and value == str(seed):
            template[at] = f"{name}={SEED}"
        elif not equals and at + 1 < len(words) and words[at + 1] == str(seed):
            template[at + 1] = SEED
    return tuple(template)
