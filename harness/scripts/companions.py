"""The files beside a script that it executes or reads by their path: `exec(open("real.py").read())`.

Works on syntax trees; nothing is executed. Data sets, weights and tokenizers are none of them: settings name
them, they are checked apart, and they are no part of the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from harness.scripts.casts import last_part

MAX_BYTES = 1_000_000  # of a file that is read; larger ones are data
_READERS = frozenset(
    {"open", "read_text", "read_bytes", "run_path", "load", "load_inline", "read", "getsize"}
)
_STARTERS = frozenset(
    {
        "run",
        "call",
        "Popen",
        "check_call",
        "check_output",
        "system",
        "popen",
        "execv",
        "execvp",
        "execl",
        "spawn",
    }
)
_DATA = frozenset(
    {
        ".bin",
        ".model",
        ".vocab",
        ".npy",
        ".npz",
        ".pt",
        ".pth",
        ".ptz",
        ".safetensors",
        ".log",
        ".pkl",
        ".parquet",
    }
)
_WRITES = re.compile(r"[rbt]*[wax+][rbt+]*")  # a mode of `open`


def companion_paths(tree: ast.Module) -> Iterator[PurePosixPath]:
    """Yield the relative paths that a file executes or may read, as it writes them; many may not exist."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            yield from _relative(node.value)
        elif isinstance(node, ast.Call):
            name = last_part(node.func)
            if name in _STARTERS:
                for text in _texts(node):
                    for word in text.split():
                        if word.endswith((".py", ".sh")):
                            yield from _relative(word)
            elif name in _READERS and not any(map(_WRITES.fullmatch, _texts(node))):
                for text in _texts(node):
                    if PurePosixPath(text).suffix not in {"", *_DATA}:
                        yield from _relative(text)


def names_file(call: ast.Call, files: frozenset[str]) -> bool:
    """Whether a call mentions one of some files, so that what it executes is known."""
    return any(not files.isdisjoint({text, text.removeprefix("./")}) for text in _texts(call))


def _texts(node: ast.AST) -> list[str]:
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _relative(text: str) -> Iterator[PurePosixPath]:
    """Yield a path that lies below the folder it starts from."""
    if len(text) < 200 and "\n" not in text and "\0" not in text:
        path = PurePosixPath(text)
        if path.parts and not path.is_absolute() and ".." not in path.parts:
            yield path
