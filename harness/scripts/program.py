"""All files of a program: what they define, which node stands in which, and who calls what."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from harness.scripts.names import Names
from harness.scripts.nodes import T, nodes_of

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
MAX_CALLS = 4  # how deep helpers may call helpers


@dataclass(frozen=True)
class Site:
    """A call of a function, with what it is given there and by `functools.partial` before."""

    call: ast.Call
    args: tuple[ast.expr, ...]
    keywords: tuple[ast.keyword, ...]
    rows: ast.expr | None = None  # of `map`, which calls it with each

    def arguments(self, function: Function, is_method: bool) -> dict[str, ast.expr]:
        """Return the parameters that are given a value, with its expression."""
        words = function.args
        plain = [word.arg for word in (*words.posonlyargs, *words.args)]
        by_class = getattr(function, "name", "") == "__init__"
        if is_method and (by_class or isinstance(self.call.func, ast.Attribute)):
            plain = plain[1:]
        known = list(takewhile(lambda word: not isinstance(word, ast.Starred), self.args))
        given: dict[str, ast.expr] = dict(zip(plain, known, strict=False))
        if words.vararg and len(known) == len(self.args):
            given[words.vararg.arg] = ast.Tuple(list(known[len(plain) :]), ast.Load())
        every = {*plain, *(word.arg for word in words.kwonlyargs)}
        named = {word.arg: word.value for word in self.keywords if word.arg}
        if words.kwarg and all(word.arg for word in self.keywords):
            others = {name: value for name, value in named.items() if name not in every}
            keys: list[ast.expr | None] = [ast.Constant(name) for name in others]
            given[words.kwarg.arg] = ast.Dict(keys, list(others.values()))
        return given | {name: value for name, value in named.items() if name in every}


class Program:
    """The trees of a program, looked at together. readers: calls that read the environment."""

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        self.names = Names()
        self.calls: dict[str, list[ast.Call]] = {}  # by the last part of what is called
        self.readers: set[ast.AST] = set()
        self._nodes = []
        self._of: dict[ast.AST, ast.AST] = {}
        self._sites: dict[Function, list[Site]] = {}
        self._others: dict[str, list[tuple[str, ast.Call | None]]] = {}  # of a function: names, how given
        for tree in trees:
            nodes = nodes_of(tree)
            self._nodes.append(nodes)
            self._of |= nodes.parent
            self.names.collect(tree)
            for call in nodes.of(ast.Call):
                name = last_part(call.func)
                if name:
                    self.calls.setdefault(name, []).append(call)
            for assign in nodes.of(ast.Assign):
                self._learn_name(assign)

    def _learn_name(self, assign: ast.Assign) -> None:
        """Learn that a function goes by another name: `b = a`, `b = partial(a, cast=int)`."""
        target, value = assign.targets[0], assign.value
        if not isinstance(target, ast.Name):
            return
        if isinstance(value, ast.Name) and value.id in self.names.functions:
            self._others.setdefault(value.id, []).append((target.id, None))
        elif isinstance(value, ast.Call) and last_part(value.func) == "partial" and value.args:
            name = last_part(value.args[0])
            if name in self.names.functions:
                self._others.setdefault(name, []).append((target.id, value))

    def of(self, node: ast.AST) -> ast.AST | None:
        return self._of.get(node)

    def above(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Yield (child, parent) from a node up to the module."""
        parent = self._of.get(node)
        while parent is not None:
            yield node, parent
            node, parent = parent, self._of.get(parent)

    def module(self, node: ast.AST) -> ast.AST | None:
        """Return the module that a node stands in."""
        return next((parent for _, parent in self.above(node) if isinstance(parent, ast.Module)), None)

    def body(self, node: ast.AST) -> ast.AST | None:
        """Return the function, class or module whose names a node sees first."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
        return next((parent for _, parent in self.above(node) if isinstance(parent, kinds)), None)

    def is_method(self, function: Function) -> bool:
        """Whether a function is called with an object or class before its arguments."""
        if not isinstance(self.of(function), ast.ClassDef):
            return False
        return not any(last_part(d) == "staticmethod" for d in getattr(function, "decorator_list", ()))

    def owner(self, node: ast.AST) -> ast.AST | None:
        """Return the function or module that a node runs with; None for a module."""
        kinds = (*FUNCTIONS, ast.Module)
        return next((parent for _, parent in self.above(node) if isinstance(parent, kinds)), None)

    def nodes_of(self, *kinds: type[T]) -> list[T]:
        """Return the nodes of some types in all files."""
        return [node for nodes in self._nodes for node in nodes.of(*kinds)]

    def stores(self, name: str) -> list[ast.Name]:
        """Return the places where a name is given a value."""
        return [node for nodes in self._nodes for node in nodes.names(name, ast.Store)]

    def loads(self, name: str, within: Iterable[ast.AST]) -> Iterator[ast.Name]:
        """Yield the places below some nodes where a name is read, in the order of the text."""
        parts = set(within)
        for nodes in self._nodes:
            for load in nodes.names(name, ast.Load):
                if load in parts or any(parent in parts for _, parent in self.above(load)):
                    yield load

    def sites_of(self, function: Function) -> list[Site]:
        """Return the calls of a function from outside of it; of `__init__` those of its class, and of
        `super()` in a class below it."""
        if function not in self._sites:
            found = [
                Site(call, tuple(call.args), tuple(call.keywords)) for call in self._calls_by_name(function)
            ]
            for name, given in self._others.get(_name(function), ()):
                before = tuple(given.args[1:]) if given else ()
                words = tuple(given.keywords) if given else ()
                found += [
                    Site(call, (*before, *call.args), (*words, *call.keywords))
                    for call in self.calls.get(name, ())
                ]
            for call in self.calls.get("map", ()):
                first = call.args[0] if len(call.args) == 2 else None
                if first is function or (isinstance(first, ast.Name) and first.id == _name(function)):
                    found.append(Site(call, (), (), call.args[1]))
            self._sites[function] = [
                site for site in found if not any(parent is function for _, parent in self.above(site.call))
            ]
        return self._sites[function]

    def _calls_by_name(self, function: Function) -> list[ast.Call]:
        name = self._name_of(function) if isinstance(function, ast.Lambda) else function.name
        owner = self.of(function)
        if name != "__init__" or not isinstance(owner, ast.ClassDef):
            return self.calls.get(name or "", [])
        below = {c for c in self.names.classes.values() if owner.name in map(last_part, c.bases)}
        found = list(self.calls.get(owner.name, ()))
        if below:
            found += [
                call
                for call in self.calls.get("__init__", ())
                if any(parent in below for _, parent in self.above(call))
            ]
        return found

    def _name_of(self, function: ast.Lambda) -> str | None:
        """Return the name that a lambda is assigned to."""
        parent = self.of(function)
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            return parent.targets[0].id
        return None


def _name(function: Function) -> str:
    return "" if isinstance(function, ast.Lambda) else function.name


def dotted(node: ast.expr) -> str:
    """Return `os.environ` of a chain of names, also after `__import__("os")`; "" of anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    first = node.id if isinstance(node, ast.Name) else imported_module(node) or _attribute_by_name(node)
    return ".".join([first, *reversed(parts)]) if first else ""


def _attribute_by_name(node: ast.AST) -> str:
    """Return `os.environ` of `getattr(os, "environ")`, else ""."""
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(name))]):
            return f"{dotted(owner)}.{name}"
    return ""


def imported_module(node: ast.AST) -> str:
    """Return the module that `__import__("os")` or `importlib.import_module("os")` gives, else ""."""
    match node:
        case ast.Call(func=ast.Name(id="__import__") | ast.Name(id="import_module"), args=[name, *_]):
            pass
        case ast.Call(func=ast.Attribute(attr="__import__" | "import_module"), args=[name, *_]):
            pass
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="sys"), attr="modules"), slice=name):
            pass
        case _:
            return ""
    value = name.value if isinstance(name, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def last_part(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None
