"""The configurations of a hole's attempts: one, unless somebody insisted on a second one.

Settings                  what makes attempts one experiment; only the seed may differ
differences()             in which of them two attempts differ, old value and new
earlier_configurations()  the scores of a hole that its score is no mean of
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.figures import bpb, number
from harness.privacy import mask_settings
from harness.records.launch import Launch
from harness.records.record import UNHASHED_KNOBS, Code, Data, RunRecord, recorded_config
from harness.records.seeds import is_same_play, sample_of
from trainer.config import NEUTRAL

_SHORT_HASH = 10
MOST_SHOWN = 12  # differences that a sentence names


class Difference(NamedTuple):
    """One setting or fact. None: not set, or not known."""

    name: str
    before: str | None
    now: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.before or 'not set'} -> {self.now or 'not set'}"


@dataclass(frozen=True)
class Settings:
    """What an attempt was or will be played with. config: as a record keeps it."""

    config: Mapping[str, str]
    code: Code
    course: str
    split: str | None
    preset: str | None
    data: Data


def settings_of(record: RunRecord) -> Settings:
    return Settings(record.config, record.code, record.course, record.split, record.preset, record.data)


def settings_of_launch(launch: Launch) -> Settings:
    """Return the settings of an attempt that has no record yet."""
    config = mask_settings(recorded_config(launch.config, launch.overrides))
    return Settings(config, launch.code, launch.course, launch.split, launch.preset, launch.data)


def differences(before: Settings, now: Settings) -> tuple[Difference, ...]:
    """Return what differs, by name. What one side does not know is no difference, but code and settings are:
    nothing shows that they are the same."""
    facts: list[tuple[str, str | None, str | None]] = [
        ("course", before.course, now.course),
        ("code", _describe_code(before.code), _describe_code(now.code)),
    ]
    known = [
        ("split", before.split, now.split),
        ("training data", _short(before.data.train_fingerprint), _short(now.data.train_fingerprint)),
        ("tokenizer", _short(before.data.tokenizer_sha256), _short(now.data.tokenizer_sha256)),
    ]
    facts += [(name, a, b) for name, a, b in known if a is not None and b is not None]
    if before.config or not now.config:  # a script without knobs has no settings, then as now
        old, new = _counted(before.config), _counted(now.config)
        facts += [(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    else:
        facts.append(("settings", "not recorded", "those of this run"))
    found = [Difference(name, a, b) for name, a, b in facts if a != b]
    if found and before.preset != now.preset:
        found.insert(0, Difference("preset", before.preset, now.preset))
    return tuple(found)


def describe_differences(found: Sequence[Difference]) -> str:
    more = len(found) - MOST_SHOWN
    return ", ".join(map(str, found[:MOST_SHOWN])) + (f", and {more} more" if more > 0 else "")


def _counted(config: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in config.items()
        if name not in UNHASHED_KNOBS and (name, value) not in NEUTRAL
    }


def _describe_code(code: Code) -> str:
    return f"{code.trainer} {_short(code.source_sha256) or 'of unknown hash'}"


def _short(sha: str | None) -> str | None:
    return sha[:_SHORT_HASH] if sha else None


class Earlier(NamedTuple):
    """A configuration that was played in a hole before its current one. attempts: their numbers.

    val_bpb: mean over its seeds. differs: from this one to the current one, in words.
    """

    attempts: tuple[int, ...]
    seeds: int
    val_bpb: float
    differs: str

    def __str__(self) -> str:
        attempts = f"attempt{'s' if len(self.attempts) > 1 else ''} {', '.join(map(str, self.attempts))}"
        return f"{bpb(self.val_bpb)} ({number(self.seeds, 'seed')}, {attempts}; since then {self.differs})"


def earlier_configurations(records: Sequence[RunRecord], group: Sequence[RunRecord]) -> tuple[Earlier, ...]:
    """Return the configurations of the complete records that are not in the group behind the score."""
    rest = [record for record in records if record.complete and record not in group]
    found: list[Earlier] = []
    while rest:
        same = [record for record in rest if is_same_play(record, rest[0])]
        rest = [record for record in rest if record not in same]
        sample = sample_of(same)
        if sample is not None:
            changes = differences(settings_of(same[-1]), settings_of(group[-1]))
            numbers = tuple(record.attempt for record in same)
            found.append(Earlier(numbers, sample.n, sample.mean, describe_differences(changes)))
    return tuple(found)
