"""Long stretches of the commonest step lines, read many at a time: most of a long log is made of them."""

from __future__ import annotations

import operator
import re
import zlib
from itertools import compress

from harness.field.log_events import TrainLine, ValLine
from harness.field.log_lines import read_line
from harness.field.run_tracker import RunTracker

# Consecutive step lines, whole and in order.
match_stretch = re.compile(
    rb"(?:step:\d{1,12}+/\d{1,12}+ "
    rb"(?:train_loss:\d{1,9}+\.\d{1,17}+|val_loss:\d{1,9}+\.\d{1,17}+ val_bpb:\d{1,9}+\.\d{1,17}+)"
    rb" train_time:\d{1,15}+ms step_avg:\d{1,12}+\.\d{1,9}+ms\n)++"
).match
MIN_STRETCH_BYTES = 300  # about four step lines; fewer are read one by one
_STEPS = re.compile(rb"step:(\d+)/").findall
_TRAIN = re.compile(rb"step:(\d+)/\d+ train_loss:([\d.]+) train_time:(\d+)").findall
_VAL = re.compile(rb"step:(\d+)/\d+ val_loss:([\d.]+) val_bpb:([\d.]+) train_time:(\d+)").findall


def take_stretch(text: bytes, number: int, tracker: RunTracker) -> int | None:
    """Give the lines of a stretch to the current run; return the number of the last one.

    number: of the line before the stretch. None when the lines must be read one by one: a step is printed
    twice, or another run may begin.
    """
    run = tracker.run
    if tracker.pending is not None:
        return None
    steps = list(map(int, _STEPS(text)))
    lines = text.split(b"\n")
    lines.pop()
    if lines[0] == tracker.last_step_line or (run.steps is not None and steps[0] < run.steps):
        return None
    last_line, last_number = lines[-1], number + len(lines)
    vals: list[bytes] = []
    if b" val_loss:" in text:
        places = _line_indices(text, b" val_loss:")
        vals, val_steps = [lines[index] for index in places], [steps[index] for index in places]
        if not _ascends(val_steps) or not all(map(operator.le, steps, steps[1:])):
            return None
        is_train = bytearray(b"\x01") * len(lines)
        for index in places:
            is_train[index] = 0
        lines, steps = list(compress(lines, is_train)), list(compress(steps, is_train))
    if not _ascends(steps):
        return None
    for curve, these, find in ((run.train, lines, _TRAIN), (run.val, vals, _VAL)):
        if these:
            thinned = b"\n".join([*these[curve.due()], these[-1]])
            curve.add_many(len(these), list(zip(*find(thinned), strict=True)))
    if steps and run.finite_step is None:  # all losses of a stretch are numbers
        run.finite_step = steps[0]
    if vals:
        run.lines["last_val"] = number + places[-1] + 1
    last = read_line(last_line, last_number)
    assert isinstance(last, TrainLine | ValLine)
    run.advance(last)
    run.curve_mark = zlib.crc32(text.replace(b"\n", b""), run.curve_mark)
    tracker.last_step_line = last_line
    return last_number


def _ascends(steps: list[int]) -> bool:
    """Whether each step is beyond the one before, as it is not for a line printed twice."""
    return all(map(operator.lt, steps, steps[1:]))


def _line_indices(text: bytes, word: bytes) -> list[int]:
    """Return which lines of a text hold a word, by searching rather than by looking at each."""
    places, line, counted, at = [], 0, 0, text.find(word)
    while at >= 0:
        line += text.count(b"\n", counted, at)
        places.append(line)
        counted, at = at, text.find(word, at + 1)
    return places
