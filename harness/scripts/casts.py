"""How a program turns text that it was given into a number or a yes/no: followed from the read to the cast.

Works on syntax trees; nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from harness.scripts.constants import fold
from harness.scripts.names import Func, Scope, Unknown
from harness.scripts.program import MAX_CALLS, Function, Program, last_part

CastKind = Literal[
    "text", "word", "int", "float", "flag"
]  # word: text that is compared with names of choices
TRUE_WORDS = ("1", "true", "yes", "on", "y", "t")
FALSE_WORDS = ("0", "false", "no", "off", "n", "f")
_WORDS = frozenset({*TRUE_WORDS, *FALSE_WORDS, ""})
_MAX_USES = 50  # of one name that are looked at
_TRANSPARENT = frozenset({"strip", "lower", "upper", "casefold", "rstrip", "lstrip"})


@dataclass(frozen=True)
class Use:
    """How a value is turned from text. words: what the script takes for yes and no, of a flag."""

    kind: CastKind = "text"
    words: tuple[str, str] | None = None


class Tracer:
    """Follows a value upwards from where it is read to where it is turned into a number or a yes/no."""

    def __init__(self, program: Program) -> None:
        self.program, self.names = program, program.names

    def outermost(self, node: ast.AST) -> ast.AST:
        """Return the whole expression that a read is part of, for messages."""
        last = node
        for _, parent in self.program.above(node):
            if not isinstance(parent, ast.Call | ast.Compare | ast.Attribute | ast.BoolOp):
                break
            if isinstance(parent, ast.Call) and len(parent.args) + len(parent.keywords) > 2:
                break
            last = parent
        return last

    def use_of(self, node: ast.AST, scope: Scope, depth: int = 0) -> Use:
        """Say how the value of a node is used."""
        use = Use()
        for child, parent in self.program.above(node):
            after = self._step(child, parent, use, scope, depth)
            if after is None:
                break
            use = after
            if use.kind in ("flag", "word"):
                break
        return use

    def use_of_parameter(self, function: Function, name: str) -> Use:
        """Say how a function uses what it is given under a name."""
        body = function.body if isinstance(function.body, list) else [function.body]
        return self._first_use(name, body, Scope(), 0)

    def _is_reached(self, node: ast.AST, scope: Scope) -> bool:
        """Whether the branches around a node are taken, as far as their tests can be told."""
        for child, parent in self.program.above(node):
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                break
            if not isinstance(parent, ast.If | ast.IfExp) or child is parent.test:
                continue
            try:
                taken = bool(fold(parent.test, self.names, scope))
            except Unknown:
                continue
            body = parent.body if isinstance(parent.body, list) else [parent.body]
            if taken != (child in body):
                return False
        return True

    def _step(self, child: ast.AST, parent: ast.AST, use: Use, scope: Scope, depth: int) -> Use | None:
        """Take one step upwards: the use so far, or None where nothing more can be learnt."""
        if isinstance(parent, ast.Call):
            return self._through_call(child, parent, use, scope, depth)
        if isinstance(parent, ast.Attribute):
            return use if parent.attr in _TRANSPARENT else None
        if isinstance(parent, ast.Compare):
            return self._through_compare(child, parent, use, scope)
        if isinstance(parent, ast.NamedExpr):
            return self._through_name(parent, use, scope, depth) or use
        if isinstance(parent, ast.BoolOp):
            return use
        if isinstance(parent, ast.GeneratorExp):
            return use if child is parent.elt else None
        if isinstance(parent, ast.IfExp | ast.If | ast.While) and child is parent.test:
            return Use("flag", ("1", "")) if use.kind == "text" else None
        if isinstance(parent, ast.IfExp | ast.If | ast.Expr | ast.Starred):
            return use if isinstance(parent, ast.IfExp) else None
        if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
            return Use("flag", ("1", "")) if use.kind == "text" else None
        if isinstance(parent, ast.Assign | ast.AnnAssign):
            return self._through_name(parent, use, scope, depth)
        returned = isinstance(parent, ast.Return | ast.Lambda) and use.kind == "text"
        if returned and scope.call is not None and depth < 2 * MAX_CALLS:
            return _or_none(self.use_of(scope.call, scope.caller or Scope(), depth + 1))
        return None

    def _through_call(self, child: ast.AST, call: ast.Call, use: Use, scope: Scope, depth: int) -> Use | None:
        if call in self.program.readers and child is not call.func:
            # get(NEW, get(OLD, 1)): the inner one is used as the outer one is
            return use if child is not call.args[0] else None
        if isinstance(child, ast.GeneratorExp):
            return use if last_part(call.func) == "next" else None
        if child is call.func:  # a method of the value
            return use if isinstance(child, ast.Attribute) and child.attr in _TRANSPARENT else None
        try:
            called = fold(call.func, self.names, scope)
        except Unknown:
            name = last_part(call.func) or ""
            return Use("flag", ("1", "0")) if "bool" in name.lower() and use.kind == "text" else None
        if called is bool:
            return Use("flag", ("1", "" if use.kind == "text" else "0"))
        if called in (int, float) and isinstance(called, type):
            if use.kind != "text":
                return use  # int(float(x)) takes what float takes
            return Use("int" if called is int else "float")
        if isinstance(called, Func) and use.kind == "text" and depth < MAX_CALLS:
            return self._through_helper(child, call, called, scope, depth)
        return use if called is str else None

    def _through_helper(
        self, child: ast.AST, call: ast.Call, called: Func, scope: Scope, depth: int
    ) -> Use | None:
        """Look at what a function of the script does with the value it is handed."""
        parameters = [word.arg for word in called.node.args.args]
        at = next((i for i, word in enumerate(call.args) if word is child), None)
        if at is None or at >= len(parameters):
            return None
        body = called.node.body if isinstance(called.node.body, list) else [called.node.body]
        inner = Scope({}, call, scope)
        return _or_none(self._first_use(parameters[at], body, inner, depth + 1))

    def _through_compare(self, child: ast.AST, parent: ast.Compare, use: Use, scope: Scope) -> Use | None:
        if len(parent.ops) != 1 or child is not parent.left:
            return None
        try:
            other = fold(parent.comparators[0], self.names, scope)
        except Unknown:
            return None
        if use.kind in ("int", "float"):  # int(..) > 0 may well be a count
            return None
        if isinstance(other, dict):
            other = list(other)
        words = [other] if isinstance(other, str) else other
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            return None
        if not words or not {word.lower() for word in words} <= _WORDS:
            return Use("word")
        upper = all(word == word.upper() for word in words if word.isalpha())
        only_no = all(word.lower() in (*FALSE_WORDS, "") for word in words)
        inverse = isinstance(parent.ops[0], ast.NotEq | ast.NotIn)
        if only_no:  # x not in ("0", "false"), x == "0"
            no = _pick(words, FALSE_WORDS)
            return Use("flag", (_opposite(no, words, upper), no)) if inverse or only_no else None
        yes = _pick(words, TRUE_WORDS)
        return Use("flag", (yes, _opposite(yes, words, upper)))

    def _through_name(
        self, parent: ast.Assign | ast.AnnAssign | ast.NamedExpr, use: Use, scope: Scope, depth: int
    ) -> Use | None:
        """A value that is first given a name: look at what happens to the name."""
        target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
        if use.kind != "text" or depth >= MAX_CALLS:
            return None
        if not isinstance(target, ast.Name):
            return None
        body = self.program.body(parent)
        if body is None or isinstance(body, ast.ClassDef):
            return None
        after = None if isinstance(parent, ast.NamedExpr) else parent
        return _or_none(self._first_use(target.id, body.body, scope, depth + 1, after))  # type: ignore[attr-defined]

    def _first_use(
        self, name: str, body: Iterable[ast.AST], scope: Scope, depth: int, after: ast.AST | None = None
    ) -> Use:
        """Return the first telling use of a name in a body, in the order of the text."""
        shadowed = replace(scope, values={k: v for k, v in scope.values.items() if k != name})
        end = (getattr(after, "end_lineno", 0), getattr(after, "end_col_offset", 0))
        uses = (
            node
            for node in self.program.loads(name, body)
            if after is None or (node.lineno, node.col_offset) > end
        )
        weak: Use | None = None
        for node in islice(uses, _MAX_USES):
            if not self._is_reached(node, shadowed):
                continue
            use = self.use_of(node, shadowed, depth)
            if use.kind == "flag" and use.words == ("1", ""):
                weak = weak or use  # `if raw:` before `int(raw)` says less than what follows
            elif use.kind != "text":
                return use
        return weak or Use()


def _or_none(use: Use) -> Use | None:
    return use if use.kind != "text" else None


def _pick(words: list[str], order: tuple[str, ...]) -> str:
    """Return the word of a list that is best known."""
    folded = {word.lower(): word for word in words}
    return next((folded[word] for word in order if word in folded), words[0])


def _opposite(word: str, taken: list[str], upper: bool) -> str:
    """Return the word that means the other thing, in the same style and not among those taken."""
    pairs = dict(zip(TRUE_WORDS, FALSE_WORDS, strict=True)) | dict(zip(FALSE_WORDS, TRUE_WORDS, strict=True))
    other = pairs.get(word.lower(), "1")
    other = other.capitalize() if word.istitle() else other.upper() if upper and word.isalpha() else other
    return other if other not in taken else "1"
