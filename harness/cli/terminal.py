"""The terminal: everything that a command prints passes one filter on its way there.

`guard_streams` puts the filter around standard output and standard error for the whole process, so no
command can forget it. What draws with control characters of its own (`console`, `unguarded`) writes past it;
a console filters the text that it is given instead.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, cast

from harness.plain_text import plain

if TYPE_CHECKING:  # rich takes 50 ms, and `harness --help` has no use for it
    from rich.console import Console

WIDTH_OF_A_FILE = 160  # columns of a table that no terminal shows
_GAP = 3  # columns between two of a table
_NARROWEST_TEXT = 30  # columns of a table's last column, which holds sentences


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


class DivertedStream(GuardedStream):
    """Standard output of a command that a program listens to: text goes to standard error, and the one
    object that the program gets to `output`."""

    def __init__(self, stream: TextIO, output: TextIO) -> None:
        super().__init__(stream)
        self.output = output
        self.answered = False


def guard_streams(for_json: bool = False) -> None:
    """Filter whatever this process prints from now on. for_json: standard output is for one object alone."""
    for stream in (sys.stdout, sys.stderr):
        _replace_unprintable(unguarded(stream))
    output, errors = _guard(sys.stdout), _guard(sys.stderr)
    sys.stderr = errors
    if for_json:
        output = cast("TextIO", DivertedStream(unguarded(errors), output))
    sys.stdout = output


def answer_once(text: str) -> None:
    """Print the object of a command, whose characters may all be escapes. A second one is not printed.

    Flushed at once: that nobody reads any more is noticed here, not when Python ends.
    """
    stream = sys.stdout
    if isinstance(stream, DivertedStream):
        if stream.answered:
            return
        stream.answered, stream = True, stream.output
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=2)
    print(text, file=stream, flush=True)


def _guard(stream: TextIO) -> TextIO:
    return cast("TextIO", stream if isinstance(stream, GuardedStream) else GuardedStream(stream))


_SPELL_OUT = "harness.spell_out"


def _replace_unprintable(stream: TextIO) -> None:
    """Let a stream in cp1252 or ASCII print all text: what it lacks is spelled in letters that it has."""
    if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
        codecs.register_error(_SPELL_OUT, _spell_out)
        stream.reconfigure(errors=_SPELL_OUT)


_SIGNS = {"\u2212": "-", "\u00b1": "+-", "\u2264": "<=", "\u2265": ">=", "\u00d7": "x", "\u2026": "..."}


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Spell characters that an encoding lacks: "Ete" for an accented one, "?" for what has no letters."""
    from text_unidecode import unidecode  # what python-slugify makes folder names with

    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(char) or unidecode(char) or "?" for char in lacking), error.end


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


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[object]] | Mapping[str, Sequence[Sequence[object]]],
    right: Iterable[int] = (),
) -> None:
    """Print a table that fits the terminal; where it is too narrow, each row becomes a paragraph.

    rows: with a mapping, each group under its name. right: columns that are set to the right. The last column
    takes what the others leave.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    screen = console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    groups = rows if isinstance(rows, Mapping) else {"": rows}
    columns = list(zip(headings, *(row for members in groups.values() for row in members), strict=True))[:-1]
    others = sum(max(len(str(cell)) for cell in column) + _GAP for column in columns)
    if others + _NARROWEST_TEXT > screen.width:
        _print_paragraphs(screen, headings, groups)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    to_the_right = set(right)
    for at, heading in enumerate(headings):
        table.add_column(
            heading, no_wrap=at < len(columns), justify="right" if at in to_the_right else "left"
        )
    for group, members in groups.items():
        if group:
            table.add_row(Text(group, style="bold"))
        for row in members:
            table.add_row(*(Text(str(cell)) for cell in row))
        if group:
            table.add_section()
    screen.print(table)


def _print_paragraphs(
    screen: Console, headings: Sequence[str], groups: Mapping[str, Sequence[Sequence[object]]]
) -> None:
    """Print each row as its name, what the middle columns hold, and its last cell, below each other."""
    from rich.padding import Padding
    from rich.text import Text

    for group, members in groups.items():
        if group:
            screen.print(Text(f"\n{group}", style="bold"))
        for name, *middle, last in members:
            facts = zip(headings[1:], middle, strict=False)
            words = ", ".join(f"{heading} {cell}" for heading, cell in facts if str(cell))
            screen.print(Text(str(name), style="bold" if not group else ""))
            for text in (words, str(last)):
                if text:
                    screen.print(Padding(Text(text), (0, 0, 0, 4)))
