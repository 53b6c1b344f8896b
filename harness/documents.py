"""Stored files, read within limits: the one place where a file that cannot be read becomes a named problem.

Whatever lies in a season may come from others. Size, depth and the range of numbers are limited before
anything is made of a file, so that no reader and no arithmetic behind it meets more. Whatever goes wrong
while a file is read, decoded or checked is a `FileProblem` that names the file; a season goes on without it.

Knows nothing of what the files mean. Imports little, since `harness ls` waits for it.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import HarnessError, explain
from harness.files import read_plain

if TYPE_CHECKING:
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)

MAX_DEPTH = 32  # lists and tables in each other; a record has five
MIN_WHOLE, MAX_WHOLE = -(2**63), 2**64 - 1  # seeds may be unsigned
MAX_REAL = 1e39  # all that a float32 holds; sums, squares and squares of squares of it are numbers
FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(9000, 1, 1)  # with room for any time zone

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_NO_NUMBER = re.compile(rb"[:,\[\s](?:NaN|-?Infinity)[,\]}\s]")
_BOM = b"\xef\xbb\xbf"
# tomllib takes time with the square of a key's parts. A key begins where no key goes on.
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DEPTH},}}")


class FileProblem(HarnessError):
    """A file that cannot be read, or is not what it should be."""


class MissingFile(FileProblem):
    """There is no such file."""


@contextmanager
def naming(place: Path | str, hint: str = "") -> Iterator[None]:
    """Turn whatever goes wrong inside into a FileProblem that names the place."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:  # of a stranger's file, anything may be wrong
        raise _problem(error, place, hint) from error


def _problem(error: Exception, place: Path | str, hint: str) -> FileProblem:
    from pydantic import ValidationError

    match error:
        case FileNotFoundError() | NotADirectoryError():
            return MissingFile(f"cannot read {place}: {error.strerror}", hint)
        case OSError():
            return FileProblem(f"cannot read {place}: {error.strerror or error}", hint)
        case ValidationError():
            return FileProblem(f"{place}: {explain(error)}", hint)
        case RecursionError():
            return FileProblem(f"{place}: it is nested too deeply", hint)
        case _:
            return FileProblem(f"{place}: {type(error).__name__}: {error!s:.300}", hint)


# Reading ------------------------------------------------------------------------------------------


def read_file(path: Path, max_bytes: int, hint: str = "", root: Path | None = None) -> bytes:
    """Read a whole file. root: as in `open_plain`. Raises MissingFile, or FileProblem with the reason."""
    with naming(path, hint):
        return read_plain(path, max_bytes, root)


def read_json(path: Path, max_bytes: int, hint: str = "", root: Path | None = None) -> Any:
    """Read a file that programs write. Raises MissingFile, or FileProblem with the reason."""
    return parse_json(read_file(path, max_bytes, hint, root), path, hint)


def read_toml(path: Path, max_bytes: int, hint: str = "", root: Path | None = None) -> dict[str, Any]:
    """Read a file that people write. Raises MissingFile, or FileProblem with the place of a mistake."""
    return parse_toml(read_file(path, max_bytes, hint, root), path, hint)


def read_model(
    model: type[Model], path: Path, max_bytes: int, hint: str = "", root: Path | None = None
) -> Model:
    """Read a JSON file as a model. Raises MissingFile, or FileProblem with each part that is wrong."""
    from pydantic import ValidationError

    content = read_file(path, max_bytes, hint, root)
    try:  # nearly every file: decoded and checked in one go, which takes half the time
        return model.model_validate_json(content)
    except ValidationError:
        return check_model(model, parse_json(content, path, hint), path, hint)  # names what is wrong


# Decoding -----------------------------------------------------------------------------------------


def parse_json(content: bytes, place: Path | str, hint: str = "") -> Any:
    """Decode JSON: no NaN, no half characters, nothing out of bounds. Raises FileProblem."""
    import orjson

    content = content.removeprefix(_BOM)
    try:
        # orjson knows neither NaN nor infinity; read as numbers, their place can be named.
        data = json.loads(content) if _NO_NUMBER.search(content) else orjson.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileProblem(f"{place} is not JSON: {error}", hint) from error
    _check_bounds(data, place, hint)
    return data


def parse_toml(content: bytes, place: Path | str, hint: str = "") -> dict[str, Any]:
    """Decode TOML with nothing out of bounds. Raises FileProblem with the place of a mistake."""
    try:
        text = content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise FileProblem(f"{place} is not UTF-8 text: {error.reason}", "save it as UTF-8") from error
    if match := _DEEP_KEY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise FileProblem(f"{place}: a key in line {line} has more than {MAX_DEPTH} parts", hint)
    with naming(place, hint or "mend that line"):
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise FileProblem(f"{place} is not valid TOML: {error}", hint or "mend that line") from error
    _check_bounds(data, place, hint)
    return data


def check_model(model: type[Model], data: object, place: Path | str, hint: str = "") -> Model:
    """Check decoded data as a model. Raises FileProblem with each part that is wrong."""
    with naming(place, hint):
        return model.model_validate(data)


def _check_bounds(data: object, place: Path | str, hint: str) -> None:
    """Refuse what is nested too deeply, and numbers, days and texts that nothing can be made of."""
    level: list[Any] = [[data]]
    depth = 0
    while level:
        if depth > MAX_DEPTH:
            raise FileProblem(f"{place}: it is nested more than {MAX_DEPTH} deep", hint)
        inner: list[Any] = []
        for box in level:
            for key, value in box.items() if isinstance(box, dict) else enumerate(box):
                if isinstance(value, dict | list):
                    inner.append(value)
                elif reason := _out_of_bounds(value) or _out_of_bounds(key):
                    raise FileProblem(f"{place}: {str(key)[:80]!a}: {reason}", hint)
        level, depth = inner, depth + 1


def _out_of_bounds(value: object) -> str:
    match value:
        case str() if not value.isascii() and _HALF_CHARACTER.search(value):
            return "it has half a character"
        case int() if not MIN_WHOLE <= value <= MAX_WHOLE:
            return "a whole number of more than 64 bits"
        case float() if not -MAX_REAL <= value <= MAX_REAL:  # NaN too
            return f"{value} is no number between -{MAX_REAL:g} and {MAX_REAL:g}"
        case dt.date() if not FIRST_DAY.year <= value.year < LAST_DAY.year:  # a moment is a date too
            return f"the year {value.year} is none between {FIRST_DAY.year} and {LAST_DAY.year}"
    return ""
