"""Every pattern of the package reads a megabyte of what it is made of in seconds.

The patterns are found, not listed: those that modules hold when they are imported, alone or in tables, and
those that code writes down where it uses them. A pattern whose time grows with the square of a text takes
hours here.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from re import _parser as parser  # type: ignore[attr-defined]  # what a pattern is made of
from typing import Any

import pytest

import harness
import trainer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

SIZE = 1_000_000
# What is handed to these is shorter, as their callers see to: characters at the most.
BOUNDED = {
    "harness.field.log_prefix._VARIES": 120,  # MAX_PREFIX_BYTES
    "harness.field.record_files._NOT_LOGS": 4_096,  # a path
    "harness.run.result._ASKS_FOR_GPU": 20_000,  # 40 lines of 500 characters
    "harness.run.result._TORCHRUN_REPORT": 500,
    "harness.field.run_facts._NOT_OF_THE_RUN": 2_000,  # of a line
    "harness.field.submission_keys.MODEL_KEY": 2_000,  # a key
    "harness.field.unfinished_line": 65_536,  # MAX_LINE_BYTES
    "harness.run.script_result._ARTIFACT": 4_096,  # a path, as the next three
    "harness.scripts.companions._SHARD": 4_096,
    "harness.scripts.data_places._SHARDS": 4_096,
    "harness.temporary._NAME": 4_096,
    "harness.scripts.one_file._PIECES": 4_096,  # the trainer's own source, which is Python
}
SCRIPTS = ("__main__", "watchdog", "start_module", "probe_torch")  # what runs when it is imported
BY_PATTERN = {"compile", "match", "search", "fullmatch", "split", "findall", "finditer", "sub", "subn"}
CATEGORIES = {"CATEGORY_DIGIT": "1", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}
REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def modules() -> Iterator[Any]:
    for package in (harness, trainer):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith(SCRIPTS):
                yield importlib.import_module(found.name)


def held(value: object, depth: int = 0) -> Iterator[tuple[re.Pattern[Any], str]]:
    """Yield the patterns in a module's attribute, and the one method by which each is used, else `search`."""
    if isinstance(value, re.Pattern):
        yield value, "search"
    elif isinstance(pattern := getattr(value, "__self__", None), re.Pattern):
        yield pattern, value.__name__  # type: ignore[attr-defined]
    elif isinstance(value, dict) and depth < 4:
        for inner in value.values():
            yield from held(inner, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 4:
        for inner in value:
            yield from held(inner, depth + 1)
    elif isinstance(value, type) and value.__module__.startswith(("harness", "trainer")) and depth == 0:
        for inner in vars(value).values():
            yield from held(inner, depth + 1)


def written(path: Path) -> Iterator[tuple[re.Pattern[Any], str]]:
    """Yield the patterns that code hands to `re` as a constant, with the function."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=used), args=[ast.Constant(value=text), *_]
            ) if used in BY_PATTERN - {"compile"}:  # a compiled one is held by its module
                yield re.compile(text), used


def uses() -> dict[str, set[str]]:
    """Return, for each name of the packages' code, the methods of patterns that are called on it."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=used) if used in BY_PATTERN:
                    found.setdefault(name, set()).add(used)
    return found


def all_patterns() -> dict[str, tuple[re.Pattern[Any], str]]:
    found: dict[tuple[object, int], tuple[str, re.Pattern[Any], str]] = {}
    methods = uses()
    for module in modules():
        for name, value in vars(module).items():
            for pattern, used in held(value):
                called = methods.get(name, set())
                if isinstance(value, re.Pattern) and called and called <= {"match", "fullmatch"}:
                    used = "match" if "match" in called else "fullmatch"
                found.setdefault(
                    (pattern.pattern, pattern.flags), (f"{module.__name__}.{name}", pattern, used)
                )
        for pattern, used in written(Path(module.__file__)):
            found.setdefault((pattern.pattern, pattern.flags), (module.__name__, pattern, used))
    return {
        f"{name} {number}": (pattern, used) for number, (name, pattern, used) in enumerate(found.values())
    }


PATTERNS = all_patterns()


def parts(pattern: re.Pattern[Any]) -> list[str]:
    """Return the words that a pattern looks for, and a character of each class."""
    words: list[str] = []

    def walk(tree: Any) -> None:
        word = ""
        for operation, value in tree:
            if str(operation) == "LITERAL":
                word += chr(value)
                continue
            words.append(word)
            word = ""
            match str(operation):
                case "IN":
                    for kind, what in value:
                        if str(kind) == "LITERAL":
                            words.append(chr(what))
                        elif str(kind) == "RANGE":
                            words.append(chr(what[0]))
                        elif str(kind) == "CATEGORY":
                            words.append(CATEGORIES.get(str(what), "-"))
                case name if name in REPEATS:
                    walk(value[2])
                case "SUBPATTERN":
                    walk(value[3])
                case "BRANCH":
                    for branch in value[1]:
                        walk(branch)
                case "ASSERT" | "ASSERT_NOT":
                    walk(value[1])
                case "ATOMIC_GROUP":
                    walk(value)
                case "ANY" | "NOT_LITERAL":
                    words.append("x")
        words.append(word)

    walk(parser.parse(pattern.pattern, pattern.flags))
    return list(dict.fromkeys(filter(None, words)))


def texts(pattern: re.Pattern[Any], size: int) -> Iterator[str]:
    words = parts(pattern)
    whole = "".join(words)
    pairs = [first + second for first, second in pairwise(words)]
    for unit in dict.fromkeys([*words[:6], *pairs[:3], whole, " ", "a", "1"]):
        if unit:
            yield unit * (size // len(unit)) + "\0"
            yield whole[:100] + unit * (size // len(unit)) + "\n"


def test_patterns_are_found() -> None:
    assert len(PATTERNS) > 200


@pytest.mark.parametrize("name", PATTERNS)
def test_a_megabyte_is_read(name: str) -> None:
    pattern, used = PATTERNS[name]
    by = getattr(pattern, used if used in ("match", "fullmatch") else "search")
    for text in texts(pattern, BOUNDED.get(name.split()[0], SIZE)):
        by(text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text)
