"""Fields of a class and parameters of a function, with their annotations, as option libraries read them.

Works on syntax trees; nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from harness.scripts.casts import CastKind
from harness.scripts.names import Names
from harness.scripts.program import last_part

_KINDS: dict[str, CastKind] = {"int": "int", "float": "float", "bool": "flag"}
_LISTS = ("list", "List", "tuple", "Tuple", "Sequence", "set")


@dataclass(frozen=True)
class Typed:
    """A name with its annotation. has_default: also where the default is not in `default`."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    line: int
    has_default: bool = False


def class_fields(owner: ast.ClassDef, names: Names, depth: int = 0) -> list[Typed]:
    """Return the annotated fields of a class, those of the script's classes above it first."""
    fields: dict[str, Typed] = {}
    for base in owner.bases:
        above = names.classes.get(last_part(base) or "")
        if above is not None and above is not owner and depth < 5:
            fields |= {field.name: field for field in class_fields(above, names, depth + 1)}
    for statement in owner.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if last_part(statement.annotation) == "ClassVar" or "ClassVar[" in ast.unparse(
                statement.annotation
            ):
                continue
            value, has_default = _of_field(statement.value)
            name = statement.target.id
            fields[name] = Typed(name, statement.annotation, value, statement.lineno, has_default)
    return list(fields.values())


def _of_field(value: ast.expr | None) -> tuple[ast.expr | None, bool]:
    """Return the default inside `field(default=..)`, and whether there is any."""
    if isinstance(value, ast.Call) and last_part(value.func) in ("field", "Field"):
        words = {word.arg: word.value for word in value.keywords}
        factory = words.get("default_factory")
        if isinstance(factory, ast.Lambda):
            return factory.body, True
        return words.get("default"), "default" in words or "default_factory" in words
    return value, value is not None


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Typed]:
    """Yield the parameters of a function, `self` and catch-alls left out."""
    words = function.args
    plain = [*words.posonlyargs, *words.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(words.defaults)) + list(words.defaults)
    for word, default in zip(plain + words.kwonlyargs, defaults + list(words.kw_defaults), strict=True):
        if word.arg not in ("self", "cls"):
            yield Typed(word.arg, word.annotation, default, word.lineno, default is not None)


def kind_of_annotation(node: ast.expr | None, names: Names) -> tuple[CastKind, tuple[str, ...], str]:
    """Return the kind of values that an annotation asks for, their choices, and how many words they take."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return "text", (), "1"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):  # int | None
        sides = [side for side in (node.left, node.right) if ast.unparse(side) != "None"]
        return kind_of_annotation(sides[0], names) if len(sides) == 1 else ("text", (), "1")
    if isinstance(node, ast.Subscript):
        outer = last_part(node.value) or ""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer == "Literal":
            values = [part.value for part in parts if isinstance(part, ast.Constant)]
            return "text", tuple(str(value) for value in values if value is not None), "1"
        if outer in ("Optional", "Union"):
            kept = [part for part in parts if ast.unparse(part) != "None"]
            return kind_of_annotation(kept[0], names) if len(kept) == 1 else ("text", (), "1")
        if outer in _LISTS and parts:
            kind, choices, _ = kind_of_annotation(parts[0], names)
            fixed = outer in ("tuple", "Tuple") and ast.unparse(parts[-1]) != "..."
            return kind, choices, str(len(parts)) if fixed else "*"
    name = last_part(node) if node is not None else None
    owner = names.classes.get(name or "")
    if owner is not None and any((last_part(base) or "").endswith("Enum") for base in owner.bases):
        values = [
            statement.value.value
            for statement in owner.body
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        ]
        return "text", tuple(map(str, values)), "1"
    return _KINDS.get(name or "", "text"), (), "1"
