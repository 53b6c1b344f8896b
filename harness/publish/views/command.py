"""The command on a card that plays its hole again. Visitors paste it into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from harness.plain_text import plain_line
from harness.privacy import SECRET
from harness.records.arguments import as_template, is_argument
from harness.season.hole import PlayedHole

LONGEST = 2000  # characters


def repeat_command(played: PlayedHole, overrides: Mapping[str, str]) -> str:
    """Return the line that plays the hole again, each word quoted; a long one is cut between words."""
    record = played.record
    if record and record.evaluated_from:
        return _quote(record.command)
    words = ["harness", "run", played.name.folder]
    if record and record.preset:
        words += ["--preset", record.preset]
    elif played.intent.module:
        words += ["--module", played.intent.module]
    elif played.intent.script:
        words += ["--script", played.intent.script]
    if played.intent.python:
        words += ["--python", played.intent.python]
    for name, value in sorted(overrides.items()):
        if not is_argument(name):
            words += ["-o", f"{name}={value}"]
    arguments = as_template(record.arguments, record.seed) if record else played.intent.arguments
    return _quote([*words, "--", *arguments] if arguments else words)


def _quote(words: list[str] | tuple[str, ...]) -> str:
    quoted: list[str] = []
    length = 0
    for word in words:
        name, _, value = word.partition("=")
        own = value == SECRET and name.isidentifier() and name.isascii()  # each visitor has their own
        text = f'{name}="${name}"' if own else shlex.quote(plain_line(word))
        length += len(text) + 1
        if length > LONGEST:
            return " ".join([*quoted, "…"])  # no option's name, so a shell that gets it plays nothing
        quoted.append(text)
    return " ".join(quoted)
