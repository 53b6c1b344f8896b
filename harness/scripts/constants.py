"""What a Python expression comes to, as far as its text tells: constants folded, nothing executed.

A `Scope` maps the names that a loop or a call gave values to. Types fold to the types themselves (`int`,
`type(v)`), functions to `Func`, dataclass fields to `FieldOf`; what is not known raises `Unknown`. The
one evaluator for knobs (`harness.scripts.environ_reads`) and for packed code (`harness.scripts.unpack`).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from harness.scripts import decoders, known_functions
from harness.scripts.names import (
    NOT_KNOWN,
    FieldOf,
    Func,
    Names,
    Scope,
    Unknown,
    WhenUnset,
    assigned_name,
    bind,
)

TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_CONTAINERS: dict[str, type] = {"list": list, "tuple": tuple, "dict": dict, "set": set}
MAX_TEXT = 10_000  # longer strings are no names, and methods that lengthen them must not fill the memory
MAX_NUMBER = 2**128
MAX_ITEMS = 100_000
MAX_STEPS = 1_000_000  # expressions that are looked at in one program
_MAX_SHIFT = 64


_OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.Pow: operator.pow,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    **{ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge},
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_STRING_METHODS = frozenset(
    {
        *("upper", "lower", "casefold", "title", "strip", "lstrip", "rstrip"),
        *("replace", "removeprefix", "removesuffix", "split", "join", "startswith", "endswith"),
    }
)
# Methods of long texts, too: they do not lengthen what they are given.
_CODECS = frozenset({(bytes, "decode"), (str, "encode"), (bytes, "strip"), (str, "strip")})


def fold(node: ast.AST, names: Names, scope: Scope) -> Any:
    """Return what an expression comes to. Raises Unknown when the source does not say."""
    folder = _FOLDERS.get(type(node))
    names.steps += 1
    if folder is None or names.steps > MAX_STEPS:
        raise Unknown(node)
    if names.environment is not None and isinstance(node, ast.Call | ast.Subscript | ast.Compare):
        found = names.environment(node, scope)
        if found is not None:
            return found[0]
    try:
        return folder(node, names, scope)
    except RecursionError as error:
        raise Unknown("nested too deeply") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise Unknown(str(error) or node) from error


def _constant(node: ast.Constant, names: Names, scope: Scope) -> Any:
    return node.value


def _name(node: ast.Name, names: Names, scope: Scope) -> Any:
    if node.id in scope.values:
        return _held(scope.values[node.id], node, names)
    if node.id in TYPES or node.id in _CONTAINERS:
        return TYPES.get(node.id) or _CONTAINERS[node.id]
    if node.id in names.functions:
        return names.functions[node.id]
    constant = decoders.CONSTANTS.get(names.modules.get(node.id, ""))
    if constant is not None:
        return constant
    if node.id in names.values:
        return names.values[node.id]
    if node.id in names.busy:
        raise Unknown(node)
    if node.id not in names.constants:
        if names.in_attributes and len(names.attributes.get(node.id, ())) == 1:
            return _only_attribute(node.id, names)
        raise Unknown(node)
    names.busy.add(node.id)
    try:
        names.values[node.id] = fold(names.constants[node.id], names, Scope())
    finally:
        names.busy.discard(node.id)
    return names.values[node.id]


def _held(value: Any, node: ast.Name, names: Names) -> Any:
    """Return the value of a name in a scope."""
    if value is NOT_KNOWN or (isinstance(value, WhenUnset) and names.environment is None):
        raise Unknown(node)
    if isinstance(value, WhenUnset):
        names.used |= value.variables
        return value.value
    return value


def _attribute(node: ast.Attribute, names: Names, scope: Scope) -> Any:
    written = names.dotted(node)
    constant = decoders.CONSTANTS.get(written, known_functions.CONSTANTS.get(written))
    if constant is not None:
        return constant
    if isinstance(node.value, ast.Name) and node.value.id in names.classes:
        owner = names.classes[node.value.id]
        if node.attr in ("__annotations__", "__dataclass_fields__"):
            return {
                item.name: item.type if node.attr == "__annotations__" else item
                for item in dataclass_fields(owner, names)
            }
        if node.attr == "__dict__":
            return _variables_of(owner, names)
        for statement in owner.body:
            target, value = assigned_name(statement)
            if target == node.attr and value is not None:
                return fold(value, names, Scope())
    if node.attr in names.functions and _is_own(node.value, names):
        return names.functions[node.attr]
    if _is_only_attribute(node, names, scope):
        return _only_attribute(node.attr, names)
    value = fold(node.value, names, scope)
    if isinstance(value, FieldOf) and node.attr in ("name", "type", "default"):
        return getattr(value, node.attr)
    if isinstance(value, PurePath) and node.attr in ("parent", "name", "stem", "suffix"):
        return getattr(value, node.attr)
    if isinstance(value, type) and node.attr == "__name__":
        return value.__name__
    raise Unknown(node)


def _is_only_attribute(node: ast.Attribute, names: Names, scope: Scope) -> bool:
    """Whether one place alone gives an attribute of this name, to an owner whose own value is not known."""
    owner = node.value
    if not isinstance(owner, ast.Name) or owner.id in names.modules:
        return False
    if scope.values.get(owner.id, NOT_KNOWN) is not NOT_KNOWN:
        return False
    return len(names.attributes.get(node.attr, ())) == 1 and node.attr not in names.busy


def _only_attribute(name: str, names: Names) -> Any:
    """Fold what an attribute is given; names in it may be other attributes, as in a class body."""
    names.busy.add(name)
    names.in_attributes += 1
    try:
        return fold(names.attributes[name][0], names, Scope())
    finally:
        names.busy.discard(name)
        names.in_attributes -= 1


def _is_own(node: ast.expr, names: Names) -> bool:
    return isinstance(node, ast.Name) and (node.id in ("self", "cls") or node.id in names.classes)


def dataclass_fields(owner: ast.ClassDef, names: Names) -> list[FieldOf]:
    """Return the annotated names of a class body with their types and defaults."""
    fields = []
    for statement in owner.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        default = None
        if statement.value is not None:
            try:
                default = fold(_field_default(statement.value), names, Scope())
            except Unknown:
                default = None
        written = ast.unparse(statement.annotation).strip("'\"")
        kind = next(
            (t for name, t in TYPES.items() if written.split(" |")[0] in (name, f"Optional[{name}]")), str
        )
        fields.append(FieldOf(statement.target.id, kind, default))
    return fields


def _variables_of(owner: ast.ClassDef, names: Names) -> dict[str, Any]:
    """Return what a class body gives its names, those that are only annotated left out."""
    known = {item.name: item.default for item in dataclass_fields(owner, names)}
    for statement in owner.body:
        target, value = assigned_name(statement)
        if target and value is not None and target not in known:
            known[target] = _fold_or(value, names, Scope(), None)
    return known


def _field_default(value: ast.expr) -> ast.expr:
    """Look inside `field(default=..)`."""
    if isinstance(value, ast.Call):
        return next((word.value for word in value.keywords if word.arg == "default"), value)
    return value


def _binary(node: ast.BinOp, names: Names, scope: Scope) -> Any:
    left, right = fold(node.left, names, scope), fold(node.right, names, scope)
    if isinstance(node.op, ast.LShift | ast.Pow) and (not isinstance(right, int) or abs(right) > _MAX_SHIFT):
        raise Unknown(node)
    if isinstance(node.op, ast.Mod) and isinstance(left, str):
        return _bounded(known_functions.percent(left, right), MAX_TEXT)
    is_path = isinstance(node.op, ast.Div) and isinstance(left, PurePath)
    plain = isinstance(node.op, ast.Add) or all(isinstance(side, int | float) for side in (left, right))
    if isinstance(left, list) and isinstance(node.op, ast.Mult) and isinstance(right, int):
        plain = len(left) * right <= MAX_ITEMS
    if not plain and not is_path:
        raise Unknown(node)
    return _bounded(_OPERATIONS[type(node.op)](left, right))


def _unary(node: ast.UnaryOp, names: Names, scope: Scope) -> Any:
    value = fold(node.operand, names, scope)
    if isinstance(node.op, ast.Not):
        return not value
    return -value if isinstance(node.op, ast.USub) else +value


def _joined(node: ast.JoinedStr, names: Names, scope: Scope) -> Any:
    parts = [_bounded(str(fold(part, names, scope)), MAX_TEXT) for part in node.values]
    return _bounded("".join(parts), MAX_TEXT)


def _formatted(node: ast.FormattedValue, names: Names, scope: Scope) -> Any:
    spec = fold(node.format_spec, names, scope) if node.format_spec is not None else ""
    value = fold(node.value, names, scope)
    if node.conversion == ord("r"):
        value = repr(value)
    return known_functions.format_value(value, spec) if spec else value


def _items(node: ast.List | ast.Tuple | ast.Set, names: Names, scope: Scope) -> Any:
    """Fold what can be: a table may hold things that cannot, beside names that can."""
    items: list[Any] = []
    for item in node.elts:
        if isinstance(item, ast.Starred):
            items += _rows_of(item, names, scope)
        else:
            items.append(_fold_or(item, names, scope, None))
    return items


def _rows_of(node: ast.Starred, names: Names, scope: Scope) -> list[Any]:
    """Return what `*values` stands for."""
    values = fold(node.value, names, scope)
    if not isinstance(values, list | dict | str):
        raise Unknown(node)
    return list(values)


def _dict(node: ast.Dict, names: Names, scope: Scope) -> Any:
    table: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:  # ** of another table
            table |= fold(value, names, scope)
        else:
            table[fold(key, names, scope)] = _fold_or(value, names, scope, None)
    return table


def _comprehension(
    node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, names: Names, scope: Scope
) -> Any:
    scopes = [scope]
    for part in node.generators:
        rows = [(outer, fold(part.iter, names, outer)) for outer in scopes]
        if not all(isinstance(values, list | dict | str) for _, values in rows):
            raise Unknown(part.iter)
        scopes = [outer.with_values(bind(part.target, row)) for outer, values in rows for row in values]
        scopes = [inner for inner in scopes if all(fold(test, names, inner) for test in part.ifs)]
        if len(scopes) > MAX_ITEMS:
            raise Unknown("the list is too long")
    if isinstance(node, ast.DictComp):
        return {fold(node.key, names, s): _fold_or(node.value, names, s, None) for s in scopes}
    return [_fold_or(node.elt, names, s, None) for s in scopes]


def _lambda(node: ast.Lambda, names: Names, scope: Scope) -> Any:
    return Func(node)


def _subscript(node: ast.Subscript, names: Names, scope: Scope) -> Any:
    return fold(node.value, names, scope)[fold(node.slice, names, scope)]


def _slice(node: ast.Slice, names: Names, scope: Scope) -> Any:
    ends = (node.lower, node.upper, node.step)
    return slice(*(None if end is None else fold(end, names, scope) for end in ends))


def _if(node: ast.IfExp, names: Names, scope: Scope) -> Any:
    return fold(node.body if fold(node.test, names, scope) else node.orelse, names, scope)


def _compare(node: ast.Compare, names: Names, scope: Scope) -> Any:
    if len(node.ops) != 1:
        raise Unknown(node)
    return _COMPARISONS[type(node.ops[0])](
        fold(node.left, names, scope), fold(node.comparators[0], names, scope)
    )


def _bool(node: ast.BoolOp, names: Names, scope: Scope) -> Any:
    values = [fold(value, names, scope) for value in node.values]
    return all(values) if isinstance(node.op, ast.And) else next((v for v in values if v), values[-1])


def _call(node: ast.Call, names: Names, scope: Scope) -> Any:
    function = names.dotted(node.func)
    if function in ("fields", "dataclasses.fields", "vars") and node.args:
        owner = _class_of(node.args[0], names)
        return _variables_of(owner, names) if function == "vars" else dataclass_fields(owner, names)
    if function in decoders.DECODERS:
        return _decode(function, node, names, scope)
    known = _FUNCTIONS.get(function) if function not in names.functions else None
    if known is None and isinstance(node.func, ast.Attribute):
        return _method(node, node.func, names, scope)
    arguments = [fold(word, names, scope) for word in node.args]
    if known is not None and not node.keywords:
        return _bounded(known(*arguments), MAX_TEXT)
    if function == "dict" and not arguments and all(word.arg for word in node.keywords):
        return {word.arg: _fold_or(word.value, names, scope, None) for word in node.keywords}
    called = fold(node.func, names, scope)
    if called in TYPES.values() and len(arguments) == 1:
        return called(arguments[0])
    raise Unknown(node.func)


def _decode(function: str, node: ast.Call, names: Names, scope: Scope) -> bytes:
    arguments = [fold(word, names, scope) for word in node.args]
    keywords = {word.arg: fold(word.value, names, scope) for word in node.keywords if word.arg}
    content = decoders.decode(function, arguments, keywords)
    names.decoders.append(function.removeprefix("base64."))
    return content


def _type_of(value: Any) -> type:
    if isinstance(value, Func | type):
        raise Unknown
    return type(value)


def _is_instance(value: Any, kinds: Any) -> bool:
    listed = kinds if isinstance(kinds, list) else [kinds]
    known = {kind for kind in listed if isinstance(kind, type)}
    if isinstance(value, list) and len(known & {list, tuple, set}) in (1, 2) and not known >= {list, tuple}:
        raise Unknown("a tuple or a set is a list here")
    if not isinstance(value, tuple(known)) and len(known) < len(listed):
        raise Unknown("isinstance asks for a type that is not known")
    return isinstance(value, tuple(known))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "type": _type_of,
    "isinstance": _is_instance,
    **known_functions.FUNCTIONS,
}


def _method(node: ast.Call, func: ast.Attribute, names: Names, scope: Scope) -> Any:
    owner = fold(func.value, names, scope)
    arguments = [fold(word, names, scope) for word in node.args]
    if isinstance(owner, dict) and func.attr in ("items", "keys", "values"):
        return [list(row) if func.attr == "items" else row for row in getattr(owner, func.attr)()]
    if isinstance(owner, dict) and func.attr == "get":
        return owner.get(*arguments)
    if isinstance(owner, PurePath):
        return known_functions.path_method(owner, func.attr, arguments)
    if isinstance(owner, str) and func.attr == "format":
        words = {word.arg: fold(word.value, names, scope) for word in node.keywords if word.arg}
        return _bounded(known_functions.format_text(owner, arguments, words), MAX_TEXT)
    if (type(owner), func.attr) in _CODECS:
        return _bounded(getattr(owner, func.attr)(*arguments))
    if isinstance(owner, str) and func.attr in _STRING_METHODS:
        parts = [word for value in arguments for word in (value if isinstance(value, list) else [value])]
        if sum(len(word) for word in (owner, *parts) if isinstance(word, str)) > MAX_TEXT:
            raise Unknown(node)
        return _bounded(getattr(owner, func.attr)(*arguments), MAX_TEXT)
    raise Unknown(node.func)


def _class_of(node: ast.expr, names: Names) -> ast.ClassDef:
    """Return the class that an expression means: by name, or the one around a `self`, `cls` or instance."""
    if isinstance(node, ast.Name) and node.id in names.classes:
        return names.classes[node.id]
    decorated = [
        owner
        for owner in names.classes.values()
        if any("dataclass" in ast.unparse(d) for d in owner.decorator_list)
    ]
    if len(decorated) != 1:  # an instance, and several classes that it could be of
        raise Unknown(node)
    return decorated[0]


def _bounded(value: Any, most: int = decoders.MAX_BYTES) -> Any:
    if isinstance(value, str | bytes) and len(value) > most:
        raise Unknown(f"it comes to more than {most:,} characters")
    if isinstance(value, list) and len(value) > MAX_ITEMS:
        raise Unknown("the list is too long")
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise Unknown("the number is too large")
    return value


def _fold_or(node: ast.expr, names: Names, scope: Scope, otherwise: Any) -> Any:
    try:
        return fold(node, names, scope)
    except Unknown:
        return otherwise


_FOLDERS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.JoinedStr: _joined,
    ast.FormattedValue: _formatted,
    ast.List: _items,
    ast.Tuple: _items,
    ast.Set: _items,
    ast.Dict: _dict,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.IfExp: _if,
    ast.Compare: _compare,
    ast.BoolOp: _bool,
    ast.Lambda: _lambda,
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp), _comprehension),
    ast.Call: _call,
}
