"""Where a training script looks for its shards and its tokenizer, worked out from its text and its settings.

Most scripts take `DATA_PATH` and `TOKENIZER_PATH`; others take one folder (`DATA_DIR`) and work the places
out: `os.path.join(DATA_DIR, "datasets", f"fineweb10B_sp{VOCAB_SIZE}")`. Pure: nothing is executed, and no
file is looked for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

from harness.scripts import grammar
from harness.scripts.casts import CastKind
from harness.scripts.environ_reads import Finder, finders_of
from harness.scripts.flow import names_in
from harness.scripts.knobs import read_script
from harness.scripts.program import dotted, last_part
from harness.scripts.unpack import unpack_source

Kind = Literal["train", "val", "shards", "tokenizer"]
_MARK = "/@data"  # stands for the value of a knob while a place is worked out
MAX_PATH = 4_096  # characters, as Linux has it
_SHARDS = re.compile(r"(?P<kind>train|val)[^/]*\.(bin|npy)$")
_FOLDER = re.compile(r"(^|/)datasets/[^/.*]+/?$")
_MAKERS = ("join", "Path", "joinpath", "str", "get", "getenv", "format", "glob", "rglob")
_TEXT: tuple[CastKind, ...] = ("text", "word")


@dataclass(frozen=True)
class DataPlace:
    """A path that a script works out. knobs: those it hangs on, set or not.

    kind: `train` and `val` are files or patterns of them, `shards` is a folder under `datasets/` where the
    script names no such files.
    """

    kind: Kind
    path: str
    line: int
    file: str = ""
    knobs: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}" if self.file else f"line {self.line}"

    @property
    def folder(self) -> str:
        """The folder of the shards; the path itself of a tokenizer."""
        return self.path if self.kind in ("tokenizer", "shards") else str(PurePosixPath(self.path).parent)


@dataclass(frozen=True)
class DataLayout:
    """How a script lays its data out below the folder that one knob names.

    shards, tokenizer: paths below it; tokenizer is "" when the script looks for none there.
    """

    knob: str
    shards: str
    tokenizer: str = ""

    def value_for(self, shards: Path, tokenizer: Path | None = None) -> str | None:
        """Return the knob's value with which a script finds data where it is; None if its layout differs."""
        value = _without_end(shards, self.shards)
        if value is None or (self.tokenizer and tokenizer and Path(value) / self.tokenizer != tokenizer):
            return None
        return value

    def links_for(self, shards: Path, tokenizer: Path | None = None) -> dict[str, Path]:
        """Return the links that, made below any folder, let the script find data there."""
        links = {self.shards: shards}
        return links | ({self.tokenizer: tokenizer} if self.tokenizer and tokenizer else {})


def read_data_places(
    files: Mapping[str, str] | str, settings: Mapping[str, str] | None = None
) -> tuple[DataPlace, ...]:
    """Return where a script finds its shards and its tokenizer with some settings, one place of each kind.

    files: its text, or the texts of all its files by name, the script first. Variables of this process count
    for nothing. Raises UsageError when a file is not Python.
    """
    files = {"": files} if isinstance(files, str) else files
    trees = {
        name: grammar.parse_source(unpack_source(text).source, name or "the script")
        for name, text in files.items()
    }
    found: dict[Kind, DataPlace] = {}
    with grammar.without_collector():
        for finder in finders_of(trees, settings):
            finder.find_presets()
            for place in _places(finder):
                first = found.get(place.kind)
                if first is None or (place.knobs and not first.knobs):
                    found[place.kind] = place
    if found.keys() & {"train", "val"}:  # which say more than the folder around them
        found.pop("shards", None)
    return tuple(found.values())


def read_data_layout(
    files: Mapping[str, str] | str, settings: Mapping[str, str] | None = None
) -> DataLayout | None:
    """Return how the places of a script's data follow from the folder that a knob names; None if none does.

    settings: those of the run, since other knobs may take part (`VOCAB_SIZE`).
    """
    settings = dict(settings or {})
    knobs = read_script(files, settings).knobs
    for name in sorted({name for place in read_data_places(files, settings) for name in place.knobs}):
        if name not in knobs or knobs[name].kind not in _TEXT:
            continue
        places = {p.kind: p for p in read_data_places(files, settings | {name: _MARK})}
        shards = places.get("train") or places.get("val") or places.get("shards")
        below = _below(shards.folder) if shards else None
        if below:
            tokenizer = places.get("tokenizer")
            return DataLayout(name, below, (_below(tokenizer.path) if tokenizer else None) or "")
    return None


def _places(finder: Finder) -> Iterator[DataPlace]:
    """Yield the paths to data that a file makes, each with the knobs that it hangs on."""
    for node in sorted(_paths(finder), key=lambda node: node.lineno):
        for scope in islice(finder.reach.scopes(node, names_in([node]), most=4), 4):
            value, knobs = finder.value_unset(node, scope)
            text = str(value) if isinstance(value, str | PurePosixPath) else ""
            kind = _kind(text)
            if kind:
                yield DataPlace(kind, text.rstrip("/"), node.lineno, finder.file, knobs)


def _kind(path: str) -> Kind | None:
    """Return what lies at a path, as far as its name tells."""
    if "\n" in path or len(path) > MAX_PATH:
        return None
    shards = _SHARDS.search(path)
    if shards:
        return "val" if shards["kind"] == "val" else "train"
    name = path.rpartition("/")[2]
    if name.endswith(".model") or ("token" in name and name.endswith((".json", ".pkl"))):
        return "tokenizer"
    return "shards" if _FOLDER.search(path) else None


def _paths(finder: Finder) -> Iterator[ast.expr]:
    """Yield the outermost expressions that may make a path."""
    for node in finder.nodes.of(ast.Call, ast.BinOp, ast.JoinedStr, ast.Constant):
        if _may_be_path(node) and not _is_part(finder, node):
            yield node


def _may_be_path(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, str) and value.endswith((".bin", ".npy", ".model", ".json", ".pkl"))
        case ast.BinOp(op=ast.Div() | ast.Add()) | ast.JoinedStr():
            return True
        case ast.Call():
            written = dotted(node.func)
            if written in ("glob", "glob.glob", "glob.iglob", "iglob"):  # which lists what a pattern means
                return False
            return last_part(node.func) in _MAKERS or written.endswith("path.join")
    return False


def _is_part(finder: Finder, node: ast.expr) -> bool:
    """Whether an expression is part of a larger one that makes a path."""
    for _, parent in finder.program.above(node):
        if isinstance(parent, ast.stmt) or not isinstance(parent, ast.expr | ast.FormattedValue):
            return False
        if isinstance(parent, ast.Call | ast.BinOp | ast.JoinedStr) and _may_be_path(parent):
            return True
    return False


def _below(path: str) -> str | None:
    return path.removeprefix(f"{_MARK}/") if path.startswith(f"{_MARK}/") else None


def _without_end(path: Path, end: str) -> str | None:
    """Return the folder that a path lies in below an end: `/data` of `/data/datasets/x` and `datasets/x`."""
    parts, last = path.parts, PurePosixPath(end).parts
    return str(Path(*parts[: -len(last)])) if parts[-len(last) :] == last and len(parts) > len(last) else None
