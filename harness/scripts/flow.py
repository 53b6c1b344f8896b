"""What names hold where a node stands: the statements before it in one body, followed without running them.

A branch whose test is known is taken or left out; where a test is not known, both are followed and names that
they leave different are not known. Loops before the node make the names that they assign unknown. Statements
that neither end a body nor assign a name of interest are passed over.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from harness.scripts.names import NOT_KNOWN, Scope, Unknown, assignments
from harness.scripts.nodes import below, children
from harness.scripts.program import Program

Fold = Callable[[ast.expr, Scope], Any]
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_TYPES = frozenset({"isinstance", "str", "int", "float", "bool", "list", "tuple", "dict", "set"})


def names_in(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that expressions mention."""
    return frozenset(
        part.id
        for node in nodes
        for part in ([node] if isinstance(node, ast.Name) else below(node))
        if isinstance(part, ast.Name)
    )


def unknown_is(fold: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a fold gives, NOT_KNOWN instead of Unknown."""
    try:
        return fold(*arguments)
    except Unknown:
        return NOT_KNOWN


def running(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield a statement's nodes, those of functions that it defines left out."""
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _FUNCTIONS):
            waiting += children(node)


def _values_given(statement: ast.AST, name: str) -> list[ast.expr]:
    """Return what a statement gives to a name."""
    if isinstance(statement, ast.AugAssign):
        return [statement.value]
    return [
        value
        for target, value in assignments(statement)
        if isinstance(target, ast.Name) and target.id == name
    ]


class Bodies:
    """What is known of the bodies of a program, each statement looked at once."""

    def __init__(self, program: Program, fold: Fold) -> None:
        self.program = program
        self.fold = fold  # gives an expression's value, NOT_KNOWN where it is not known
        self._assigns: dict[ast.AST, frozenset[str]] = {}
        self._ends: dict[ast.AST, bool] = {}
        self._sources: dict[tuple[ast.AST, str], frozenset[str]] = {}
        self._tests: dict[ast.AST | None, frozenset[str]] = {}
        for test in program.nodes_of(ast.If):
            owner = program.owner(test)
            self._tests[owner] = self._tests.get(owner, frozenset()) | names_in([test.test])
        self._indexes: dict[int, _Index] = {}
        self._with_ends = {program.owner(node) for node in program.nodes_of(*_ENDS)}

    def scope_at(self, path: Sequence[ast.AST], owner: ast.AST, scope: Scope, needed: frozenset[str]) -> Any:
        """Return the scope with what the statements before a node assign; None when it is not reached.

        path: the node and all that it stands in, up to the statement of the body. owner: the function or
        module with that body. needed: the names of interest.
        """
        body = getattr(owner, "body", [])
        names = self.names_behind(owner, needed, frozenset(scope.values))
        flow = _Flow(self, frozenset(path), scope, names)
        return flow.scope() if flow.walk(body) else None

    def is_plain(self, path: Sequence[ast.AST], owner: ast.AST, needed: frozenset[str]) -> bool:
        """Whether nothing in a body before a node changes the names of interest or keeps the node from
        running."""
        if not isinstance(getattr(owner, "body", []), list):
            return True
        if self.program.owner(path[0]) in self._with_ends or any(isinstance(part, ast.If) for part in path):
            return False
        return not any(map(partial(self._stores, owner), self.names_behind(owner, needed)))

    def _stores(self, owner: ast.AST, name: str) -> list[ast.Name]:
        """Return the places in a body, functions within left out, where a name is given a value."""
        function = owner if isinstance(owner, _FUNCTIONS) else self.program.owner(owner)
        return [node for node in self.program.stores(name) if self.program.owner(node) is (function or owner)]

    def names_behind(
        self, owner: ast.AST, needed: frozenset[str], tested: frozenset[str] = frozenset()
    ) -> frozenset[str]:
        """Return the names of interest, those they are worked out from, and those of `tested` that tests ask
        for."""
        function = owner if isinstance(owner, _FUNCTIONS) else self.program.owner(owner)
        found = set(needed | (self._tests.get(function or owner, frozenset()) & tested))
        waiting = list(found)
        while waiting:
            more = self._sources_of(function or owner, waiting.pop()) - found
            found |= more
            waiting += more
        return frozenset(found)

    def _sources_of(self, owner: ast.AST, name: str) -> frozenset[str]:
        """Return the names that stand in what a name is given in a function or module."""
        key = (owner, name)
        if key not in self._sources:
            statements = [self.program.of(node) for node in self._stores(owner, name)]
            self._sources[key] = names_in(
                value
                for statement in statements
                if statement is not None
                for value in _values_given(statement, name)
            )
        return self._sources[key]

    def assigned_by(self, statement: ast.AST) -> frozenset[str]:
        """Return the names that a statement, or one within it, assigns."""
        if statement not in self._assigns:
            nodes = running(statement)
            self._assigns[statement] = frozenset(
                node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )
        return self._assigns[statement]

    def steps(
        self, body: Sequence[ast.stmt], names: frozenset[str], path: Collection[ast.AST]
    ) -> list[ast.stmt]:
        """Return the statements of a body that matter to names before a node: those that assign one of them
        or may end the body; and the one that holds the node, last."""
        if id(body) not in self._indexes:
            self._indexes[id(body)] = _Index(self, body)
        index = self._indexes[id(body)]
        end = next((index.position[node] for node in path if node in index.position), len(body))
        wanted = {*index.ends}.union(*(index.assigning.get(name, ()) for name in names))
        return [body[i] for i in sorted(i for i in wanted if i < end)] + list(body[end : end + 1])

    def may_end(self, statement: ast.AST) -> bool:
        """Whether a statement, or one within it, ends the body or the turn of a loop."""
        if statement not in self._ends:
            self._ends[statement] = any(isinstance(node, _ENDS) for node in running(statement))
        return self._ends[statement]


class _Index:
    """The statements of a body by what they do. position: of each, by statement."""

    def __init__(self, bodies: Bodies, body: Sequence[ast.stmt]) -> None:
        self.body = body  # kept, so that no other takes its id
        self.position: dict[ast.AST, int] = {}
        self.assigning: dict[str, list[int]] = {}
        self.ends: list[int] = []
        for number, statement in enumerate(body):
            self.position[statement] = number
            if not isinstance(statement, _DEFINITIONS):
                if bodies.may_end(statement):
                    self.ends.append(number)
                for name in bodies.assigned_by(statement):
                    self.assigning.setdefault(name, []).append(number)


class _Flow:
    def __init__(
        self, bodies: Bodies, path: frozenset[ast.AST], scope: Scope, needed: frozenset[str]
    ) -> None:
        self.bodies, self.path, self.base, self.needed = bodies, path, scope, needed
        self.values: dict[str, Any] = dict(scope.values)

    def scope(self) -> Scope:
        return Scope(self.values, self.base.call, self.base.caller)

    def walk(self, body: Sequence[ast.stmt]) -> bool:
        """Go through a body up to the node; False when something before it always ends the body."""
        for statement in self.bodies.steps(body, self.needed, self.path):
            if statement in self.path:
                return self._enter(statement)
            if self.apply(statement):
                return False
        return True

    def _enter(self, statement: ast.stmt) -> bool:
        """Go into the statement that holds the node."""
        blocks = [block for _, block in ast.iter_fields(statement) if isinstance(block, list)]
        inside = next((block for block in blocks if any(part in self.path for part in block)), None)
        if inside is None or isinstance(statement, _FUNCTIONS):
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
        if isinstance(statement, _DEFINITIONS):
            return False
        if self.needed.isdisjoint(self.bodies.assigned_by(statement)) and not self.bodies.may_end(statement):
            return False
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
        else:
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
            self.values[target.id] = self.bodies.fold(value, self.scope())

    def _forget(self, node: ast.AST) -> None:
        """Take the names that are assigned anywhere in a node for unknown."""
        for name in self.bodies.assigned_by(node) & self.needed:
            self.values[name] = NOT_KNOWN

    def _test(self, test: ast.expr) -> bool | None:
        """Return what a test comes to; None when it hangs on anything but names that are known here."""
        names = names_in([test]) - _TYPES
        if not names or not names <= self.values.keys():
            return None
        value = self.bodies.fold(test, self.scope())
        return value if isinstance(value, bool) else None
