"""What names hold where a node stands: the statements before it in one body, followed without running them.

A branch whose test is known is taken or left out; where a test is not known, both are followed and names that
they leave different are not known. Loops before the node make the names that they assign unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from harness.scripts.constants import NOT_KNOWN, Scope, Unknown, assignments

Fold = Callable[[ast.expr, Scope], Any]
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def names_in(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that expressions mention."""
    return frozenset(
        part.id
        for node in nodes
        for part in ([node] if isinstance(node, ast.Name) else ast.walk(node))
        if isinstance(part, ast.Name)
    )


def scope_at(
    path: Sequence[ast.AST], body: Sequence[ast.stmt], scope: Scope, needed: frozenset[str], fold: Fold
) -> Scope | None:
    """Return the scope with what the statements before a node assign; None when the node is not reached.

    path: the node and all that it stands in, up to the statement of `body`. needed: the names of interest.
    fold: gives an expression's value, NOT_KNOWN where it is not known.
    """
    flow = _Flow(frozenset(path), scope, _closure(body, needed, scope), fold)
    return flow.scope() if flow.walk(body) else None


class _Flow:
    def __init__(self, path: frozenset[ast.AST], scope: Scope, needed: frozenset[str], fold: Fold) -> None:
        self.path, self.base, self.needed, self.fold = path, scope, needed, fold
        self.values: dict[str, Any] = dict(scope.values)

    def scope(self) -> Scope:
        return Scope(self.values, self.base.call, self.base.caller)

    def walk(self, body: Sequence[ast.stmt]) -> bool:
        """Go through a body up to the node; False when something before it always ends the body."""
        for statement in body:
            if statement in self.path:
                return self._enter(statement)
            if self.apply(statement):
                return False
        return True

    def _enter(self, statement: ast.stmt) -> bool:
        """Go into the statement that holds the node."""
        blocks = [block for _, block in ast.iter_fields(statement) if isinstance(block, list)]
        inside = next((block for block in blocks if any(part in self.path for part in block)), None)
        is_function = isinstance(statement, _DEFINITIONS) and not isinstance(statement, ast.ClassDef)
        if inside is None or is_function:
            return True
        if isinstance(statement, ast.If):
            taken = self._test(statement.test)
            if taken is not None and taken != (inside is statement.body):
                return False
        elif isinstance(statement, ast.For | ast.While | ast.AsyncFor):
            self._forget(statement)
        elif isinstance(statement, ast.Try) and inside is not statement.body:
            self._forget(statement)
            handler = next((part for part in statement.handlers if part in self.path), None)
            inside = handler.body if handler else inside
        return not all(isinstance(part, ast.stmt) for part in inside) or self.walk(inside)

    def apply(self, statement: ast.stmt) -> bool:
        """Follow a statement; True when the body ends with it."""
        if isinstance(statement, _ENDS):
            return True
        if isinstance(statement, ast.If):
            return self._branch(statement)
        if isinstance(statement, ast.With):
            return any(map(self.apply, statement.body))
        if isinstance(statement, ast.AugAssign):
            if isinstance(statement.target, ast.Name) and statement.target.id in self.needed:
                before = ast.Name(statement.target.id, ast.Load())
                self._assign(statement.target, ast.BinOp(before, statement.op, statement.value))
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            for target, value in assignments(statement):
                self._assign(target, value)
        elif not isinstance(statement, _DEFINITIONS):
            self._forget(statement)
        return False

    def _branch(self, statement: ast.If) -> bool:
        taken = self._test(statement.test)
        if taken is not None:
            return any(map(self.apply, statement.body if taken else statement.orelse))
        before = dict(self.values)
        ended = any(map(self.apply, statement.body))
        first, self.values = self.values, before
        ended_else = any(map(self.apply, statement.orelse))
        if ended:
            return ended_else
        if ended_else:
            self.values = first
        else:
            for name in {*first, *self.values}:
                if first.get(name, NOT_KNOWN) != self.values.get(name, NOT_KNOWN):
                    self.values[name] = NOT_KNOWN
        return False

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            self._forget(target)
        elif target.id in self.needed:
            self.values[target.id] = self.fold(value, self.scope())

    def _forget(self, node: ast.AST) -> None:
        """Take the names that are assigned anywhere in a node for unknown."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id in self.needed:
                self.values[part.id] = NOT_KNOWN

    def _test(self, test: ast.expr) -> bool | None:
        """Return what a test comes to; None when it hangs on anything but names that are known here."""
        names = names_in([test]) - {
            "isinstance",
            "str",
            "int",
            "float",
            "bool",
            "list",
            "tuple",
            "dict",
            "set",
        }
        if not names or not names <= self.values.keys():
            return None
        value = self.fold(test, self.scope())
        return value if isinstance(value, bool) else None


def _closure(body: Sequence[ast.stmt], needed: frozenset[str], scope: Scope) -> frozenset[str]:
    """Return the names of interest, those they are worked out from, and the parameters that tests ask for."""
    pairs = []
    for statement in body:
        if isinstance(statement, _DEFINITIONS) and not isinstance(statement, ast.ClassDef):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.If):
                needed |= names_in([node.test]) & scope.values.keys()
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                pairs.append((node.target.id, names_in([node.value])))
            else:
                pairs += [(t.id, names_in([v])) for t, v in assignments(node) if isinstance(t, ast.Name)]
    while True:
        more = needed.union(*(values for target, values in pairs if target in needed))
        if more == needed:
            return needed
        needed = more


def unknown_is(fold: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a fold gives, NOT_KNOWN instead of Unknown."""
    try:
        return fold(*arguments)
    except Unknown:
        return NOT_KNOWN
