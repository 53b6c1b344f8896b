"""Bytes to fewer bytes and back.

zlib and lzma come with Python; zstd and brotli are an extra, imported when asked for.
"""

from __future__ import annotations

import importlib.util
import lzma
import zlib

from trainer.errors import ArtifactError, ConfigError

CODECS = ("zlib", "zstd", "lzma", "brotli")
_MODULES = {"zstd": "zstandard", "brotli": "brotli"}  # what must be installed, module and package of one name
_AGAIN = "pack the model again"


def require_codec(codec: str) -> None:
    """Raise ConfigError when a codec's library is not installed: better before training than after it."""
    module = _MODULES.get(codec)
    if module and importlib.util.find_spec(module) is None:
        raise ConfigError(f"COMPRESSOR={codec} needs the module {module}", f"pip install {module}")


def compress(raw: bytes, codec: str) -> bytes:
    """Compress as hard as the codec can: the bytes count, the time does not."""
    if codec == "zstd":
        import zstandard

        # 22 is its hardest level, which the command line calls --ultra.
        return bytes(zstandard.ZstdCompressor(level=22).compress(raw))
    if codec == "lzma":
        # Extreme costs seconds once and gains bytes for ever; the reader's memory is no concern.
        return lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    if codec == "brotli":
        import brotli

        return bytes(brotli.compress(raw, quality=11, lgwin=24))
    # 9: the challenge's own level.
    return zlib.compress(raw, 9)


def decompress(blob: bytes, codec: str, name: str) -> bytes:
    """Return what was compressed.

    Raises ArtifactError, naming the file, for bytes that are torn, foreign or too many.
    """
    try:
        raw, ended, rest = _unpacked(blob, codec)
    except (zlib.error, lzma.LZMAError, _CodecError) as error:
        raise ArtifactError(f"{name} is corrupt: {error}", _AGAIN) from error
    if not ended:
        raise ArtifactError(f"{name} is truncated: it ends after {len(blob)} bytes, inside the data", _AGAIN)
    if rest:
        raise ArtifactError(f"{name} has {len(rest)} bytes after its end", _AGAIN)
    return raw


class _CodecError(Exception):
    """What a codec of the extra says of bytes that it cannot read."""


def _unpacked(blob: bytes, codec: str) -> tuple[bytes, bool, bytes]:
    """Return the data, whether its end was reached, and what stands behind it."""
    if codec == "zstd":
        import zstandard

        stream = zstandard.ZstdDecompressor().decompressobj()
        try:
            return stream.decompress(blob), stream.eof, stream.unused_data
        except zstandard.ZstdError as error:
            raise _CodecError(str(error)) from error
    if codec == "lzma":
        reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        return reader.decompress(blob), reader.eof, reader.unused_data
    if codec == "brotli":
        import brotli

        decoder = brotli.Decompressor()
        try:
            return decoder.process(blob), decoder.is_finished(), b""
        except brotli.error as error:
            raise _CodecError(str(error)) from error
    # An object, not zlib.decompress: only it tells a torn stream from one with bytes behind its end.
    engine = zlib.decompressobj()
    return engine.decompress(blob), engine.eof, engine.unused_data
