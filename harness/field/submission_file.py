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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.field import submission_keys as keys
from harness.files import open_file

MAX_BYTES = 4 * 1024 * 1024  # of a submission file; the largest public one has 4 kB
ROUNDING_BPB = 6e-5  # a hand-written score may be the log's, rounded to four places

_PULL_REQUESTS = ("pr", "pr_number", "pull_request", "pull_request_number", "pr_url", "pull_request_url")
MAX_ADDRESS = 2_000  # characters
_PULL_REQUEST = re.compile(r"(?:PR ?)?#?([1-9]\d{0,8})|.*/pull/([1-9]\d{0,8})(?:[/?#].*)?", re.IGNORECASE)


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
        with open_file(path) as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    return parse_submission(raw, str(path))


def read_values(path: Path) -> object:
    """Return a submission file's JSON as it stands, for what has no key of its own; None where it is none."""
    try:
        with open_file(path) as file:
            return json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def leaves(
    value: object, keys: tuple[str, ...] = (), depth: int = 0
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every single value of a JSON value with the keys that lead to it; nothing below six levels."""
    if isinstance(value, dict | list):
        if depth < 6:
            items = value.items() if isinstance(value, dict) else ((None, inner) for inner in value)
            for name, inner in items:
                yield from leaves(inner, keys if name is None else (*keys, str(name)), depth + 1)
    else:
        yield keys, value


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
        view = keys.view_of(raw)
        seeds, n_seeds = self._seeds(view)
        bpb, loss = self._number(view, keys.score_keys(view)), self._number(view, keys.LOSSES)
        bpb, loss = self._check_scores(bpb, loss, view)
        model_keys = tuple(key for key in view if keys.MODEL_KEY.match(key))
        return SubmissionFile(
            source=place,
            name=self._text(view, keys.NAMES),
            author=self._author(view),
            github_id=self._text(view, keys.GITHUB_IDS),
            date=self._date(view),
            pr=self._pull_request(view),
            track=self._text(view, ("track",)),
            blurb=self._text(view, keys.BLURBS),
            hardware=self._text(view, keys.HARDWARE),
            val_bpb=bpb,
            val_loss=loss,
            val_bpb_std=self._number(view, keys.BPB_STD),
            val_loss_std=self._number(view, keys.LOSS_STD),
            pre_quant_val_bpb=self._number(view, keys.PRE_BPB),
            pre_quant_val_loss=self._number(view, keys.PRE_LOSS),
            bytes_total=self._size(view),
            bytes_code=self._count(view, keys.CODES),
            bytes_model=self._count(view, model_keys),
            steps=self._count(view, keys.STEPS),
            wall_seconds=self._number(view, keys.WALL),
            eval_seconds=self._numbers(view, "eval_time_seconds"),
            model_params=self._count(view, keys.PARAMS),
            n_seeds=n_seeds,
            seeds=seeds,
            extra={key: value for key, value in raw.items() if keys.fold(key) not in self.read_keys},
            warnings=tuple(self.warnings),
        )

    def _author(self, view: Mapping[str, Any]) -> str | None:
        """Return a name; several names are joined, of an object its name is taken."""
        for key in keys.AUTHORS:
            value = view.get(key)
            people = value if isinstance(value, list) else [value]
            names = [
                name.strip()
                for person in people[:100]
                for name in [person.get("name") if isinstance(person, dict) else person]
                if isinstance(name, str) and name.strip()
            ]
            if names and not isinstance(value, str):
                self.read_keys.add(key)
                return ", ".join(names)
        return self._text(view, keys.AUTHORS)

    def _size(self, view: Mapping[str, Any]) -> int | None:
        """Return the artifact's bytes; 0 is a placeholder, and a small number is not in bytes."""
        size = self._count(view, keys.TOTALS)
        if size is None or size >= 1000:
            return size
        self._warn(f"the artifact's size is {size}, which is no number of bytes; not read")
        return None

    def _warn(self, text: str) -> None:
        if len(self.warnings) < 100:
            self.warnings.append(text)

    def _text(self, raw: Mapping[str, Any], names: Iterable[str]) -> str | None:
        """Return the first non-empty text; other types are odd, but a number is still a name."""
        for key in names:
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

    def _number(self, raw: Mapping[str, Any], names: Iterable[str]) -> float | None:
        """Return the first finite number; a number in quotes is taken, with a warning."""
        for key in names:
            value = raw.get(key)
            if value is None:
                self.read_keys.update({key} & raw.keys())
                continue
            number = keys.as_number(value)
            if number is None:
                self._warn(f"{key} is {_kind(value)}, not a number; not read")
                continue
            if isinstance(value, str):
                self._warn(f"{key} is a number in quotes")
            self.read_keys.add(key)
            return number
        return None

    def _count(self, raw: Mapping[str, Any], names: Iterable[str]) -> int | None:
        for key in names:
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
            return tuple(number for item in value[:1000] if (number := keys.as_number(item)) is not None)
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
            is_named = isinstance(value, int | str) and not isinstance(value, bool)
            text = str(value).strip() if is_named else ""
            match = _PULL_REQUEST.fullmatch(text) if len(text) <= MAX_ADDRESS else None
            if match is None:
                self._warn(f"{key} {str(value)[:60]!r} is no number or address of a pull request; not read")
                continue
            self.read_keys.add(key)
            return int(match[1] or match[2])
        return None

    def _check_scores(
        self, bpb: float | None, loss: float | None, raw: Mapping[str, Any]
    ) -> tuple[float | None, float | None]:
        """Drop placeholders, and notice a bpb that stands under val_loss.

        Nats over bits per byte are 0.69 for bytes and 1.6 and more for the vocabularies of the challenge, so
        one number that stands twice is wrong once; a loss below 0.98 alone may be one of bytes.
        """
        words = keys.as_number(raw.get("vocab_size"))
        bpb, loss = self._plausible("val_bpb", bpb), self._plausible("val_loss", loss)
        if loss is not None and bpb is None and 0.98 < loss < 1.5 and (words is None or words >= 1024):
            self._warn(f"val_loss {loss} is too low for nats per token; it may be the score in bits per byte")
        elif loss is not None and bpb is not None and math.isclose(loss, bpb, rel_tol=0.02):
            self._warn(f"val_loss {loss} looks like a score in bits per byte beside val_bpb {bpb}")
        return bpb, loss

    def _plausible(self, name: str, value: float | None) -> float | None:
        if value is None or not keys.is_placeholder(value):
            return value
        self._warn(f"{name} is {value}, which no run scores; not read")
        return None

    def _seeds(self, view: Mapping[str, Any]) -> tuple[tuple[SeedScore, ...], int | None]:
        """Read scores by seed: an object by seed, a list of runs with their seed, two lists side by side."""
        scores: dict[str, SeedScore] = {}
        for key in keys.SEED_OBJECTS:
            value = view.get(key)
            by_seed = [(str(seed), run) for seed, run in value.items()] if isinstance(value, dict) else []
            if isinstance(value, dict) and (seeds := keys.seeds_in(value)):
                by_seed = list(seeds.items())
            elif isinstance(value, list):
                by_seed = list(keys.listed_runs(value))
            elif value is not None and not isinstance(value, dict) and key in ("seed_results", "seeds"):
                self._warn(f"{key} is {_kind(value)}, neither a list nor an object; not read")
            if by_seed:
                self.read_keys.add(key)
            for seed, result in by_seed[:1000]:
                score = self._seed_score(seed, result)
                if seed not in scores or scores[seed].val_bpb is None:
                    scores[seed] = score
        for key in ("results", "result"):  # {"results": {"seed_42": {..}}}
            value = view.get(key)
            if not scores and isinstance(value, dict) and (seeds := keys.seeds_in(value)):
                scores = {seed: self._seed_score(seed, result) for seed, result in seeds.items()}
        self._listed_seeds(view, scores)
        single = view.get("seed")
        if not scores and isinstance(single, int) and not isinstance(single, bool):
            self.read_keys.add("seed")
            scores[str(single)] = SeedScore(str(single))
        count = self._count(view, ("n_seeds", "num_seeds"))
        if count is not None and scores and count != len(scores):
            self._warn(f"n_seeds is {count}, but {len(scores)} seeds are named")
        return tuple(scores.values()), len(scores) or count

    def _listed_seeds(self, view: Mapping[str, Any], scores: dict[str, SeedScore]) -> None:
        """Add the seeds of a plain list, with the scores of the list beside it."""
        listed = view.get("seeds")
        if not isinstance(listed, list):
            return
        self.read_keys.add("seeds")
        names = [str(seed) for seed in listed[:1000] if isinstance(seed, int | str)]
        key = next((key for key in keys.SEED_LISTS if isinstance(view.get(key), list)), None)
        values = [keys.as_number(item) for item in view[key][:1000]] if key else []
        if values and len(values) != len(names):
            self._warn(f"{len(names)} seeds but {len(values)} {key}; not matched")
        elif key and values:
            self.read_keys.add(key)
        for index, name in enumerate(names):
            bpb = values[index] if len(values) == len(names) else None
            if name not in scores:
                scores[name] = SeedScore(name, bpb)
        if len(set(names)) < len(names):
            self._warn("a seed is listed twice")

    def _seed_score(self, seed: str, result: object) -> SeedScore:
        if not isinstance(result, dict):
            return SeedScore(seed, keys.as_number(result))
        view = keys.view_of(result)
        before = len(self.warnings)
        score = SeedScore(
            seed,
            self._plausible("val_bpb", self._number(view, keys.score_keys(view))),
            self._plausible("val_loss", self._number(view, keys.LOSSES)),
            self._count(view, keys.TOTALS) or None,
            self._count(view, keys.STEPS),
        )
        self.warnings[before:] = [f"seed {seed[:40]}: {text}" for text in self.warnings[before:]]
        return score


def _parse_int(digits: str) -> int | float:
    """Read an integer of JSON; beyond 300 digits it is no number we know, and costs quadratic time."""
    return int(digits) if len(digits) <= 300 else math.nan


def _kind(value: object) -> str:
    names = {bool: "true or false", list: "a list", dict: "an object", str: "a text"}
    return names.get(type(value), "no finite number")
