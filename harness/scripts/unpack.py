"""Reads scripts that were packed to save bytes (`exec(lzma.decompress(base64.b85decode("...")))`) without running them.

The packing is undone by reading the syntax tree: only the decoders named here are ever applied, to constants that
stand in the file itself, with a limit on what comes out. Pure: text in, text out.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 20_000_000  # of unpacked code; a script is a hundredth of that
MAX_LAYERS = 5
LZMA_MEMORY = 200_000_000  # what a decoder may take for itself


class Unreadable(Exception):
    """The packing cannot be undone by reading; the message says why."""


@dataclass(frozen=True)
class Unpacked:
    """The readable source. layers: the decoders that were undone, outermost first. problem: why it went no further."""

    source: str
    layers: tuple[str, ...] = ()
    problem: str = ""


def unpack_source(text: str) -> Unpacked:
    """Return the source inside a packed script, layer by layer; a plain script comes back as it is.

    When the code is handed to `exec` or `eval` in a way that cannot be read, `problem` says so and `source` is what
    was reached. Never runs anything.
    """
    layers: list[str] = []
    for _ in range(MAX_LAYERS):
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Unpacked(text, tuple(layers))  # whoever reads it says that it is no Python
        packed = _packed_code(tree)
        if packed is None:
            return Unpacked(text, tuple(layers))
        try:
            reader = _Reader(tree)
            inner = reader.read(packed)
            if isinstance(inner, bytes):
                inner = inner.decode()
            if not isinstance(inner, str):
                raise Unreadable(f"exec is given {type(inner).__name__}, not text")
        except (Unreadable, ValueError, EOFError, zlib.error, lzma.LZMAError, OSError, MemoryError) as error:
            return Unpacked(text, tuple(layers), f"line {packed.lineno}: {error}")
        layers += reader.decoders
        text = inner
    return Unpacked(text, tuple(layers), f"packed more than {MAX_LAYERS} times over")


def _packed_code(tree: ast.Module) -> ast.expr | None:
    """Return what the module's own body hands to `exec`; inside functions it is nobody's packing."""
    for statement in tree.body:
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in ("exec", "eval")
        ):
            return value.args[0] if value.args else None
    return None


class _Reader:
    """Works out one expression from the constants, imports and simple assignments of its module."""

    def __init__(self, tree: ast.Module) -> None:
        self.decoders: list[str] = []
        self._names: dict[str, ast.expr] = {}
        self._modules: dict[str, str] = {}
        for statement in tree.body:
            if isinstance(statement, ast.Import):
                self._modules |= {alias.asname or alias.name: alias.name for alias in statement.names}
            elif isinstance(statement, ast.ImportFrom):
                self._modules |= {a.asname or a.name: f"{statement.module}.{a.name}" for a in statement.names}
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                if isinstance(target, ast.Name):
                    self._names[target.id] = statement.value

    def read(self, node: ast.expr, depth: int = 0) -> Any:
        """Return the value of an expression. Raises Unreadable for what is not understood."""
        if depth > 50:
            raise Unreadable("nested too deeply")
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in self._names:
                return self.read(self._names[name], depth + 1)
            case ast.Attribute() | ast.Name():
                constant = _CONSTANTS.get(self._dotted(node))
                if constant is None:
                    raise Unreadable(f"{ast.unparse(node)[:60]} is not known without running it")
                return constant
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.read(item, depth + 1) for item in items]
            case ast.Dict(keys=keys, values=values):
                return {
                    self.read(k, depth + 1): self.read(v, depth + 1)
                    for k, v in zip(keys, values, strict=True)
                    if k
                }
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._join(self.read(left, depth + 1), self.read(right, depth + 1))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand, depth + 1)
            case ast.Call():
                return self._call(node, depth)
        raise Unreadable(f"{ast.unparse(node)[:60]} is not known without running it")

    def _join(self, a: Any, b: Any) -> Any:
        if type(a) is not type(b) or not isinstance(a, str | bytes):
            raise Unreadable("only text is joined with text")
        return _within(a + b)

    def _call(self, node: ast.Call, depth: int) -> Any:
        args = [self.read(arg, depth + 1) for arg in node.args]
        named = {word.arg: self.read(word.value, depth + 1) for word in node.keywords if word.arg}
        dotted = self._dotted(node.func)
        decode = _DECODERS.get(dotted)
        if decode is not None:
            self.decoders.insert(0, dotted.split(".")[-1] if dotted.startswith("base64") else dotted)
            return _within(decode(args, named))
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            return _within(_METHODS[node.func.attr](self.read(node.func.value, depth + 1), args))
        if dotted == "compile" and args:
            return args[0]
        if dotted in ("bytes.fromhex", "binascii.unhexlify") and args:
            return _within(bytes.fromhex(_text(args[0])))
        raise Unreadable(f"{ast.unparse(node.func)[:60]} is not known without running it")

    def _dotted(self, node: ast.expr) -> str:
        """Return `lzma.decompress` for whatever name it goes by here; "" for what is no such name."""
        match node:
            case ast.Name(id=name):
                return self._modules.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                owner = self._dotted(value)
                return f"{owner}.{attr}" if owner else ""
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name))]):
                return name
        return ""


# What is understood -------------------------------------------------------------------------------

_CONSTANTS: dict[str, Any] = {
    f"lzma.{name}": getattr(lzma, name)
    for name in dir(lzma)
    if name.startswith(("FORMAT_", "FILTER_", "CHECK_", "PRESET_"))
}


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _data(args: list[Any]) -> bytes:
    value = args[0] if args else None
    if isinstance(value, str):
        return value.encode("ascii")
    if isinstance(value, bytes):
        return value
    raise Unreadable("a decoder is given no data")


def _within(value: Any) -> Any:
    if isinstance(value, str | bytes) and len(value) > MAX_BYTES:
        raise Unreadable(f"it unpacks to more than {MAX_BYTES:,} bytes")
    return value


def _drain(decoder: Any, data: bytes) -> bytes:
    """Decompress with a limit, so that a small file cannot fill the memory."""
    out = decoder.decompress(data, MAX_BYTES + 1)
    if not decoder.eof and len(out) <= MAX_BYTES:
        raise Unreadable("the packed data ends too early")
    return bytes(out)


def _lzma(args: list[Any], named: Mapping[str, Any]) -> bytes:
    format_ = named.get("format", args[1] if len(args) > 1 else lzma.FORMAT_AUTO)
    filters = named.get("filters", args[3] if len(args) > 3 else None)
    limit = None if format_ == lzma.FORMAT_RAW else LZMA_MEMORY
    return _drain(lzma.LZMADecompressor(format=format_, memlimit=limit, filters=filters), _data(args))


def _zlib(args: list[Any], named: Mapping[str, Any]) -> bytes:
    decoder = zlib.decompressobj(int(named.get("wbits", args[1] if len(args) > 1 else zlib.MAX_WBITS)))
    return _drain(decoder, _data(args))


_DECODERS: dict[str, Callable[[list[Any], Mapping[str, Any]], bytes]] = {
    "lzma.decompress": _lzma,
    "zlib.decompress": _zlib,
    "bz2.decompress": lambda args, named: _drain(bz2.BZ2Decompressor(), _data(args)),
    "gzip.decompress": lambda args, named: _drain(zlib.decompressobj(zlib.MAX_WBITS | 16), _data(args)),
    "base64.b85decode": lambda args, named: base64.b85decode(_data(args)),
    "base64.a85decode": lambda args, named: base64.a85decode(_data(args)),
    "base64.b64decode": lambda args, named: base64.b64decode(_data(args)),
    "base64.urlsafe_b64decode": lambda args, named: base64.urlsafe_b64decode(_data(args)),
    "base64.b32decode": lambda args, named: base64.b32decode(_data(args)),
    "base64.b16decode": lambda args, named: base64.b16decode(_data(args)),
    "base64.decodebytes": lambda args, named: base64.decodebytes(_data(args)),
    "binascii.a2b_base64": lambda args, named: binascii.a2b_base64(_data(args)),
}


def _decoded(value: Any, args: list[Any]) -> str:
    if not isinstance(value, bytes):
        raise Unreadable("decode is called on what is not bytes")
    return value.decode(str(args[0]) if args else "utf-8")


def _encoded(value: Any, args: list[Any]) -> bytes:
    if not isinstance(value, str):
        raise Unreadable("encode is called on what is not text")
    return value.encode(str(args[0]) if args else "utf-8")


_METHODS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "decode": _decoded,
    "encode": _encoded,
    "strip": lambda value, args: value.strip(),
}
