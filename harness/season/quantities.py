"""What the records say of a hole that its notes may quote: quantities, and how each is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from harness import figures
from harness.records.record import RunRecord, mean_gap, mean_stage_bpb
from harness.records.store import Store
from harness.season.compare import Pair
from harness.season.hole import PlayedHole
from harness.season.pairs import pair_holes
from harness.season.season import Season
from harness.season.standing import KINDS, Standing
from harness.stats import Difference, Sample

Value = float | int | str | tuple[float, float]


@dataclass(frozen=True)
class Source:
    """One hole, or one attempt of it. record: the attempt's, else the one that the hole's card shows."""

    season: Season
    played: PlayedHole
    attempt: int | None = None

    @cached_property
    def standing(self) -> Standing:
        return self.season.standing(self.played)

    @cached_property
    def record(self) -> RunRecord | None:
        if self.attempt is None:
            return self.played.record
        entries = self.played.entries
        return next((one.record for one in entries if one.attempt.number == self.attempt), None)

    @property
    def measured(self) -> tuple[RunRecord, ...]:
        """The records that a mean is taken over: one attempt's alone, or all behind the hole's score."""
        if self.attempt is None:
            return self.played.measured
        return (self.record,) if self.record else ()

    @property
    def sample(self) -> Sample | None:
        return self.played.sample

    def difference(self, other: str) -> Difference | None:
        """To par, sota, best, previous, parent or `hole:N`; None when there is none, or no score."""
        if other in KINDS:
            return next(one for kind, one in self.standing.comparisons.items() if kind == other).difference
        return self.pair(other).difference

    def pair(self, other: str) -> Pair:
        """This hole beside `hole:N`. Raises UsageError when there is no such hole."""
        return pair_holes(self.season, self.played, find_hole(self.season, other.removeprefix("hole:")))

    def why_withdrawn(self, other: str) -> str:
        """Say that this hole or the other one was decided to be invalid; empty where neither was."""
        if self.played.invalid:
            return self.played.why_invalid
        if other in KINDS:
            rival = next(one for kind, one in self.standing.comparisons.items() if kind == other).hole
        else:
            rival = find_hole(self.season, other.removeprefix("hole:"))
        return rival.why_invalid if rival else ""

    def why_no_difference(self, other: str) -> str:
        if other in KINDS:
            return next(one for kind, one in self.standing.comparisons.items() if kind == other).reason
        return self.pair(other).reason


def find_hole(season: Season, reference: str) -> PlayedHole:
    """Return the hole with this number or folder. Raises UsageError when there is none, or several."""
    number = int(reference) if reference.isdecimal() else None
    matches = [hole for hole in season.holes if hole.name.folder == reference or hole.name.number == number]
    if len(matches) == 1:  # mostly; everything else the store knows better, and how to say it
        return matches[0]
    folder = Store(season.runs).get(reference).name.folder
    return next(hole for hole in season.holes if hole.name.folder == folder)


# The quantities -----------------------------------------------------------------------------------

Reader = Callable[[Source, str], Value | None]
Writer = Callable[[Value], str]


@dataclass(frozen=True)
class Quantity:
    """A name that a binding may use. of: what stands behind its dot (see `OF`), or empty.

    whole: it belongs to the hole, not to one attempt. signed: a difference of two of them shows its sign.
    unit: what may follow a typed number.
    """

    name: str
    meaning: str
    read: Reader
    write: Writer
    of: str = ""
    whole: bool = False
    unit: str = ""
    difference: Writer = lambda value: f"{value:+,}"


# What may stand behind a name's dot, by kind, in words for a message.
OF: dict[str, str] = {
    "other": "par, sota, best, previous, parent or hole:N",
    "stage": "pre_quantization, round_trip, sliding_window or test_time_training",
    "compressor": "a compressor of the record's data.yardsticks, as in zlib-9",
    "knob": "a knob of the record's configuration, as in MATRIX_LR",
}
STAGES = ("pre_quantization", "round_trip", "sliding_window", "test_time_training")


def _of_record(name: str) -> Reader:
    return lambda source, _: getattr(source.record, name) if source.record else None


def _of_text(name: str) -> Reader:
    return lambda source, _: getattr(source.record.data, name) if source.record else None


def _val_bpb(source: Source, _: str) -> Value | None:
    if source.attempt is not None:
        return source.record.val_bpb if source.record else None
    return source.sample.mean if source.sample else None


def _val_loss(source: Source, _: str) -> Value | None:
    if source.attempt is not None:
        return source.record.val_loss if source.record else None
    return source.played.val_loss


def _seeds(source: Source, _: str) -> Value | None:
    return source.sample.n if source.sample else None


def _spread(source: Source, _: str) -> Value | None:
    return source.sample.std if source.sample else None


def _gap(source: Source, _: str) -> Value | None:
    return mean_gap(source.measured)


def _stage_bpb(source: Source, stage: str) -> Value | None:
    return next((mean_stage_bpb(source.measured, one) for one in STAGES if one == stage), None)  # type: ignore[arg-type]


def _stage_seconds(source: Source, stage: str) -> Value | None:
    scores = source.record.scores if source.record else ()
    return next((one.seconds for one in reversed(scores) if one.stage == stage), None)


def _yardstick(source: Source, name: str) -> Value | None:
    return source.record.data.yardsticks.get(name) if source.record else None


def _knob(source: Source, name: str) -> Value | None:
    """A knob's value as the record has it: a number where it is one."""
    record = source.record
    text = (record.config.get(name) or record.overrides.get(name)) if record else None
    if text is None:
        return None
    try:
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    except ValueError:
        return text


def _interval(source: Source, other: str) -> tuple[float, float] | None:
    difference = source.difference(other)
    return difference.interval if difference else None


def _low(source: Source, other: str) -> float | None:
    interval = _interval(source, other)
    return interval[0] if interval else None


def _high(source: Source, other: str) -> float | None:
    interval = _interval(source, other)
    return interval[1] if interval else None


def _threshold(source: Source, other: str) -> float | None:
    """Half the interval: the smallest difference that these seeds could have told from luck."""
    interval = _interval(source, other)
    return None if interval is None else (interval[1] - interval[0]) / 2


def _of_difference(name: str) -> Reader:
    def read(source: Source, other: str) -> Value | None:
        difference = source.difference(other)
        value: Value | None = getattr(difference, name) if difference else None
        return value

    return read


def _score_of_other(source: Source, other: str) -> float | None:
    if other in KINDS:
        return next(one for kind, one in source.standing.comparisons.items() if kind == other).val_bpb
    sample = find_hole(source.season, other.removeprefix("hole:")).sample
    return sample.mean if sample else None


def _headroom(source: Source, _: str) -> Value | None:
    return source.standing.headroom_bytes


def _noise(source: Source, _: str) -> Value | None:
    return source.standing.course.noise_std if source.standing.course else None


def _cap(source: Source, _: str) -> Value | None:
    course = source.standing.course
    own = source.record.cap_bytes if source.record else None
    return own or (course.caps.artifact_bytes if course else None)


def _number(write: Callable[..., str]) -> Writer:
    """Take a writer of `harness.figures` for one of values in general."""
    return lambda value: write(value)


def _p(value: Value) -> str:
    return "< 0.0001" if isinstance(value, float) and value < 1e-4 else f"{value:.2g}"


def _as_it_is(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(value: Value) -> str:
    low, high = value if isinstance(value, tuple) else (value, value)
    return f"{_number(figures.delta)(low)} to {_number(figures.delta)(high)}"


_in_seconds, _in_ms = _number(figures.seconds), _number(figures.tempo)
_bpb, _delta, _count = _number(figures.bpb), _number(figures.delta), _number(figures.count)


def _signed(places: int, unit: str) -> Writer:
    return lambda value: figures.signed(value, places) + unit if isinstance(value, int | float) else ""


def _score(name: str, meaning: str, read: Reader, of: str = "", whole: bool = False) -> Quantity:
    """A quantity in bits per byte or nats per token."""
    return Quantity(name, meaning, read, _bpb, of, whole, difference=_delta)


def _count_of(name: str, meaning: str, read: Reader, whole: bool = False, unit: str = "") -> Quantity:
    return Quantity(name, meaning, read, _count, whole=whole, unit=unit)


def _megabytes(name: str, meaning: str, read: Reader, whole: bool = False) -> Quantity:
    """A number of bytes, counted in megabytes."""

    def in_megabytes(source: Source, of: str) -> Value | None:
        value = read(source, of)
        return value / 1e6 if isinstance(value, int) else None

    def write(value: Value) -> str:
        return f"{value:.2f} MB"

    return Quantity(
        name,
        meaning,
        in_megabytes,
        write,
        whole=whole,
        unit="MB",
        difference=_signed(2, " MB"),
    )


def _time(name: str, meaning: str, read: Reader, of: str = "", write: Writer = _in_seconds) -> Quantity:
    unit = "ms" if name.endswith("_ms") else "s"
    return Quantity(name, meaning, read, write, of, unit=unit, difference=_signed(1, f" {unit}"))


def _to_other(name: str, meaning: str, read: Reader, write: Writer) -> Quantity:
    return Quantity(name, meaning, read, write, of="other", whole=True, difference=_delta)


_TABLE = (
    _score("val_bpb", "the score: the mean over its seeds, or one attempt's", _val_bpb),
    _score("val_loss", "the loss of the same, in nats a token", _val_loss),
    _count_of("n", "how many seeds the score is the mean of", _seeds, whole=True),
    _score("spread", "their standard deviation", _spread, whole=True),
    _score("noise", "the course's standard deviation of one seed", _noise, whole=True),
    Quantity("gap", "what packing cost in bits per byte", _gap, _delta, difference=_delta),
    _score("pre_bpb", "the score of the weights before packing", lambda s, _: _stage_bpb(s, STAGES[0])),
    _score("stage_bpb", "the score of one stage", _stage_bpb, of="stage"),
    _time("stage_seconds", "how long one stage took", _stage_seconds, of="stage"),
    _score("yardstick", "what a general compressor needs for the same text", _yardstick, of="compressor"),
    _count_of("artifact_bytes", "code and weights", _of_record("artifact_bytes"), unit="bytes"),
    _megabytes("artifact_mb", "the same in megabytes", _of_record("artifact_bytes")),
    _count_of("model_bytes", "the packed weights", _of_record("model_bytes"), unit="bytes"),
    _megabytes("model_mb", "the same in megabytes", _of_record("model_bytes")),
    _count_of("code_bytes", "the code", _of_record("code_bytes"), unit="bytes"),
    _count_of("cap_bytes", "what the artifact must stay under", _cap, unit="bytes"),
    _count_of("headroom_bytes", "the cap less the artifact", _headroom, whole=True, unit="bytes"),
    _megabytes("headroom_mb", "the same in megabytes", _headroom, whole=True),
    _count_of("params", "parameters of the model", _of_record("params")),
    _count_of("steps", "training steps", _of_record("steps")),
    _time("step_ms", "time of a step", _of_record("step_ms"), write=_in_ms),
    _time("train_seconds", "time of the training", _of_record("train_seconds")),
    _time("eval_seconds", "time of the evaluation that counts", _of_record("evaluation_seconds")),
    _time("wall_seconds", "time of the whole process", _of_record("wall_seconds")),
    _count_of("tokens_seen", "tokens trained on", _of_record("tokens_seen")),
    _count_of("train_tokens", "tokens there are to train on", _of_text("train_tokens")),
    _count_of("val_tokens", "tokens of the validation text", _of_text("val_tokens")),
    _count_of("val_bytes", "bytes of the validation text", _of_text("val_bytes"), unit="bytes"),
    Quantity("seed", "the seed of the attempt shown", _of_record("seed"), _as_it_is),
    Quantity("knob", "a knob's value", _knob, _as_it_is, of="knob"),
    _to_other("score", "the score of par, sota, best, previous or parent", _score_of_other, _bpb),
    _to_other("delta", "the score less the other's", _of_difference("delta"), _delta),
    _to_other("p", "the p-value of that difference", _of_difference("p_value"), _p),
    _to_other("interval", "its 95 % confidence interval", _interval, _range),
    _to_other("low", "its lower end", _low, _delta),
    _to_other("high", "its upper end", _high, _delta),
    _to_other("threshold", "the smallest difference that these seeds could have shown", _threshold, _bpb),
    _to_other("outcome", "better, worse, within noise, cannot tell", _of_difference("outcome"), _as_it_is),
    Quantity("verdict", "the golf name", lambda s, _: s.standing.verdict.name, _as_it_is, whole=True),
)
QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _TABLE}


@dataclass(frozen=True)
class Known:
    """A quantity of a hole that is known. name: as a binding of that hole's own notes writes it."""

    name: str
    value: Value
    quantity: Quantity


def list_known(season: Season, played: PlayedHole) -> Iterator[Known]:
    """Yield all that is known of a hole, then of each of its attempts where it has several."""
    attempts = [one.attempt.number for one in played.entries if one.record is not None]
    for attempt in (None, *(attempts if len(attempts) > 1 else ())):
        source = Source(season, played, attempt)
        prefix = "" if attempt is None else f"attempt:{attempt}."
        for quantity in _TABLE:
            if attempt is not None and quantity.whole:
                continue
            for of in _all_of(source, quantity):
                value = quantity.read(source, of)
                if value is not None:
                    yield Known(f"{prefix}{quantity.name}{'.' if of else ''}{of}", value, quantity)


def _all_of(source: Source, quantity: Quantity) -> tuple[str, ...]:
    """What may stand behind the quantity's dot; one empty string where nothing does."""
    record = source.record
    match quantity.of:
        case "":
            return ("",)
        case "other":
            return KINDS
        case "stage":
            return STAGES
        case "compressor":
            return tuple(sorted(record.data.yardsticks)) if record else ()
        case _:
            return tuple(sorted(record.config.keys() | record.overrides.keys())) if record else ()
