"""Keep of a linked program what its entry can reach: definitions by name, methods by the names of attributes.

A method counts as reached when some reached code reads an attribute of its name, whatever the object: too much may
be kept, never too little. Methods of classes with a base outside the program may be called by that base.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from harness.flatten.link import FunctionNode, Program, bound_by, walk


def prune(program: Program, entry: str, droppable_fields_of: str = "") -> bool:
    """Drop in place what `entry` cannot reach, and say whether that was anything.

    droppable_fields_of: a class whose fields have defaults and are dropped, too, when nothing reads them.
    """
    reach = _Reach(program, entry)
    kept: list[ast.stmt] = []
    changed = False
    for statement in program.statements:
        if not reach.has(statement):
            continue
        if isinstance(statement, ast.ClassDef):
            body = [
                s for s in statement.body if not isinstance(s, FunctionNode) or reach.has_method(statement, s)
            ]
            if statement.name == droppable_fields_of:
                body = [s for s in body if not isinstance(s, ast.AnnAssign) or reach.reads(s.target)]
            elif not statement.decorator_list and not statement.bases:
                body = [s for s in body if not _is_constant(s) or reach.reads(_target(s))]
            changed |= len(body) < len(statement.body)
            statement.body = body or [ast.Pass()]
        kept.append(statement)
    changed |= len(kept) < len(program.statements)
    program.statements = kept
    return changed


class _Reach:
    """What has been reached: names of definitions, and names of attributes that are read."""

    def __init__(self, program: Program, entry: str) -> None:
        self._definitions: dict[str, list[ast.stmt]] = {}
        for statement in program.statements:
            for name in bound_by(statement):
                self._definitions.setdefault(name, []).append(statement)
        self._always = [s for s in program.statements if not bound_by(s)]  # runs for its effect
        self._names: set[str] = set()
        self._attributes: set[str] = set()
        self._keywords: set[str] = set()
        self._waiting: list[tuple[ast.ClassDef, FunctionNode]] = []
        self._methods: set[int] = set()
        self._pending: list[str] = [entry]
        for statement in self._always:
            self._enter(statement)
        self._run()

    def has(self, statement: ast.stmt) -> bool:
        names = bound_by(statement)
        return not names or bool(names & self._names)

    def has_method(self, class_: ast.ClassDef, method: FunctionNode) -> bool:
        return id(method) in self._methods

    def reads(self, target: ast.expr | None) -> bool:
        """Whether a field or class attribute is read, or given as `replace(config, field=...)` does."""
        return isinstance(target, ast.Name) and target.id in self._attributes | self._keywords

    def _run(self) -> None:
        while self._pending:
            name = self._pending.pop()
            if name not in self._names:
                self._names.add(name)
                for statement in self._definitions.get(name, []):
                    self._reach_definition(statement)
            if not self._pending:
                self._reach_methods()

    def _reach_definition(self, statement: ast.stmt) -> None:
        if not isinstance(statement, ast.ClassDef):
            self._enter(statement)
            return
        for part in (*statement.bases, *statement.keywords, *statement.decorator_list):
            self._enter(part)
        for inner in statement.body:
            if isinstance(inner, FunctionNode):
                self._waiting.append((statement, inner))
            elif isinstance(inner, ast.AnnAssign):  # the annotation alone needs nothing at run time
                self._enter(inner.value)
            else:
                self._enter(inner)

    def _reach_methods(self) -> None:
        for entry in list(self._waiting):
            class_, method = entry
            dunder = method.name.startswith("__") and method.name.endswith("__")
            foreign = self._has_foreign_base(class_)
            if dunder or method.name in self._attributes or (foreign and not method.name.startswith("_")):
                self._waiting.remove(entry)
                self._methods.add(id(method))
                self._enter(method)

    def _has_foreign_base(self, class_: ast.ClassDef) -> bool:
        for base in class_.bases:
            inside = self._definitions.get(base.id, []) if isinstance(base, ast.Name) else []
            if not inside or any(isinstance(s, ast.ClassDef) and self._has_foreign_base(s) for s in inside):
                return True
        return False

    def _enter(self, node: ast.AST | None) -> None:
        if node is not None:
            names, attributes, keywords = _uses(node)
            self._pending.extend(names)
            self._attributes |= attributes
            self._keywords |= keywords


def _uses(unit: ast.AST) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the names, attributes and keywords that a unit needs when it runs, remembered until it is touched."""
    known: tuple[frozenset[str], frozenset[str], frozenset[str]] | None = vars(unit).get("_uses")
    if known is not None:
        return known
    names, attributes, keywords = set(), set(), set()
    for inner in _run_time_nodes(unit):
        if isinstance(inner, ast.Name):
            names.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            attributes.add(inner.attr)
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "getattr":
            attributes |= _texts(inner)
        elif isinstance(inner, ast.keyword) and inner.arg:
            keywords.add(inner.arg)
    known = frozenset(names), frozenset(attributes), frozenset(keywords)
    vars(unit)["_uses"] = known
    return known


def _target(statement: ast.stmt) -> ast.expr | None:
    """The single target of an assignment."""
    if isinstance(statement, ast.AnnAssign):
        return statement.target
    one = isinstance(statement, ast.Assign) and len(statement.targets) == 1
    return statement.targets[0] if one else None  # type: ignore[attr-defined]


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(_target(statement), ast.Name) and isinstance(
        getattr(statement, "value", None), ast.Constant
    )


def _texts(call: ast.Call) -> set[str]:
    return {a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}


def _run_time_nodes(node: ast.AST | None) -> Iterator[ast.AST]:
    """Walk all nodes but annotations, which are never evaluated."""
    pending: list[ast.AST] = [node] if node is not None else []
    while pending:
        inner = pending.pop()
        yield inner
        for name, value in ast.iter_fields(inner):
            if name in ("annotation", "returns"):
                continue
            pending.extend(
                v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST)
            )


def loosen_annotations(program: Program) -> None:
    """Take away annotations that name what is no longer there; a field's becomes `object`."""
    there = {name for statement in program.statements for name in bound_by(statement)}
    fields = {
        id(inner) for s in program.statements if isinstance(s, ast.ClassDef) for inner in s.body
        if isinstance(inner, ast.AnnAssign)
    }  # fmt: skip

    def stands(annotation: ast.expr | None) -> bool:
        names = [n.id for n in walk(annotation) if isinstance(n, ast.Name)] if annotation else []
        return all(":" not in name or name in there for name in names)

    class Loosen(ast.NodeTransformer):
        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
            if id(node) in fields:
                if not stands(node.annotation):
                    node.annotation = ast.Name("object", ast.Load())
                return node
            if node.value is None:  # inside a function it says nothing
                return None
            return ast.copy_location(ast.Assign([node.target], node.value), node)

        def visit_arg(self, node: ast.arg) -> ast.AST:
            node.annotation = node.annotation if stands(node.annotation) else None
            return node

        def visit_FunctionDef(self, node: FunctionNode) -> ast.AST:
            node.returns = node.returns if stands(node.returns) else None
            self.generic_visit(node)
            node.body = node.body or [ast.Pass()]
            return node

    for statement in program.statements:
        if not isinstance(statement, ast.AnnAssign):
            Loosen().visit(statement)
