"""An attempt that has no record yet: how far it has come, told from what it has logged. Reads; writes nothing.

A folder cannot tell an attempt that is being played from one that was killed; the system can, at this moment,
on this machine (`is_playing`). So only a preview asks; a published page says that it may be either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from harness import figures
from harness.commentary import Facts
from harness.curve import Curve, TrainPoint, ValPoint, load_curve
from harness.errors import HarnessError
from harness.launch import Launch, load_launch
from harness.logs import parse_log
from harness.publish.evidence import Row
from harness.publish.wording import Wording
from harness.registry import Played
from harness.store import Attempt

_RECENT = 20  # points behind the newest one that the tempo is taken over


@dataclass(frozen=True)
class InPlay:
    """share: of the training that is done, in thousandths; None when nobody knows how long it will be.

    line: the same in one line, for lists.
    """

    lead: str
    line: str
    share: int | None
    rows: tuple[Row, ...]


def read_play(played: Played, wording: Wording, ask_system: bool = False) -> InPlay | None:
    """Describe a hole's newest attempt when it has no record; None when it has one or there is none.

    ask_system: find out whether a process holds it.
    """
    newest = played.entries[-1] if played.entries else None
    if newest is None or newest.record is not None:
        return None
    attempt, curve = newest.attempt, load_progress(newest.attempt)
    try:
        launch = load_launch(attempt.launch_path)
    except HarnessError:
        launch = None  # from another trainer or another harness: what it logged is all there is
    values = {"attempt": str(attempt.number), "hole": played.name.folder}
    share = _read_progress(curve, launch, values)
    facts = Facts("", frozenset(), values)

    def said(*keys: str) -> str:
        filled = (facts.fill(wording.say("live", key)) for key in keys)
        return next((text for text in filled if text), "")

    state = "unknown" if not ask_system else "playing" if is_playing(attempt) else "quiet"
    rows = [Row(keys[0], said(f"row_{keys[0]}"), said(*keys)) for keys in _ROWS]
    line = said("line_full", "line_part", "line_none")
    return InPlay(said(f"lead_{state}"), line, share, tuple(row for row in rows if row.value))


# The phrases of each row, the first that can be said.
_ROWS = (
    ("progress", "progress_part"), ("left",), ("time", "time_part"), ("train",), ("val",), ("tempo",), ("seed",),
    ("started",),
)  # fmt: skip


def _read_progress(curve: Curve, launch: Launch | None, values: dict[str, str]) -> int | None:
    """Fill in what is known; return the share done in thousandths."""
    config = launch.config if launch else {}
    planned, limit = _number(config.get("ITERATIONS")), _number(config.get("MAX_WALLCLOCK_SECONDS"))
    if launch:
        values |= {"seed": str(launch.seed), "started": f"{launch.started_at:%Y-%m-%d %H:%M} UTC"}
    if planned:
        values["planned"] = figures.count(int(planned))
    if limit:
        values["limit"] = figures.seconds(limit)
    if curve.val and curve.val[-1].bpb is not None:
        values |= {"val_bpb": figures.bpb(curve.val[-1].bpb), "val_step": figures.count(curve.val[-1].step)}
    if not curve.train:
        return None
    last = curve.train[-1]
    values |= {"step": figures.count(last.step), "train_loss": f"{last.loss:.4f}"}
    step_ms = _tempo(curve)
    done, left = [], []
    if planned:
        done.append(last.step / planned)
    if last.time_ms is not None:
        values["time"] = figures.seconds(last.time_ms / 1000)
        if limit:
            done.append(last.time_ms / 1000 / limit)
            left.append(limit - last.time_ms / 1000)
    if step_ms is not None:
        values["step_ms"] = figures.tempo(step_ms)
        left += [(planned - last.step) * step_ms / 1000] if planned else []
    if left:
        values["left"] = figures.duration(max(0.0, min(left)))
    return min(1000, round(1000 * max(done))) if done else None


def _tempo(curve: Curve) -> float | None:
    """Milliseconds a step over the newest points."""
    timed = [point for point in curve.train[-_RECENT:] if point.time_ms is not None]
    if len(timed) < 2 or timed[-1].step == timed[0].step:
        return None
    first, last = timed[0].time_ms, timed[-1].time_ms
    assert first is not None
    assert last is not None
    return (last - first) / (timed[-1].step - timed[0].step)


def _number(text: str | None) -> float | None:
    """A positive limit, or None: 0 means without one."""
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if value > 0 and math.isfinite(value) else None


def load_progress(attempt: Attempt) -> Curve:
    """Return what an attempt logged so far: its curve, or, for a trainer that keeps none, its log's points."""
    if attempt.curve_path.is_file() or not attempt.log_path.is_file():
        return load_curve(attempt.curve_path)
    run = parse_log(attempt.log_path).result
    if run is None:
        return Curve()
    train = {step: TrainPoint(step, loss, _known(time)) for step, (loss, time) in run.train}
    val = {
        step: ValPoint(step, _known(loss), _known(bpb), _known(time)) for step, (loss, bpb, time) in run.val
    }
    return Curve(tuple(train[step] for step in sorted(train)), tuple(val[step] for step in sorted(val)))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def is_playing(attempt: Attempt) -> bool:
    """Whether a process on this machine holds the attempt. Looks at the lock without taking it for longer than that."""
    try:
        import fcntl
    except ImportError:  # not a system that could tell
        return False
    try:
        with Path(attempt.path / ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
