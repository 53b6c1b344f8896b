"""How far an attempt has come, by what it has logged so far. Reads; writes nothing.

A folder cannot tell an attempt that is being played from one that was killed; the system can, at this moment,
on this machine (`is_playing`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from harness.field.log_parser import LogParser
from harness.files import open_plain
from harness.records.curve import Curve, TrainPoint, ValPoint, load_curve
from harness.records.launch import Launch
from harness.records.store import Attempt

_RECENT = 20  # points behind the newest one that the tempo is taken over
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class AttemptProgress:
    """Steps, training seconds and milliseconds a step; None for what nobody knows.

    share: of the training that is done, 0 to 1, by steps or by the training's own limit, whichever ends it
    first.
    left_seconds: of training, without evaluation and packing.
    """

    step: int | None = None
    planned: int | None = None
    train_seconds: float | None = None
    limit_seconds: float | None = None
    step_ms: float | None = None
    share: float | None = None
    left_seconds: float | None = None


def measure(curve: Curve, launch: Launch | None, planned: int | None = None) -> AttemptProgress:
    """Return where a curve stands. planned: steps by the log, for trainers whose settings do not say."""
    config = launch.config if launch else {}
    iterations = _limit(config.get("ITERATIONS")) or planned
    steps, limit = int(iterations) if iterations else None, _limit(config.get("MAX_WALLCLOCK_SECONDS"))
    points: list[TrainPoint | ValPoint] = [*curve.train[-1:], *curve.val[-1:]]
    if not points:
        return AttemptProgress(planned=steps, limit_seconds=limit)
    step = max(point.step for point in points)
    seconds = max((point.time_ms / 1000 for point in points if point.time_ms is not None), default=None)
    step_ms = tempo(curve)
    shares = [step / steps] if steps else []
    seconds_left = [(steps - step) * step_ms / 1000] if steps and step_ms is not None else []
    if limit and seconds is not None:
        shares.append(seconds / limit)
        seconds_left.append(limit - seconds)
    return AttemptProgress(
        step,
        steps,
        seconds,
        limit,
        step_ms,
        share=min(1.0, max(shares)) if shares else None,
        left_seconds=max(0.0, min(seconds_left)) if seconds_left else None,
    )


def tempo(curve: Curve) -> float | None:
    """Milliseconds a step over the newest points."""
    timed = [point for point in curve.train[-_RECENT:] if point.time_ms is not None]
    if len(timed) < 2 or timed[-1].step == timed[0].step:
        return None
    first, last = timed[0].time_ms, timed[-1].time_ms
    assert first is not None
    assert last is not None
    return (last - first) / (timed[-1].step - timed[0].step)


def _limit(text: str | None) -> float | None:
    """A positive limit, or None: 0 means without one."""
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if value > 0 and math.isfinite(value) else None


def load_progress(attempt: Attempt) -> Curve:
    """Return what an attempt logged so far: its curve or, for a trainer that keeps none, its log's points."""
    return Follower(attempt).curve()


class Follower:
    """Reads an attempt's points again and again, each time only what is new.

    planned: steps to go, by the log; None where the curve is the source or the log does not say.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._read_state: tuple[int, int] | None = None  # size and time of the curve when it was read
        self._curve = Curve()
        self._parser: LogParser | None = None  # only for a trainer that keeps no curve
        self._offset = 0
        self.planned: int | None = None

    def curve(self) -> Curve:
        """Return all points up to now."""
        try:
            state = self._attempt.curve_path.stat()
        except OSError:
            return self._follow_log()
        if (state.st_size, state.st_mtime_ns) != self._read_state:
            self._read_state = (state.st_size, state.st_mtime_ns)
            self._curve = load_curve(self._attempt.curve_path)
        return self._curve

    def _follow_log(self) -> Curve:
        parser = self._parser = self._parser or LogParser()
        try:
            with open_plain(self._attempt.log_path) as log:
                log.seek(self._offset)
                while chunk := log.read(_CHUNK_BYTES):
                    self._offset += len(chunk)
                    parser.read(chunk)
        except OSError:
            pass  # not there yet
        run = parser.run
        self.planned = run.planned_steps
        train = {step: TrainPoint(step, loss, _known(time)) for step, (loss, time) in run.train}
        val = {
            step: ValPoint(step, _known(loss), _known(bpb), _known(time))
            for step, (loss, bpb, time) in run.val
        }
        return Curve.of((train[step] for step in sorted(train)), (val[step] for step in sorted(val)))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def is_playing(attempt: Attempt) -> bool:
    """Whether a process on this machine holds the attempt."""
    return is_locked(attempt.path / ".lock")


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file. Where the system cannot tell, the answer is no."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        with open_plain(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
