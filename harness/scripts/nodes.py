"""The nodes of a syntax tree by their type, and what each stands in: one walk, kept for all who ask.

Nodes come in the order of the text. Operators and contexts (`+`, `Load`) are left out. Trees are not changed
once they have been read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T", bound=ast.AST)
_NO_NODES = frozenset({"ctx", "op", "ops", "id", "attr", "arg", "module", "level", "kind", "conversion"})
_FIELDS: dict[type, tuple[str, ...]] = {ast.Constant: (), ast.Name: (), ast.alias: ()}


class Nodes:
    """All nodes of a tree."""

    def __init__(self, tree: ast.AST) -> None:
        self.parent: dict[ast.AST, ast.AST] = {}
        self._by_type: dict[type, list[ast.AST]] = {}
        self._names: dict[type, dict[str, list[ast.Name]]] = {}
        parent, by_type, waiting = self.parent, self._by_type, [tree]
        while waiting:
            node = waiting.pop()
            kind = type(node)
            if kind in by_type:
                by_type[kind].append(node)
            else:
                by_type[kind] = [node]
            parts = children(node)
            for child in parts:
                parent[child] = node
            parts.reverse()
            waiting += parts

    def of(self, *kinds: type[T]) -> list[T]:
        """Return the nodes of some types, of each type in the order of the text."""
        return [node for kind in kinds for node in self._by_type.get(kind, ())]  # type: ignore[misc]

    def names(self, name: str, context: type[ast.expr_context]) -> list[ast.Name]:
        """Return the places where a name is read (`ast.Load`) or given a value (`ast.Store`)."""
        if not self._names:
            self._names = {ast.Load: {}, ast.Store: {}, ast.Del: {}}
            for node in self.of(ast.Name):
                self._names[type(node.ctx)].setdefault(node.id, []).append(node)
        return self._names[context].get(name, [])


def children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes right below a node, in the order of the text."""
    found: list[ast.AST] = []
    kind = type(node)
    for name in _FIELDS[kind] if kind in _FIELDS else _fields(kind):
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [child for child in value if isinstance(child, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def below(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


def _fields(kind: type) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(name for name in kind._fields if name not in _NO_NODES)  # type: ignore[attr-defined]
    return _FIELDS[kind]


@lru_cache(maxsize=32)
def nodes_of(tree: ast.AST) -> Nodes:
    return Nodes(tree)
