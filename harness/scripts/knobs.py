"""A training script's knobs, read off its source: names, defaults, how values are spelled.

Pure: text in, facts out; nothing is executed. Packed scripts are unpacked first (`harness.scripts.unpack`).
Finding the reads is `harness.scripts.environ_reads`' work; which files belong to a script is
`harness.scripts.snapshot`'s.
"""

from __future__ import annotations

import ast
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness.errors import UsageError, nearest
from harness.scripts import grammar
from harness.scripts.casts import FALSE_WORDS, TRUE_WORDS, CastKind
from harness.scripts.companions import executes_file
from harness.scripts.environ_reads import WRAPPER, Read, find_reads
from harness.scripts.options import ENVIRONMENT_WORDS, read_options
from harness.scripts.system_names import is_never_own, is_system
from harness.scripts.unpack import unpack_source


@dataclass(frozen=True)
class ScriptKnob:
    """One knob of a script.

    default: as the script spells it; None when it has none or computes it.
    spelling: what the script takes for yes and for no, of a flag.
    how: the reading expression, for messages.
    """

    name: str
    kind: CastKind
    default: str | None
    line: int
    spelling: tuple[str, str] | None = None
    file: str = ""
    how: str = ""
    required: bool = False
    default_from: frozenset[str] = frozenset()  # knobs that the default is worked out from

    @property
    def takes_text(self) -> bool:
        """Whether it may hold any text: also one that is only asked whether it is empty."""
        return self.kind in ("text", "word") or (self.spelling is not None and self.spelling[1] == "")

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}" if self.file else f"line {self.line}"


@dataclass(frozen=True)
class Script:
    """What is known of a script. unclear: reads whose names are not known, as "line 40 does this"."""

    knobs: Mapping[str, ScriptKnob]
    unclear: tuple[str, ...] = ()

    @property
    def dynamic(self) -> bool:
        """Whether it may read names that its text does not show."""
        return bool(self.unclear)

    def derives_from(self, names: Iterable[str]) -> bool:
        """Whether the default of a knob hangs on one of some others."""
        return any(knob.default_from & set(names) for knob in self.knobs.values())

    def defaults(self) -> dict[str, str]:
        """Return what each knob is when it is not set, in one spelling; computed ones left out."""
        values = {}
        for name, knob in sorted(self.knobs.items()):
            if knob.default is not None:
                try:
                    values[name] = canonical_value(knob, knob.default)
                except (
                    UsageError
                ):  # the script's own default need not be of the type it asks for: "" or "auto"
                    values[name] = knob.default
        return values


def read_script(files: Mapping[str, str] | str, settings: Mapping[str, str] | None = None) -> Script:
    """Read the knobs off a script: its text, or the texts of all its files by name, the script first.

    settings: variables that are set; a default that is worked out from one of them is that of this run.
    Raises UsageError when a file is not Python.
    """
    if isinstance(files, str):
        files = {"": files}
    trees: dict[str, ast.Module] = {}
    problems: dict[str, str] = {}
    for name, text in files.items():
        result = unpack_source(text)
        for number, wrapper in enumerate(result.wrappers):
            if _mentions_environment(wrapper):
                trees[f"{name}{' layer' * number}{WRAPPER}"] = wrapper
        trees[name] = grammar.parse_source(result.source, name or "the script")
        if result.problem and not executes_file(trees[name], files.keys() - {name}):
            problems[name] = result.problem
    with grammar.without_collector():
        reads = find_reads(trees, settings)
    knobs: dict[str, ScriptKnob] = {}
    for knob in (*map(_knob, reads.named), *_of_options(files)):
        if not is_never_own(knob.name):
            knobs[knob.name] = _stricter(knobs.get(knob.name), knob)
    unclear = [f"{file + ' ' if file else ''}line {line} {why}" for file, line, why in reads.unclear]
    # A file that reads settings is no wrapper around packed code, whatever it evaluates.
    wrappers = problems.keys() - {read.file for read in reads.named}
    unclear += [f"{name or 'the script'}: {problems[name]}" for name in sorted(wrappers)]
    return Script(knobs, tuple(dict.fromkeys(unclear)))


def _mentions_environment(tree: ast.Module) -> bool:
    names = ("environ", "getenv")
    return any(
        getattr(node, field, None) in names for node in ast.walk(tree) for field in ("attr", "id", "name")
    )


def unpacked(text: str) -> tuple[str, str]:
    """Return the source inside a packed script; the second value says why it could not be had."""
    result = unpack_source(text)
    return result.source, result.problem


def _knob(read: Read) -> ScriptKnob:
    return ScriptKnob(
        read.name,
        read.use.kind,
        read.default,
        read.line,
        read.use.words if read.use.kind == "flag" else None,
        read.file,
        read.how,
        read.required,
        read.default_from,
    )


def _of_options(files: Mapping[str, str]) -> Iterator[ScriptKnob]:
    """Yield the variables that stand for options of a command line: `click.option(.., envvar="DEPTH")`."""
    if not any(word in text for text in files.values() for word in ENVIRONMENT_WORDS):
        return
    taken = read_options(files)
    for option in (*taken.options.values(), *taken.bare):
        spelling = ("1", "0") if option.kind == "flag" else None
        for name in option.variables:
            how = f"option {option.name}"
            yield ScriptKnob(name, option.kind, option.default, option.line, spelling, option.file, how)


# What a name must be when it is read in several ways: a count is no yes/no, a word among several neither.
_STRICTEST: dict[CastKind, int] = {"text": 0, "flag": 1, "word": 2, "float": 3, "int": 4}


def _stricter(first: ScriptKnob | None, second: ScriptKnob) -> ScriptKnob:
    """Of two reads of one name keep the stricter, then the one with a default."""
    if first is None:
        return second
    best = max(
        first, second, key=lambda knob: (_STRICTEST[knob.kind], knob.default is not None, knob is first)
    )
    default = best.default if best.default is not None else first.default or second.default
    return replace(best, default=default, default_from=first.default_from | second.default_from)


# Values -------------------------------------------------------------------------------------------


def find_knobs(
    script: Script, typed: Mapping[str, str], allow_unread: bool = False, path: str = "FILE"
) -> dict[str, ScriptKnob | None]:
    """Return the knob that each override names; None for one that cannot be checked.

    path: of the script, for the hint. Raises UsageError that names all overrides which nothing in the script
    reads, unless `allow_unread`.
    """
    unread = {
        name: text
        for name, text in typed.items()
        if name not in script.knobs and not (allow_unread or script.dynamic or is_system(name))
    }
    if not unread:
        return {name: script.knobs.get(name) for name in typed}
    words = [f"{name}={text}" for name, text in unread.items()]
    close = {name: near for name in unread if (near := nearest(name, script.knobs))}
    if len(unread) == 1:
        what, meant = f"override {words[0]} is read by nothing in the script", "".join(close.values())
    else:
        what = f"overrides {', '.join(words)} are read by nothing in the script"
        meant = ", ".join(f"{near} for {name}" for name, near in close.items())
    raise UsageError(
        what,
        (f"did you mean {meant}? " if meant else "")
        + f"`harness knobs --script {shlex.quote(path)}` lists what it reads; --allow-unread insists",
    )


def canonical_value(knob: ScriptKnob, text: str) -> str:
    """Return the one spelling of a value: `1`, `yes` and `True` are all `true`, `512.0` is `512`.

    Raises UsageError, with the line that reads it, for a value of the wrong type.
    """
    text = text if knob.kind in ("text", "word") else text.strip()
    return _READERS[knob.kind](knob, text)


def render_value(knob: ScriptKnob, text: str) -> str:
    """Return a value as the script takes it: a yes is `1` for `bool(int(..))`, `true` for `== "true"`.

    Raises UsageError like `canonical_value`.
    """
    value = canonical_value(knob, text)
    if knob.kind == "flag":
        yes, no = knob.spelling or ("1", "0")
        return {"true": yes, "false": no}.get(value, value)
    return value


def _flag(knob: ScriptKnob, text: str) -> str:
    word = text.lower()
    if knob.spelling and text in knob.spelling:
        return "true" if text == knob.spelling[0] else "false"
    number = float(word) if _is_number(word) else None
    if word in TRUE_WORDS or number == 1:
        return "true"
    if word in FALSE_WORDS or word in ("", "none") or number == 0:
        return "false"
    if knob.takes_text:
        return text
    raise _refusal(knob, text, "a yes/no value", "use true or false")


def _int(knob: ScriptKnob, text: str) -> str:
    word = text.lower()
    if word in ("true", "false", "yes", "no", "on", "off") and knob.default in ("0", "1"):
        return "1" if word in TRUE_WORDS else "0"
    try:
        return str(int(text))
    except ValueError:
        pass
    if _is_number(text) and float(text) == int(float(text)):
        return str(int(float(text)))
    raise _refusal(knob, text, "a whole number", f"write {knob.name}={knob.default or 1}")


def _float(knob: ScriptKnob, text: str) -> str:
    if not _is_number(text):
        raise _refusal(knob, text, "a number", f"write {knob.name}={knob.default or '0.1'}")
    return repr(float(text))


_READERS: dict[CastKind, Callable[[ScriptKnob, str], str]] = {
    "flag": _flag,
    "int": _int,
    "float": _float,
    "text": lambda knob, text: text,
    "word": lambda knob, text: text,
}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _refusal(knob: ScriptKnob, text: str, expected: str, hint: str) -> UsageError:
    return UsageError(
        f"override {knob.name}={text} is not {expected}; {knob.place} reads it with {knob.how}", hint
    )
