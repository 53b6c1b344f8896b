"""Reads packed scripts (`exec(lzma.decompress(base64.b85decode("...")))`) without running them.

What is handed to `exec` is worked out like any other expression (`harness.scripts.constants`): only known
decoders are applied, to constants that stand in the file itself, with a limit on what comes out. Pure: text
in, text out.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from harness.scripts import grammar
from harness.scripts.constants import fold
from harness.scripts.names import Names, Scope, Unknown

MAX_LAYERS = 5


@dataclass(frozen=True)
class Unpacked:
    """The readable source. layers: the decoders that were undone, outermost first.

    problem: why it went no further. wrappers: what stands around the packed code, outermost first.
    """

    source: str
    layers: tuple[str, ...] = ()
    problem: str = ""
    wrappers: tuple[ast.Module, ...] = ()


def unpack_source(text: str) -> Unpacked:
    """Return the source inside a packed script, layer by layer; a plain script comes back as it is.

    When the code is handed to `exec` or `eval` in a way that cannot be read, `problem` says so and `source`
    is what was reached. Never runs anything.
    """
    layers: list[str] = []
    wrappers: list[ast.Module] = []
    text = text.removeprefix(grammar.BYTE_ORDER_MARK)
    for _ in range(MAX_LAYERS):
        try:
            tree = grammar.parse(text)
        except grammar.FAILURES:
            return Unpacked(
                text, tuple(layers), wrappers=tuple(wrappers)
            )  # whoever reads it says that it is no Python
        statement, packed = _packed_code(tree)
        if packed is None:
            return Unpacked(text, tuple(layers), wrappers=tuple(wrappers))
        names = Names()
        names.collect(tree)
        try:
            text = _as_text(fold(packed, names, Scope()))
        except (Unknown, UnicodeDecodeError) as error:
            return Unpacked(text, tuple(layers), f"line {packed.lineno}: {error}")
        layers += reversed(names.decoders)
        wrappers.append(ast.Module([other for other in tree.body if other is not statement], []))
    return Unpacked(text, tuple(layers), f"packed more than {MAX_LAYERS} times over", tuple(wrappers))


def _packed_code(tree: ast.Module) -> tuple[ast.stmt | None, ast.expr | None]:
    """Return the statement of the module's own body that hands something to `exec`, and what.

    Inside functions it is nobody's packing.
    """
    for statement in tree.body:
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in ("exec", "eval")
        ):
            return statement, value.args[0] if value.args else None
    return None, None


def _as_text(code: object) -> str:
    if isinstance(code, bytes):
        return code.decode()
    if isinstance(code, str):
        return code
    raise Unknown(f"exec is given {type(code).__name__}, not text")
