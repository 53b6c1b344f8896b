"""A hole played again as it was recorded: its configuration, its code, its data; only the seeds are new.

Where that cannot be done (the code has changed, the data is another), the error says what differs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.courses.corpus import ProgressCallback
from harness.courses.course import is_unknown
from harness.errors import Exit, HarnessError, UsageError
from harness.files import plain_below
from harness.privacy import mask_setting, mask_settings, mask_words
from harness.records.arguments import as_template, is_argument
from harness.records.launch import Launch, load_launch
from harness.records.private import refuse_masked, restore
from harness.records.record import UNHASHED_KNOBS, RunRecord
from harness.run.interpreter import find_interpreter
from harness.run.plan import Plan, find_script, make_plan, same_experiment
from harness.run.request import RunRequest
from harness.run.trust import ForeignStart, Trusted, describe_script, own_launches, require_trust
from harness.scripts.snapshot import take_snapshot
from harness.season.hole import PlayedHole, load_hole
from trainer.config import NEUTRAL


def plan_again(played: PlayedHole, request: RunRequest, runs: Path, progress: ProgressCallback) -> Plan:
    """Plan the attempt that stands for a hole's score once more, with the seeds of the request.

    request: seeds, processes, limits and purpose are taken from it, everything else from the record; of a
    hole that has no complete attempt, what its round.toml says is planned.
    Raises HarnessError naming what is not as it was recorded.
    """
    played = load_hole(played.hole)  # where others see it, its places are left out
    folder = played.name.folder
    request = replace(request, reference=folder, repeat=True, allow_over_cap=True)
    if not played.group:
        return make_plan(request, runs, progress)
    record = played.group[-1]
    if record.provenance is not None:
        raise HarnessError(
            f"{folder} was imported from {record.provenance.source}: its code is not here to be played again",
            "name a hole that was played here",
        )
    builtin = record.code.trainer == "builtin"
    python = _recorded_python(played, record)
    if python is not None:
        _find_interpreter(folder, python)
    overrides = recorded_overrides(played, record)
    script = None if builtin else _find_script(played, record, request)
    arguments = as_template(_recorded_arguments(played, record), record.seed)
    if script is not None and not any(_as_launched(record, one) for one in own_launches(played.hole)):
        snapshot = take_snapshot(script, record.code.module)
        rows = describe_script(snapshot, script, python, arguments, overrides)
        _require_trust(played, record, rows, request.trusted)
    plan = make_plan(
        replace(
            request,
            overrides=tuple(f"{name}={value}" for name, value in overrides.items()),
            preset=record.preset if builtin else None,
            course=None if not builtin and is_unknown(record.split) else record.course,
            script=script,
            module=None if builtin else record.code.module,
            arguments=None if builtin else arguments,
            python=None if builtin else python,
            allow_unread=True,
            as_recorded=True,
        ),
        runs,
        progress,
    )
    if not same_experiment(plan, record):
        raise HarnessError(
            f"{folder} cannot be played again as attempt {record.attempt} was: {_difference(plan, record)}",
            f"bring back {_origin(record)}; or play it as it is now in a hole of its own: "
            f"`harness run {folder}` names the next free one",
            Exit.NOT_COMPARABLE,
        )
    return plan


def recorded_processes(played: PlayedHole, trusted: Trusted) -> int:
    """Return with how many processes a hole was played; how many others say needs trust."""
    count = played.group[-1].environment.world_size if played.group else None
    if count is not None and count > 1 and all(one.nproc != count for one in own_launches(played.hole)):
        rows = {"started by": f"torchrun, {count} processes on this machine"}
        _require_trust(played, played.group[-1], rows, trusted)
    return count or 1


def _require_trust(played: PlayedHole, record: RunRecord, rows: Mapping[str, str], trusted: Trusted) -> None:
    place = f"{played.name.folder}/attempt_{record.attempt:02d}/record.json"
    require_trust(ForeignStart(place, rows), trusted)


def _as_launched(record: RunRecord, launch: Launch) -> bool:
    """Whether a record says of what ran what a launch.json says; only the seed may differ."""
    return (
        record.code.source_sha256 == launch.code.source_sha256
        and (record.code.trainer, record.code.module) == (launch.script, launch.module)
        and record.environment.interpreter == _masked_python(launch)
        and mask_settings(record.overrides) == mask_settings(launch.overrides)
        and as_template(mask_words(record.arguments), record.seed)
        == as_template(mask_words(launch.arguments), launch.seed)
    )


def _masked_python(launch: Launch) -> str | None:
    python = launch.interpreter.interpreter
    return None if python is None else mask_setting("python", python)


def _find_interpreter(folder: str, typed: str) -> None:
    """Refuse an interpreter that is gone. Raises UsageError with the way to another one."""
    try:
        find_interpreter(typed, "its interpreter")
    except UsageError as error:
        raise UsageError(
            f"{folder} cannot be played again as it was: {error.message}",
            f"bring it back, or play the hole once under another: `harness run {folder} --python PATH`",
        ) from error


def recorded_overrides(played: PlayedHole, record: RunRecord) -> dict[str, str]:
    """Return the overrides of a record as they were handed over: secrets and folders are put back.

    They stand in round.toml, in the attempt's launch.json or in the environment. Raises UsageError naming the
    first that does not.
    """
    launch = _launch_of(played, record)
    known = [played.intent.overrides, *([launch.overrides] if launch else []), os.environ]
    folder = played.name.folder
    overrides = {name: value for name, value in record.overrides.items() if not is_argument(name)}
    return restore(overrides, known, f"the record of {folder}")


def _launch_of(played: PlayedHole, record: RunRecord) -> Launch | None:
    """Return what was launched in a record's attempt; None where it is not kept, as after a clone by git."""
    for entry in played.entries:
        if entry.record is not None and entry.record.attempt == record.attempt:
            with contextlib.suppress(HarnessError):
                return load_launch(entry.attempt.launch_path)
    return None


def _recorded_arguments(played: PlayedHole, record: RunRecord) -> tuple[str, ...]:
    """Return a script's options as they were handed over. Raises UsageError for a secret among them."""
    launch = _launch_of(played, record)
    kept = (
        launch.arguments if launch and mask_words(launch.arguments) == mask_words(record.arguments) else None
    )
    arguments = record.arguments if kept is None else kept
    refuse_masked(arguments, f"the record of {played.name.folder}")
    return arguments


def _recorded_python(played: PlayedHole, record: RunRecord) -> str | None:
    """Return a script's own interpreter as it was named. Raises UsageError where only its file is known."""
    python, named = record.environment.interpreter, played.intent.python
    if python is None:
        return None
    known = [{"--python": named}] if named else []
    return restore({"--python": python}, known, f"the record of {played.name.folder}")["--python"]


def _find_script(played: PlayedHole, record: RunRecord, request: RunRequest) -> Path:
    """Return the script as it ran: the one that round.toml names, else the copy that an attempt keeps.

    The one that round.toml names is returned, too, when it differs and no copy is here: the check that
    follows says so.
    """
    attempts = [entry.attempt for entry in played.entries if entry.record is not None]
    kept = [plain_below(one.path, f"{one.source_dir.name}/{record.code.trainer}") for one in attempts]
    named = find_script(request, played.intent, played.hole.path)
    candidates = [path for path in (named, *reversed(kept)) if path is not None and path.is_file()]
    for path in candidates:
        if take_snapshot(path, record.code.module).sha256 == record.code.source_sha256:
            return path
    if candidates:
        return candidates[0]
    raise HarnessError(
        f"{record.code.trainer} of {played.name.folder} is not here: round.toml names "
        f"{played.intent.script or 'none'}, and no attempt keeps a copy in source/",
        "bring it back, or play the hole again with `--script FILE`",
    )


def _difference(plan: Plan, record: RunRecord) -> str:
    """Say in which way a plan is another experiment than a record."""
    code, trainer = record.code, plan.trainer
    if code.source_sha256 != trainer.code.source_sha256:
        ran, here = ((sha or "unknown")[:10] for sha in (code.source_sha256, trainer.code.source_sha256))
        return f"the code of {code.trainer} that ran had the hash {ran}, the one here has {here}"
    before, now = (
        {name: text for name, text in config.items() if (name, text) not in NEUTRAL}
        for config in (record.config, mask_settings(trainer.config))
    )
    for name in sorted({*before, *now} - UNHASHED_KNOBS):
        if before.get(name) != now.get(name):
            return f"{name} was {before.get(name, 'not set')}, now it is {now.get(name, 'not set')}"
    if trainer.split is not None and record.split != trainer.split:
        return f"it was scored on the split {record.split}, now that is {trainer.split}"
    return "the data or the tokenizer has another fingerprint"


def _origin(record: RunRecord) -> str:
    """Name where the code and the settings of a record come from."""
    sha = record.code.git_sha
    return (
        f"commit {sha[:10]} and the settings of its record" if sha else "the code and settings of its record"
    )
