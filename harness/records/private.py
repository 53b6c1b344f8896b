"""Records and intents without what must not leave this machine: as they are written, and as they are shown.

The law is `harness.privacy`; here it is laid on each field. What was left out is asked for by name when the
attempt is played again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import write_whole
from harness.privacy import (
    SECRET,
    is_masked,
    looks_secret,
    mask_page,
    mask_secret_setting,
    mask_secret_settings,
    mask_secret_words,
    mask_setting,
    mask_settings,
    mask_text,
    mask_words,
    own_hosts,
    secret_values,
)
from harness.records.intent import Intent
from harness.records.launch import Launch
from harness.records.record import RunRecord, dump_record, hash_config


def private_record(record: RunRecord, here: bool = False) -> RunRecord:
    """Return a record without secrets, places, users and hosts; the same one where it holds none.

    here: it was played on this machine just now, whose name its log may call.
    """
    values, hosts = secret_values(record.overrides, record.config), own_hosts() if here else ()

    def text(words: str) -> str:
        return mask_text(words, values, hosts)

    changes: dict[str, Any] = {
        "overrides": mask_settings(record.overrides),
        "config": mask_settings(record.config),
        "command": mask_words(record.command, values),
        "arguments": mask_words(record.arguments, values),
        "warnings": tuple(map(text, record.warnings)),
        "produced": {text(name): size for name, size in record.produced.items()},
        "stop_reason": text(record.stop_reason) if record.stop_reason else None,
    }
    if python := record.environment.interpreter:
        masked = mask_setting("python", python)
        changes["environment"] = record.environment.model_copy(update={"interpreter": masked})
    if record.failure:
        last_lines = tuple(map(text, record.failure.last_lines))
        changes["failure"] = record.failure.model_copy(
            update={"message": text(record.failure.message), "last_lines": last_lines}
        )
    if record.provenance:
        source = mask_text(record.provenance.source)
        changes["provenance"] = record.provenance.model_copy(update={"source": source})
    changes = {name: value for name, value in changes.items() if value != getattr(record, name)}
    if "config" in changes and record.config_hash == hash_config(record.config):
        changes["config_hash"] = hash_config(changes["config"])
    return record.model_copy(update=changes) if changes else record


def write_record(path: Path, record: RunRecord, here: bool = False) -> RunRecord:
    """Write a record as `private_record` has it, and return that one."""
    record = private_record(record, here)
    write_whole(path, dump_record(record).encode())
    return record


def private_launch(launch: Launch) -> Launch:
    """Return what `launch.json` keeps: no secrets. Its places stay, since git ignores the file."""
    values = secret_values(launch.overrides, launch.config, launch.environ)
    changes = {
        "overrides": mask_secret_settings(launch.overrides),
        "config": mask_secret_settings(launch.config),
        "environ": mask_secret_settings(launch.environ),
        "command": tuple(_without(word, values) for word in mask_secret_words(launch.command)),
        "arguments": mask_secret_words(launch.arguments),
    }
    return launch.model_copy(update=changes)


def private_intent(intent: Intent) -> Intent:
    """Return what `round.toml` keeps: no secrets. Places stay, since the hole is played from it."""
    changes: dict[str, Any] = {name: mask_page(getattr(intent, name)) for name in ("title", "hypothesis")}
    changes["overrides"] = mask_secret_settings(intent.overrides)
    changes["arguments"] = mask_secret_words(intent.arguments)
    return intent.model_copy(update=changes)


def shown_intent(intent: Intent) -> Intent:
    """Return an intent as others see it: a script by its name, settings as a record keeps them."""
    changes: dict[str, Any] = {name: mask_text(getattr(intent, name)) for name in ("title", "hypothesis")}
    changes["overrides"] = mask_settings(intent.overrides)
    changes["arguments"] = mask_words(intent.arguments)
    for name in ("script", "python"):
        if value := getattr(intent, name):
            changes[name] = mask_words([value])[0]
    return intent.model_copy(update=changes)


def _without(word: str, values: Iterable[str]) -> str:
    for value in values:
        word = word.replace(value, SECRET)
    return mask_page(word)


def warn_of_secrets(settings: Mapping[str, str]) -> list[str]:
    """Return a sentence for each setting that is handed over and kept nowhere."""
    return [
        f"override {name} looks like a secret: the run gets it, records and pages show {SECRET}"
        for name, value in settings.items()
        if looks_secret(name, value) or (SECRET in mask_setting(name, value) and SECRET not in value)
    ]


def warn_of_typed_secrets(intent: Intent) -> list[str]:
    """Return a sentence for each word about a hole that holds what looks like a secret."""
    kept = private_intent(intent)
    names = [name for name in ("title", "hypothesis") if getattr(kept, name) != getattr(intent, name)]
    options = ["an option of the script"] if kept.arguments != intent.arguments else []
    return [
        f"{what} holds what looks like a secret: records and pages show {SECRET}"
        for what in (*(f"the {name}" for name in names), *options)
    ]


def refuse_masked(arguments: Iterable[str], place: str) -> None:
    """Refuse options of a script that stand without their secret. Raises UsageError naming the first."""
    option = ""
    for word in arguments:
        if SECRET in word:
            name = word.partition("=")[0] if "=" in word else option or word
            raise UsageError(
                f"{name} was left out of {place}: it looked like a secret",
                f"type the script's options again: harness run ... -- {name} VALUE",
            )
        option = word


def restore(settings: Mapping[str, str], known: Iterable[Mapping[str, str]], place: str) -> dict[str, str]:
    """Return settings with what was left out of them put back.

    known: settings that may hold the values, the first that fits wins: it must come to the same mark.
    place: where the settings stand, for the error.
    Raises UsageError naming the first setting that is nowhere.
    """
    sources, restored = list(known), dict(settings)
    for name, value in settings.items():
        if not is_masked(value):
            continue
        found = [one[name] for one in sources if name in one and not is_masked(one[name])]
        fitting = [
            text for text in found if value in (mask_setting(name, text), mask_secret_setting(name, text))
        ]
        if not fitting:
            kind = "it looked like a secret" if SECRET in value else f"it was a path, {value}"
            raise UsageError(
                f"{name} was left out of {place}: {kind}",
                f"hand it over in the environment: {name}=VALUE harness ...",
            )
        restored[name] = fitting[0]
    return restored
