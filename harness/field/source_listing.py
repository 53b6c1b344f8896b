"""Source code that a script prints of itself into its log: where it begins, and which lines belong to it.

A line that only begins like Python must not hide what follows it: each line is asked whether Python could
have it there. Where that tells nothing, between triple quotes and behind a long listing, lines are kept until
it is clear whose they are: the program's, where the quotes stay open or no more Python follows.
"""

from __future__ import annotations

import ast
import codeop
import re
import warnings
from typing import Literal

from harness.field.log_events import Event, Marker, Setting, TrainLine, ValLine

MAX_DOUBTFUL_LINES = 400  # more lines than stand between triple quotes in a script of the field
MAX_DOUBTFUL_BYTES = 256 * 1024
MAX_COMPILED = 5_000  # lines; each takes up to a tenth of a millisecond
MAX_LINES = 50_000  # in listings after which no run went on: then they are what a program prints for ever
MIN_STATEMENTS = 4  # lines of Python that make a listing; fewer may be printed by chance
_INDENTED = (b" ", b"\t")
_MAX_STATEMENT = 2_000  # bytes; a longer line is taken for source code

_BEGINNING = re.compile(
    rb"(?:from [\w.]{1,80} import |import [\w.]{1,80}(?:\s|,|$)|def \w{1,80}\(|async def |class \w{1,80}[(:]"
    rb"|@\w{1,40}[\w.(]{0,40}|\"\"\"|'''|#!/|# -\*- |if __name__ ==)"
).match
_SURELY = re.compile(
    rb"\"\"\"|'''|#|import [\w.]{1,80}\s{0,8}$|from [\w.]{1,80} import \w[\w, ]{0,400}[\w,(]$"
).match
_LIKE_STATEMENT = re.compile(rb"[@#)\]}]|[A-Za-z_][\w.]{0,80}(?:\(| ?[-+*/|]?= ?[^=])").match
# What only a running program prints.
_PROGRAM_KEYS = frozenset({"model_params", "val_tokens", "train_loader", "world_size", "seed", "val_bpb"})
_CONTINUED = re.compile(rb"[)\]}]|(?:else|elif|except|finally|case)\b.{0,200}:\s{0,8}(?:#|$)").match
_PLAIN = re.compile(r"[\w.,/:*+-]{1,200}").fullmatch
_UNREADABLE = (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError)


def begins_source(line: bytes) -> bool:
    """Whether a line may begin a listing: it is Python, or the beginning of a longer statement."""
    if not _BEGINNING(line):
        return False
    if len(line) > _MAX_STATEMENT or _SURELY(line):
        return True
    try:
        with warnings.catch_warnings(action="ignore"):
            codeop.compile_command(line.decode("utf-8", "replace"), symbol="exec")
    except _UNREADABLE:
        return False
    return True


class SourceListing:
    """The listing that a log's lines are in, if any. start: the number of its first line."""

    def __init__(self) -> None:
        self.is_open = False
        self.start = 0
        self._statements = 0  # lines that can only be Python
        self._compiled = 0  # of the whole log
        self._lines = 0  # since a line that only a running program prints ended a listing
        self._in_quotes = False
        self._doubtful: list[tuple[bytes, int]] = []  # lines that may be the program's after all
        self._doubtful_bytes = 0

    def begin(self, line: bytes, number: int) -> None:
        """Open a listing at its first line, unless there were too many without a run."""
        if self._is_spent():
            return
        self.is_open, self.start, self._statements = True, number, 1
        self._in_quotes = _quotes(line) % 2 == 1
        self._forget()

    def _forget(self) -> None:
        self._doubtful, self._doubtful_bytes = [], 0

    def read(self, line: bytes, number: int, event: Event | None) -> Literal["inside", "after", "unclosed"]:
        """Say whether a line is in the listing, or the first one after it.

        unclosed: what was taken for source code never ended. event: what the line says, were it the
        program's.
        """
        self._lines += 1
        if self._is_spent():
            self._forget()
            return "after"
        what = event.what if isinstance(event, Marker) else None
        quotes = _quotes(line)
        if self._in_quotes:
            if quotes % 2:
                self._in_quotes = False
                self._forget()
                return "inside"
            return "unclosed" if self._keep(line, number) or what == "python" else "inside"
        if what in ("rule", "python") or (event is not None and not quotes and _is_of_program(line, event)):
            self._forget()
            if what is None:
                self._lines = 0
            return "after"
        if quotes % 2:
            self._in_quotes = True
            self._forget()
        elif line[:1] in _INDENTED and self._statements >= MIN_STATEMENTS:
            return "inside"
        elif what == "code" or self._is_statement(line):
            self._statements += 1
            self._forget()
        elif line[:1] not in _INDENTED and not quotes:
            if self._statements < MIN_STATEMENTS:
                return "after"
            return "unclosed" if self._keep(line, number) else "inside"
        return "inside"

    def passes_over(self, event: Event) -> bool:
        """Whether an event could only begin a listing, and none is begun any more."""
        return self._is_spent() and isinstance(event, Marker) and event.what == "code"

    def _is_spent(self) -> bool:
        return self._lines > MAX_LINES

    def _is_statement(self, line: bytes) -> bool:
        self._compiled += 1
        return _is_statement(line) if self._compiled <= MAX_COMPILED else bool(_LIKE_STATEMENT(line))

    def _keep(self, line: bytes, number: int) -> bool:
        """Keep a line until it is clear whose it is; True when there are too many."""
        self._doubtful_bytes += len(line)
        self._doubtful.append((line, number))
        return len(self._doubtful) > MAX_DOUBTFUL_LINES or self._doubtful_bytes > MAX_DOUBTFUL_BYTES

    def end(self) -> list[tuple[bytes, int]]:
        """End the listing; return the lines that turn out to be the program's, with their numbers."""
        self.is_open = self._in_quotes = False
        lines = self._doubtful
        self._forget()
        return lines


def _quotes(line: bytes) -> int:
    return line.count(b'"""') + line.count(b"'''")


def _is_of_program(line: bytes, event: Event) -> bool:
    """Whether a line can only be what a program printed, in whatever listing."""
    if isinstance(event, TrainLine | ValLine):
        return True
    if isinstance(event, Marker) and event.what in ("hyperparameters", "warmup"):
        return True
    if isinstance(event, Setting) and any(k in _PROGRAM_KEYS and _is_plain(v) for k, v in event.values):
        return not event.indented
    return False


def _is_plain(value: str) -> bool:
    """Whether a value is one a program prints, rather than source code."""
    return bool(_PLAIN(value)) and not value.startswith(("int", "os."))


def _is_statement(line: bytes) -> bool:
    """Whether somebody could have written this line in a script; nobody writes `loss: 1.5` there."""
    if len(line) > _MAX_STATEMENT or line[:1] == b"#" or _CONTINUED(line):
        return True
    text = line.strip().decode("utf-8", "replace")
    try:
        with warnings.catch_warnings(action="ignore"):
            if codeop.compile_command(text, symbol="exec") is None:
                return True
            body = ast.parse(text).body
    except _UNREADABLE:
        return False
    if body and isinstance(body[0], ast.AnnAssign) and body[0].value is None:
        return not isinstance(body[0].annotation, ast.Constant | ast.UnaryOp | ast.BinOp)
    if body and isinstance(body[0], ast.Expr):
        return isinstance(body[0].value, ast.Call | ast.Await | ast.Yield)
    return True
