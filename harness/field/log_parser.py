"""Reads logs of any trainer: finished files, standard input, or a script that is still printing.

Owns the stream: blocks to lines, encodings, prefixes, embedded source code, and where one run of a file ends and
the next begins. What a line says is `harness.field.log_lines`'s; what a run said, `harness.field.logged_run`'s.

One parser serves both uses. A live caller feeds lines or bytes as they come and gets events back at once; a
file is read by `parse_log`. Memory does not grow with the log: lines are cut at MAX_LINE_BYTES, curves are
thinned, and who wants every point passes a `sink`.
"""

from __future__ import annotations

import codecs
import hashlib
import operator
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError
from harness.field.log_lines import (
    PREFIX_STARTS,
    SHAPES,
    STRETCH,
    STRETCH_STEPS,
    STRETCH_TRAIN,
    STRETCH_VAL,
    Event,
    Marker,
    ResultLine,
    Setting,
    Size,
    StepLine,
    StopLine,
    TrainLine,
    ValLine,
    Warn,
    read_assignments,
    read_line,
    read_table_total,
    starts_with_clock,
    strip_clocks,
    strip_prefix,
)
from harness.field.logged_run import MAX_SETTINGS, LoggedRun, RunStatus

MAX_LINE_BYTES = 64 * 1024
BLOCK_BYTES = 256 * 1024
MAX_RUNS = 64  # of one file; the oldest are dropped, and counted
MAX_WARNINGS = 200
CLOSED_RUN_POINTS = 10_000  # per curve, once another run follows

Sink = Callable[[Event], None]


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


def parse_log(source: Path | BinaryIO, sink: Sink | None = None) -> ParsedLog:
    """Read a log from a path or a binary stream.

    sink: called with every event in order, so that curves can be kept whole.
    Raises HarnessError when the file cannot be read; whatever it holds is no error.
    """
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return replace(parse_log(stream, sink), source=str(source))
        except OSError as error:
            raise HarnessError(f"cannot read {source}: {error.strerror}", "check the path") from error
    parser = LogParser(sink)
    while block := source.read(BLOCK_BYTES):
        parser.read(block)
    return parser.close()


def parse_lines(lines: Iterable[str | bytes]) -> ParsedLog:
    """Read a log that is at hand as lines, with or without their newlines."""
    parser = LogParser()
    for line in lines:
        parser.feed_line(line)
    return parser.close()


# Shapes of lines that told nothing are remembered, so that progress lines cost one look-up each.
_MAX_SHAPES = 8192
_MAX_SHAPE_BYTES = 240
_MIN_STRETCH_BYTES = 300  # about four step lines; fewer are read one by one
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]{0,32}[ -/]?[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\-_])")

_NOTHING = Warn(-1, "nothing")

# A flat line with one of these, after a run has made steps, may belong to the next run.
_SETUP_KEYS = frozenset(
    {
        "seed",
        "world_size",
        "model_params",
        "val_tokens",
        "train_batch_tokens",
        "iterations",
        "train_loader",
        "tie_embeddings",
        "val_bpb",
        "train_shards",
    }
)
# What only a running program prints: ends a stretch of source code.
_PROGRAM_KEYS = frozenset({"model_params", "val_tokens", "train_loader", "world_size", "seed", "val_bpb"})


@dataclass
class _Setup:
    """Lines after a run's end that may be the head of another run."""

    line: int
    settings: list[Setting] = field(default_factory=list)


class LogParser:
    """Turns bytes into events and runs, line by line.

    `feed` takes any piece of the stream and returns the events of the lines it completes; `feed_line` takes one
    line; `run` is the state so far; `close` ends the log. A last line without a newline is read by `close`.
    """

    def __init__(self, sink: Sink | None = None) -> None:
        self.run = LoggedRun()
        self._sink = sink
        self._fed: list[Event] | None = None
        self._runs: list[LoggedRun] = []
        self._runs_left_out = 0
        self._warnings: list[Warn] = []
        self._warnings_left_out = 0
        self._number = 0
        # the stream
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._encoding = "utf-8"
        self._decoder: codecs.IncrementalDecoder | None = None  # of UTF-16 and UTF-32
        self._checker: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._head = b""  # until there is enough to tell the encoding
        self._started = False
        self._tail = bytearray()  # an unfinished line
        self._cut = 0  # bytes thrown away of it
        self._has_cr = self._has_escape = False
        # the lines
        self._section: str | None = None  # hyperparameters, assignments, params_table
        self._section_left = 0
        self._in_code = self._in_docstring = False
        self._code_start = 0
        self._pending: _Setup | None = None
        self._resumed_at: int | None = None
        self._warmed_up = self._has_section = False
        self._last_step_line = b""
        self._silent_shapes: set[bytes] = set()  # tell nothing, ever
        self._idle_shapes: set[bytes] = set()  # tell nothing more in this run

    # Feeding ------------------------------------------------------------------------------------

    def feed(self, data: bytes | str) -> list[Event]:
        """Take the next piece of the stream, cut anywhere; return the events of the lines it completes."""
        events: list[Event] = []
        self._fed = events
        self.read(data.encode("utf-8", "replace") if isinstance(data, str) else data)
        self._fed = None
        return events

    def feed_line(self, line: str | bytes) -> list[Event]:
        """Take one whole line, with or without its newline; return its events."""
        raw = line.encode("utf-8", "replace") if isinstance(line, str) else line
        return self.feed(raw if raw.endswith(b"\n") else raw + b"\n")

    def close(self) -> ParsedLog:
        """End the log: read a last line without a newline, close the last run, say what was found."""
        if not self._started:
            self._start(final=True)
        if self._decoder is not None:
            self._split(self._decoder.decode(b"", True).encode("utf-8", "replace"))
        elif self._checker is not None:
            self._check_utf8(b"", final=True)
        if self._tail or self._cut:
            tail = bytes(self._tail)
            self._end_cut_line(self._number + 1)
            self._take_tail(tail)
        self._leave_code(self._number + 1)
        self._close_run(final=True)
        self._report()
        return ParsedLog(
            tuple(self._runs),
            tuple(self._warnings),
            self._number,
            self._size,
            self._sha256.hexdigest(),
            self._encoding,
            self._runs_left_out,
        )

    # The stream ---------------------------------------------------------------------------------

    def read(self, data: bytes) -> None:
        """Take the next piece of the stream without collecting its events."""
        self._size += len(data)
        self._sha256.update(data)
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
            self._encoding = name
            self._decoder = codecs.getincrementaldecoder(name)("replace")
            self._checker = None
            self._warn(0, f"the file is {name}, not UTF-8; it was converted")
        self._decode(head.removeprefix(codecs.BOM_UTF8))

    def _decode(self, data: bytes) -> None:
        if self._decoder is not None:
            data = self._decoder.decode(data).encode("utf-8", "replace")
        elif self._checker is not None:
            self._check_utf8(data)
        self._split(data)

    def _check_utf8(self, data: bytes, final: bool = False) -> None:
        assert self._checker is not None
        if data.isascii() and not final and not self._checker.getstate()[0]:
            return
        try:
            self._checker.decode(data, final)
        except UnicodeDecodeError as error:
            self._checker, self._encoding = None, "latin-1"
            line = self._number + 1 + data.count(b"\n", 0, max(error.start, 0))
            self._warn(line, "a byte that is not UTF-8; such text is read as Latin-1")

    def _split(self, data: bytes) -> None:
        """Cut a piece of the stream at its last newline; read the whole lines, keep the rest."""
        if not self._has_cr and b"\r" in data:
            self._has_cr = True
        if not self._has_escape and b"\x1b" in data:
            self._has_escape = True
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._extend_tail(data)
            return
        begin = 0
        if self._tail or self._cut:
            begin = data.index(b"\n") + 1
            self._read_whole_line(self._finish_line(data[: begin - 1]))
        if begin < end:
            self._read_block(data[begin:end])
        self._extend_tail(data[end:])

    def _finish_line(self, rest: bytes) -> bytes:
        self._extend_tail(rest)
        line = bytes(self._tail)
        self._tail.clear()
        self._end_cut_line(self._number + 1)
        return line

    def _extend_tail(self, piece: bytes) -> None:
        room = MAX_LINE_BYTES - len(self._tail)
        if len(piece) <= room:
            self._tail += piece
            return
        self._tail += piece
        # A progress bar redraws one line with carriage returns: its finished pieces can be read and dropped.
        if self._has_cr and (end := self._tail.rfind(b"\r")) >= 0:
            for segment in bytes(self._tail[:end]).split(b"\r"):
                if 0 < len(segment) <= MAX_LINE_BYTES:
                    self._read_line(segment, self._number + 1)
            del self._tail[: end + 1]
        if len(self._tail) > MAX_LINE_BYTES:
            self._cut += len(self._tail) - MAX_LINE_BYTES
            del self._tail[MAX_LINE_BYTES:]

    def _end_cut_line(self, number: int) -> None:
        if self._cut:
            self._warn(number, f"a line of {MAX_LINE_BYTES + self._cut:,} bytes; only its beginning was read")
            self._cut = 0

    def _read_block(self, data: bytes) -> None:
        """Read whole lines. Every byte of a log passes here: this decides the speed."""
        if self._has_cr or self._has_escape:
            for line in data[:-1].split(b"\n"):
                self._read_whole_line(line)
            return
        if starts_with_clock(data):
            data = strip_clocks(data)
        begin = 0
        if self._sink is None and self._fed is None:
            at = 0 if data.startswith(b"step:") else data.find(b"\nstep:") + 1
            while at or data.startswith(b"step:"):
                stretch = STRETCH(data, at)
                end = stretch.end() if stretch else at
                if stretch and end - at >= _MIN_STRETCH_BYTES:
                    self._read_shapes(data[begin:at])
                    begin = end if self._take_stretch(stretch[0]) else at
                at = data.find(b"\nstep:", max(end - 1, at)) + 1
                if not at:
                    break
        self._read_shapes(data[begin:])

    def _read_shapes(self, data: bytes) -> None:
        """Read whole lines one by one, passing over those of a shape that told nothing before."""
        if not data:
            return
        number, idle, silent = self._number, self._idle_shapes, self._silent_shapes
        for line, shape in zip(data[:-1].split(b"\n"), data[:-1].translate(SHAPES).split(b"\n"), strict=True):
            number += 1
            if (shape in silent or shape in idle) and self._section is None and not self._in_code:
                continue
            if self._section is not None or self._in_code or not line or line[0] in PREFIX_STARTS:
                self._number = number
                told = self._read_line(self._shorten(line, number), number)
            else:
                event = read_line(self._shorten(line, number), number)
                told = _NOTHING
                if event is not None:
                    self._number = number
                    self._take(event, line)
                    told = event
            if told is _NOTHING:
                remembered = silent
            elif told is not None and self._is_idle(told):
                remembered = idle
            else:
                continue
            if len(shape) <= _MAX_SHAPE_BYTES:
                if len(remembered) >= _MAX_SHAPES:
                    remembered.clear()
                remembered.add(shape)
        self._number = number

    def _take_stretch(self, text: bytes) -> bool:
        """Take many step lines at once; False when they must be read one by one."""
        run = self.run
        if self._in_code or self._section is not None or self._pending is not None:
            return False
        steps = list(map(int, STRETCH_STEPS(text)))
        lines = text.split(b"\n")
        lines.pop()
        if lines[0] == self._last_step_line or (run.steps is not None and steps[0] < run.steps):
            return False
        last_line, last_number = lines[-1], self._number + len(lines)
        vals: list[bytes] = []
        if b" val_loss:" in text:
            places = _line_indices(text, b" val_loss:")
            vals, val_steps = [lines[index] for index in places], [steps[index] for index in places]
            if not _ascends(val_steps) or not all(map(operator.le, steps, steps[1:])):
                return False
            chosen = bytearray(b"\x01") * len(lines)
            for index in places:
                chosen[index] = 0
            lines, steps = list(compress(lines, chosen)), list(compress(steps, chosen))
        if not _ascends(steps):
            return False
        for curve, these, find in ((run.train, lines, STRETCH_TRAIN), (run.val, vals, STRETCH_VAL)):
            if these:
                kept = b"\n".join([*these[curve.due()], these[-1]])
                curve.add_many(len(these), list(zip(*find(kept), strict=True)))
        if vals:
            run.lines["last_val"] = self._number + places[-1] + 1
        last = read_line(last_line, last_number)
        assert isinstance(last, TrainLine | ValLine)
        run.advance(last)
        run.curve_mark = zlib.crc32(text.replace(b"\n", b""), run.curve_mark)
        self._number, self._last_step_line = last_number, last_line
        return True

    def _read_whole_line(self, line: bytes) -> None:
        self._number += 1
        self._read_raw(line, self._number)

    def _read_raw(self, line: bytes, number: int) -> None:
        """Read a line that may hold carriage returns and escape sequences."""
        if b"\x1b" in line:
            line = _ESCAPES.sub(b"", line)
        for segment in line.split(b"\r"):
            if segment:
                self._read_line(self._shorten(segment, number), number)

    def _shorten(self, line: bytes, number: int) -> bytes:
        if len(line) <= MAX_LINE_BYTES:
            return line
        self._warn(number, f"a line of {len(line):,} bytes; only its beginning was read")
        return line[:MAX_LINE_BYTES]

    # One line -----------------------------------------------------------------------------------

    def _read_line(self, line: bytes, number: int) -> Event | None:
        """Read one line the careful way: prefixes, sections, source code.

        Returns its event, `_NOTHING` when no line of its shape can ever tell anything, or None.
        """
        rank = None
        if line and line[0] in PREFIX_STARTS:
            line, rank = strip_prefix(line)
        if rank:
            return None  # the other ranks repeat what rank 0 says
        if not line:
            self._section = None
            return None
        if self._in_code:
            self._read_code(line, number)
            return None
        if self._section is not None and self._read_section(line, number):
            return None
        event = read_line(line, number)
        if event is None:
            return _NOTHING if rank is None else None
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
        if isinstance(event, Marker) and event.what in ("rule", "python"):
            self._leave_code(number)
            self._take(event, line)
            return
        quotes = line.count(b'"""') + line.count(b"'''")
        if quotes % 2:
            self._in_docstring = not self._in_docstring
        if self._in_docstring or quotes:
            return
        real = isinstance(event, TrainLine | ValLine) or (
            isinstance(event, Marker) and event.what in ("hyperparameters", "warmup")
        )
        if isinstance(event, Setting) and not event.indented:
            real = any(key in _PROGRAM_KEYS and _is_plain(value) for key, value in event.values)
        if real and event is not None:
            self._leave_code(number)
            self._take(event, line)

    def _leave_code(self, number: int) -> None:
        if self._in_code:
            self._warn(self._code_start, f"source code up to line {number - 1} was passed over")
            self._in_code = self._in_docstring = False

    def _take_tail(self, line: bytes) -> None:
        """Read a last line without a newline: only what cannot have been cut short is believed."""
        self._number += 1
        segments = _ESCAPES.sub(b"", line).split(b"\r")
        for segment in segments[:-1]:
            if segment:
                self._read_line(segment, self._number)
        last = segments[-1]
        if not last:
            return
        stripped, rank = strip_prefix(last)
        if rank or self._in_code:
            return
        event = read_line(stripped, self._number) if stripped else None
        if event is None:
            return
        if _may_be_cut(event, stripped):
            self._warn(self._number, "the last line ends without a newline, in the middle; it was not read")
            return
        self._read_line(last, self._number)

    # Events to runs -----------------------------------------------------------------------------

    def _take(self, event: Event, line: bytes) -> None:
        """Let an event change the run it belongs to, then pass it on."""
        kind = type(event)
        if kind is TrainLine or kind is ValLine or kind is StepLine:
            if line == self._last_step_line and self._pending is None:
                return  # printed twice in a row
            self._take_point(event, line)  # type: ignore[arg-type]
        elif isinstance(event, Setting):
            self._take_setting(event)
        elif isinstance(event, ResultLine):
            self._take_result(event, line)
            return
        elif isinstance(event, Size):
            self.run.add_size(event)
            for part in line.split(b" | ")[1:20]:
                more = read_line(part.strip(), event.line) if part.strip() else None
                if isinstance(more, Size):
                    self.run.add_size(more)
                    self._emit(more)
        elif isinstance(event, StopLine):
            self.run.add_stop(event)
        elif isinstance(event, Marker):
            self._take_marker(event, line)
        if self._sink is not None or self._fed is not None:
            self._emit(event)

    def _take_result(self, event: ResultLine, line: bytes) -> None:
        kept = self.run.add_result(event)
        if kept is None:
            return
        self._emit(kept)
        glued = line.find(b"Running P", 1)
        if glued > 0:  # the newline is missing where two logs were pasted together
            self._read_line(line[glued:], event.line)

    def _emit(self, event: Event) -> None:
        if self._sink is not None:
            self._sink(event)
        if self._fed is not None:
            self._fed.append(event)

    def _take_point(self, point: TrainLine | ValLine | StepLine, line: bytes) -> None:
        """Add a step line to the current run, or to a new one when its number goes back."""
        run = self.run
        before = run.steps
        if before is not None and point.step <= before and self._goes_back(point.step, before):
            self._new_run(self._pending.line if self._pending else point.line)
            run = self.run
        elif self._pending is not None and point.step != before:
            self._pending = None
        self._last_step_line = line
        run.curve_mark = zlib.crc32(line, run.curve_mark)
        if isinstance(point, TrainLine):
            run.add_train(point)
        elif isinstance(point, ValLine):
            run.add_val(point)
        else:
            run.add_step(point)

    def _goes_back(self, step: int, before: int) -> bool:
        """Whether a step number shows that another run has begun."""
        if self._resumed_at is not None and self._resumed_at <= step <= before:
            self._warn(self._number, f"the run resumed at step {self._resumed_at} after step {before}")
            self._resumed_at = None
            return False
        return step < before or (step == before and self._pending is not None)

    def _take_setting(self, setting: Setting) -> None:
        if setting.indented:
            if self._section is not None:  # else a note, not a hyperparameter
                self.run.add_setting(setting)
            return
        keys = {key.lower() for key, _ in setting.values}
        if not keys.isdisjoint(_MEASURED):
            self._take_measured(setting)
        elif any(key.endswith("eval_mode") for key in keys):
            self.run.eval_mode = next(value for key, value in setting.values if key.endswith("eval_mode"))
        elif not self.run.progressed:
            self.run.add_setting(setting)
        elif not keys.isdisjoint(_SETUP_KEYS):
            if self._pending is None:
                self._pending = _Setup(setting.line)
            if len(self._pending.settings) < MAX_SETTINGS:
                self._pending.settings.append(setting)

    def _is_idle(self, event: Event) -> bool:
        """Whether lines of this shape change nothing for the rest of the run."""
        if isinstance(event, Marker):
            return event.what == "rule" or (event.what == "warmup" and self._warmed_up)
        return (
            isinstance(event, Setting)
            and self.run.progressed
            and not event.indented
            and not any(key.lower() in _LATE_KEYS or key.endswith("eval_mode") for key, _ in event.values)
        )

    def _take_measured(self, setting: Setting) -> None:
        for key, value in setting.values:
            if key == "peak_memory_mib":
                self.run.peak_memory_mib = float(value)
                self.run.lines[key] = setting.line
            elif key == "total_eval_seconds":
                seconds = float(value)
                if 0 <= seconds < 1e12:
                    self.run.total_eval_ms = seconds * 1000
                    self.run.lines[key] = setting.line

    def _take_marker(self, marker: Marker, line: bytes) -> None:
        if marker.what in ("python", "hyperparameters"):
            seen = self.run.python is not None if marker.what == "python" else self._has_section
            if self.run.progressed or (seen and self._is_set_up()):
                self._new_run(marker.line)
        if marker.what == "python" and self.run.python is None:
            self.run.python = marker.text
        elif marker.what == "hyperparameters":
            self._has_section = True
            self._section, self._section_left = "hyperparameters", MAX_SETTINGS
        elif marker.what == "params_table":
            self._section, self._section_left = "params_table", 40
        elif marker.what == "warmup":
            self._warmed_up = True
        elif marker.what == "resume":
            self._resumed_at = int(marker.text)
        elif marker.what == "code":
            self._in_code, self._code_start = True, marker.line
            self._in_docstring = (line.count(b'"""') + line.count(b"'''")) % 2 == 1

    def _is_set_up(self) -> bool:
        """Whether the run got as far as a model or a warm-up, which an aborted start may not."""
        return self.run.model_params is not None or self._warmed_up

    def _new_run(self, line: int) -> None:
        """Close the current run; what was pending becomes the head of the next."""
        pending = self._pending
        self._close_run(final=False)
        self.run = LoggedRun(first_line=line)
        self._pending, self._resumed_at, self._last_step_line = None, None, b""
        self._idle_shapes.clear()
        self._warmed_up = self._has_section = False
        for setting in pending.settings if pending else ():
            self.run.add_setting(setting)

    def _close_run(self, final: bool) -> None:
        """Put the current run with the others, or with its earlier copy."""
        run = self.run
        run.last_line = max(run.last_line, run.first_line)
        if not run.progressed and (not self._is_set_up() or (final and self._runs)):
            if self._is_set_up():
                self._warn(run.first_line, "a run that made no step; the one before it is the result")
            return
        for earlier in self._runs:
            if run.mark == earlier.mark:
                run.fill_from(earlier)
                self._runs.remove(earlier)
                self._warn(run.first_line, "the same run is printed again; it counts once")
                break
        if not final:
            run.train.thin(CLOSED_RUN_POINTS)
            run.val.thin(CLOSED_RUN_POINTS)
        self._runs.append(run)
        if len(self._runs) > MAX_RUNS:
            del self._runs[0]
            self._runs_left_out += 1

    # Warnings -----------------------------------------------------------------------------------

    def _warn(self, line: int, text: str) -> None:
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(Warn(line, text))
            self._emit(self._warnings[-1])
        else:
            self._warnings_left_out += 1

    def _report(self) -> None:
        """Say what is odd about the file's result."""
        if len(self._runs) > 1:
            before = len(self._runs) - 1 + self._runs_left_out
            self._warn(0, f"{before} earlier run(s) in the file; the last one is its result")
        if self._runs:
            for text in _oddities(self._runs[-1]):
                self._warn(0, text)
        if self._warnings_left_out:
            self._warnings.append(Warn(0, f"{self._warnings_left_out} more warnings"))
            self._warnings_left_out = 0


_MEASURED = frozenset({"peak_memory_mib", "total_eval_seconds"})
_LATE_KEYS = _SETUP_KEYS | _MEASURED


def _ascends(steps: list[int]) -> bool:
    """Whether each step is beyond the one before, as it is not for a line printed twice."""
    return all(map(operator.lt, steps, steps[1:]))


def _line_indices(text: bytes, word: bytes) -> list[int]:
    """Say which lines of a text hold a word, by searching rather than by looking at each."""
    places, line, counted, at = [], 0, 0, text.find(word)
    while at >= 0:
        line += text.count(b"\n", counted, at)
        places.append(line)
        counted, at = at, text.find(word, at + 1)
    return places


def _is_plain(value: str) -> bool:
    """Whether a value is one a program prints, rather than source code."""
    return bool(re.fullmatch(r"[\w.,/:*+-]{1,200}", value)) and not value.startswith(("int", "os."))


def _may_be_cut(event: Event, line: bytes) -> bool:
    """Whether an unterminated line may end inside its last number.

    The field prints loss and score with the same digits, step lines end in a unit, sizes in "bytes".
    """
    line = line.rstrip()
    if isinstance(event, ResultLine):
        loss_digits = len(event.val_loss_text.partition(".")[2])
        return line.endswith(event.val_bpb_text.encode()) and event.decimals < loss_digits
    if isinstance(event, TrainLine):
        return not line.endswith((b"ms", b"True", b"False")) and b"tok/s:" not in line
    if isinstance(event, ValLine):
        if line.endswith(b"ms"):
            return False
        found = re.search(rb"val_loss:\s?[^\s.]*\.(\d+)\s+val_bpb:\s?[^\s.]*\.(\d+)$", line)
        return found is None or len(found[1]) != len(found[2])
    if isinstance(event, Size):
        return b"bytes" not in line and not line.endswith(b"FITS")
    if isinstance(event, StopLine):
        return event.time_ms is None
    return isinstance(event, Setting | StepLine)


def _oddities(run: LoggedRun) -> list[str]:
    """Say what a reader of a run should know."""
    said = []
    if run.sizes_add_up is False:
        said.append(
            f"model {run.bytes_model:,} + code {run.bytes_code:,} bytes is not the total {run.bytes_total:,}"
        )
    if run.vague_sizes and run.bytes_total is None:
        said.append(f"sizes only in megabytes: {run.vague_sizes[-1]}")
    if run.nan_step is not None:
        said.append(f"the training loss is not a number from step {run.nan_step} on")
    if run.results_left_out:
        said.append(f"{run.results_left_out} result lines beyond the first {len(run.results)} were not kept")
    if run.train.stride > 1 or run.val.stride > 1:
        said.append(f"the curve of {run.train.count + run.val.count:,} points was thinned")
    if run.official is None and any(line.stage != "pre_quantization" for line in run.results):
        labels = ", ".join(sorted({line.label for line in run.results})[:5])
        said.append(f"no result line with a known label; not taken for a score: {labels}")
    if run.status == "completed" and (run.steps or 0) < (run.planned_steps or 0):
        said.append(f"no stop line, and the last step line is {run.steps} of {run.planned_steps}")
    return said
