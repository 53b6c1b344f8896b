"""Functions of Python and its library that are worked out without running a script: values in, value out.

Each keeps its result small and raises ValueError or TypeError for what it does not know. Lists stand for
tuples and sets, PurePosixPath for paths.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
import string
import sys
from collections.abc import Callable, Sequence
from pathlib import PurePath, PurePosixPath
from typing import Any

_SPEC = re.compile(r"(.?[<>=^])?[-+ ]?#?0?\d{0,2}[,_]?(\.\d{1,2})?[bcdeEfFgGosxX%]?")
_PERCENT = re.compile(r"%(?:%|[-+ 0#]*\d{0,2}(?:\.\d{1,2})?[a-zA-Z])")
_MAX_ITEMS = 10_000


def format_value(value: Any, spec: str) -> str:
    """Return `f"{value:spec}"`."""
    if not _SPEC.fullmatch(spec):
        raise ValueError(f"a format that is not followed: {spec}")
    return format(value, spec)


def format_text(text: str, args: Sequence[Any], words: dict[str, Any] | None = None) -> str:
    """Return `text.format(*args, **words)`, fields of fields left out."""
    for _, name, spec, _ in string.Formatter().parse(text):
        if name is not None and not (re.fullmatch(r"\w*", name) and _SPEC.fullmatch(spec or "")):
            raise ValueError(f"a format that is not followed: {name}:{spec}")
    return text.format(*args, **(words or {}))


def percent(text: str, values: Any) -> str:
    """Return `text % values`."""
    if "%" in _PERCENT.sub("", text):
        raise ValueError(f"a format that is not followed: {text[:40]}")
    return text % (tuple(values) if isinstance(values, list) else values)


def join_path(*parts: Any) -> str:
    return posixpath.join(*map(str, parts))


def make_path(*parts: Any) -> PurePosixPath:
    if not all(isinstance(part, str | PurePosixPath) for part in parts):
        raise TypeError("a path of something else than text")
    return PurePosixPath(*parts)


def path_method(path: PurePath, name: str, args: Sequence[Any]) -> PurePath | str:
    """Return what a method of a path gives; of a search its pattern, with the folder before it."""
    if name in ("joinpath", "glob", "rglob"):
        return path.joinpath(*args)
    if name in ("with_name", "with_suffix", "relative_to"):
        return getattr(path, name)(*args)  # type: ignore[no-any-return]
    if name in ("resolve", "expanduser", "absolute"):
        return path
    if name == "as_posix":
        return str(path)
    raise TypeError("a method that is not followed")


def _map(function: Any, values: Any) -> list[Any]:
    if function not in (str, int, float, bool):
        raise TypeError("a function that is not followed")
    return [function(value) for value in values]


def _range(*ends: int) -> list[int]:
    if len(range(*ends)) > _MAX_ITEMS:
        raise ValueError("the list is too long")
    return list(range(*ends))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("list", "tuple"), list),
    **dict.fromkeys(("set", "frozenset"), lambda values=(): list(dict.fromkeys(values))),
    "sorted": sorted,
    "enumerate": lambda values: [list(pair) for pair in enumerate(values)],
    "zip": lambda *rows: [list(row) for row in zip(*rows, strict=False)],
    "compile": lambda source, *_: source,
    "map": _map,
    "range": _range,
    "max": max,
    "min": min,
    "sum": sum,
    "abs": abs,
    "len": len,
    "round": round,
    "repr": repr,
    **{
        f"math.{name}": getattr(math, name)
        for name in ("sqrt", "floor", "ceil", "log", "log2", "exp", "prod")
    },
    **dict.fromkeys(("os.path.join", "posixpath.join", "path.join"), join_path),
    **{"os.fspath": str, "os.path.basename": posixpath.basename, "os.path.dirname": posixpath.dirname},
    **dict.fromkeys(("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "Path"), make_path),
}
CONSTANTS: dict[str, Any] = {
    **{"math.pi": math.pi, "math.inf": math.inf, "math.e": math.e, "os.sep": "/"},
    **{"os.name": os.name, "sys.platform": sys.platform},  # a script runs where it is read
}
