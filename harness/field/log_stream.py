"""A log's bytes, cut into whole lines: encodings, pieces that end anywhere, lines without an end.

Knows nothing of what lines say; `harness.field.log_parser` reads them.
"""

from __future__ import annotations

import codecs
import hashlib
from typing import Protocol

MAX_LINE_BYTES = 64 * 1024


class LineReader(Protocol):
    """Who is given the lines. number: of the last line that was read, from 1."""

    number: int

    def read_block(self, data: bytes) -> None:
        """Read whole lines, each with its newline."""

    def read_whole_line(self, line: bytes) -> None:
        """Read one line that came in several pieces, without its newline."""

    def read_redrawn(self, parts: bytes, number: int) -> None:
        """Read parts of line `number`, each but the last ended by a carriage return."""

    def warn(self, line: int, text: str) -> None:
        """Note what is odd about a line."""


class LogStream:
    """Takes a log's bytes in pieces and gives their whole lines, in UTF-8, to a reader.

    size, sha256, encoding: of the bytes so far. has_cr, has_escape: whether a carriage return or an escape
    sequence came by, so that the reader can skip looking for them.
    """

    def __init__(self, lines: LineReader) -> None:
        self._lines = lines
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.encoding = "utf-8"
        self.has_cr = self.has_escape = False
        self._decoder: codecs.IncrementalDecoder | None = None  # of UTF-16 and UTF-32
        self._checker: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._head = b""  # until there is enough to tell the encoding
        self._started = False
        self._tail = bytearray()  # an unfinished line
        self._bytes_left_out = 0  # of the unfinished line, beyond MAX_LINE_BYTES

    def close(self) -> bytes | None:
        """End the stream; return a last line without a newline, or None."""
        if not self._started:
            self._start(final=True)
        if self._decoder is not None:
            self._cut_lines(self._decoder.decode(b"", True).encode("utf-8", "replace"))
        elif self._checker is not None:
            self._check_utf8(b"", final=True)
        if not (self._tail or self._bytes_left_out):
            return None
        tail = bytes(self._tail)
        self._warn_if_cut(self._lines.number + 1)
        return tail

    def end_line(self) -> None:
        """Give an unfinished line to the reader as it is."""
        if self._tail or self._bytes_left_out:
            self._lines.read_whole_line(self._finish_line(b""))

    def read(self, data: bytes) -> None:
        """Take the next piece of the stream, cut anywhere."""
        self.size += len(data)
        self.sha256.update(data)
        if self._started:
            self._decode(data)
            return
        self._head += data
        if len(self._head) >= 4:
            self._start(final=False)

    def _start(self, final: bool) -> None:
        """Tell the encoding by the first bytes, then read them."""
        self._started = True
        head, self._head = self._head, b""
        boms = (
            (codecs.BOM_UTF32_LE, "utf-32"),
            (codecs.BOM_UTF32_BE, "utf-32"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        )
        name = next((name for bom, name in boms if head.startswith(bom)), None)
        if name is None and len(head) >= 4 and head[1] == 0 == head[3] and head[0] and head[2]:
            name = "utf-16-le"
        if name is None and len(head) >= 4 and head[0] == 0 == head[2] and head[1] and head[3]:
            name = "utf-16-be"
        if name is not None:
            self.encoding = name
            self._decoder = codecs.getincrementaldecoder(name)("replace")
            self._checker = None
            self._lines.warn(0, f"the file is {name}, not UTF-8; it was converted")
        self._decode(head.removeprefix(codecs.BOM_UTF8))

    def _decode(self, data: bytes) -> None:
        if self._decoder is not None:
            data = self._decoder.decode(data).encode("utf-8", "replace")
        elif self._checker is not None:
            self._check_utf8(data)
        self._cut_lines(data)

    def _check_utf8(self, data: bytes, final: bool = False) -> None:
        assert self._checker is not None
        if data.isascii() and not final and not self._checker.getstate()[0]:
            return
        try:
            self._checker.decode(data, final)
        except UnicodeDecodeError as error:
            self._checker, self.encoding = None, "latin-1"
            line = self._lines.number + 1 + data.count(b"\n", 0, max(error.start, 0))
            self._lines.warn(line, "a byte that is not UTF-8; such text is read as Latin-1")

    def _cut_lines(self, data: bytes) -> None:
        """Cut a piece of the stream at its last newline; read the whole lines, keep the rest."""
        if not self.has_cr and b"\r" in data:
            self.has_cr = True
        if not self.has_escape and b"\x1b" in data:
            self.has_escape = True
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._extend_tail(data)
            return
        begin = 0
        if self._tail or self._bytes_left_out:
            begin = data.index(b"\n") + 1
            self._lines.read_whole_line(self._finish_line(data[: begin - 1]))
        if begin < end:
            self._lines.read_block(data[begin:end])
        self._extend_tail(data[end:])

    def _finish_line(self, rest: bytes) -> bytes:
        self._extend_tail(rest)
        line = bytes(self._tail)
        self._tail.clear()
        self._warn_if_cut(self._lines.number + 1)
        return line

    def _extend_tail(self, piece: bytes) -> None:
        room = MAX_LINE_BYTES - len(self._tail)
        if len(piece) <= room:
            self._tail += piece
            return
        self._tail += piece
        # A progress bar redraws one line with carriage returns: its finished pieces can be read and dropped.
        if self.has_cr and (end := self._tail.rfind(b"\r")) >= 0:
            self._lines.read_redrawn(bytes(self._tail[:end]), self._lines.number + 1)
            del self._tail[: end + 1]
        if len(self._tail) > MAX_LINE_BYTES:
            self._bytes_left_out += len(self._tail) - MAX_LINE_BYTES
            del self._tail[MAX_LINE_BYTES:]

    def _warn_if_cut(self, number: int) -> None:
        if self._bytes_left_out:
            self._lines.warn(
                number,
                f"a line of {MAX_LINE_BYTES + self._bytes_left_out:,} bytes; only its beginning was read",
            )
            self._bytes_left_out = 0
