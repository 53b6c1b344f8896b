"""What a script itself puts into its environment before it reads it: `os.environ.setdefault("X", "500")`.

Works on syntax trees; nothing is executed. A place counts for reads that stand later in the same body, or in
functions of it; one that hangs on a condition counts only where the condition is that the name is not set.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.scripts.program import FUNCTIONS, Program


@dataclass(frozen=True)
class Preset:
    """A value that a variable is given. node: where."""

    name: str
    value: str
    node: ast.AST


def settings_in(node: ast.AST, is_environ: Callable[[ast.expr], bool]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (name, value) of each variable that a statement or call sets."""
    match node:
        case ast.Assign(targets=[ast.Subscript(value=owner, slice=name)], value=value) if is_environ(owner):
            yield name, value
        case ast.Call(func=ast.Attribute(value=owner, attr="setdefault"), args=[name, value]) if is_environ(
            owner
        ):
            yield name, value
        case ast.Call(func=ast.Attribute(value=owner, attr="update"), args=args) if is_environ(owner):
            for table in args:
                if isinstance(table, ast.Dict):
                    yield from ((key, v) for key, v in zip(table.keys, table.values, strict=True) if key)
            yield from ((ast.Constant(word.arg), word.value) for word in node.keywords if word.arg)


def is_certain(node: ast.AST, name: str, program: Program) -> bool:
    """Whether a place is reached whenever its body runs, or whenever the name is not set."""
    for child, parent in program.above(node):
        if isinstance(parent, FUNCTIONS):
            return True
        if isinstance(parent, ast.While | ast.ExceptHandler):
            return False
        if isinstance(parent, ast.If) and child is not parent.test:
            asks = any(
                isinstance(part, ast.Constant) and part.value == name for part in ast.walk(parent.test)
            )
            if not asks or child in parent.orelse:
                return False
    return True


def holds_at(preset: Preset, node: ast.AST, program: Program) -> bool:
    """Whether a preset comes before a read of its name, as far as their places tell."""
    body = program.body(preset.node)
    inside = False
    for _, parent in program.above(node):
        if parent is body:
            break
        inside = inside or isinstance(parent, FUNCTIONS)
    else:
        return False
    return inside or _place(preset.node) < _place(node)


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
