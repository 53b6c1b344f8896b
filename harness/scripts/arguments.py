"""What a script takes on its command line, and whether the words of one fit.

Which options a script has is read off its source in `harness.scripts.options`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.errors import UsageError, nearest
from harness.scripts.casts import FALSE_WORDS, TRUE_WORDS, CastKind


@dataclass(frozen=True)
class ScriptOption:
    """One option of a script, or one place for a bare word.

    name: as it is typed, `--max-seq-len`; of a bare word its name in the script. others: further spellings.
    off: the spelling that means no, of a flag with two. default: as text, None when there is none or it is
    computed. takes: words after it: a number, or `?`, `*`, `+` as argparse writes them. variables: of the
    environment; each gives its value where it is not typed.
    """

    name: str
    kind: CastKind
    default: str | None = None
    line: int = 0
    file: str = ""
    others: tuple[str, ...] = ()
    off: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    takes: str = "1"
    help: str = ""
    variables: tuple[str, ...] = ()

    @property
    def is_bare(self) -> bool:
        return not self.name.startswith("-")

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}" if self.file else f"line {self.line}"


@dataclass(frozen=True)
class ScriptOptions:
    """What a script takes on its command line.

    options: by main name. bare: words without a name, in their order. commands: of which one is typed first.
    abbreviates: whether a beginning that means one option alone stands for it. only_equals: whether a value
    is written `--name=value` and never `--name value`. unclear: why other words may be taken, too.
    """

    options: Mapping[str, ScriptOption] = field(default_factory=dict)
    bare: tuple[ScriptOption, ...] = ()
    commands: tuple[str, ...] = ()
    abbreviates: bool = False
    only_equals: bool = False
    unclear: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.options or self.bare or self.commands or self.unclear)


def check_arguments(options: ScriptOptions, words: Sequence[str]) -> dict[str, str]:
    """Return the value of each option that is given, in one spelling: `{"--depth": "4", "--fp8": "true"}`.

    words: what stands after the script, `["--depth", "4"]`. A flag is `true` or `false`; words without a name
    come under the name that the script gives them; several values of one option are joined by spaces. What
    the script may take though its text does not show it comes under its own spelling.
    Raises UsageError for an option that the script does not have (unless `unclear`), for a value that is
    missing or of the wrong type, and for a required option that is not given.
    """
    reading = _Reading(options, list(words))
    reading.read()
    return reading.values


class _Reading:
    """Goes through the words of a command line."""

    def __init__(self, options: ScriptOptions, words: list[str]) -> None:
        self.options, self.words, self.values = options, words, dict[str, str]()
        self.spellings = {
            spelling: option
            for option in options.options.values()
            for spelling in (option.name, *option.others, *([option.off] if option.off else []))
        }
        self.bare: list[str] = []

    def read(self) -> None:
        only_bare = False
        while self.words:
            word = self.words.pop(0)
            if word == "--" and not only_bare:
                only_bare = True
            elif only_bare or word == "-" or not word.startswith("-") or _is_number(word):
                self.bare.append(word)
            else:
                self._option(word)
        self._fill_bare()
        missing = [o for o in self.options.options.values() if o.required and o.name not in self.values]
        if missing:
            first = missing[0]
            raise UsageError(
                f"the script needs {first.name}, which is not given; {first.place} asks for it",
                f"write `-- {first.name} VALUE` behind the other words",
            )

    def _option(self, word: str) -> None:
        name, equals, attached = word.partition("=")
        option = self._find(name)
        if option is None:
            if not self._short_cluster(word):
                self._unknown(word, name, bool(equals), attached)
            return
        if option.takes == "0":
            if equals:
                value = _flag_value(attached)
                if value is None:
                    raise _refusal(option, attached, "a yes/no value", f"write {option.name} alone")
                self.values[option.name] = value
            else:
                self.values[option.name] = (
                    "false"
                    if name == option.off
                    or (option.default == "true" and (not option.off and option.kind == "flag"))
                    else "true"
                )
            return
        if self.options.only_equals and not equals:
            raise UsageError(
                f"the script takes {name}=VALUE, not {name} alone; {option.place} sets it",
                f"write {name}={option.default or 'VALUE'}",
            )
        self._store(option, [attached] if equals else self._following(option))

    def _following(self, option: ScriptOption) -> list[str]:
        """Take the words that belong to an option."""
        count = (
            int(option.takes) if option.takes.isdigit() else (1 if option.takes == "?" else len(self.words))
        )
        taken: list[str] = []
        while self.words and len(taken) < count:
            word = self.words[0]
            if word.startswith("-") and word != "-" and not _is_number(word):
                break
            taken.append(self.words.pop(0))
        if (option.takes.isdigit() and len(taken) < count) or (option.takes == "+" and not taken):
            raise UsageError(
                f"option {option.name} stands without its value; {option.place} takes {_kind_words(option)}",
                f"write {option.name} {option.default or 'VALUE'}",
            )
        return taken

    def _store(self, option: ScriptOption, texts: Sequence[str]) -> None:
        self.values[option.name] = " ".join(canonical_option(option, text) for text in texts)

    def _find(self, name: str) -> ScriptOption | None:
        if name in self.spellings:
            return self.spellings[name]
        plain = {spelling.replace("_", "-"): option for spelling, option in self.spellings.items()}
        if self.options.abbreviates and name.startswith("--"):
            found = {id(o): o for spelling, o in self.spellings.items() if spelling.startswith(name)}
            if len(found) == 1:
                return next(iter(found.values()))
        return plain.get(name) if "_" not in name and not self.options.abbreviates else None

    def _short_cluster(self, word: str) -> bool:
        """Take `-d4` for `-d 4` and `-vq` for `-v -q`."""
        option = self.spellings.get(word[:2])
        if word.startswith("--") or option is None:
            return False
        if option.takes == "0":
            self.values[option.name] = "true"
            self._option("-" + word[2:])
        else:
            self._store(option, [word[2:].removeprefix("=")])
        return True

    def _unknown(self, word: str, name: str, has_value: bool, attached: str) -> None:
        if self.options.unclear:
            follows = self.words and not self.words[0].startswith("-")
            self.values[name] = attached if has_value else self.words.pop(0) if follows else "true"
            return
        near = nearest(name, self.spellings)
        if not self.options.options:
            raise UsageError(
                f"option {word} is taken by nothing in the script, which has no options",
                "set knobs with -o NAME=VALUE; `harness knobs --script FILE` lists them",
            )
        raise UsageError(
            f"option {word} is taken by nothing in the script",
            (f"did you mean {near}? " if near else "") + "`harness knobs --script FILE` lists its options",
        )

    def _fill_bare(self) -> None:
        """Give the words without a name to the places for them."""
        if self.options.commands and self.bare:
            command = self.bare.pop(0)
            if command not in self.options.commands:
                raise UsageError(
                    f"{command} is no command of the script",
                    f"write one of {', '.join(self.options.commands)}",
                )
            self.values["command"] = command
        places = list(self.options.bare)
        for number, place in enumerate(places):
            after = sum(1 for other in places[number + 1 :] if other.takes not in ("?", "*"))
            count = int(place.takes) if place.takes.isdigit() else len(self.bare) - after
            count = min(count, 1) if place.takes == "?" else count
            taken, self.bare = self.bare[: max(count, 0)], self.bare[max(count, 0) :]
            if place.required and not taken:
                raise UsageError(
                    f"the script needs {place.name}, which is not given; {place.place} asks for it",
                    f"write `-- {place.name.upper()}`, with the value in its place",
                )
            if taken:
                self._store(place, taken)
        if self.bare and not self.options.unclear:
            raise UsageError(
                f"{self.bare[0]} is taken by nothing in the script, which has no place for a bare word",
                "`harness knobs --script FILE` lists its options",
            )
        if self.bare:
            self.values["arguments"] = " ".join(self.bare)


def canonical_option(option: ScriptOption, text: str) -> str:
    """Return the one spelling of a value. Raises UsageError, with the line, for one of the wrong type."""
    if option.choices and text not in option.choices:
        raise _refusal(
            option, text, f"one of {', '.join(option.choices)}", f"write {option.name} {option.choices[0]}"
        )
    if option.kind == "flag":
        value = _flag_value(text)
        if value is None:
            raise _refusal(option, text, "a yes/no value", "use true or false")
        return value
    if option.kind in ("int", "float"):
        try:
            return str(int(text)) if option.kind == "int" else repr(float(text))
        except ValueError:
            what = "a whole number" if option.kind == "int" else "a number"
            raise _refusal(option, text, what, f"write {option.name} {option.default or 1}") from None
    return text


def option_defaults(options: ScriptOptions) -> dict[str, str]:
    """Return what each option is when it is not given; computed ones left out."""
    known = (*options.options.values(), *options.bare)
    return {option.name: option.default for option in known if option.default is not None}


def merged(options: Sequence[ScriptOption]) -> Iterator[ScriptOption]:
    """Yield options, those of one name as one: the first, with a default wherever it stands."""
    by_name: dict[str, ScriptOption] = {}
    for option in options:
        first = by_name.get(option.name)
        if first is None:
            by_name[option.name] = option
        elif first.default is None and option.default is not None:
            by_name[option.name] = replace(first, default=option.default)
    yield from by_name.values()


def _flag_value(text: str) -> str | None:
    word = text.lower()
    if word in TRUE_WORDS:
        return "true"
    return "false" if word in (*FALSE_WORDS, "") else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kind_words(option: ScriptOption) -> str:
    return {"int": "a whole number", "float": "a number", "flag": "a yes/no value"}.get(
        option.kind, "a value"
    )


def _refusal(option: ScriptOption, text: str, expected: str, hint: str) -> UsageError:
    return UsageError(f"option {option.name} {text} is not {expected}; {option.place} takes it", hint)
