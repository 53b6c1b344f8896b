"""The decoders that packed scripts use, each with a limit on what comes out. Pure: bytes in, bytes out.

Each takes the arguments of the function it is named for, as a list and as keywords, and raises DecodeError
with the reason when the data is not what it should be.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

MAX_BYTES = 20_000_000  # of unpacked code; a script is a hundredth of that
LZMA_MEMORY = 200_000_000  # what a decoder may take for itself

# Constants of modules that stand in the arguments of decoders.
CONSTANTS: dict[str, int] = {
    f"lzma.{name}": getattr(lzma, name)
    for name in dir(lzma)
    if name.startswith(("FORMAT_", "FILTER_", "CHECK_", "PRESET_"))
}


class DecodeError(ValueError):
    """The data cannot be decoded; the message says why."""


def decode(name: str, args: list[Any], keywords: Mapping[str, Any]) -> bytes:
    """Apply the decoder of a dotted name.

    Raises DecodeError, also when more than MAX_BYTES would come out.
    """
    try:
        content = DECODERS[name](args, keywords)
    except (ValueError, TypeError, EOFError, zlib.error, lzma.LZMAError, OSError, MemoryError) as error:
        raise DecodeError(str(error)) from error
    if len(content) > MAX_BYTES:
        raise DecodeError(f"it unpacks to more than {MAX_BYTES:,} bytes")
    return content


def _data(args: list[Any]) -> bytes:
    value = args[0] if args else None
    if isinstance(value, str):
        return value.encode("ascii")
    if isinstance(value, bytes):
        return value
    raise DecodeError("a decoder is given no data")


def _drain(decoder: Any, data: bytes) -> bytes:
    """Decompress with a limit, so that a small file cannot fill the memory."""
    out = decoder.decompress(data, MAX_BYTES + 1)
    if not decoder.eof and len(out) <= MAX_BYTES:
        raise DecodeError("the packed data ends too early")
    return bytes(out)


def _lzma(args: list[Any], keywords: Mapping[str, Any]) -> bytes:
    format_ = keywords.get("format", args[1] if len(args) > 1 else lzma.FORMAT_AUTO)
    filters = keywords.get("filters", args[3] if len(args) > 3 else None)
    limit = None if format_ == lzma.FORMAT_RAW else LZMA_MEMORY
    return _drain(lzma.LZMADecompressor(format=format_, memlimit=limit, filters=filters), _data(args))


def _zlib(args: list[Any], keywords: Mapping[str, Any]) -> bytes:
    decoder = zlib.decompressobj(int(keywords.get("wbits", args[1] if len(args) > 1 else zlib.MAX_WBITS)))
    return _drain(decoder, _data(args))


def _plain(function: Callable[[bytes], bytes]) -> Callable[[list[Any], Mapping[str, Any]], bytes]:
    """A decoder whose output is smaller than its input."""
    return lambda args, keywords: function(_data(args))


DECODERS: dict[str, Callable[[list[Any], Mapping[str, Any]], bytes]] = {
    "lzma.decompress": _lzma,
    "zlib.decompress": _zlib,
    "bz2.decompress": lambda args, keywords: _drain(bz2.BZ2Decompressor(), _data(args)),
    "gzip.decompress": lambda args, keywords: _drain(zlib.decompressobj(zlib.MAX_WBITS | 16), _data(args)),
    "base64.b85decode": _plain(base64.b85decode),
    "base64.a85decode": _plain(base64.a85decode),
    "base64.b64decode": _plain(base64.b64decode),
    "base64.urlsafe_b64decode": _plain(base64.urlsafe_b64decode),
    "base64.b32decode": _plain(base64.b32decode),
    "base64.b16decode": _plain(base64.b16decode),
    "base64.decodebytes": _plain(base64.decodebytes),
    "binascii.a2b_base64": _plain(binascii.a2b_base64),
    "binascii.unhexlify": lambda args, keywords: bytes.fromhex(_data(args).decode("ascii")),
    "bytes.fromhex": lambda args, keywords: bytes.fromhex(_data(args).decode("ascii")),
}
