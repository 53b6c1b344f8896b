"""The lines that say that training is over, and after which step: `stopping_early: ..` and its like.

A limit that is only announced, and a warm-up that has ended, stop nothing.
"""

from __future__ import annotations

import re

from harness.field.log_events import NUMBER, TO_MS, StopLine, to_text

COMPLETED = "completed"  # the reason of a stop that no limit caused

_STOP = re.compile(rb"stopping_early:\s?([\w-]{1,60})").match
# `Reached wallclock limit at step 4450 (600.0s)`
_AT_LIMIT = re.compile(
    rb"(?=.{0,140}?(?:wall.?clock|time.?(?:limit|cap|budget|out)|\bcap\b))"
    rb"(?=.{0,140}?(?:reached|\bhit|exceed|exhausted|stop|used up|expired|(?:cap|limit) at step))"
    rb"\W{0,3}(?:stop|early[ _-]?stop|reached|hit|exceeded|max[_ ]wall.?clock|wall|time|training stopped)",
    re.IGNORECASE,
).match
# `early stop: step=4450`, `Stopping training at step 4450`
_EARLY = re.compile(
    rb"\W{0,3}(?:early[ _-]?stop(?:ped|ping)?|stopp(?:ed|ing)[ _]early"
    rb"|stopp(?:ed|ing)(?: training)?(?= at step))\b"
    rb"(?!.{0,60}(?:patience|enabled|after \d+ steps without))",
    re.IGNORECASE,
).match
# `Training complete: 4450 steps in 600.0 s`
_COMPLETE = re.compile(
    rb"\W{0,3}(?:train(?:ing)?(?: (?:loop|run))?:?(?: is)? (?:complete[d]?|finished|done|ended)"
    rb"|(?:finished|completed|ended) training|trained(?: for)? \d{1,12} steps)\b",
    re.IGNORECASE,
).match
_STEP = re.compile(
    rb"(?<![\w.])(?:step(?::\s?|=|\s)(\d{1,12})(?:/(\d{1,12}))?(?!\d)|(\d{1,12}) steps\b)", re.IGNORECASE
).search
_TRAIN_TIME = re.compile(rb"(?<![\w.])(?:train_time|t)\s?[:=]\s?" + NUMBER + rb"\s?(ms|s|min|m|h)\b").search
_TIME = re.compile(rb"(?<![\w.-])" + NUMBER + rb"\s?(ms|s|sec|seconds|min|m)\b(?!/)").search
_UNITS = {b"sec": b"s", b"seconds": b"s"}


def read_stop(line: bytes, number: int) -> StopLine | None:
    """Read the line that says that training is over; None without a step, but for `stopping_early:`."""
    if match := _STOP(line):
        reason = to_text(match[1])
    elif _AT_LIMIT(line):
        reason = "wallclock_cap"
    elif _EARLY(line):
        reason = "early_stop"
    elif _COMPLETE(line):
        reason = COMPLETED
    else:
        return None
    step, time = _STEP(line), _TRAIN_TIME(line) or _TIME(line)
    if step is None and match is None:
        return None
    return StopLine(
        number,
        reason,
        float(time[1]) * TO_MS[_UNITS.get(time[2], time[2])] if time else None,
        int(step[1] or step[3]) if step else None,
        int(step[2]) if step and step[2] else None,
    )
