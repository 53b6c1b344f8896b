"""Conditions on the rows of a table: `val_bpb<1.2 and status==ok`.

A condition is written as Python writes comparisons and is parsed by Python's own parser; nothing in it is
executed. The left side of a comparison is a column, the right side is a value: a bare word is text.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from harness.errors import UsageError, nearest

Facts = Mapping[str, Any]
Test = Callable[[Facts], bool]


class Condition(NamedTuple):
    """test: whether a row fulfils it. settings: the settings it asks for, such as MATRIX_LR."""

    test: Test
    settings: frozenset[str]


EXAMPLE = """for example --where 'val_bpb<1.2 and status==ok', --where '"byte" in title'"""
MOST_CHARACTERS = 2000
_SETTING = re.compile(r"[A-Z][A-Z0-9_]*")

_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUAL = {ast.Eq: True, ast.Is: True, ast.NotEq: False, ast.IsNot: False}
_AMONG = {ast.In: True, ast.NotIn: False}


def read_condition(text: str, columns: Mapping[str, type]) -> Condition:
    """Return a test of a row's values by column, where None is "not known".

    columns: the type of each column's values: float, str, or list for several words. A name in capitals is a
    setting; its value is compared as a number where both sides are numbers.
    A value that is not known fulfils no order (`<`) and equals only None. Text is compared without case;
    for a list `==` and `in` ask whether the word is in it.
    Raises UsageError for what is no condition, an unknown column, or a value of another type.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"--where has {len(text):,} characters", f"write at most {MOST_CHARACTERS:,}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        reader = _Reader(text, columns)
        return Condition(reader.read(tree.body), frozenset(reader.settings))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = getattr(error, "msg", error)
        if re.search(r"[^<>=!]=(?!=)", text):
            why = "two equal signs compare"
        elif "leading zeros" in str(why):
            why = "a date stands in quotes, and --since takes one"
        raise UsageError(f"--where {text!r} is no condition ({why})", EXAMPLE) from None


class _Reader:
    def __init__(self, text: str, columns: Mapping[str, type]) -> None:
        self._text = text
        self._columns = columns
        self.settings: set[str] = set()

    def read(self, node: ast.expr) -> Test:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.read(value) for value in values]
                return lambda facts: all(part(facts) for part in parts)
            case ast.BoolOp(values=values):
                parts = [self.read(value) for value in values]
                return lambda facts: any(part(facts) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                part = self.read(operand)
                return lambda facts: not part(facts)
            case ast.Compare():
                return self._read_comparison(node)
            case _:
                raise self._refuse(node, "is no comparison")

    def _read_comparison(self, node: ast.Compare) -> Test:
        if len(node.ops) == 2:  # 1.1 < val_bpb < 1.2
            low, middle, high = node.left, *node.comparators
            first = ast.Compare(middle, [_mirror(node.ops[0])], [low])
            second = ast.Compare(middle, node.ops[1:], [high])
            parts = [self._read_comparison(first), self._read_comparison(second)]
            return lambda facts: all(part(facts) for part in parts)
        if len(node.ops) > 2:
            raise self._refuse(node, "compares too much at once")
        left, order, right = node.left, node.ops[0], node.comparators[0]
        kind = type(order)
        if kind in _AMONG and isinstance(left, ast.Constant):  # "byte" in title
            return self._read_part_of(self._column(right), str(left.value), _AMONG[kind])
        column = self._column(left)
        if kind in _AMONG:
            items = right.elts if isinstance(right, (ast.Tuple, ast.List, ast.Set)) else [right]
            values = [self._value(column, item) for item in items]
            return lambda facts: any(_equals(facts[column], one) for one in values) is _AMONG[kind]
        value = self._value(column, right)
        if kind in _EQUAL:
            return lambda facts: _equals(facts[column], value) is _EQUAL[kind]
        if value is None or self._type(column) is list:
            raise self._refuse(node, "has no order")
        compare = _ORDERS[kind]
        return lambda facts: facts[column] is not None and compare(*_alike(facts[column], value))

    def _read_part_of(self, column: str, part: str, wanted: bool) -> Test:
        if self._type(column) is float:
            raise UsageError(f"--where: {column} is a number and has no part {part!r}", EXAMPLE)
        folded = part.casefold()
        return lambda facts: any(folded in str(one).casefold() for one in _texts(facts[column])) is wanted

    def _column(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise self._refuse(node, "is no column")
        if _SETTING.fullmatch(node.id):
            self.settings.add(node.id)
            return node.id
        if node.id not in self._columns:
            near = nearest(node.id, self._columns)
            raise UsageError(
                f"--where: no column is called {node.id}",
                f"did you mean {near}?"
                if near
                else f"one of {', '.join(self._columns)}; a setting is in capitals",
            )
        return node.id

    def _type(self, column: str) -> type:
        return self._columns.get(column, object)

    def _value(self, column: str, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name):
                value: Any = name
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=bool() as flag):
                value = str(flag)
            case ast.Constant(value=int() | float() | str() as value):
                pass
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                value = -number
            case _:
                raise self._refuse(node, "is no value; set text that has more than one word in quotes")
        number = self._type(column) is float
        if number and isinstance(value, str):
            raise UsageError(f"--where: {column} is a number, {value!r} is not", EXAMPLE)
        return value if number else str(value)

    def _refuse(self, node: ast.expr, why: str) -> UsageError:
        return UsageError(f"--where: `{ast.unparse(node)}` in `{self._text}` {why}", EXAMPLE)


def _mirror(order: ast.cmpop) -> ast.cmpop:
    """Return the order that holds when both sides change places."""
    swapped = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
    return swapped.get(type(order), type(order))()


def _alike(value: Any, wanted: Any) -> tuple[Any, Any]:
    """Return both as numbers where both are, else as text without case."""
    try:
        return float(value), float(wanted)
    except ValueError:
        return str(value).casefold(), str(wanted).casefold()


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _equals(value: Any, wanted: Any) -> bool:
    if value is None or wanted is None:
        return value is wanted
    return any(operator.eq(*_alike(one, wanted)) for one in _texts(value))
