"""What a Python expression comes to, as far as its text tells: constants folded, nothing executed.

A `Scope` maps the names that a loop or a call gave values to. Types fold to the types themselves (`int`,
`type(v)`), functions to `Func`, dataclass fields to `FieldOf`; what is not known raises `Unknown`. The
one evaluator for knobs (`harness.scripts.environ_reads`) and for packed code (`harness.scripts.unpack`).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.scripts import decoders
from harness.scripts.nodes import nodes_of

TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_CONTAINERS: dict[str, type] = {"list": list, "tuple": tuple, "dict": dict, "set": set}
MAX_TEXT = 10_000  # longer strings are no names, and methods that lengthen them must not fill the memory
MAX_NUMBER = 2**128
MAX_ITEMS = 100_000
MAX_STEPS = 1_000_000  # expressions that are looked at in one program
_MAX_SHIFT = 64


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
    values: dict[str, Any] = field(default_factory=dict)  # of constants that were folded already
    busy: set[str] = field(default_factory=set)  # constants being folded, so that circles end
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


def _assigned(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return (target.id if isinstance(target, ast.Name) else None), statement.value
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.value
    return None, None


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
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_STRING_METHODS = frozenset(
    {
        *("upper", "lower", "casefold", "title", "strip", "lstrip", "rstrip"),
        *("replace", "removeprefix", "removesuffix", "split", "join"),
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
    if node.id not in names.constants or node.id in names.busy:
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
    constant = decoders.CONSTANTS.get(names.dotted(node))
    if constant is not None:
        return constant
    if isinstance(node.value, ast.Name) and node.value.id in names.classes:
        owner = names.classes[node.value.id]
        if node.attr in ("__annotations__", "__dataclass_fields__"):
            return {
                item.name: item.type if node.attr == "__annotations__" else item
                for item in dataclass_fields(owner, names)
            }
        for statement in owner.body:
            target, value = _assigned(statement)
            if target == node.attr and value is not None:
                return fold(value, names, Scope())
    if node.attr in names.functions and _is_own(node.value, names):
        return names.functions[node.attr]
    value = fold(node.value, names, scope)
    if isinstance(value, FieldOf) and node.attr in ("name", "type", "default"):
        return getattr(value, node.attr)
    if isinstance(value, type) and node.attr == "__name__":
        return value.__name__
    raise Unknown(node)


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


def _field_default(value: ast.expr) -> ast.expr:
    """Look inside `field(default=..)`."""
    if isinstance(value, ast.Call):
        return next((word.value for word in value.keywords if word.arg == "default"), value)
    return value


def _binary(node: ast.BinOp, names: Names, scope: Scope) -> Any:
    left, right = fold(node.left, names, scope), fold(node.right, names, scope)
    if isinstance(node.op, ast.LShift | ast.Pow) and (not isinstance(right, int) or abs(right) > _MAX_SHIFT):
        raise Unknown(node)
    if not isinstance(node.op, ast.Add) and not all(isinstance(side, int | float) for side in (left, right)):
        raise Unknown(node)  # "%999999999d" % 1 is no name
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
    if node.format_spec is not None:
        raise Unknown(node)
    return fold(node.value, names, scope)


def _items(node: ast.List | ast.Tuple | ast.Set, names: Names, scope: Scope) -> Any:
    """Fold what can be: a table may hold things that cannot, beside names that can."""
    return [_fold_or(item, names, scope, None) for item in node.elts]


def _dict(node: ast.Dict, names: Names, scope: Scope) -> Any:
    table: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:  # ** of another table
            table |= fold(value, names, scope)
        else:
            table[fold(key, names, scope)] = _fold_or(value, names, scope, None)
    return table


def _subscript(node: ast.Subscript, names: Names, scope: Scope) -> Any:
    return fold(node.value, names, scope)[fold(node.slice, names, scope)]


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
        rows = dataclass_fields(_class_of(node.args[0], names), names)
        return {item.name: item.default for item in rows} if function == "vars" else rows
    if function in decoders.DECODERS:
        return _decode(function, node, names, scope)
    if isinstance(node.func, ast.Attribute):
        return _method(node, node.func, names, scope)
    arguments = [fold(word, names, scope) for word in node.args]
    if function in _FUNCTIONS:
        return _FUNCTIONS[function](*arguments)
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


# Functions of Python itself. A tuple or a set is a list here.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "type": _type_of,
    "isinstance": _is_instance,
    **dict.fromkeys(("list", "tuple", "sorted", "set"), list),
    "enumerate": lambda values: [list(pair) for pair in enumerate(values)],
    "zip": lambda *rows: [list(row) for row in zip(*rows, strict=False)],
    "compile": lambda source, *_: source,
}


def _method(node: ast.Call, func: ast.Attribute, names: Names, scope: Scope) -> Any:
    owner = fold(func.value, names, scope)
    arguments = [fold(word, names, scope) for word in node.args]
    if isinstance(owner, dict) and func.attr in ("items", "keys", "values"):
        return [list(row) if func.attr == "items" else row for row in getattr(owner, func.attr)()]
    if isinstance(owner, dict) and func.attr == "get":
        return owner.get(*arguments)
    if (type(owner), func.attr) in _CODECS:
        return _bounded(getattr(owner, func.attr)(*arguments))
    if isinstance(owner, str) and func.attr in _STRING_METHODS:
        words = [
            owner,
            *(word for value in arguments for word in (value if isinstance(value, list) else [value])),
        ]
        if sum(len(word) for word in words if isinstance(word, str)) > MAX_TEXT:
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
    ast.IfExp: _if,
    ast.Compare: _compare,
    ast.BoolOp: _bool,
    ast.Call: _call,
}
