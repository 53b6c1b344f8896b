"""What was predicted of a hole against what came out, and how often a season's predictions hold.

A prediction counts when it was sealed before the first attempt (`harness.records.prediction`). It is held
against the reference that it names, with the interval of the same difference that cards and commands show.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from harness import figures
from harness.errors import HarnessError
from harness.records.prediction import Prediction, Seal, load_seals
from harness.season.artifact import artifact_change
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.season.series import find_series
from harness.season.standing import Comparison, Standing

Outcome = Literal["held", "missed", "cannot tell", "open"]
State = Literal["sealed", "changed", "not sealed", "nothing predicted"]

_UNITS = {"val_bpb": "bpb", "artifact_bytes": "bytes", "step_ms": "ms a step"}


@dataclass(frozen=True)
class Measured:
    """A difference to the reference and its 95 % interval, in the metric's unit; None: not known, and why."""

    delta: float | None
    interval: tuple[float, float] | None
    why: str = ""


@dataclass(frozen=True)
class Forecast:
    """What was predicted of a hole, and what came of it.

    state: changed where round.toml says something else today than the seal; `seal` is what counts. `why` says
    why there is no seal. outcome, direction: of the whole prediction, and of its direction alone; None
    without a sealed prediction. reference: what the hole was held against.
    """

    state: State
    hypothesis: str
    seal: Seal | None = None
    why: str = ""
    prediction: Prediction | None = None
    reference: str = ""
    measured: Measured | None = None
    outcome: Outcome | None = None
    direction: Outcome | None = None

    @property
    def sealed_on(self) -> str:
        return self.seal.sealed_at.astimezone(dt.UTC).date().isoformat() if self.seal else ""

    @property
    def change(self) -> str:
        """Say what the seal holds, where round.toml says something else today; empty where it does not."""
        if self.state != "changed" or self.seal is None:
            return ""
        parts = [self.seal.hypothesis, self.seal.prediction.text if self.seal.prediction else ""]
        what = "; ".join(" ".join(part.split()).rstrip(".") for part in parts if part)
        if self.seal.parent:
            what += f" (parent {self.seal.parent})"
        return f"changed after the first attempt began: sealed {self.sealed_on}: {what}"


def forecast(season: Season, standing: Standing) -> Forecast:
    """Hold what was predicted of a hole against what came out. A broken seal counts as none."""
    played = standing.played
    intent = played.intent
    said = intent.hypothesis.strip()
    nothing = not said and intent.prediction is None
    try:
        seal = load_seals(played.hole.prediction_path).first
        why = "" if seal else "no seal was set before its first attempt"
    except HarnessError as error:
        seal, why = None, error.message
    if seal and (began := _began(played)) and seal.sealed_at > began:
        why, seal = f"its seal is dated {seal.sealed_at.isoformat()}, after the first attempt began", None
    if seal is None:
        return Forecast("nothing predicted" if nothing else "not sealed", said, why=why)
    changed = not seal.says(said, intent.prediction, intent.parent)
    state: State = "changed" if changed else "sealed"
    if seal.prediction is None:
        return Forecast(state, said, seal)
    kind = seal.prediction.against or ("parent" if seal.parent else "par")
    comparison = standing.comparisons[kind]
    measured = _measure(season, standing, comparison, seal.prediction)
    if kind == "parent" and seal.parent != intent.parent:
        measured = Measured(None, None, f"the parent was {seal.parent or 'none'} when it was sealed")
    series = find_series(played.records)
    scored = played.comparable and not (series and series.no_verdict)
    return Forecast(
        state,
        said,
        seal,
        prediction=seal.prediction,
        reference=comparison.hole.name.folder if comparison.hole else comparison.label or kind,
        measured=measured,
        outcome=judge(seal.prediction, measured) if scored else "open",
        direction=judge(seal.prediction, measured, direction_alone=True) if scored else "open",
    )


def judge(prediction: Prediction, measured: Measured, direction_alone: bool = False) -> Outcome:
    """Say whether a prediction held: the whole interval on its side of the size, or on the other one."""
    if measured.interval is None:
        return "cannot tell"
    low, high = measured.interval
    if prediction.direction == "lower":
        low, high = -high, -low
    size = 0.0 if direction_alone else prediction.size
    if low >= size and low > 0:
        return "held"
    return "missed" if high < size or high <= 0 else "cannot tell"


def _began(played: PlayedHole) -> dt.datetime | None:
    return min((record.started_at for record in played.records if record.started_at), default=None)


# What came out --------------------------------------------------------------------------------------


def _measure(season: Season, standing: Standing, comparison: Comparison, prediction: Prediction) -> Measured:
    """Return the difference of the predicted metric to the reference."""
    played, other = standing.played, comparison.hole
    if prediction.metric == "val_bpb":
        difference = comparison.difference
        if difference is None:
            return Measured(None, None, comparison.reason)
        why = "" if difference.interval else difference.basis
        return Measured(difference.delta, difference.interval, why)
    if other is None:
        return Measured(None, None, comparison.reason or f"{comparison.label} has no {prediction.metric}")
    if prediction.metric == "step_ms":
        return _measure_tempo(season, played, other)
    return _measure_bytes(season, played, other)


def _measure_tempo(season: Season, played: PlayedHole, other: PlayedHole) -> Measured:
    change = season.evidence.tempo(played, other)
    if change is None:
        return Measured(None, None, "no step time is known on both sides")
    times = other.summary.step_times
    base = sum(times) / len(times)
    return _scaled(base, change.ratio, change.reach, change.caveat or change.basis)


def _measure_bytes(season: Season, played: PlayedHole, other: PlayedHole) -> Measured:
    """The artifact's bytes: those of the weights with the spread over seeds, those of the code exactly."""
    ours, theirs = played.record, other.record
    change = season.evidence.weights(played, other)
    parts = artifact_change(ours, theirs)
    if change is None or parts is None:
        return Measured(None, None, "no artifact is known on both sides")
    sizes = other.summary.model_sizes
    base = sum(sizes) / len(sizes)
    reach = 1.0 if change.outcome == "equal" else change.reach
    weights = _scaled(base, change.ratio, reach, change.caveat or change.basis)
    code = 0 if parts.weights_alone else parts.code
    if code is None or weights.delta is None:
        return Measured(None, None, "the bytes of the code are not known on both sides")
    interval = weights.interval
    return Measured(
        weights.delta + code,
        None if interval is None else (interval[0] + code, interval[1] + code),
        weights.why,
    )


def _scaled(base: float, ratio: float, reach: float | None, why: str) -> Measured:
    """A ratio to `base` as a difference; reach: the ratio that luck alone reaches."""
    delta = base * (ratio - 1)
    if reach is None:
        return Measured(delta, None, why)
    return Measured(delta, (base * (ratio / reach - 1), base * (ratio * reach - 1)))


# The season -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """How many sealed predictions held. open: not played to a score yet, and counted nowhere else."""

    held: int = 0
    missed: int = 0
    cannot_tell: int = 0
    open: int = 0
    directions_held: int = 0
    directions_missed: int = 0

    @property
    def scored(self) -> int:
        return self.held + self.missed + self.cannot_tell

    @property
    def text(self) -> str:
        """`7 of 12 predictions held, 2 cannot tell; 9 of 12 directions`; empty where none was scored."""
        if not self.scored:
            return ""
        unsure = f", {self.cannot_tell} cannot tell" if self.cannot_tell else ""
        total = figures.number(self.scored, "prediction")
        return f"{self.held} of {total} held{unsure}; {self.directions_held} of {self.scored} directions"


def calibrate(results: Iterable[tuple[Outcome | None, Outcome | None]]) -> Calibration:
    """Count what became of predictions: outcome and direction of each.

    One without an outcome was not sealed, and is not counted.
    """
    known = [one for one in results if one[0] is not None]
    outcomes = [outcome for outcome, _ in known]
    directions = [direction for _, direction in known]
    return Calibration(
        held=outcomes.count("held"),
        missed=outcomes.count("missed"),
        cannot_tell=outcomes.count("cannot tell"),
        open=outcomes.count("open"),
        directions_held=directions.count("held"),
        directions_missed=directions.count("missed"),
    )


# As data and as words -----------------------------------------------------------------------------------


def describe(one: Forecast) -> list[str]:
    """Return what a card says of a prediction in a terminal; nothing where nothing was predicted."""
    if one.state == "nothing predicted":
        return []
    if one.state == "not sealed":
        return [f"not sealed: {one.why}"]
    lines = [f"sealed {one.sealed_on}"] if one.prediction is None else [outcome_line(one)]
    return [*lines, one.change] if one.change else lines


def outcome_line(one: Forecast) -> str:
    """`held: val_bpb lower by at least 0.005 than round_001 (sealed 2026-11-27); measured -0.0061, ...`."""
    assert one.prediction is not None
    words = {"open": "no score yet"}
    head = words.get(one.outcome or "", one.outcome or "")
    text = f"{head}: {one.prediction.text} than {one.reference} (sealed {one.sealed_on})"
    if one.outcome == "open":
        return text
    return f"{text}; {measured_text(one)}"


def measured_text(one: Forecast) -> str:
    """`measured -0.0061 bpb, 95 % from -0.0080 to -0.0042`, or why there is no number."""
    assert one.prediction is not None
    measured = one.measured
    if measured is None or measured.delta is None:
        return f"not measured: {measured.why if measured else 'no score'}"
    metric = one.prediction.metric
    text = f"measured {signed(metric, measured.delta)} {_UNITS[metric]}"
    if measured.interval is None:
        return f"{text}, with an unknown spread: {measured.why}"
    low, high = measured.interval
    if low == high:
        return f"{text} exactly"
    return f"{text}, 95 % from {signed(metric, low)} to {signed(metric, high)}"


def signed(metric: str, value: float) -> str:
    """Write a difference of a metric with its sign."""
    if metric == "val_bpb":
        return figures.delta(value)
    return figures.signed(value, 0 if metric == "artifact_bytes" else 1)


def as_data(one: Forecast) -> dict[str, Any]:
    """Return a prediction and what came of it as JSON; what is not known is null."""
    seal, measured = one.seal, one.measured
    return {
        "state": one.state,
        "why": one.why or None,
        "hypothesis": one.hypothesis or None,
        "sealed_at": seal.sealed_at.isoformat() if seal else None,
        "sealed_sha256": seal.sha256 if seal else None,
        "sealed_hypothesis": (seal.hypothesis or None) if seal else None,
        "sealed_parent": seal.parent if seal else None,
        "prediction": seal.prediction.model_dump(mode="json") if seal and seal.prediction else None,
        "change": one.change or None,
        "reference": one.reference or None,
        "delta": measured.delta if measured else None,
        "interval": list(measured.interval) if measured and measured.interval else None,
        "not_measured": (measured.why or None) if measured else None,
        "outcome": one.outcome,
        "direction_outcome": one.direction,
    }


def calibration_data(counted: Calibration) -> dict[str, Any]:
    return {
        "scored": counted.scored,
        "held": counted.held,
        "missed": counted.missed,
        "cannot_tell": counted.cannot_tell,
        "open": counted.open,
        "directions_held": counted.directions_held,
        "directions_missed": counted.directions_missed,
        "text": counted.text or None,
    }
