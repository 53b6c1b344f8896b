"""Leave out of a linked program what a settled configuration never does: branches that cannot be taken, parameters
that are always the same, calls that only watch.

Values that are settled are knobs (an attribute of the configuration's class), parameters that every call gives the
same constant, attributes that nothing ever changes, and locals assigned once. Nothing is executed.
"""

from __future__ import annotations

import ast
import copy
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.flatten.link import FunctionNode, Program, argument_names, mentions, nodes, touch, walk
from harness.flatten.types import Env, Types, assignments, is_self

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_PURE = (
    ast.Name, ast.Constant, ast.Attribute, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Tuple, ast.IfExp,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip


@dataclass(frozen=True)
class Settled:
    """What is known before the program runs.

    knobs: values of attributes of `config_class`. silent: functions, methods (`module:Class.method`) or classes
        (all calls on them) whose statements are left out.
    """

    config_class: str
    knobs: Mapping[str, object] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()


def fold(program: Program, settled: Settled) -> bool:
    """Fold a program in place, once, and say whether anything changed: then more may be foldable.

    A function is left alone while neither it nor anything it names has changed since it was folded last.
    """
    types = Types(program)
    attributes = _constant_attributes(program, types)
    changed = _drop_constant_parameters(program, types)
    unmade = _never_made(program, types)
    facts = frozenset(
        {("attribute", name, repr(value.value)) for (_, name), value in attributes.items()}
        | {("knob", name, repr(value)) for name, value in settled.knobs.items()}
        | {("unmade", name) for name in unmade}
        | {("constant", function.name) for function, _ in _functions(program) if _returned(function)}
    )
    news = {fact[1] for fact in facts - program.facts}
    program.facts = facts
    for function, class_ in _functions(program):
        if vars(function).get("_settled") and not mentions(function) & news:
            continue
        before = len(nodes(function))
        _Folder(settled, types, attributes, unmade).function(function, class_)
        touch(function)
        if len(nodes(function)) == before:
            vars(function)["_settled"] = True
        else:
            changed = True
    return changed


class _Folder(ast.NodeTransformer):
    """Folds one function."""

    def __init__(
        self,
        settled: Settled,
        types: Types,
        attributes: Mapping[tuple[str, str], ast.Constant],
        unmade: set[str],
    ) -> None:
        self._settled, self._types, self._attributes, self._unmade = settled, types, attributes, unmade
        self._env: Env = {}

    def function(self, node: FunctionNode, class_: str | None) -> None:
        self._env = self._types.env(node, class_)
        _substitute_locals(node)
        node.body = self._block(node.body) or [ast.Pass()]
        _drop_unused_locals(node)

    def visit_FunctionDef(self, node: FunctionNode) -> ast.AST:
        node.body = self._block(node.body) or [ast.Pass()]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    # Statements -----------------------------------------------------------------------------------

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Fold a block and leave out what stands behind its end."""
        out: list[ast.stmt] = []
        for statement in statements:
            for new in self._statement(statement):
                out.append(new)
                if isinstance(new, ast.Return | ast.Raise | ast.Continue | ast.Break):
                    return out
        return out

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.Assert | ast.Pass):
            return []
        if isinstance(node, ast.If):
            return self._if(node)
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant) or self._is_silent(node.value):
                return (
                    [node]
                    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
                    else []
                )
            node.value = self.visit(node.value)
            return [] if is_pure(node.value) or _only_looks(node.value) else [node]
        if isinstance(node, ast.Assign):
            node.value = self.visit(node.value)
            return [node]
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and not isinstance(node, ast.ClassDef):
                setattr(node, name, self._block(block) or ([ast.Pass()] if name == "body" else []))
        for handler in getattr(node, "handlers", []):
            handler.body = self._block(handler.body) or [ast.Pass()]
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self.visit(value))
        for item in getattr(node, "items", []):
            item.context_expr = self.visit(item.context_expr)
        return [node]

    def _if(self, node: ast.If) -> list[ast.stmt]:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self._block(node.body if test.value else node.orelse)
        body, orelse = self._block(node.body), self._block(node.orelse)
        if not body and not orelse:
            return [] if is_pure(test) else [ast.copy_location(ast.Expr(test), node)]
        if not body:
            test, body, orelse = ast.UnaryOp(ast.Not(), test), orelse, []
        return [ast.copy_location(ast.If(test, body, orelse), node)]

    def _is_silent(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Name):
            return node.func.id in self._settled.silent
        if isinstance(node.func, ast.Attribute):
            class_ = self._types.receiver(node.func, self._env)
            return bool({class_, f"{class_}.{node.func.attr}"} & self._settled.silent)
        return False

    # Expressions ----------------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return node
        class_ = self._types.of(node.value, self._env)
        if class_ == self._settled.config_class and node.attr in self._settled.knobs:
            return ast.copy_location(ast.Constant(self._settled.knobs[node.attr]), node)  # type: ignore[arg-type]
        constant = self._attributes.get((class_ or "", node.attr))
        return ast.copy_location(ast.Constant(constant.value), node) if constant else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        parts = [node.left, *node.comparators]
        for left, op, right in zip(parts, node.ops, parts[1:], strict=False):
            pair = (_value(left), _value(right))
            if None in pair or type(op) not in _COMPARE:
                continue
            try:
                holds = _COMPARE[type(op)](pair[0][0], pair[1][0])  # type: ignore[index]
            except TypeError:
                continue
            if len(node.ops) == 1 or not holds:
                return ast.copy_location(ast.Constant(bool(holds)), node) if is_pure(node) else node
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        ends = isinstance(node.op, ast.Or)  # the truth value at which evaluation stops
        kept: list[ast.expr] = []
        for place, value in enumerate(node.values):
            last = place == len(node.values) - 1
            if isinstance(value, ast.Constant):
                if bool(value.value) == ends:
                    if all(is_pure(k) for k in kept) and not (ends and kept):
                        return (
                            value
                            if isinstance(value.value, bool) or not kept
                            else ast.Constant(bool(value.value))
                        )
                    kept.append(value)
                    break
                if not last or (kept and isinstance(value.value, bool)):
                    continue
            kept.append(value)
        if not kept:
            return node.values[-1]
        return kept[0] if len(kept) == 1 else ast.copy_location(ast.BoolOp(node.op, kept), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant):
            return ast.copy_location(ast.Constant(not node.operand.value), node)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call of a function that only returns a constant is that constant; nothing is of a class never made."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance" and is_pure(node.args[0]):
            asked = node.args[1]
            if isinstance(asked, ast.Name) and asked.id in self._unmade:
                return ast.copy_location(ast.Constant(False), node)
            return node
        called: FunctionNode | None = None
        if isinstance(node.func, ast.Name):
            called = self._types.functions.get(node.func.id)
        elif isinstance(node.func, ast.Attribute) and is_pure(node.func.value):
            called = self._types.method(self._types.receiver(node.func, self._env), node.func.attr)
        if called is None or not all(map(is_pure, [*node.args, *(k.value for k in node.keywords)])):
            return node
        constant = _returned(called)
        return ast.copy_location(ast.Constant(constant.value), node) if constant else node


def _only_looks(node: ast.expr) -> bool:
    """Whether a call without a reader can go: it looks at the clock."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".perf_counter")


def _returned(function: FunctionNode) -> ast.Constant | None:
    """The constant that a function returns and does nothing else."""
    body = [s for s in function.body if not _is_docstring(s)]
    if len(body) == 1 and isinstance(body[0], ast.Return) and isinstance(body[0].value, ast.Constant):
        return body[0].value
    return None


def _value(node: ast.expr) -> tuple[Any] | None:
    """The value of a constant or of a tuple of constants, boxed, so that None is a value, too."""
    if isinstance(node, ast.Constant):
        return (node.value,)
    if isinstance(node, ast.Tuple | ast.List | ast.Set) and all(
        isinstance(e, ast.Constant) for e in node.elts
    ):
        return (tuple(e.value for e in node.elts if isinstance(e, ast.Constant)),)
    return None


def _bare(value: ast.expr) -> ast.expr:
    """A value that nobody reads, without the cast around it: `float(f(x))` is `f(x)`."""
    while (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
        and value.func.id in ("bool", "float", "int", "str") and len(value.args) == 1
    ):  # fmt: skip
        value = value.args[0]
    return value


def is_pure(node: ast.AST) -> bool:
    """Whether evaluating it does nothing but give a value."""
    return all(isinstance(inner, _PURE) for inner in walk(node))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# Locals ---------------------------------------------------------------------------------------------


class _Substitute(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.Constant]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self._values:
            return ast.copy_location(copy.copy(self._values[node.id]), node)
        return node


def _stores(function: ast.AST) -> Counter[str]:
    """How often each name is bound anywhere in a function, nested scopes included."""
    found: Counter[str] = Counter()
    for node in nodes(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] += 1
        elif name := getattr(node, "name", None):  # functions, classes, handlers, patterns, aliases
            found[name] += 1
        if isinstance(node, FunctionNode | ast.Lambda):
            found.update(argument_names(node.args))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Nonlocal | ast.Global):
            found.update(node.names * 2)
    return found


def _substitute_locals(function: FunctionNode) -> None:
    """Put the value in the place of a local that is assigned once, a constant."""
    once = {name for name, count in _stores(function).items() if count == 1}
    values = {
        target.id: value
        for target, value, _ in assignments(nodes(function))
        if isinstance(target, ast.Name) and target.id in once and isinstance(value, ast.Constant)
    }
    if values:
        function.body = [_Substitute(values).visit(statement) for statement in function.body]


def _drop_unused_locals(function: FunctionNode) -> None:
    """Leave out assignments of pure values to names that nothing reads."""
    touch(function)
    read = {n.id for n in nodes(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    read |= {name for n in nodes(function) if isinstance(n, ast.Nonlocal) for name in n.names}

    class Drop(ast.NodeTransformer):
        def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
            target = node.targets[0]
            if len(node.targets) != 1:
                return node
            if isinstance(target, ast.Name) and target.id not in read:
                return None if is_pure(node.value) else ast.copy_location(ast.Expr(_bare(node.value)), node)
            if not is_pure(node.value):
                return node
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                if len(target.elts) != len(node.value.elts):
                    return node
                pairs = [
                    (t, v) for t, v in zip(target.elts, node.value.elts, strict=True)
                    if not isinstance(t, ast.Name) or t.id in read
                ]  # fmt: skip
                if not pairs:
                    return None
                if len(pairs) == 1:
                    node.targets, node.value = [pairs[0][0]], pairs[0][1]
                else:
                    target.elts, node.value.elts = [t for t, _ in pairs], [v for _, v in pairs]
            return node

        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
            unread = isinstance(node.target, ast.Name) and node.target.id not in read
            return None if unread and (node.value is None or is_pure(node.value)) else node

        def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
            return node

    kept = [new for statement in function.body if (new := Drop().visit(statement)) is not None]
    function.body = kept or [ast.Pass()]
    for node in walk(function):
        if isinstance(getattr(node, "body", None), list) and not node.body:  # type: ignore[attr-defined]
            node.body = [ast.Pass()]  # type: ignore[attr-defined]


# The whole program ------------------------------------------------------------------------------------


def _functions(program: Program) -> Iterator[tuple[FunctionNode, str | None]]:
    for statement in program.statements:
        if isinstance(statement, FunctionNode):
            yield statement, None
        elif isinstance(statement, ast.ClassDef):
            yield from (
                (method, statement.name) for method in statement.body if isinstance(method, FunctionNode)
            )


def _constant_attributes(program: Program, types: Types) -> dict[tuple[str, str], ast.Constant]:
    """Return attributes that are given a constant in one place and never changed, by class."""
    stored: Counter[str] = Counter()  # by attribute alone: whose it is may not be known
    for unit in program.units():
        for node in nodes(unit):
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                stored[node.attr] += 1
            elif isinstance(node, ast.keyword) and node.arg:
                stored[node.arg] += 1  # a dataclass's field, or `replace(...)`
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                for field_name in _fields(types, node.func.id)[: len(node.args)]:
                    stored[field_name] += 1
    found: dict[tuple[str, str], ast.Constant] = {}
    for name, class_ in types.classes.items():
        for statement in class_.body:
            target = (
                statement.targets[0]
                if isinstance(statement, ast.Assign)
                else getattr(statement, "target", None)
            )
            value = getattr(statement, "value", None)
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and stored[target.id] == 0:
                found[name, target.id] = value
    for function, owner in _functions(program):
        for target, value, _ in assignments(nodes(function)):
            if owner and is_self(target) and isinstance(value, ast.Constant):
                assert isinstance(target, ast.Attribute)
                fields = {
                    n for n in types.classes for f in _fields(types, n) if (n, f) == (owner, target.attr)
                }
                if stored[target.attr] == 1 and not fields:
                    found[owner, target.attr] = value
    return found


def _never_made(program: Program, types: Types) -> set[str]:
    """Return classes of the program that nothing makes an instance of, nor of one derived from them.

    A class that is named anywhere but in an `isinstance`, an annotation or as a base may be made there.
    """
    made: Counter[str] = Counter()
    bases = {id(base) for s in program.statements if isinstance(s, ast.ClassDef) for base in s.bases}
    for unit in program.units():
        if id(unit) in bases:
            continue
        for node in nodes(unit):
            if isinstance(node, ast.Name):
                made[node.id] += 1
            spared = [getattr(node, "annotation", None), getattr(node, "returns", None)]
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "isinstance"
            ):
                spared += node.args[1:]
            for part in spared:
                if isinstance(part, ast.expr):
                    made.subtract(n.id for n in walk(part) if isinstance(n, ast.Name))
    return {
        name for name in types.classes if not any(made[found] > 0 for found in (name, *types.derived(name)))
    }


def _fields(types: Types, class_: str) -> list[str]:
    node = types.classes.get(class_)
    body = node.body if node else []
    return [s.target.id for s in body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]


def _drop_constant_parameters(program: Program, types: Types) -> bool:
    """Settle parameters of functions and constructors that every call gives the same constant; say if any was."""
    calls: dict[str, list[ast.Call]] = {}
    callers: dict[str, list[ast.AST]] = {}
    called = Counter[str]()
    named = Counter[str]()
    in_annotations: Counter[str] = Counter()
    changed = False
    for unit in program.units():
        for node in nodes(unit):
            if isinstance(node, ast.Name):
                named[node.id] += 1
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                calls.setdefault(node.func.id, []).append(node)
                callers.setdefault(node.func.id, []).append(unit)
                called[node.func.id] += 1
            if not isinstance(node, ast.arg | ast.AnnAssign | FunctionNode):
                continue
            for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
                if isinstance(part, ast.expr):
                    in_annotations.update(n.id for n in walk(part) if isinstance(n, ast.Name))
    for name, found in calls.items():
        function = types.functions.get(name) or types.constructor(name)
        if function is None or named[name] - in_annotations[name] != called[name]:
            continue
        if _drop_parameters(function, found, 0 if name in types.functions else 1):
            changed = True
            for unit in (function, *callers[name]):
                touch(unit)
    return changed


def _drop_parameters(function: FunctionNode, calls: list[ast.Call], skip: int) -> bool:
    """Say whether any was dropped. skip: parameters in front that calls do not give (self)."""
    arguments = function.args
    before = len(arguments.args)
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        return False
    if any(isinstance(a, ast.Starred) for c in calls for a in c.args) or any(
        not k.arg for c in calls for k in c.keywords
    ):
        return False
    bound = _stores(function)
    for parameter in list(arguments.args[skip:]):
        place = arguments.args.index(parameter)
        first_default = len(arguments.args) - len(arguments.defaults)
        default = arguments.defaults[place - first_default] if place >= first_default else None
        given = [_given(call, parameter.arg, place - skip, default) for call in calls]
        constant = given[0]
        if bound[parameter.arg] != 1 or not isinstance(constant, ast.Constant):
            continue
        if not all(isinstance(g, ast.Constant) and _same(g, constant) for g in given):
            continue
        function.body = [_Substitute({parameter.arg: constant}).visit(s) for s in function.body]
        if default is not None:
            del arguments.defaults[place - first_default]
        arguments.args.remove(parameter)
        for call in calls:
            if len(call.args) > place - skip:
                del call.args[place - skip]
            call.keywords = [k for k in call.keywords if k.arg != parameter.arg]
    return len(arguments.args) < before


def _given(call: ast.Call, name: str, place: int, default: ast.expr | None) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((k.value for k in call.keywords if k.arg == name), default)


def _same(a: ast.Constant, b: ast.Constant) -> bool:
    return type(a.value) is type(b.value) and a.value == b.value
