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
    """A value that a variable is given. node: where.

    owner: the table that it is given in, as it is written, where that is a copy of the environment.
    """

    name: str
    value: str
    node: ast.AST
    owner: str = ""


def settings_in(node: ast.AST, is_environ: Callable[[ast.expr], bool]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (name, value) of each variable that a statement or call sets."""
    match node:
        case ast.Assign(targets=[ast.Subscript(value=owner, slice=name)], value=value) if is_environ(owner):
            yield name, value
        case ast.Call(func=ast.Attribute(value=owner, attr="setdefault"), args=[name, value]) if is_environ(
            owner
        ):
            yield name, value
        case ast.Call(func=ast.Attribute(value=owner, attr="update")) if is_environ(owner):
            yield from ((ast.Constant(word.arg), word.value) for word in node.keywords if word.arg)


def tables_in(
    node: ast.AST, is_environ: Callable[[ast.expr], bool], copies: Callable[[ast.expr], bool]
) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (owner, table) of what is merged into the environment, or with a copy of it into another table.

    copies: whether an expression makes a copy of the environment.
    """
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="update"), args=tables) if is_environ(owner):
            yield from ((owner, table) for table in tables)
        case ast.AugAssign(target=ast.Name() | ast.Attribute() as owner, op=ast.BitOr(), value=table) if (
            is_environ(owner)
        ):
            yield owner, table
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as owner], value=value) if copies(value):
            yield from ((owner, table) for table in _merged(value, lambda n: is_environ(n) or copies(n)))


def _merged(node: ast.expr, is_environ: Callable[[ast.expr], bool]) -> Iterator[ast.expr]:
    """Yield the tables in `{**a, **b}` and `a | b` that are not the environment."""
    match node:
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if key is not None:
                    yield ast.Dict([key], [value])
                else:
                    yield from _merged(value, is_environ)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _merged(left, is_environ)
            yield from _merged(right, is_environ)
        case _ if not is_environ(node):
            yield node


def is_certain(node: ast.AST, is_name: Callable[[ast.expr], bool], program: Program) -> bool:
    """Whether a place is reached whenever its body runs, or whenever a variable is not set.

    is_name: whether an expression is the variable's name.
    """
    for child, parent in program.above(node):
        if isinstance(parent, FUNCTIONS):
            return True
        if isinstance(parent, ast.While | ast.ExceptHandler):
            return False
        if isinstance(parent, ast.If) and child is not parent.test:
            parts = (part for part in ast.walk(parent.test) if isinstance(part, ast.Constant | ast.Name))
            asks = any(map(is_name, parts))
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
