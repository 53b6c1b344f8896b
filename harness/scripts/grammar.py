"""Parses Python, also that of newer versions than the one that runs this, and says which one a text needs.

`ast.parse` reads the grammar of its own Python. What it refuses is searched for newer forms (which
tree-sitter knows), these are written in older ones on the same lines, and the result is parsed again. Pure.
"""

from __future__ import annotations

import ast
import gc
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from tree_sitter import Node

BYTE_ORDER_MARK = "\ufeff"  # some editors write it first; Python skips it
FAILURES = (SyntaxError, ValueError, RecursionError, MemoryError)  # of `parse`

# An f-string in parts, as calls that `_Restore` turns back: no other names of a script look so.
_JOINED, _VALUE, _TEMPLATE = "__grammar_joined__", "__grammar_value__", "__grammar_template__"
_FORMS = """
(string (interpolation)) @string
(string (string_start) @start (#match? @start "^[rR]?[tT]")) @string
(function_definition type_parameters: (type_parameter) @parameters)
(class_definition type_parameters: (type_parameter) @parameters)
(type_alias_statement) @alias
(except_clause value: (_) value: (_)) @except
(match_statement) @match
"""


@dataclass(frozen=True, order=True)
class NewForm:
    """A place that only newer versions of Python read. version: the first that does."""

    version: tuple[int, int]
    line: int
    what: str

    def __str__(self) -> str:
        return f"needs Python {self.version[0]}.{self.version[1]}: line {self.line} has {self.what}"


@lru_cache(maxsize=8)  # a script is asked for its knobs, its files, its options and its demands
def parse(text: str) -> ast.Module:
    """Parse Python of any version up to 3.14; lines are those of the text, columns need not be.

    The tree is shared with others who ask for the same text, and must not be changed. A template string
    (`t"..."`) becomes a call of no known function with its values. Raises SyntaxError, or one of the others
    of FAILURES.
    """
    text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        return _parse(text)
    except SyntaxError:
        older = _in_older_forms(text)
        if older is None:
            raise
    tree: ast.Module = _Restore().visit(_parse(older))
    return ast.fix_missing_locations(tree)


def _parse(text: str) -> ast.Module:
    """Parse the grammar of the Python that runs this."""
    with without_collector(), warnings.catch_warnings():  # an escape that is none is the script's own affair
        warnings.simplefilter("ignore")
        return ast.parse(text)


def parse_source(text: str, name: str) -> ast.Module:
    """Parse Python. Raises UsageError with the place of a mistake."""
    try:
        return parse(text)
    except FAILURES as error:
        line = getattr(error, "lineno", None)
        raise UsageError(
            f"{name}{f' line {line}' if line else ''} is not Python: {getattr(error, 'msg', error)}",
            "mend it, or name the script with --script FILE",
        ) from error


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the collector off a tree, which holds no garbage: searching it doubles the time of all work on
    it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def newest_form(text: str) -> NewForm | None:
    """Return the first place that needs the newest Python; None where every version since 3.9 reads it."""
    text = text.removeprefix(BYTE_ORDER_MARK)
    forms = [form for _, form in _new_forms(text.encode())]
    try:
        _parse(text)
    except FAILURES:
        pass
    else:  # read by the Python that runs this, so that it needs none that is newer
        forms = [form for form in forms if form.version <= sys.version_info[:2]]
    newest = max((form.version for form in forms), default=None)
    return min((form for form in forms if form.version == newest), default=None)


def _new_forms(source: bytes) -> Iterator[tuple[Node, NewForm]]:
    """Yield the outermost nodes of newer forms."""
    from tree_sitter import Language, Parser, Query, QueryCursor
    from tree_sitter_python import language

    python = Language(language())
    root = Parser(python).parse(source).root_node
    for kind, nodes in QueryCursor(Query(python, _FORMS)).captures(root).items():
        for node in nodes:
            found = _form(kind, node)
            if found:
                yield node, NewForm(found[0], node.start_point[0] + 1, found[1])


def _form(kind: str, node: Node) -> tuple[tuple[int, int], str] | None:
    """Return the version that a node needs and what the node is."""
    if kind == "string":
        if "t" in _prefix(node):
            return (3, 14), "a template string"
        return ((3, 12), "an f-string in the newer form") if _is_newer_string(node) else None
    if kind == "parameters":
        if b"=" in (node.text or b""):
            return (3, 13), "a type parameter with a default"
        return (3, 12), "type parameters"
    if kind == "except":
        return ((3, 14), "`except A, B` without parentheses") if _exceptions(node) else None
    if kind == "alias":  # not `type(a).b = c`
        return ((3, 12), "a `type` statement") if re.match(r"type\s+\w", _text(node)) else None
    return (3, 10), "a `match` statement"


def _prefix(string: Node) -> str:
    return _text(string.children[0]).rstrip("\"'").lower()


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _is_newer_string(string: Node) -> bool:
    """Whether a string has an expression in it that Python 3.11 does not read."""
    quotes = _text(string.children[0]).lstrip("fFrRbBuUtT")
    for value in string.children:
        if value.type != "interpolation":
            continue
        if quotes in _text(value) or (len(quotes) == 1 and "\n" in _text(value)):
            return True
        if any(map(_is_newer_part, _parts(value))):
            return True
    return False


def _parts(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _parts(child)


def _is_newer_part(part: Node) -> bool:
    """Whether an expression with this node in it cannot stand in an f-string of Python 3.11."""
    if part.type == "format_expression":  # a format in a format in a format
        return any(inner.type == "format_specifier" for inner in part.children)
    if part.type in ("comment", "escape_sequence", "line_continuation"):
        return True
    return part.type == "string" and "t" in _prefix(part)


def _exceptions(clause: Node) -> list[Node]:
    """Return the exceptions of `except A, B:`; none where they stand in parentheses, or there is but one."""
    values = clause.children_by_field_name("value")
    return values if len(values) > 1 else []


# Older forms ------------------------------------------------------------------------------------------------


def _in_older_forms(text: str) -> str | None:
    """Return a text without its newer forms, None where it has none."""
    source = text.encode()
    edits: list[tuple[int, int, str]] = []
    for node, _ in _new_forms(source):
        edits += _edits(node)
    if not edits:
        return None
    pieces, at = [], 0
    for begin, end, instead in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if begin < at:  # inside what was replaced
            continue
        pieces += [source[at:begin], instead.encode()]
        at = end
    return b"".join([*pieces, source[at:]]).decode()


def _edits(node: Node) -> Iterator[tuple[int, int, str]]:
    if node.type == "string":
        node = _outermost_string(node)
        yield node.start_byte, node.end_byte, f"({_joined(node)})"
    elif node.type == "type_parameter":
        yield node.start_byte, node.end_byte, "\\\n" * _text(node).count("\n")
    elif node.type == "type_alias_statement":
        name, value = node.child_by_field_name("left"), node.child_by_field_name("right")
        if name is not None and value is not None:
            bare = re.split(r"\W", _text(name), maxsplit=1)[0]
            lines = _text(node)[: value.start_byte - node.start_byte].count("\n")
            yield node.start_byte, value.start_byte, f"{bare} = {chr(92)}\n" * bool(lines) or f"{bare} = "
    elif node.type == "except_clause":
        values = _exceptions(node)
        yield values[0].start_byte, values[0].start_byte, "("
        yield values[-1].end_byte, values[-1].end_byte, ")"


def _outermost_string(node: Node) -> Node:
    """Return the string that a string stands in an expression of, and all others around it."""
    outer, above = node, node.parent
    while above is not None and not above.type.endswith(("statement", "definition", "module", "block")):
        if above.type in ("string", "concatenated_string"):
            outer = above
        above = above.parent
    return outer


def _joined(node: Node) -> str:
    """Return a string, or several side by side, as a call with its parts, over as many lines."""
    if node.type == "concatenated_string":
        strings = [child for child in node.children if child.type == "string"]
        pieces, at = [], node.start_point[0]
        for string in strings:
            pieces.append("\n" * (string.start_point[0] - at) + _joined(string))
            at = string.end_point[0]
        name = _TEMPLATE if any("t" in _prefix(string) for string in strings) else _JOINED
        return f"{name}({', '.join(pieces)})"
    prefix = _prefix(node)
    if not {"f", "t"} & set(prefix):
        return _text(node)
    return f"{_TEMPLATE if 't' in prefix else _JOINED}({_pieces(node.children[1:-1], node, prefix)})"


def _pieces(children: Sequence[Node], within: Node, prefix: str) -> str:
    """Return the parts of a string or of a format as arguments: literal texts and values."""
    arguments = []
    source, start = within.text or b"", within.start_byte
    begin = children[0].start_byte if children else within.start_byte
    for child in [*children, None]:
        if child is not None and child.type not in ("interpolation", "format_expression"):
            end = child.end_byte
            continue
        end = child.start_byte if child is not None else (children[-1].end_byte if children else begin)
        literal = source[begin - start : end - start].decode()
        if literal:
            arguments.append(_literal(literal, prefix) + "\n" * literal.count("\n"))
        if child is not None:
            arguments.append(_value(child))
            begin = child.end_byte
    return ", ".join(arguments)


def _literal(text: str, prefix: str) -> str:
    """Return the text between the values of an f-string as a literal of its own, on one line."""
    text = text.replace("{{", "{").replace("}}", "}")
    if "r" not in prefix:
        # Quotes of either kind may stand in it: each that is not escaped is.
        escaped = re.sub(r"(\\.)|(\")", lambda m: m[1] or r"\"", text, flags=re.DOTALL)
        text = ast.literal_eval(f'"""{escaped}"""')
    return repr(text)


def _value(node: Node) -> str:
    """Return `{expression!r:format}` as a call, over as many lines."""
    expression = node.child_by_field_name("expression")
    if expression is None:
        return _text(node)  # broken: the parser says so
    conversion, spec = "", ""
    for child in node.children:
        if child.type == "type_conversion":
            conversion = _text(child).strip("! \n")
        elif child.type == "format_specifier":
            inner = [part for part in child.children if part.type != ":"]
            spec = f", {_JOINED}({_format(child, inner)})"
    before = "\n" * (expression.start_point[0] - node.start_point[0])
    after = "\n" * (node.end_point[0] - expression.end_point[0] - spec.count("\n"))
    source, end = node.text or b"", expression.end_byte - node.start_byte
    equals = re.match(rb"\s*=\s*", source[end:])
    label = source[1 : end + equals.end()].decode() if equals else ""
    if equals and not spec:
        conversion = conversion or "r"
    return f"{_VALUE}({before}({_rewritten(expression)}), {conversion!r}, {label!r}{spec}{after})"


def _format(spec: Node, inner: list[Node]) -> str:
    """Return the parts of a format, whose literal texts are no nodes of their own."""
    arguments, at, source = [], spec.start_byte + 1, spec.text or b""
    for part in [*inner, None]:
        end = part.start_byte if part is not None else spec.end_byte
        literal = source[at - spec.start_byte : end - spec.start_byte].decode()
        if literal:
            arguments.append(repr(literal) + "\n" * literal.count("\n"))
        if part is not None:
            arguments.append(_value(part))
            at = part.end_byte
    return ", ".join(arguments)


def _rewritten(expression: Node) -> str:
    """Return an expression with all strings in it rewritten."""
    if expression.type in ("string", "concatenated_string"):
        return _joined(expression)
    source, start, at, pieces = expression.text or b"", expression.start_byte, expression.start_byte, []
    for child in expression.children:
        pieces += [source[at - start : child.start_byte - start].decode(), _rewritten(child)]
        at = child.end_byte
    return "".join([*pieces, source[at - start :].decode()])


class _Restore(ast.NodeTransformer):
    """Turns the calls that stand for f-strings into f-strings."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == _JOINED:
            return ast.copy_location(ast.JoinedStr(list(_flat(node.args))), node)
        if name == _TEMPLATE:
            node.args = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.args]
        if name == _VALUE:
            value, conversion, label, *spec = node.args
            letter = conversion.value if isinstance(conversion, ast.Constant) else ""
            number = ord(letter) if isinstance(letter, str) and letter else -1
            shown = ast.FormattedValue(value, number, spec[0] if spec else None)
            if isinstance(label, ast.Constant) and label.value:
                return ast.copy_location(ast.JoinedStr([label, shown]), node)
            return ast.copy_location(shown, node)
        return node


def _flat(parts: Sequence[ast.expr]) -> Iterator[ast.expr]:
    for part in parts:
        if isinstance(part, ast.JoinedStr):
            yield from _flat(part.values)
        else:
            yield part
