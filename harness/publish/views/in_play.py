"""An attempt that has no record yet: how far it has come, in the words of a page. Reads; writes nothing.

Whether it is being played only the system knows, at this moment, on this machine. So only a preview asks; a
published page says that it may be either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import figures
from harness.errors import HarnessError
from harness.publish.views.tables import FactRow
from harness.publish.words.facts import Facts
from harness.publish.words.wording import Wording
from harness.records.curve import Curve
from harness.records.launch import Launch, load_launch
from harness.season.hole import PlayedHole

if TYPE_CHECKING:
    from harness.season.progress import AttemptProgress


@dataclass(frozen=True)
class InPlay:
    """share: of the training that is done, in thousandths; None when nobody knows how long it will be.

    line: the same in one line, for lists.
    """

    lead: str
    line: str
    share: int | None
    rows: tuple[FactRow, ...]


def read_play(played: PlayedHole, wording: Wording, ask_system: bool = False) -> InPlay | None:
    """Describe a hole's newest attempt when it has no record; None when it has one or there is none.

    ask_system: find out whether a process holds it.
    """
    newest = played.entries[-1] if played.entries else None
    if newest is None or newest.record is not None:
        return None
    from harness.season.progress import is_playing, load_progress, measure  # reads logs, which few holes need

    attempt, curve = newest.attempt, load_progress(newest.attempt)
    try:
        launch = load_launch(attempt.launch_path)
    except HarnessError:
        launch = None  # from another trainer or another harness: what it logged is all there is
    values = {"attempt": str(attempt.number), "hole": played.name.folder}
    share = _read_progress(curve, measure(curve, launch), launch, values)
    facts = Facts("", frozenset(), values)

    def said(*keys: str) -> str:
        filled = (facts.fill(wording.say("live", key)) for key in keys)
        return next((text for text in filled if text), "")

    state = "unknown" if not ask_system else "playing" if is_playing(attempt) else "quiet"
    rows = [FactRow(keys[0], said(f"row_{keys[0]}"), said(*keys)) for keys in _ROWS]
    line = said("line_full", "line_part", "line_none")
    return InPlay(said(f"lead_{state}"), line, share, tuple(row for row in rows if row.value))


# The phrases of each row, the first that can be said.
_ROWS = (
    ("progress", "progress_part"),
    ("left",),
    ("time", "time_part"),
    ("train",),
    ("val",),
    ("tempo",),
    ("seed",),
    ("started",),
)


def _read_progress(
    curve: Curve, now: AttemptProgress, launch: Launch | None, values: dict[str, str]
) -> int | None:
    """Fill in what is known; return the share done in thousandths."""
    if launch:
        values |= {"seed": str(launch.seed), "started": f"{launch.started_at:%Y-%m-%d %H:%M} UTC"}
    if now.planned:
        values["planned"] = figures.count(now.planned)
    if now.limit_seconds:
        values["limit"] = figures.seconds(now.limit_seconds)
    if curve.val and curve.val[-1].bpb is not None:
        values |= {"val_bpb": figures.bpb(curve.val[-1].bpb), "val_step": figures.count(curve.val[-1].step)}
    if not curve.train:
        return None
    values |= {"step": figures.count(now.step), "train_loss": f"{curve.train[-1].loss:.4f}"}
    if now.train_seconds is not None:
        values["time"] = figures.seconds(now.train_seconds)
    if now.step_ms is not None:
        values["step_ms"] = figures.tempo(now.step_ms)
    if now.left_seconds is not None:
        values["left"] = figures.duration(now.left_seconds)
    return None if now.share is None else round(1000 * now.share)
