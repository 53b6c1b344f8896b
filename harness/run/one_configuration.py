"""One hole is one configuration: what is about to be played is held against what the hole was played with.

Another one would take the place of the hole's score without a word. It is refused, with the command that
plays it in the next free hole; `--reopen` insists.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.privacy import mask_secret_settings, mask_secret_words, mask_settings
from harness.records.intent import Intent
from harness.records.launch import load_launch
from harness.records.prediction import Prediction
from harness.records.record import find_record, hash_config
from harness.records.references import is_public
from harness.records.store import Attempt, Hole, Store
from harness.run.request import RunRequest, TrainerSetup
from harness.season.aliases import next_number
from harness.season.configurations import (
    Difference,
    Settings,
    describe_differences,
    differences,
    settings_of,
    settings_of_launch,
)

_WORDS = ("title", "hypothesis", "prediction", "parent")  # of round.toml: what a hole is about
_SEALED = ("hypothesis", "prediction")  # when the first attempt starts


@dataclass(frozen=True)
class Played:
    """The newest attempt that binds a hole to its configuration, or one that failed and binds to nothing."""

    attempt: int
    settings: Settings
    config_hash: str | None
    binds: bool


def played_attempts(hole: Hole) -> list[Played]:
    """Return the attempts whose settings are known, in order.

    One that failed by itself binds to nothing: it has no score, and what made it fail is mended. One that
    was stopped, is being played or was killed binds: it may go on.
    """
    found = []
    for attempt in hole.attempts:
        with contextlib.suppress(HarnessError):  # not readable: other commands say so
            if played := _read(attempt):
                found.append(played)
    return found


def _read(attempt: Attempt) -> Played | None:
    record = find_record(attempt.record_path)
    if record is not None:
        return Played(attempt.number, settings_of(record), record.config_hash, record.status != "failed")
    if not attempt.launch_path.is_file():
        return None
    settings = settings_of_launch(load_launch(attempt.launch_path))
    return Played(attempt.number, settings, hash_config(settings.config), binds=True)


def check_configuration(
    hole: Hole, intent: Intent, planned: Intent, trainer: TrainerSetup, request: RunRequest
) -> tuple[str, ...]:
    """Refuse another configuration than the hole's, and words that its round.toml has otherwise.

    intent: of round.toml as it stands. planned: with what was typed. Returns notes on failed attempts whose
    settings differ, and on what `--reopen` changes. Raises UsageError.
    """
    attempts = played_attempts(hole)
    bound = next((one for one in reversed(attempts) if one.binds), None)
    words = _changed_words(intent, planned, hole)
    if bound is None:
        sealed = _SEALED if hole.attempts else ()
        _refuse_words([word for word in words if word.name in ("parent", *sealed)], hole, request)
        return _notes_on_failed(attempts, trainer, planned)
    changes = _differences(bound, trainer, planned)
    if request.reopen:
        if not changes:
            return ()
        return (
            f"{hole.name.folder} is reopened with another configuration than attempt {bound.attempt}: "
            f"{describe_differences(changes)}; the score will be that of the new one",
        )
    if changes:
        number = next_number(Store(hole.path.parent))
        command = offered_command(number, hole, planned, request)
        raise UsageError(
            f"{hole.name.folder} was played with another configuration (attempt {bound.attempt}): "
            f"{describe_differences([*changes, *words])}",
            f"one hole is one configuration; the next free hole is {number}: `{command}`; "
            f"or insist with --reopen: then {hole.name.folder} shows both, and its score is the new one's",
        )
    _refuse_words(words, hole, request)
    return ()


def _refuse_words(words: Sequence[Difference], hole: Hole, request: RunRequest) -> None:
    if words and not request.reopen:
        names = {"prediction": "predict"}
        options = " and ".join(f"--{names.get(word.name, word.name)}" for word in words)
        raise UsageError(
            f"{hole.intent_path} says otherwise: {describe_differences(words)}",
            f"leave {options} out, or insist with --reopen: then it is written there",
        )


def _differences(played: Played, trainer: TrainerSetup, planned: Intent) -> tuple[Difference, ...]:
    config = mask_settings(trainer.config)
    before = played.settings
    course = planned.course or before.course  # a script's that nobody named stays what it was
    now = Settings(config, trainer.code, course, trainer.split, trainer.preset, trainer.data)
    if played.config_hash in (hash_config(config), hash_config(trainer.config)):
        before = Settings(config, before.code, before.course, before.split, before.preset, before.data)
    return differences(before, now)


def _changed_words(intent: Intent, planned: Intent, hole: Hole) -> list[Difference]:
    """Return the words of round.toml that were typed otherwise; what it leaves open is filled in, as long as
    it is not sealed."""
    found = []
    for name in _WORDS:
        before, now = getattr(intent, name), getattr(planned, name)
        if before == now or (not before and name not in _SEALED):
            continue
        if name == "parent" and _is_same_parent(before, now, Store(hole.path.parent)):
            continue
        found.append(Difference(name, _quoted(before), _quoted(now)))
    return found


def _is_same_parent(written: str, full: str, store: Store) -> bool:
    """Whether two names mean one parent. full: the whole name."""
    if is_public(written):
        return full.startswith(written)
    meant = store.find(written)
    return meant is not None and meant.name.folder == full


def _quoted(value: str | Prediction | None) -> str | None:
    return repr(value.text if isinstance(value, Prediction) else value) if value else None


def _notes_on_failed(attempts: Sequence[Played], trainer: TrainerSetup, planned: Intent) -> tuple[str, ...]:
    """Say in which way the newest failed attempt was of another configuration."""
    if not attempts or not (changes := _differences(attempts[-1], trainer, planned)):
        return ()
    return (
        f"attempt {attempts[-1].attempt} failed with another configuration: {describe_differences(changes)}",
    )


def offered_command(number: int, hole: Hole, planned: Intent, request: RunRequest) -> str:
    """Return the command that plays a plan in a new hole, quoted for a shell: the hole is its parent.

    What looks like a secret is left out of it, as it is of every message.
    """
    words = ["harness", "run", str(number)]
    for option, value in (
        ("--title", request.title),
        ("--hypothesis", request.hypothesis),
        ("--paired" if request.paired else "--parent", request.parent or hole.name.folder),
        ("--course", planned.course),
    ):
        words += [option, value] if value else []
    if request.prediction:
        words += ["--predict", _predict_words(request)]
    if planned.module:
        words += ["--module", planned.module]
    elif planned.script:
        words += ["--script", str(request.script or _script_from_here(planned.script, hole))]
    elif planned.preset:
        words += ["--preset", planned.preset]
    words += ["--python", planned.python] if planned.python else []
    for name, value in sorted(mask_secret_settings(planned.overrides).items()):
        words += ["-o", f"{name}={value}"]
    if request.seeds and not request.paired:
        words += ["--seeds" if len(request.seeds) > 1 else "--seed", ",".join(map(str, request.seeds))]
    words += request.other_options
    if planned.arguments:
        words += ["--", *mask_secret_words(planned.arguments)]
    return shlex.join(words)


def _predict_words(request: RunRequest) -> str:
    prediction = request.prediction
    assert prediction is not None
    size = f"{prediction.size:.10g}" if prediction.size else ""
    return " ".join(filter(None, (prediction.metric, prediction.direction, size, prediction.against)))


def _script_from_here(script: str, hole: Hole) -> Path:
    """Return the script that round.toml names as it can be typed here."""
    here = Path(script).expanduser()
    places = (here, hole.path / here, hole.path.parent.parent / here)
    return next((place for place in places if place.is_file()), here)
