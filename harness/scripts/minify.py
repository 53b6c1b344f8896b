"""A Python module in fewer bytes that does the same: no docstrings, comments or blank lines, few annotations.

Pieces of the text are cut out and the rest stays as it was written, so the result is the same under every
version of Python. (`ast.unparse` would be shorter to call, but under 3.12 it quotes f-strings in a way that
3.11 cannot read.)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

INDENT = 4  # spaces of a level, as our formatter writes them

# A string, or what can go: the end of a line with its comment, lines of nothing else, and the indentation of
# the next one.
_PIECES = re.compile(
    r"""(?P<string>\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?:[ ]*(?:\#[^\n]*)?\n)+(?P<indent>[ ]*)""",
    re.DOTALL,
)


def minify(text: str) -> str:
    """Return the module's source, shorter. Raises SyntaxError for what is no Python."""
    source = text.encode()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    kept, at = [], 0
    for begin, end, instead in sorted(_Cuts(source, starts).of(ast.parse(text))):
        kept += [source[at:begin], instead]
        at = end
    kept.append(source[at:])
    return _PIECES.sub(_shorten, b"".join(kept).decode()).strip("\n") + "\n"


def _shorten(piece: re.Match[str]) -> str:
    return piece["string"] or "\n" + " " * (len(piece["indent"]) // INDENT)


def for_types_alone(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    if not isinstance(node, ast.If) or node.orelse:
        return False
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


Cut = tuple[int, int, bytes]  # from, to, what stands there instead
Placed = ast.expr | ast.stmt | ast.arg


class _Cuts:
    """What can go from a text, found by its syntax tree. starts: the offset of each line."""

    def __init__(self, source: bytes, starts: list[int]) -> None:
        self.source, self.starts = source, starts

    def of(self, node: ast.AST, in_class: bool = False) -> Iterator[Cut]:
        """Yield the cuts in a node; none overlaps another.

        in_class: annotations may be a dataclass's fields.
        """
        if isinstance(node, ast.If) and for_types_alone(node):
            yield self._begin(node), self._end(node), b"pass"
            return
        if isinstance(node, ast.AnnAssign) and not in_class:
            if node.value is None:
                yield self._begin(node), self._end(node), b"pass"
            else:
                yield self._end(node.target), self._end(node.annotation), b""
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:  # a decorator may read them
            yield from self._signature(node)
        docstring = _docstring(node)
        if docstring is not None:
            alone = len(node.body) == 1  # type: ignore[attr-defined]
            yield self._begin(docstring), self._end(docstring), b"pass" if alone else b""
        for child in ast.iter_child_nodes(node):
            if child is not docstring:
                yield from self.of(child, isinstance(node, ast.ClassDef))

    def _signature(self, node: ast.FunctionDef) -> Iterator[Cut]:
        every = node.args
        for argument in (*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg):
            if argument is not None and argument.annotation is not None:
                begin = self._begin(argument) + len(argument.arg.encode())
                yield begin, self._end(argument.annotation), b""
        if node.returns is not None:
            bracket = self.source.rindex(b")", 0, self._begin(node.returns))
            yield bracket + 1, self._end(node.returns), b""

    def _begin(self, node: Placed) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def _end(self, node: Placed) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset


def _docstring(node: ast.AST) -> ast.Expr | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or not node.body:
        return None
    match node.body[0]:
        case ast.Expr(value=ast.Constant(value=str())) as first:
            return first
    return None
