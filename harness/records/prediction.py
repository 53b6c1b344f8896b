"""What is predicted of a hole, and its seal: `prediction.json`, written when the first attempt starts.

The seal holds the hypothesis, the prediction and the parent as round.toml had them, a date and a hash of all
that. It is never rewritten: what round.toml says at later attempts is added behind it, with its own date. The
first seal is the one that counts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, StringConstraints, ValidationError, model_validator

from harness.documents import MissingFile, read_model
from harness.errors import HarnessError, UsageError, explain, nearest
from harness.files import write_whole
from harness.records.frozen import AwareDatetime, Frozen
from harness.records.origin import Sha256
from harness.records.store import Hole

Metric = Literal["val_bpb", "artifact_bytes", "step_ms"]
Direction = Literal["lower", "higher"]
Reference = Literal["parent", "par"]
MAX_SEALS = 1000
MAX_BYTES = 2_000_000  # of the file

Hypothesis = Annotated[str, StringConstraints(max_length=20_000)]
Size = Annotated[float, Field(ge=0, le=1e15)]


class Prediction(Frozen):
    """What is expected of a hole beside its reference: a metric that will be lower or higher.

    size: by at least so much, in the metric's unit; 0 asks for the direction alone. against: the parent where
    there is one and par otherwise, unless it is named.
    """

    metric: Metric
    direction: Direction
    size: Size = 0.0
    against: Reference | None = None

    @property
    def text(self) -> str:
        size = f" by at least {self.size:,.10g}" if self.size else ""
        return f"{self.metric} {self.direction}{size}"


def parse_prediction(text: str) -> Prediction:
    """Read `val_bpb lower 0.005` or `artifact_bytes lower 1000 par`. Raises UsageError with that form."""
    form = 'write it like --predict "val_bpb lower 0.005", with "par" behind it to predict against par'
    words = text.split()
    if not 2 <= len(words) <= 4:
        raise UsageError(f'--predict "{text}" is no prediction', form)
    for word, known in zip(words, (get_args(Metric), get_args(Direction)), strict=False):
        if word not in known:
            close = nearest(word, known)
            meant = f"did you mean {close}? " if close else ""
            raise UsageError(f'--predict "{text}": {word} is not known', f"{meant}use {', '.join(known)}")
    rest = words[2:]
    against = rest.pop() if rest and rest[-1] in get_args(Reference) else None
    try:
        size = float(rest[0]) if rest else 0.0
        if len(rest) > 1:
            raise ValueError
        return Prediction.model_validate(
            {"metric": words[0], "direction": words[1], "size": size, "against": against}
        )
    except ValueError:  # pydantic's errors are ValueErrors
        raise UsageError(f'--predict "{text}": the size is not a number of at least 0', form) from None


class Seal(Frozen):
    """What was said of a hole on a day. sha256: of all the rest."""

    sealed_at: AwareDatetime
    hypothesis: Hypothesis = ""
    prediction: Prediction | None = None
    parent: Annotated[str, StringConstraints(max_length=200)] | None = None
    sha256: Sha256

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.sha256 != _digest(self.sealed_at, self.hypothesis, self.prediction, self.parent):
            raise ValueError("the hash does not belong to what is sealed: it was changed by hand")
        return self

    def says(self, hypothesis: str, prediction: Prediction | None, parent: str | None) -> bool:
        return (self.hypothesis, self.prediction, self.parent) == (hypothesis.strip(), prediction, parent)


class Seals(Frozen):
    """Everything that was said of one hole while it was played, oldest first."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    history: Annotated[tuple[Seal, ...], Field(max_length=MAX_SEALS)] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days = [seal.sealed_at for seal in self.history]
        if days != sorted(days):
            raise ValueError("the seals are not in the order of their dates")
        return self

    @property
    def first(self) -> Seal | None:
        return self.history[0] if self.history else None


def _digest(when: dt.datetime, hypothesis: str, prediction: Prediction | None, parent: str | None) -> str:
    told = {
        "sealed_at": when.astimezone(dt.UTC).isoformat(),
        "hypothesis": hypothesis,
        "prediction": prediction.model_dump(mode="json") if prediction else None,
        "parent": parent,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def make_seal(when: dt.datetime, hypothesis: str, prediction: Prediction | None, parent: str | None) -> Seal:
    hypothesis = hypothesis.strip()
    digest = _digest(when, hypothesis, prediction, parent)
    return Seal(sealed_at=when, hypothesis=hypothesis, prediction=prediction, parent=parent, sha256=digest)


def load_seals(path: Path) -> Seals:
    """Read a `prediction.json`; a missing one holds none. Raises FileProblem with what is wrong."""
    hint = "restore it from git; without its seal a prediction is not scored"
    try:
        return read_model(Seals, path, MAX_BYTES, hint)
    except MissingFile:
        return Seals()


def seal(
    hole: Hole,
    hypothesis: str,
    prediction: Prediction | None,
    parent: str | None,
    when: dt.datetime,
    first: bool,
) -> None:
    """Seal what round.toml says as an attempt starts; where it is sealed already, add what has changed.

    first: whether this is the hole's first attempt. A hole that was played without a seal gets none later.
    """
    from filelock import FileLock  # brings asyncio, which `harness ls` need not wait for

    if not first and not hole.prediction_path.exists():
        return
    try:
        with FileLock(hole.path / ".prediction.lock", timeout=10):
            seals = load_seals(hole.prediction_path)
            if seals.history and seals.history[-1].says(hypothesis, prediction, parent):
                return
            if not seals.history and not (first and (hypothesis.strip() or prediction)):
                return
            added = make_seal(when, hypothesis, prediction, parent)
            seals = Seals(history=(*seals.history, added))
            text = seals.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n"
            write_whole(hole.prediction_path, text.encode())
    except ValidationError as error:
        raise HarnessError(
            f"{hole.path}: what round.toml predicts cannot be sealed: {explain(error)}",
            "check the clock of this machine, and shorten the hypothesis if it is long",
        ) from error
    except OSError as error:  # no lock
        raise HarnessError(
            f"cannot write in {hole.path}: {error.strerror or error}", "check the folder's permissions"
        ) from error
