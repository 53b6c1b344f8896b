"""Which class of the program an expression is of, as far as annotations and constructors tell. Never guesses:
None where it cannot be told."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from harness.flatten.link import FunctionNode, Program, nodes, walk

Env = dict[str, str | None]


class Types:
    """Classes of names and attributes, by annotations, `self.x = ...` and calls of the program's own functions."""

    def __init__(self, program: Program) -> None:
        self.classes = program.classes()
        self.functions = program.functions()
        self.attributes: dict[tuple[str, str], str] = {}
        for _ in range(2):  # the second time around knows the attributes of the first
            for name, node in self.classes.items():
                self._learn(name, node)

    def _learn(self, name: str, node: ast.ClassDef) -> None:
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                self._note(name, statement.target.id, self.annotated(statement.annotation))
            elif isinstance(statement, FunctionNode):
                env = self.env(statement, name)
                for target, value, annotation in assignments(nodes(statement)):
                    if is_self(target):
                        assert isinstance(target, ast.Attribute)
                        found = self.annotated(annotation) if annotation else self.of(value, env)
                        self._note(name, target.attr, found)

    def _note(self, class_: str, attribute: str, found: str | None) -> None:
        if found:
            self.attributes.setdefault((class_, attribute), found)

    def annotated(self, annotation: ast.expr | None) -> str | None:
        """Return the class that an annotation names: `Config`, or `Config | None`."""
        if isinstance(annotation, ast.BinOp):
            return self.annotated(annotation.left) or self.annotated(annotation.right)
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return next((name for name in self.classes if name.split(":")[1] == annotation.value), None)
        return annotation.id if isinstance(annotation, ast.Name) and annotation.id in self.classes else None

    def env(self, function: FunctionNode, class_: str | None = None) -> Env:
        """Return the classes of a function's parameters and of locals that are only ever of one."""
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        env: Env = {argument.arg: self.annotated(argument.annotation) for argument in arguments}
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
        if class_ and arguments and not static:
            env[arguments[0].arg] = class_
        for target, value, annotation in assignments(nodes(function)):
            if isinstance(target, ast.Name):
                found = self.annotated(annotation) if annotation else self.of(value, env)
                env[target.id] = found if env.get(target.id, found) == found else None
        return env

    def of(self, node: ast.expr | None, env: Env) -> str | None:
        """Return the class of an expression."""
        if isinstance(node, ast.Name):
            return env.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.of(node.value, env)
            known = (self.attributes.get((name, node.attr)) for name in self.ancestors(base or ""))
            return next(filter(None, known), None)
        if isinstance(node, ast.BoolOp):
            return next(filter(None, (self.of(value, env) for value in node.values)), None)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in self.classes:
                return node.func.id
            called = self.functions.get(node.func.id)
            return self.annotated(called.returns) if called else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = self.method(self.receiver(node.func, env), node.func.attr)
            return self.annotated(method.returns) if method else None
        return None

    def receiver(self, function: ast.Attribute, env: Env) -> str | None:
        """The class on which a method is called: of an instance, or named itself."""
        if isinstance(function.value, ast.Name) and function.value.id in self.classes:
            return function.value.id
        return self.of(function.value, env)

    def method(self, class_: str | None, name: str) -> FunctionNode | None:
        """Return the method that a call on the class reaches; None where a class derived from it has its own."""
        if class_ is None or any(self._own(derived, name) for derived in self.derived(class_)):
            return None
        for ancestor in self.ancestors(class_):
            if found := self._own(ancestor, name):
                return found
        return None

    def constructor(self, class_: str) -> FunctionNode | None:
        """Return the `__init__` that a class itself has."""
        return self._own(class_, "__init__")

    def ancestors(self, class_: str) -> list[str]:
        """Return a class of the program and those it derives from, nearest first."""
        found = [class_] if class_ in self.classes else []
        for name in found:
            bases = (base.id for base in self.classes[name].bases if isinstance(base, ast.Name))
            found.extend(base for base in bases if base in self.classes and base not in found)
        return found

    def derived(self, class_: str) -> list[str]:
        """Return the classes that derive from a class, itself left out."""
        return [name for name in self.classes if name != class_ and class_ in self.ancestors(name)]

    def _own(self, class_: str, name: str) -> FunctionNode | None:
        node = self.classes.get(class_)
        methods = [s for s in node.body if isinstance(s, FunctionNode) and s.name == name] if node else []
        return methods[0] if methods else None


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def assignments(body: Iterable[ast.AST]) -> Iterator[tuple[ast.expr, ast.expr | None, ast.expr | None]]:
    """Yield (target, value, annotation) of all plain assignments; `a, b = x, y` counts as two."""
    for node in body:
        if isinstance(node, ast.AnnAssign):
            yield node.target, node.value, node.annotation
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if not isinstance(target, ast.Tuple | ast.List):
                    yield target, node.value, None
                elif isinstance(node.value, ast.Tuple) and len(node.value.elts) == len(target.elts):
                    for part, value in zip(target.elts, node.value.elts, strict=True):
                        yield part, value, None
                else:
                    for part in target.elts:
                        yield part, None, None
        elif isinstance(node, ast.For | ast.comprehension):
            for inner in walk(node.target):
                if isinstance(inner, ast.Name):
                    yield inner, None, None
        elif isinstance(node, ast.AugAssign):
            yield node.target, None, None
