"""The terminal: everything that a command prints passes one filter on its way there.

`guard_streams` puts the filter around standard output and standard error for the whole process, so no
command can forget it. What draws with control characters of its own (`console`, `unguarded`) writes past it;
a console filters the text that it is given instead.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

from harness.plain_text import plain

if TYPE_CHECKING:  # rich takes 50 ms, and `harness --help` has no use for it
    from rich.console import Console


class GuardedStream:
    """A text stream that lets no control characters through but line feeds and tabs."""

    def __init__(self, stream: TextIO) -> None:
        self.unguarded = stream

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # as a text stream does; click asks by trying
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.unguarded.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


def guard_streams() -> None:
    """Filter whatever this process prints from now on."""
    sys.stdout, sys.stderr = _guard(sys.stdout), _guard(sys.stderr)


def _guard(stream: TextIO) -> TextIO:
    return cast("TextIO", stream if isinstance(stream, GuardedStream) else GuardedStream(stream))


def unguarded(stream: TextIO) -> TextIO:
    """Return the stream itself, for what moves the cursor."""
    return stream.unguarded if isinstance(stream, GuardedStream) else stream


@contextlib.contextmanager
def unguarded_streams() -> Iterator[None]:
    """Let a library draw its own progress for a while."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(unguarded, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def console(*, err: bool = False, width: int | None = None) -> Console:
    """Return a console of rich on standard output or error; the text it is given is text, never markup."""
    from rich.console import Console

    class FilteringConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Any:
            for segment in super().render(renderable, options):
                clean = segment.text if segment.control else plain(segment.text)
                yield segment if clean == segment.text else segment._replace(text=clean)

    stream = unguarded(sys.stderr if err else sys.stdout)
    return FilteringConsole(file=stream, highlight=False, markup=False, emoji=False, width=width)
