"""With which values a place in a program is reached: once per row of a table, once per call of a helper.

Only names that matter at the place are followed, so that a function is looked at once for each set of values
which makes a difference. Works on syntax trees; nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from harness.scripts.flow import Bodies, names_in
from harness.scripts.names import NOT_KNOWN, Scope, bind
from harness.scripts.program import FUNCTIONS, Function, Program, Site

T = TypeVar("T")
DEFAULT_NAMES = ("default", "fallback", "dflt", "d", "val", "value", "v")
MAX_ROWS = 2_000  # of a table that is looped over
_MAX_SCOPES = 4_000  # that are looked at in one file; beyond it, helpers are taken as called by nobody
_MAX_DEPTH = 40  # of calls within calls
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


class Reach:
    """Finds the scopes of places. value: gives an expression's value in a scope, or NOT_KNOWN."""

    def __init__(self, program: Program, value: Callable[[ast.expr, Scope], Any]) -> None:
        self.program, self.value, self.bodies = program, value, Bodies(program, value)
        self.left = _MAX_SCOPES
        self.is_cut = False  # whether a limit kept some scopes from being looked at
        self._calls: dict[tuple[Function, frozenset[str], int], list[Scope]] = {}
        self._used: dict[ast.AST, frozenset[str]] = {}

    def scopes(
        self, node: ast.AST, needed: frozenset[str], depth: int = 0, most: int = MAX_ROWS
    ) -> Iterator[Scope]:
        """Yield the scopes in which a node is evaluated.

        needed: names that matter there; what the statements before the node assign to them is followed.
        most: how many scopes of a function or a loop are looked at.
        """
        path, wanted = [node], needed
        for child, parent in self.program.above(node):
            if isinstance(parent, ast.For | ast.AsyncFor) and child is not parent.iter:
                wanted = self.bodies.names_behind(parent, wanted | self._used_with(node))
                if wanted.isdisjoint(names_in([parent.target])):
                    path.append(parent)
                    continue
                outer = self._rows(parent.target, parent.iter, wanted, depth, most)
            elif isinstance(parent, _COMPREHENSIONS) and (
                rows := _generators_before(parent, child, node, path)
            ):
                yield from self._nested_rows(rows, wanted, depth, most)
                return
            elif isinstance(parent, FUNCTIONS):
                outer = self._function(parent, wanted | self._used_with(node), depth, most)
            elif isinstance(parent, ast.Module):
                outer = iter((Scope(),))
            else:
                path.append(parent)
                continue
            followed = needed | (self._used_with(node) if isinstance(parent, FUNCTIONS) else frozenset())
            plain = not needed or self.bodies.is_plain(path, parent, followed)
            for scope in outer:
                inner = scope if plain else self.bodies.scope_at(path, parent, scope, followed)
                if inner is not None:
                    yield inner
            return

    def _nested_rows(
        self, generators: list[ast.comprehension], wanted: frozenset[str], depth: int, most: int
    ) -> Iterator[Scope]:
        first, *rest = generators
        for scope in self._rows(first.target, first.iter, wanted, depth, most):
            scopes = [scope]
            for inner in rest:
                rows = [(s, self.value(inner.iter, s)) for s in scopes]
                scopes = [
                    s.with_values(bind(inner.target, row))
                    for s, values in rows
                    for row in (self._cut(values, most) if isinstance(values, list | dict | str) else [None])
                ]
            yield from scopes

    def _rows(
        self, target: ast.expr, walked: ast.expr, wanted: frozenset[str], depth: int, most: int
    ) -> Iterator[Scope]:
        """Yield the scopes of a loop's body. A loop over what is not known is one scope without its names."""
        for outer in self.scopes(walked, names_in([walked]) | wanted, depth, most):
            rows = self.value(walked, outer)
            if not isinstance(rows, list | dict | str):
                yield outer
                continue
            for row in self._cut(rows, most):
                yield outer.with_values(bind(target, row))

    def _cut(self, rows: Iterable[T], most: int) -> list[T]:
        """Return as many as may be looked at, and remember when some are left out that may matter."""
        some = list(islice(rows, most + 1))
        self.is_cut = self.is_cut or len(some) > most == MAX_ROWS
        return some[:most]

    def _function(self, function: Function, wanted: frozenset[str], depth: int, most: int) -> Iterator[Scope]:
        """Yield a scope for each call of a function; one without values when nobody calls it."""
        names = self.bodies.names_behind(function, wanted, parameters_of(function))
        outers = [Scope()]
        if any(isinstance(parent, (*FUNCTIONS, ast.For)) for _, parent in self.program.above(function)):
            outers = (
                self._cut(self.scopes(function, names - parameters_of(function), depth, most), most) or outers
            )
        for scope in self._called(function, names & parameters_of(function), depth, most):
            for outer in outers:
                merged = Scope({**outer.values, **scope.values}, scope.call, scope.caller)
                yield merged if outer.values else scope

    def _called(self, function: Function, names: frozenset[str], depth: int, most: int) -> list[Scope]:
        """Return the scopes of a function's calls, with the values of the parameters that matter.

        Calls that hand over the same values count once, and so each function is looked at once.
        """
        if depth > _MAX_DEPTH:
            self.is_cut = True
            return [Scope()]
        key = (function, names, most)
        if key not in self._calls:
            self._calls[key] = [Scope()]  # for a call of itself
            self._calls[key] = self._cut(self._call_scopes(function, names, depth, most), most) or [Scope()]
        return self._calls[key]

    def _call_scopes(
        self, function: Function, names: frozenset[str], depth: int, most: int
    ) -> Iterator[Scope]:
        sites = self.program.sites_of(function) if self.left > 0 else []
        returns = _returns(function)
        if not sites:
            yield Scope()
            return
        if not (names or returns):
            yield Scope({}, sites[0].call, next(self.scopes(sites[0].call, frozenset(), depth + 1), None))
            return
        everywhere: set[object] = set()
        for site in sites:
            if site.rows is not None:
                yield from self._mapped(function, site, site.rows, depth, most)
                continue
            given = {
                k: v
                for k, v in site.arguments(function, self.program.is_method(function)).items()
                if k in names
            }
            needed = names_in(given.values())
            seen = set() if returns else everywhere
            for caller in self.scopes(site.call, needed, depth + 1, most):
                self.left -= 1
                values = self._values(function, given, names, caller)
                if (shown := _key(values)) not in seen:
                    seen.add(shown)
                    yield Scope(values, site.call, caller)
                if self.left < 0:
                    self.is_cut = True
                    break

    def _mapped(
        self, function: Function, site: Site, rows: ast.expr, depth: int, most: int
    ) -> Iterator[Scope]:
        """Yield the scopes of a function in `map(function, rows)`."""
        first = next(iter(function.args.args), None)
        for caller in self.scopes(site.call, names_in([rows]), depth + 1, most):
            values = self.value(rows, caller)
            for row in self._cut(values, most) if isinstance(values, list | dict) else ():
                yield Scope({first.arg: row} if first else {}, site.call, caller)

    def _values(
        self, function: Function, given: dict[str, ast.expr], names: frozenset[str], caller: Scope
    ) -> dict[str, Any]:
        """Return the values of the parameters that matter in a call, those that can be told."""
        values = {}
        for name, node in defaults_of(function).items():
            if name in names and name not in given:
                value = self.value(node, Scope())
                if value is not NOT_KNOWN:
                    values[name] = value
        for name, node in given.items():
            value = self.value(node, caller)
            if value is not NOT_KNOWN:
                values[name] = value
        return values

    def _used_with(self, node: ast.AST) -> frozenset[str]:
        """Return the names that say how a node's value is used: those of its statement, of the tests around
        it, and, where it is given a name first, of the statements that use the name."""
        statement = node
        tests: list[ast.AST] = []
        for child, parent in self.program.above(node):
            if not isinstance(statement, ast.stmt) and isinstance(child, ast.stmt | ast.expr):
                statement = child
            if isinstance(parent, FUNCTIONS):
                break
            if isinstance(parent, ast.If | ast.While) and child is not parent.test:
                tests.append(parent.test)
        if statement not in self._used:
            self._used[statement] = self._names_of_use(statement)
        return self._used[statement] | names_in(tests) | frozenset(DEFAULT_NAMES)

    def _names_of_use(self, statement: ast.AST) -> frozenset[str]:
        if isinstance(statement, ast.If | ast.While):
            return names_in([statement.test])
        if isinstance(statement, ast.For | ast.With | ast.Try | ast.ClassDef | ast.FunctionDef):
            return frozenset()
        names = names_in([statement])
        body = self.program.body(statement)
        if not isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef):
            return names
        given = list(self.bodies.assigned_by(statement))
        seen = set(given)
        while given:
            for load in self.program.loads(given.pop(), body.body):
                using = self._statement_of(load)
                if using is not statement and using is not None:
                    parts: Sequence[ast.AST] = (
                        [using.test] if isinstance(using, ast.If | ast.While) else [using]
                    )
                    names |= names_in(parts) if not isinstance(using, ast.For | ast.With | ast.Try) else set()
                    more = self.bodies.assigned_by(using) - seen if isinstance(using, ast.Assign) else set()
                    given += more
                    seen |= more
        return names

    def _statement_of(self, node: ast.AST) -> ast.stmt | None:
        return next((child for child, _ in self.program.above(node) if isinstance(child, ast.stmt)), None)


def _key(values: Mapping[str, Any]) -> object:
    """Return what tells values from others: `1` from `1.0`, too."""
    key = tuple((name, type(value), value) for name, value in values.items())
    try:
        hash(key)
    except TypeError:  # a list or a table among them
        return repr(values)
    return key


def _returns(function: Function) -> bool:
    """Whether a function gives a value back, which its caller turns into something."""
    if isinstance(function, ast.Lambda):
        return True
    if function.name == "__init__":
        return False
    return any(isinstance(node, ast.Return) and node.value for node in ast.walk(function))


def parameters_of(function: Function) -> frozenset[str]:
    words = function.args
    every = [*words.posonlyargs, *words.args, *words.kwonlyargs, words.vararg, words.kwarg]
    return frozenset(word.arg for word in every if word)


def defaults_of(function: Function) -> dict[str, ast.expr]:
    """Return the parameters that have defaults."""
    words = function.args
    plain = [word.arg for word in (*words.posonlyargs, *words.args)]
    defaults = dict(zip(plain[len(plain) - len(words.defaults) :], words.defaults, strict=True))
    for word, value in zip(words.kwonlyargs, words.kw_defaults, strict=True):
        if value is not None:
            defaults[word.arg] = value
    return defaults


def _generators_before(
    comprehension: ast.AST, child: ast.AST, node: ast.AST, path: Sequence[ast.AST]
) -> list[ast.comprehension]:
    """Return the generators of a comprehension that run before a node in it does."""
    generators: list[ast.comprehension] = getattr(comprehension, "generators", [])
    at = next((i for i, part in enumerate(generators) if part is child), None)
    if at is None:
        return generators
    below = path[-2] if len(path) > 1 else node
    return generators[: at + (below is not generators[at].iter)]
