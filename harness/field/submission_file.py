"""Reads the submission file of a public record, in any of its many shapes.

A submission file is written by hand: its keys vary, its numbers sometimes disagree with the logs; that is
`harness.field.submission_check`'s. Knows nothing of where records are stored.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

MAX_BYTES = 4 * 1024 * 1024  # of a submission file; the largest public one has 4 kB
ROUNDING_BPB = 6e-5  # a hand-written score may be the log's, rounded to four places

# Our name <- the keys it goes by, best first.
_SCORES = ("val_bpb", "mean_val_bpb", "mean_bpb")
_LOSSES = ("val_loss", "mean_val_loss", "val_loss_nats", "mean_val_loss_nats")
_TOTALS = (
    "bytes_total",
    "artifact_bytes",
    "artifact_size_bytes",
    "artifact_bytes_max",
    "artifact_bytes_mean",
)
_CODES = ("bytes_code", "code_bytes")
_NAMES = ("name", "run_name")
_STEPS = ("step_stop", "steps", "train_steps")
_PULL_REQUESTS = ("pr", "pr_number", "pull_request", "pull_request_number", "pr_url", "pull_request_url")
_PULL_REQUEST = re.compile(r"(?:PR ?)?#?([1-9]\d{0,8})|.*/pull/([1-9]\d{0,8})(?:[/?#].*)?", re.IGNORECASE)
_MODEL_KEY = re.compile(r"bytes_model(_\w+)?$")


@dataclass(frozen=True)
class SeedScore:
    """What a submission says of one of its runs."""

    seed: str
    val_bpb: float | None = None
    val_loss: float | None = None
    artifact_bytes: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class SubmissionFile:
    """A submission file, read tolerantly. None means that it does not say; `extra` keeps every other key."""

    source: str
    sha256: str = ""
    name: str | None = None
    author: str | None = None
    github_id: str | None = None
    date: dt.date | None = None
    pr: int | None = None
    track: str | None = None
    blurb: str | None = None
    hardware: str | None = None
    val_bpb: float | None = None
    val_loss: float | None = None
    val_bpb_std: float | None = None
    val_loss_std: float | None = None
    pre_quant_val_bpb: float | None = None
    pre_quant_val_loss: float | None = None
    bytes_total: int | None = None
    bytes_code: int | None = None
    bytes_model: int | None = None
    steps: int | None = None
    wall_seconds: float | None = None
    eval_seconds: tuple[float, ...] = ()
    model_params: int | None = None
    n_seeds: int | None = None
    seeds: tuple[SeedScore, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def per_seed_val_bpb(self) -> dict[str, float] | None:
        """Scores by seed, or None when the file gives none."""
        scores = {seed.seed: seed.val_bpb for seed in self.seeds if seed.val_bpb is not None}
        return scores or None


def read_submission(path: Path) -> SubmissionFile:
    """Read a submission file.

    Raises HarnessError naming the file and the place when it cannot be read or is not one JSON object.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}", "check the path") from error
    return parse_submission(raw, str(path))


def parse_submission(raw: bytes, place: str) -> SubmissionFile:
    """Read the bytes of a submission file; `place` is what to call it in an error."""
    if len(raw) > MAX_BYTES:
        raise HarnessError(
            f"{place} is larger than {MAX_BYTES // 2**20} MiB", "a submission file holds a few kilobytes"
        )
    reader = _Reader()
    decoded = reader.decode(raw, place)
    if not isinstance(decoded, dict):
        kind = {list: "a list", str: "a text", type(None): "null"}.get(type(decoded), "a single value")
        raise HarnessError(f"{place} holds {kind}, not a submission", "expected one JSON object: { ... }")
    return replace(reader.submission(decoded, place), sha256=hashlib.sha256(raw).hexdigest())


class _Reader:
    """Takes keys out of a decoded file and remembers what was odd about them."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.read_keys: set[str] = set()

    # JSON ---------------------------------------------------------------------------------------

    def decode(self, raw: bytes, place: str) -> object:
        hint = "restore the file; it must be one JSON object in UTF-8"
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                text = raw.decode("utf-16", "replace")
            else:
                text = raw.decode("latin-1")
            self.warnings.append(f"not UTF-8 at byte {error.start}; read in another encoding")
        try:
            return json.loads(text, object_pairs_hook=self._object, parse_int=_parse_int)
        except json.JSONDecodeError as error:
            raise HarnessError(
                f"{place} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", hint
            ) from error
        except RecursionError as error:
            raise HarnessError(f"{place} is nested too deeply", hint) from error
        except ValueError as error:
            raise HarnessError(f"{place} is not JSON: {error}", hint) from error

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                self._warn(f'key "{key[:80]}" stands twice; the last one counts')
            result[key] = value
        return result

    # Fields -------------------------------------------------------------------------------------

    def submission(self, raw: dict[str, Any], place: str) -> SubmissionFile:
        seeds, n_seeds = self._seeds(raw)
        bpb, loss = self._number(raw, _SCORES), self._number(raw, _LOSSES)
        bpb, loss = self._check_scores(bpb, loss, raw)
        model_keys = tuple(key for key in raw if _MODEL_KEY.match(key))
        return SubmissionFile(
            source=place,
            name=self._text(raw, _NAMES),
            author=self._text(raw, ("author",)),
            github_id=self._text(raw, ("github_id",)),
            date=self._date(raw),
            pr=self._pull_request(raw),
            track=self._text(raw, ("track",)),
            blurb=self._text(raw, ("blurb",)),
            hardware=self._text(raw, ("hardware", "gpu", "platform")),
            val_bpb=bpb,
            val_loss=loss,
            val_bpb_std=self._number(raw, ("val_bpb_std", "std_val_bpb")),
            val_loss_std=self._number(raw, ("val_loss_std", "std_val_loss", "val_loss_nats_std")),
            pre_quant_val_bpb=self._number(raw, ("pre_quant_val_bpb",)),
            pre_quant_val_loss=self._number(raw, ("pre_quant_val_loss",)),
            bytes_total=self._count(raw, _TOTALS),
            bytes_code=self._count(raw, _CODES),
            bytes_model=self._count(raw, model_keys),
            steps=self._count(raw, _STEPS),
            wall_seconds=self._number(raw, ("wallclock_seconds", "train_time_seconds")),
            eval_seconds=self._numbers(raw, "eval_time_seconds"),
            model_params=self._count(raw, ("model_params", "params", "num_params")),
            n_seeds=n_seeds,
            seeds=seeds,
            extra={key: value for key, value in raw.items() if key not in self.read_keys},
            warnings=tuple(self.warnings),
        )

    def _warn(self, text: str) -> None:
        if len(self.warnings) < 100:
            self.warnings.append(text)

    def _text(self, raw: Mapping[str, Any], keys: Iterable[str]) -> str | None:
        """Return the first non-empty text; other types are odd, but a number is still a name."""
        for key in keys:
            value = raw.get(key)
            if isinstance(value, str):
                self.read_keys.add(key)
                if value.strip():
                    return value.strip()
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self.read_keys.add(key)
                self._warn(f"{key} is a number, not a text")
                return str(value)
            elif value is not None:
                self._warn(f"{key} is {_kind(value)}, not a text; not read")
        return None

    def _number(self, raw: Mapping[str, Any], keys: Iterable[str]) -> float | None:
        """Return the first finite number; a number in quotes is taken, with a warning."""
        for key in keys:
            value = raw.get(key)
            if value is None:
                self.read_keys.update({key} & raw.keys())
                continue
            number = _as_number(value)
            if number is None:
                self._warn(f"{key} is {_kind(value)}, not a number; not read")
                continue
            if isinstance(value, str):
                self._warn(f"{key} is a number in quotes")
            self.read_keys.add(key)
            return number
        return None

    def _count(self, raw: Mapping[str, Any], keys: Iterable[str]) -> int | None:
        for key in keys:
            number = self._number(raw, (key,))
            if number is None:
                continue
            if 0 <= number < 1e15:
                return round(number)
            self._warn(f"{key} is {number}, not a count; not read")
        return None

    def _numbers(self, raw: Mapping[str, Any], key: str) -> tuple[float, ...]:
        value = raw.get(key)
        if isinstance(value, list):
            self.read_keys.add(key)
            return tuple(number for item in value[:1000] if (number := _as_number(item)) is not None)
        single = self._number(raw, (key,))
        return () if single is None else (single,)

    def _date(self, raw: Mapping[str, Any]) -> dt.date | None:
        text = self._text(raw, ("date",))
        if text is None:
            return None
        try:
            if not re.match(r"\d{4}-\d\d-\d\d(?:$|[T ])", text):
                raise ValueError
            return dt.date.fromisoformat(text[:10])
        except ValueError:
            self._warn(f"date {text[:40]!r} is not YYYY-MM-DD")
            return None

    def _pull_request(self, raw: dict[str, Any]) -> int | None:
        """Return the number of the submission's own pull request: 1493, "#1493" or its address."""
        for key in _PULL_REQUESTS:
            value = raw.get(key)
            if value is None:
                continue
            match = _PULL_REQUEST.fullmatch(str(value).strip()) if isinstance(value, int | str) else None
            if match is None or isinstance(value, bool):
                self._warn(f"{key} {str(value)[:60]!r} is no number or address of a pull request; not read")
                continue
            self.read_keys.add(key)
            return int(match[1] or match[2])
        return None

    def _check_scores(
        self, bpb: float | None, loss: float | None, raw: Mapping[str, Any]
    ) -> tuple[float | None, float | None]:
        """Drop placeholders, and notice a bpb that stands under val_loss.

        Nats over bits per byte are 0.69 for bytes and 1.6 and more for the vocabularies of the challenge.
        """
        words = _as_number(raw.get("vocab_size"))
        bpb, loss = self._plausible("val_bpb", bpb), self._plausible("val_loss", loss)
        if loss is not None and bpb is None and 0 < loss < 1.5 and (words is None or words >= 1024):
            self._warn(f"val_loss {loss} is too low for nats per token; it may be the score in bits per byte")
        elif loss is not None and bpb is not None and 0.9 < loss / bpb < 1.2:
            self._warn(f"val_loss {loss} looks like a score in bits per byte beside val_bpb {bpb}")
        return bpb, loss

    def _plausible(self, name: str, value: float | None) -> float | None:
        if value is None or 0 < value < 100:
            return value
        self._warn(f"{name} is {value}, which no run scores; not read")
        return None

    def _seeds(self, raw: Mapping[str, Any]) -> tuple[tuple[SeedScore, ...], int | None]:
        """Read scores by seed from `seed_results`, a `seeds` object, or `seeds` beside `seed_scores`."""
        scores: dict[str, SeedScore] = {}
        for key in ("seed_results", "seeds"):
            value = raw.get(key)
            if isinstance(value, dict):
                self.read_keys.add(key)
                for seed, result in list(value.items())[:1000]:
                    scores.setdefault(str(seed), self._seed_score(str(seed), result))
            elif value is not None and not isinstance(value, list):
                self._warn(f"{key} is {_kind(value)}, neither a list nor an object; not read")
        listed, listed_scores = raw.get("seeds"), raw.get("seed_scores")
        if isinstance(listed, list):
            self.read_keys.add("seeds")
            names = [str(seed) for seed in listed[:1000] if isinstance(seed, int | str)]
            values = (
                [_as_number(item) for item in listed_scores[:1000]] if isinstance(listed_scores, list) else []
            )
            if values and len(values) != len(names):
                self._warn(f"{len(names)} seeds but {len(values)} seed_scores; not matched")
            elif values:
                self.read_keys.add("seed_scores")
            for index, name in enumerate(names):
                bpb = values[index] if len(values) == len(names) else None
                scores.setdefault(name, SeedScore(name, bpb))
            if len(set(names)) < len(names):
                self._warn("a seed is listed twice")
        single = raw.get("seed")
        if not scores and isinstance(single, int) and not isinstance(single, bool):
            self.read_keys.add("seed")
            scores[str(single)] = SeedScore(str(single))
        count = self._count(raw, ("n_seeds",))
        if count is not None and scores and count != len(scores):
            self._warn(f"n_seeds is {count}, but {len(scores)} seeds are named")
        return tuple(scores.values()), len(scores) or count

    def _seed_score(self, seed: str, result: object) -> SeedScore:
        if not isinstance(result, dict):
            return SeedScore(seed, _as_number(result))
        before = len(self.warnings)
        score = SeedScore(
            seed,
            self._plausible("val_bpb", self._number(result, _SCORES)),
            self._plausible("val_loss", self._number(result, _LOSSES)),
            self._count(result, ("artifact_bytes", "bytes_total", "artifact_size_bytes")),
            self._count(result, ("steps", "step_stop", "train_steps")),
        )
        self.warnings[before:] = [f"seed {seed[:40]}: {text}" for text in self.warnings[before:]]
        return score


def _parse_int(digits: str) -> int | float:
    """Read an integer of JSON; beyond 300 digits it is no number we know, and costs quadratic time."""
    return int(digits) if len(digits) <= 300 else math.nan


def _as_number(value: object) -> float | None:
    """Return a finite number, also out of quotes."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip().replace(",", "")
        if not re.fullmatch(r"[-+]?\d{1,20}(?:\.\d{0,40})?(?:[eE][-+]?\d{1,3})?", text):
            return None
        value = float(text)
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _kind(value: object) -> str:
    names = {bool: "true or false", list: "a list", dict: "an object", str: "a text"}
    return names.get(type(value), "no finite number")
