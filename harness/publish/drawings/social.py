"""The social picture of a hole: 1200 x 630 PNG, drawn by matplotlib, readable as a thumbnail.

The file's name holds the hash of what it shows, so the old site is the cache: the same facts, no drawing.
matplotlib is imported only when a picture is due.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from harness.publish.drawings.charts import Point, Series, loss_range, thin

LOOK = 1  # counts up when the drawing changes, so that old pictures are not kept
_PAPER, _INK, _GREEN, _DEEP, _SOFT, _BRASS, _RED = (
    "#faf6ea",
    "#1d2a22",
    "#1f5b3c",
    "#183f2c",
    "#55604f",
    "#b08d3c",
    "#9d2a1c",
)


@dataclass(frozen=True)
class SocialCard:
    """What is drawn: words ready to be placed, and the curve thinned."""

    club: str
    position: str
    title: str
    verdict: str
    strokes: int
    score: str
    label: str
    line: str
    curve: tuple[Point, ...]

    @property
    def key(self) -> str:
        """A short fingerprint of everything that is shown."""
        content = json.dumps([LOOK, asdict(self)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:10]


def thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple(thin(points, 100))


def draw_picture(picture: SocialCard) -> bytes:
    """Return the PNG. The same picture gives the same bytes with the same matplotlib."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"font.family": "serif", "font.serif": ["DejaVu Serif"], "text.parse_math": False}):
        figure = Figure(figsize=(12, 6.3), dpi=100, facecolor=_PAPER)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 1200), ylim=(630, 0))
        axes.axis("off")
        axes.axhspan(0, 92, color=_DEEP)
        axes.axhline(97, color=_BRASS, linewidth=1.5)
        axes.text(48, 58, picture.club, color="#f6f1e1", size=24, va="center")
        axes.text(1152, 58, picture.position, color="#f6f1e1", size=18, va="center", ha="right")
        axes.text(48, 165, _fitting(picture.title, 44), color=_INK, size=32, va="center")
        axes.text(
            48, 345, picture.score, color=_GREEN, size=92 if len(picture.score) < 8 else 48, va="center"
        )
        axes.text(52, 440, picture.label, color=_SOFT, size=20, style="italic", va="center")
        frame = {
            "boxstyle": "round,pad=0.35" if picture.strokes < 0 else "square,pad=0.35",
            "facecolor": _PAPER,
        }
        frame["edgecolor"] = _RED if picture.strokes > 0 else _GREEN
        axes.text(
            62,
            520,
            picture.verdict,
            color=_RED if picture.strokes > 0 else _GREEN,
            size=28,
            va="center",
            bbox=frame,
        )
        axes.text(48, 595, _fitting(picture.line, 92), color=_SOFT, size=16, va="center")
        _draw_curve(axes, picture.curve)
        out = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a glyph that the font lacks is drawn as a box
            canvas.print_png(out, metadata={"Software": None})  # type: ignore[no-untyped-call]
        return out.getvalue()


def _draw_curve(axes: object, points: Sequence[Point]) -> None:
    """The training curve at the right, without axes."""
    ranged = loss_range([Series("this", points)])
    if ranged is None or len(points) < 2:
        return
    low, high = ranged
    last = points[-1][0] or 1
    shown = [point for point in points if point[1] <= high]
    across = [640 + 500 * x / last for x, _ in shown]
    down = [500 - 260 * (y - low) / (high - low) for _, y in shown]
    axes.plot(across, down, color=_GREEN, linewidth=4, solid_capstyle="round", solid_joinstyle="round")  # type: ignore[attr-defined]
    axes.plot(across[-1:], down[-1:], "o", color=_RED, markersize=12)  # type: ignore[attr-defined]
    axes.plot([640, 1152], [520, 520], color=_SOFT, linewidth=1)  # type: ignore[attr-defined]


def _fitting(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
