"""The files beside a script that it executes or reads by their path: `exec(open("real.py").read())`.

Works on syntax trees; nothing is executed. Data sets, weights and tokenizers are none of them: settings name
them, they are checked apart, and they are no part of the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath

from harness.scripts.nodes import below, nodes_of
from harness.scripts.program import last_part

MAX_BYTES = 1_000_000  # of a file that is read; larger ones are data
MAX_COMMAND = 2000  # characters of a command; a longer text is none
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
_NO_CODE = frozenset({".model", ".vocab", ".log", ".parquet"})  # tokenizers, logs, text
_SHARD = re.compile(r"(train|val|token|shard|data)[^/]*\.bin$|\*")
_LOADERS = frozenset({"load", "fromfile", "memmap", "loadtxt", "open", "read_bytes", "load_file"})
_RUNNERS = frozenset(
    {"execfile", "run_path", "spec_from_file_location", "SourceFileLoader", "load_source", "CDLL"}
)
_WRITES = re.compile(r"[rbt]*[wax+][rbt+]*")  # a mode of `open`


def companion_paths(tree: ast.Module, own: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the relative paths that a file executes or may read, as it writes them; many may not exist.

    own: the file's own name.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (like := _named_alike(node, own)):
            yield from _relative(like)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            yield from _relative(node.value)
        elif joined := _joined(node):
            yield from _relative(joined)
        elif isinstance(node, ast.Call):
            name = last_part(node.func)
            if name in _STARTERS:
                words = [word for text in _texts(node) for word in text[:MAX_COMMAND].split()]
                for before, word in zip(["", *words], words, strict=False):
                    if before == "-m":  # python -m package.module
                        yield from _relative(f"{word.replace('.', '/')}.py")
                    elif word.endswith((".py", ".sh")):
                        yield from _relative(word)
            elif name in _READERS and not any(map(_WRITES.fullmatch, _texts(node))):
                for text in _texts(node):
                    if PurePosixPath(text).suffix not in {"", *_DATA}:
                        yield from _relative(text)
    yield from executed_paths(tree)
    yield from _loaded_data(tree)


def _loaded_data(tree: ast.Module) -> Iterator[PurePosixPath]:
    """Yield the data beside a script that it loads by name, and never mentions but to load it.

    What it also writes (`final_model.pt`) is its result, and no part of the code.
    """
    loads: set[ast.AST] = set()
    for call in nodes_of(tree).of(ast.Call):
        if last_part(call.func) in _LOADERS and not any(map(_WRITES.fullmatch, _texts(call))):
            loads.update(part for part in below(call) if isinstance(part, ast.Constant))
    mentions = [node for node in nodes_of(tree).of(ast.Constant) if isinstance(node.value, str)]
    others = {node.value for node in mentions if node not in loads}
    for text in dict.fromkeys(node.value for node in mentions if node in loads):
        path = PurePosixPath(str(text))
        of_course = {"data", "datasets"} & set(path.parts)
        is_code = path.suffix in _DATA - _NO_CODE and not _SHARD.search(path.name)
        if is_code and text not in others and not of_course:
            yield from _relative(str(text))


def executed_paths(tree: ast.Module) -> Iterator[PurePosixPath]:
    """Yield the relative paths of the files that a file executes, compiles or hands to another program.

    A name in such a call stands for what is assigned to it. What a function is called with is not followed.
    """
    values = _assigned(tree)
    seen: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _executes(node):
            yield from _paths(node, values, seen)


def import_folders(tree: ast.Module) -> Iterator[PurePosixPath]:
    """Yield the relative folders that a file puts into `sys.path`, where modules are then found."""
    values = _assigned(tree)
    for call in nodes_of(tree).of(ast.Call):
        match call.func:
            case ast.Attribute(value=ast.Attribute(attr="path"), attr="insert" | "append" | "extend"):
                yield from _paths(call, values, set())


def executes_file(tree: ast.Module, files: Collection[str]) -> bool:
    """Whether all that a file hands to `exec` is one of some files, which are read apart."""
    values = _assigned(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and last_part(node.func) == "exec"]
    return bool(calls) and all(
        any(str(path) in files for path in _paths(call, values, set())) for call in calls
    )


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Return what is assigned to each name anywhere in a file."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
            ):
                targets = [target]
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                targets = [target]
            case _:
                continue
        for name in targets:
            if isinstance(name, ast.Name):
                values.setdefault(name.id, []).append(value)
    return values


def _paths(call: ast.Call, values: Mapping[str, list[ast.expr]], seen: set[str]) -> Iterator[PurePosixPath]:
    """Yield the paths in a call and in what is assigned to its names."""
    for part in _followed(call, values, seen):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            for word in {part.value, *part.value[:MAX_COMMAND].split()}:
                yield from _relative(word)
        elif joined := _joined(part):
            yield from _relative(joined)


def _executes(call: ast.Call) -> bool:
    name = last_part(call.func)
    if isinstance(call.func, ast.Name) and name in ("exec", "compile"):
        return True
    return name in _RUNNERS | _STARTERS or any(key.arg == "sources" for key in call.keywords)


def _followed(node: ast.AST, values: Mapping[str, list[ast.expr]], seen: set[str]) -> Iterator[ast.AST]:
    """Yield all parts of an expression and of what is assigned to its names, each name once."""
    for part in ast.walk(node):
        yield part
        if isinstance(part, ast.Name) and part.id in values and part.id not in seen:
            seen.add(part.id)
            for value in values[part.id]:
                yield from _followed(value, values, seen)


def _joined(node: ast.AST) -> str | None:
    """Return the path that constant parts at the end of `join(a, "b", "c.py")` or `a / "b" / "c.py"` make."""
    if isinstance(node, ast.Call) and last_part(node.func) in ("join", "joinpath", "Path"):
        parts: list[ast.expr] = list(node.args)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        parts = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Div):
            parts.insert(0, left.right)
            left = left.left
    elif isinstance(node, ast.JoinedStr) and len(node.values) > 1:  # f"{here}/code/model.py"
        last = node.values[-1].value if isinstance(node.values[-1], ast.Constant) else ""
        return last.strip("/") if isinstance(last, str) and last.startswith("/") else None
    else:
        return None
    texts: list[str] = []
    for part in reversed(parts):
        if not (isinstance(part, ast.Constant) and isinstance(part.value, str)):
            break
        texts.insert(0, part.value)
    return "/".join(texts) if len(texts) > 1 else None


def _named_alike(call: ast.Call, own: PurePosixPath) -> str | None:
    """Return the file that is named after the one that runs: `Path(__file__).with_suffix(".json")`."""
    func = call.func
    words = [str(word.value) for word in call.args if isinstance(word, ast.Constant)]
    if not isinstance(func, ast.Attribute) or len(words) < len(call.args):
        return None
    if not any(isinstance(part, ast.Name) and part.id == "__file__" for part in below(func.value)):
        return None
    try:
        if func.attr in ("with_suffix", "with_stem") and len(words) == 1:
            return str(getattr(own, func.attr)(words[0]))
        if func.attr == "replace" and len(words) == 2:
            return str(own).replace(words[0], words[1])
    except ValueError:  # no suffix, or no name
        pass
    return None


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
