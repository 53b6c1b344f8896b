"""What a program defines, by name, and the names that a loop or a call gives values to.

Data for the evaluator (`harness.scripts.constants`) and for those who look for scopes; nothing is evaluated
here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.scripts.nodes import nodes_of


class Unknown(Exception):
    """The value is not known from the source. reason: why, or the expression that is not known."""

    def __init__(self, reason: str | ast.AST = "it is not known without running it") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        if isinstance(self.reason, str):
            return self.reason
        return f"{ast.unparse(self.reason)[:60]} is not known without running it"


NOT_KNOWN: Any = object()  # the value of a name in a scope that hides an outer one of that name


@dataclass(frozen=True)
class WhenUnset:
    """What a name holds while none of some environment variables is set."""

    value: Any
    variables: frozenset[str]


@dataclass(frozen=True)
class Func:
    """A function or lambda of the script."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class FieldOf:
    """One field of a dataclass, as `dataclasses.fields` gives it. default: None when there is none."""

    name: str
    type: type
    default: Any


@dataclass(frozen=True)
class Scope:
    """Names with their values; where it is a function's, the call that gave them and the caller's scope."""

    values: Mapping[str, Any] = field(default_factory=dict)
    call: ast.Call | None = None
    caller: Scope | None = None

    def with_values(self, values: Mapping[str, Any]) -> Scope:
        return Scope({**self.values, **values}, self.call, self.caller)


@dataclass
class Names:
    """What a program defines: functions, classes and constants, by name; of all its files together."""

    functions: dict[str, Func] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)  # `L` -> `lzma`, `d` -> `zlib.decompress`
    decoders: list[str] = field(default_factory=list)  # that were applied, innermost first
    attributes: dict[str, list[ast.expr]] = field(default_factory=dict)  # of `self.x = 1`, and of classes
    values: dict[str, Any] = field(default_factory=dict)  # of constants that were folded already
    busy: set[str] = field(default_factory=set)  # constants being folded, so that circles end
    in_attributes: int = 0  # how many attributes are being folded, one in another
    steps: int = 0
    # Gives the value of an expression that reads the environment; None where nothing is assumed of it.
    environment: Callable[[ast.AST, Scope], tuple[Any] | None] | None = None
    used: set[str] = field(default_factory=set)  # variables that `environment` gave a value for

    def collect(self, tree: ast.Module) -> None:
        """Add a file's definitions. A name that is assigned twice is no constant."""
        nodes, body = nodes_of(tree), tree.body
        inner = [*nodes.of(ast.FunctionDef), *nodes.of(ast.AsyncFunctionDef), *nodes.of(ast.ClassDef)]
        for definition in [*body, *inner]:  # what stands in the module itself comes first
            if isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.setdefault(definition.name, Func(definition))
            elif isinstance(definition, ast.ClassDef):
                self.classes.setdefault(definition.name, definition)
        for plain in nodes.of(ast.Import):
            self.modules |= {alias.asname or alias.name: alias.name for alias in plain.names}
        for node in nodes.of(ast.ImportFrom):
            self.modules |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
        for assign in nodes.of(ast.Assign):
            target = assign.targets[0]
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                self.attributes.setdefault(target.attr, []).append(assign.value)
        for owner in nodes.of(ast.ClassDef):
            for statement in owner.body:
                name, given = assigned_name(statement)
                if name and given is not None:
                    self.attributes.setdefault(name, []).append(given)
        assigned: set[str] = set()
        for statement in body:
            for target, value in assignments(statement):
                if not isinstance(target, ast.Name):
                    continue
                if isinstance(value, ast.Lambda):
                    self.functions.setdefault(target.id, Func(value))
                if target.id in assigned:
                    self.constants.pop(target.id, None)
                else:
                    self.constants[target.id] = value
                assigned.add(target.id)

    def dotted(self, node: ast.expr) -> str:
        """Return `lzma.decompress` for whatever name it goes by here; "" for what is no such name."""
        match node:
            case ast.Name(id=name):
                return self.modules.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                owner = self.dotted(value)
                return f"{owner}.{attr}" if owner else ""
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name))]):
                return name
        return ""


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (target, value) of a statement that assigns: `a = b = 1` and `a, b = 1, 2` give two each."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _pairs(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    parts = (ast.Tuple, ast.List)
    if isinstance(target, parts) and isinstance(value, parts) and len(target.elts) == len(value.elts):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, its)
    else:
        yield target, value


def assigned_name(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return (target.id if isinstance(target, ast.Name) else None), statement.value
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.value
    return None, None


def bind(target: ast.expr, row: Any) -> dict[str, Any]:
    """Return the names that a loop gives values to, for one row."""
    if isinstance(target, ast.Name):
        return {target.id: row}
    if isinstance(target, ast.Tuple | ast.List) and isinstance(row, list | tuple):
        bound: dict[str, Any] = {}
        for part, value in zip(target.elts, row, strict=False):
            bound |= bind(part, value)
        return bound
    return {}
