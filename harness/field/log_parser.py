"""Reads logs of any trainer: finished files, standard input, or a script that is still printing.

Goes through the lines in order: prefixes, blocks under a heading, embedded source code, long stretches of
step lines.
Bytes become lines in `harness.field.log_stream`, one line becomes an event in `harness.field.log_lines`,
events become runs in `harness.field.run_tracker`.

One parser serves both uses. A live caller feeds lines or bytes as they come and gets events back at once; a
file is read by `parse_log`. Memory does not grow with the log: lines are cut at MAX_LINE_BYTES, curves are
thinned, and a caller who needs every point passes a `sink`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError
from harness.field.crash_lines import read_crash
from harness.field.log_events import (
    Event,
    Marker,
    ResultLine,
    Setting,
    Summary,
    Warn,
)
from harness.field.log_lines import (
    DIGITS,
    SHAPES,
    read_assignments,
    read_bare_train,
    read_line,
    read_table_total,
)
from harness.field.log_prefix import (
    PREFIX_STARTS,
    PrefixLearner,
    starts_with_clock,
    strip_clocks,
    strip_prefix,
)
from harness.field.log_stream import MAX_LINE_BYTES, LogStream
from harness.field.logged_run import MAX_SETTINGS, LoggedRun, RunStatus
from harness.field.run_facts import read_facts
from harness.field.run_tracker import RunTracker, Sink
from harness.field.source_listing import SourceListing
from harness.field.step_stretch import MIN_STRETCH_BYTES, match_stretch, take_stretch
from harness.field.unfinished_line import may_be_cut
from harness.files import open_file

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class ParsedLog:
    """What a log says. The last run is the file's result; a run printed twice is one run with two copies."""

    runs: tuple[LoggedRun, ...]
    warnings: tuple[Warn, ...] = ()
    lines: int = 0
    size: int = 0  # bytes read
    sha256: str = ""
    encoding: str = "utf-8"
    runs_left_out: int = 0  # beyond MAX_RUNS
    source: str = ""

    @property
    def result(self) -> LoggedRun | None:
        return self.runs[-1] if self.runs else None

    @property
    def other_runs(self) -> tuple[LoggedRun, ...]:
        return self.runs[:-1]

    @property
    def status(self) -> RunStatus:
        return self.runs[-1].status if self.runs else "not_a_run"


def parse_log(source: Path | BinaryIO, sink: Sink | None = None, max_bytes: int | None = None) -> ParsedLog:
    """Read a log from a path or a binary stream.

    sink: called with every event in order, so that curves can be kept whole. max_bytes: of a larger file, its
    first and its last half of that are read, with a warning.
    Raises HarnessError when the file cannot be read; whatever it holds is no error.
    """
    if isinstance(source, Path):
        try:
            with open_file(source) as stream:
                return replace(parse_log(stream, sink, max_bytes), source=str(source))
        except OSError as error:
            raise HarnessError(
                f"cannot read {source}: {error.strerror or error}", "check the path"
            ) from error
    parser = LogParser(sink)
    if max_bytes is not None and (size := os.fstat(source.fileno()).st_size) > max_bytes:
        while source.tell() < max_bytes // 2 and (block := source.read(BLOCK_BYTES)):
            parser.read(block)
        parser.skip(size - max_bytes)
        source.seek((size - max_bytes // 2) // 4 * 4)  # whole characters, of whatever encoding
        if not parser.is_decoded:
            source.readline(MAX_LINE_BYTES)  # cut in the middle
    while block := source.read(BLOCK_BYTES):
        parser.read(block)
    return parser.close()


def parse_lines(lines: Iterable[str | bytes]) -> ParsedLog:
    """Read a log that is at hand as lines, with or without their newlines."""
    parser = LogParser()
    for line in lines:
        parser.feed_line(line)
    return parser.close()


# Shapes of lines without an event are remembered, so that progress lines cost one look-up each.
_MAX_SHAPES = 8192
_MAX_SHAPE_BYTES = 240
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]{0,32}[ -/]?[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\-_])")

_NO_EVENT = Warn(-1, "nothing")


class LogParser:
    """Turns bytes into events and runs, line by line.

    `feed` takes any piece of the stream and returns the events of the lines it completes; `feed_line` takes
    one line; `run` is the state so far; `close` ends the log. A last line without a newline is read by
    `close`.
    number: of the last line that was read, from 1.
    """

    def __init__(self, sink: Sink | None = None) -> None:
        self.number = 0
        self._stream = LogStream(self)
        self._tracker = RunTracker(sink)
        self._stream_warnings: list[tuple[int, str]] = []
        self._section: str | None = None  # hyperparameters, params_table
        self._section_left = 0  # lines that it may still have
        self._listing = SourceListing()
        self._prefix: re.Pattern[bytes] | None = None  # of this file, where it has one that no list knows
        self._learner: PrefixLearner | None = PrefixLearner()
        self._silent_shapes: set[bytes] = {b""}  # of lines that never hold an event

    @property
    def run(self) -> LoggedRun:
        """The run that the last line belongs to."""
        return self._tracker.run

    def warn(self, line: int, text: str) -> None:
        """Note what is odd about the bytes of a line."""
        self._stream_warnings.append((line, text))
        self._tracker.warn(line, text)

    # Feeding ------------------------------------------------------------------------------------

    def feed(self, data: bytes | str) -> list[Event]:
        """Take the next piece of the stream, cut anywhere; return the events of the lines it completes."""
        events: list[Event] = []
        self._tracker.collected = events
        self.read(data.encode("utf-8", "replace") if isinstance(data, str) else data)
        self._tracker.collected = None
        return events

    def feed_line(self, line: str | bytes) -> list[Event]:
        """Take one whole line, with or without its newline; return its events."""
        raw = line.encode("utf-8", "replace") if isinstance(line, str) else line
        return self.feed(raw if raw.endswith(b"\n") else raw + b"\n")

    def read(self, data: bytes) -> None:
        """Take the next piece of the stream without collecting its events."""
        self._stream.read(data)

    @property
    def is_decoded(self) -> bool:
        """Whether the stream is UTF-16 or UTF-32, whose lines do not end with a byte."""
        return self._stream.encoding.startswith(("utf-16", "utf-32"))

    def skip(self, bytes_skipped: int) -> None:
        """End the line that is being read, and note that so many bytes of the stream are left out here."""
        self._stream.end_line()
        what = f"{bytes_skipped:,} bytes after this line were not read, and are not in the line numbers"
        self.warn(self.number, what)

    def close(self) -> ParsedLog:
        """End the log: read a last line without a newline, close the last run, say what is odd about it."""
        last_line = self._stream.close()
        if self._learner is not None and self._learner.learn():
            self._prefix = self._learner.pattern
            self._restart()
            self._read_lines(self._learner.head)
        if last_line is not None:
            self._read_unfinished(last_line)
        while self._listing.is_open:  # lines that are read after all may begin like Python again
            self._leave_code(self.number + 1)
        tracker = self._tracker
        tracker.close_run(final=True)
        tracker.report()
        return ParsedLog(
            tuple(tracker.runs),
            tuple(tracker.warnings),
            self.number,
            self._stream.size,
            self._stream.sha256.hexdigest(),
            self._stream.encoding,
            tracker.runs_left_out,
        )

    # Whole lines --------------------------------------------------------------------------------

    def read_block(self, data: bytes) -> None:
        """Read whole lines; those at the head of the log once more when they show that it has a prefix."""
        if self._stream.has_escape:
            data = _ESCAPES.sub(b"", data)
        while self._learner is not None and data:
            end = self._learner.split(data)
            lines, data = data[:end], data[end:]
            if self._learner.add(lines):
                self._prefix = self._learner.pattern
                self._restart()
                lines = self._learner.head
            if self._learner.done:
                self._learner = None
            self._read_lines(lines)
        if data:
            self._read_lines(data)

    def _restart(self) -> None:
        """Forget what was read; events that were passed on already are not passed on again."""
        self.number = 0
        self._tracker = self._tracker.restarted()
        for line, text in self._stream_warnings:
            self._tracker.warn(line, text)
        self._section, self._section_left = None, 0
        self._listing = SourceListing()
        self._silent_shapes = {b""}

    def _read_lines(self, data: bytes) -> None:
        """Read whole lines. Every byte of a log passes here: this decides the speed."""
        if self._prefix is not None:
            data = self._prefix.sub(b"", data)
        if self._stream.has_cr:
            data = data.replace(b"\r\n", b"\n")  # how Windows ends a line
        begin, at = 0, data.find(b"\r")
        while at >= 0:  # lines that hold carriage returns, and those between them
            start, end = data.rfind(b"\n", begin, at) + 1 or begin, data.index(b"\n", at)
            self._read_plain_lines(data[begin:start])
            self.number += 1
            self._read_redrawn(data[start:end], self.number)
            begin, at = end + 1, data.find(b"\r", end)
        self._read_plain_lines(data[begin:])

    def _read_plain_lines(self, data: bytes) -> None:
        """Read whole lines without carriage returns."""
        if not data:
            return
        if starts_with_clock(data):
            data = strip_clocks(data)
        begin = 0
        if self._tracker.sink is None and self._tracker.collected is None:
            at = 0 if data.startswith(b"step:") else data.find(b"\nstep:") + 1
            while at or data.startswith(b"step:"):
                stretch = match_stretch(data, at)
                end = stretch.end() if stretch else at
                if stretch and end - at >= MIN_STRETCH_BYTES:
                    self._read_shapes(data[begin:at])
                    begin = end if self._take_stretch(stretch[0]) else at
                at = data.find(b"\nstep:", max(end - 1, at)) + 1
                if not at:
                    break
        self._read_shapes(data[begin:])

    def _read_shapes(self, data: bytes) -> None:
        """Read whole lines one by one, passing over those of a shape that held no event before."""
        if not data:
            return
        number, idle, silent = self.number, self._tracker.idle_shapes, self._silent_shapes
        if self._section is None and not data.strip(b"\n"):
            self.number += len(data)  # a flood of empty lines
            return
        shapes = data[:-1].translate(SHAPES).split(b"\n")
        if self._is_plain() and silent.issuperset(shapes):
            self.number += len(shapes)
            return
        for line, shape in zip(data[:-1].split(b"\n"), shapes, strict=True):
            number += 1
            if not line and self._section is None:
                continue
            if (shape in silent or shape in idle) and self._section is None and not self._listing.is_open:
                continue
            careful = self._section is not None or self._listing.is_open or not line
            if not careful and line[0] in DIGITS and (train := read_bare_train(line, number)) is not None:
                self.number = number
                self._tracker.take(train, line)
                continue
            if careful or line[0] in PREFIX_STARTS:
                self.number = number
                event = self._read_line(self._shorten(line, number), number)
            else:
                event = read_line(self._shorten(line, number), number)
                if event is None:
                    event = _NO_EVENT
                else:
                    self.number = number
                    self._take(event, line)
            if event is _NO_EVENT:
                remembered = silent
            elif event is not None and (self._tracker.is_idle(event) or self._listing.passes_over(event)):
                remembered = idle
            else:
                continue
            _remember(shape, remembered)
        self.number = number

    def _is_plain(self) -> bool:
        """Whether a line means what it says, whatever stood before it: no heading or source code did."""
        return self._section is None and not self._listing.is_open

    def _take_stretch(self, text: bytes) -> bool:
        """Take many step lines at once; False when they must be read one by one."""
        if self._listing.is_open or self._section is not None:
            return False
        last = take_stretch(text, self.number, self._tracker)
        self.number = last or self.number
        return last is not None

    def read_whole_line(self, line: bytes) -> None:
        self.read_block(line + b"\n")

    def read_redrawn(self, parts: bytes, number: int) -> None:
        """Read parts of line `number`, each but the last ended by a carriage return."""
        self._read_redrawn(_ESCAPES.sub(b"", parts) if self._stream.has_escape else parts, number)

    def _read_redrawn(self, line: bytes, number: int) -> None:
        """Read what was redrawn in one line, as by a progress bar, each part ended by a carriage return."""
        silent = self._silent_shapes
        if self._is_plain() and silent.issuperset(line.translate(SHAPES).split(b"\r")):
            return
        for part in line.split(b"\r"):
            if not part:
                continue
            shape = part.translate(SHAPES)
            if shape in silent and self._is_plain():
                continue
            if self._read_line(self._shorten(part, number), number) is _NO_EVENT:
                _remember(shape, silent)

    def _shorten(self, line: bytes, number: int) -> bytes:
        if len(line) <= MAX_LINE_BYTES:
            return line
        self._tracker.warn(number, f"a line of {len(line):,} bytes; only its beginning was read")
        return line[:MAX_LINE_BYTES]

    # One line -----------------------------------------------------------------------------------

    def _read_line(self, line: bytes, number: int) -> Event | None:
        """Read one line the careful way: prefixes, sections, source code.

        Returns its event, `_NO_EVENT` when no line of its shape can ever hold an event, or None.
        """
        rank = None
        if line and line[0] in PREFIX_STARTS:
            line, rank = strip_prefix(line)
        if rank:  # the other ranks repeat what rank 0 says, but each may end in its own way
            if not self._listing.is_open and (crash := read_crash(line, number)):
                self._take(crash, line)
            return None
        if not line:
            if self._section != "hyperparameters":  # several processes leave blank lines between the keys
                self._section = None
            return None
        if self._listing.is_open:
            self._read_code(line, number)
            return None
        if self._section is not None and self._read_section(line, number):
            return None
        event = read_line(line, number)
        if event is None:
            return _NO_EVENT if rank is None else None
        self._take(event, line)
        return event

    def _read_section(self, line: bytes, number: int) -> bool:
        """Read a line under a heading; False when the section ends with it."""
        self._section_left -= 1
        section = self._section
        if section == "params_table":
            total = read_table_total(line)
            if total is not None:
                self._take(Setting(number, (("model_params", str(total)),)), line)
            if total is not None or self._section_left <= 0:
                self._section = None
            return total is not None
        event = read_line(line, number)
        if isinstance(event, Setting) and event.indented:
            self._take(event, line)
            return True
        if section == "hyperparameters" and self._section_left == MAX_SETTINGS - 1:
            # the first line under the heading may hold them all
            words = read_assignments(line, number)
            if words is not None:
                self._take(words, line)
                self._section = None
                return True
        self._section = None
        return False

    def _read_code(self, line: bytes, number: int) -> None:
        """Pass over source code that a script printed of itself, until the program's own lines begin."""
        event = read_line(line, number)
        place = self._listing.read(line, number, event)
        if place == "unclosed":
            self._leave_code(number)
        elif place == "after":
            self._leave_code(number)
            if event is not None:
                self._take(event, line)

    def _leave_code(self, number: int) -> None:
        """End a listing before line `number`; lines that turn out to be the program's are read after all."""
        if not self._listing.is_open:
            return
        start, lines = self._listing.start, self._listing.end()
        last = lines[0][1] - 1 if lines else number - 1
        self._tracker.warn(start, f"source code up to line {last} was passed over")
        for line, at in lines:
            self._read_line(line, at)

    def _read_unfinished(self, line: bytes) -> None:
        """Read a last line without a newline: only what cannot have been cut short is read."""
        self.number += 1
        line = _ESCAPES.sub(b"", line)
        if self._prefix is not None:
            line = self._prefix.sub(b"", line)
        segments = line.split(b"\r")
        for segment in segments[:-1]:
            if segment:
                self._read_line(segment, self.number)
        last = segments[-1]
        if not last:
            return
        stripped, rank = strip_prefix(last)
        if rank:
            return
        event = read_line(stripped, self.number) if stripped else None
        if event is None:
            return
        if may_be_cut(event, stripped):
            self._tracker.warn(
                self.number, "the last line ends without a newline, in the middle; it was not read"
            )
            return
        self._read_line(last, self.number)

    # Events -------------------------------------------------------------------------------------

    def _take(self, event: Event, line: bytes) -> None:
        """Give an event to its run; a heading or source code changes how the next lines are read."""
        kind = type(event)
        if kind is Setting and event.indented and self._section is None:  # type: ignore[union-attr]
            self._tracker.emit(event)  # a note, not a hyperparameter
            if facts := read_facts(line, event.line):
                self._tracker.take(facts, line)
            return
        self._tracker.take(event, line)
        if (
            isinstance(event, Summary)
            and event.fact == "params_rounded"
            and (facts := read_facts(line, event.line))
        ):
            self._tracker.take(facts, line)  # `27.1M params | 8 GPUs | seed 42`
        if kind is Marker:
            self._take_marker(event, line)  # type: ignore[arg-type]
        elif kind is ResultLine:
            next_log = line.find(b"Running P", 1)
            if next_log > 0:  # the newline is missing where two logs were pasted together
                self._read_line(line[next_log:], event.line)

    def _take_marker(self, marker: Marker, line: bytes) -> None:
        if marker.what == "hyperparameters":
            self._section, self._section_left = "hyperparameters", MAX_SETTINGS
        elif marker.what == "params_table":
            self._section, self._section_left = "params_table", 40
        elif marker.what == "code":
            self._listing.begin(line, marker.line)


def _remember(shape: bytes, shapes: set[bytes]) -> None:
    if len(shape) <= _MAX_SHAPE_BYTES:
        if len(shapes) >= _MAX_SHAPES:
            shapes.clear()
        shapes.add(shape)
