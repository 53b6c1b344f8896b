"""A launch bundle: a run that passed every check, packed into a folder that plays it on any other machine.

    emit()   plan -> DIR: code, knobs, what the data must be, run.sh, bundle.json with everything's hash

No path of this machine goes into it. What it does over there stands in `harness.run.bundle.start`; what comes
back is taken in by `harness.run.bundle.pull`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from harness import __version__
from harness.documents import MissingFile, check_model, read_json
from harness.errors import HarnessError, UsageError
from harness.files import is_used, write_whole
from harness.privacy import mask_secret_settings, mask_secret_words, mask_settings, secrets_of_code
from harness.records.frozen import AwareDatetime, CourseName, Int, PositiveInt
from harness.records.intent import Intent
from harness.records.private import private_intent
from harness.records.record import Code, CodeRule, Data, Frozen
from harness.records.seed_plan import MAX_SEEDS, PlannedSeeds, Purpose
from harness.run.builtin import TRAINER_FOLDER
from harness.run.bundle import start
from harness.run.interpreter import third_party
from harness.run.plan import Plan
from harness.run.trust import remember_bundle
from harness.temporary import new_folder
from trainer.config import KNOBS, PRESETS

MAX_BYTES = 2_000_000  # of bundle.json
MAX_DATA_BYTES = 64_000_000  # data up to this rides along: a practice course does, FineWeb does not
PLACES = ("DATA_PATH", "TOKENIZER_PATH")
# `auto` comes to something else over there, and so does "all cores".
_OF_THE_MACHINE = ("THREADS", *(name for name, knob in KNOBS.items() if "auto" in (knob.choices or ())))
_MODULES = ("torch", "numpy", "sentencepiece", "safetensors")  # what the built-in trainer imports


class DataFiles(Frozen):
    """What the data must be: shards by name with their bytes, the tokenizer by its hash."""

    train: dict[str, PositiveInt] = Field(default_factory=dict)
    val: dict[str, PositiveInt] = Field(default_factory=dict)
    tokenizer_sha256: str | None = None


class Bundle(Frozen):
    """`bundle.json`. files: every file of the bundle with its sha256.

    id: the sha256 of everything else in here.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    id: str
    hole: str
    intent: dict[str, Any]
    course: CourseName
    course_named: bool = True
    split: str | None
    cap_bytes: PositiveInt
    kind: Literal["builtin", "script"]
    main: str | None  # the script's file below code/
    module: str | None = None  # the script as `python -m` knows it
    arguments: tuple[str, ...] = ()  # its options; `{seed}` stands for the seed
    by_path: tuple[str, ...] = ()  # files below code/ that it opens where it runs
    preset: str | None
    overrides: dict[str, str]
    config: dict[str, str]
    environ: dict[str, str]  # what is handed over, without places
    places: dict[str, str]  # variables that name files, as they were written: looked up over there
    hidden: tuple[str, ...]
    seeds: Annotated[tuple[Int | None, ...], Field(max_length=MAX_SEEDS)]
    planned_seeds: PlannedSeeds | None = None  # with those that were played before; None: an older bundle
    purpose: Purpose | None = None
    nproc: PositiveInt
    launcher: Literal["python", "torchrun"]
    modules: tuple[str, ...]
    command: tuple[str, ...]
    code: Code
    fingerprints: Data
    data: DataFiles
    files: dict[str, str]
    created_at: AwareDatetime
    harness: str
    code_bytes: PositiveInt | None = None
    code_rule: CodeRule | None = None


def emit(plan: Plan, folder: Path, make_hole: Callable[[], None] = lambda: None) -> Bundle:
    """Write a plan as a launch bundle, whole or not at all.

    make_hole: is called when the bundle is ready and not yet in its place.
    Raises HarnessError when the folder holds something or cannot be written.
    """
    if folder.is_symlink() or is_used(folder):
        raise UsageError(f"--emit {folder} is there already", "name a new folder")
    try:
        with new_folder(folder) as unfinished:
            bundle = _fill(plan, unfinished)
            remember_bundle(bundle.id)
            make_hole()
    except OSError as error:
        raise HarnessError(
            f"cannot write {folder}: {error.strerror or error}",
            "check the disk's space and the folder's permissions",
        ) from error
    return bundle


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle's `bundle.json`.

    Raises HarnessError when it is none, or was changed after it was written.
    """
    path = folder / "bundle.json"
    try:
        raw = read_json(path, MAX_BYTES, "copy it again", folder)
    except MissingFile as error:
        raise HarnessError(
            f"{folder} is no launch bundle: {error.message}", "`harness run HOLE --emit DIR` writes one"
        ) from error
    bundle = check_model(Bundle, raw, path, "it was written by another version")
    if start.bundle_id(raw) != bundle.id:
        raise HarnessError(f"{path} was changed after it was written", "copy it again, as it was emitted")
    return bundle


# What goes in -------------------------------------------------------------------------------------


def _fill(plan: Plan, target: Path) -> Bundle:
    """Write the bundle's files and return what was written last, `bundle.json`."""
    trainer, script = plan.trainer, plan.trainer.snapshot
    _copy_code(plan, target)
    data, places = _copy_data(plan, target)
    environ = {name: value for name, value in trainer.environ.items() if name not in places}
    if script is None:
        environ |= {name: _unresolved(plan, name) for name in _OF_THE_MACHINE}
    _refuse_own_paths(environ)
    write_whole(target / "start.py", Path(start.__file__).read_bytes())
    write_whole(target / "run.sh", _RUN_SH.encode())
    (target / "run.sh").chmod(0o755)
    write_whole(target / "README.md", _read_me(plan, data, places).encode())
    files = {
        path.relative_to(target).as_posix(): start.sha256(path)
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }
    config = trainer.config | {name: environ[name] for name in _OF_THE_MACHINE if script is None}
    raw: dict[str, Any] = {
        "schema": 1,
        "id": "",
        "hole": plan.hole.folder,
        "intent": _without_places(plan.intent).model_dump(mode="json", exclude_defaults=True),
        "course": plan.course.name,
        "course_named": plan.course_named,
        "split": trainer.split,
        "cap_bytes": plan.course.caps.artifact_bytes,
        "kind": "script" if script else "builtin",
        "main": script.main if script else None,
        "module": script.module if script else None,
        "arguments": list(mask_secret_words(trainer.start.arguments)) if trainer.start else [],
        "by_path": sorted(script.by_path) if script else [],
        "preset": trainer.preset,
        "overrides": _shared(trainer.recorded_overrides, places),
        "config": _shared(config, places),
        "environ": mask_secret_settings(environ),
        "places": places,
        "hidden": sorted(trainer.hidden),
        "seeds": list(plan.seeds),
        "planned_seeds": list(plan.planned_seeds),
        "purpose": plan.purpose,
        "nproc": plan.nproc,
        "launcher": plan.launcher,
        "modules": third_party(script) if script else list(_MODULES),
        "command": ["bash", "run.sh"],
        "code": trainer.code.model_dump(mode="json"),
        "fingerprints": trainer.data.model_dump(mode="json"),
        "data": data.model_dump(mode="json"),
        "files": files,
        "code_bytes": trainer.code_bytes,
        "code_rule": trainer.code_rule,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "harness": __version__,
    }
    raw["id"] = start.bundle_id(raw)
    bundle = Bundle.model_validate(raw)
    write_whole(target / "bundle.json", (json.dumps(raw, indent=2, ensure_ascii=False) + "\n").encode())
    return bundle


def _copy_code(plan: Plan, target: Path) -> None:
    """Copy the script's snapshot, or the built-in trainer, to `code/`."""
    snapshot = plan.trainer.snapshot
    files = (
        dict(snapshot.files)
        if snapshot
        else {
            f"trainer/{path.relative_to(TRAINER_FOLDER).as_posix()}": path.read_bytes()
            for path in TRAINER_FOLDER.rglob("*.py")
        }
    )
    if snapshot:
        _refuse_secrets(files)
    for name, content in files.items():
        path = target / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def _copy_data(plan: Plan, target: Path) -> tuple[DataFiles, dict[str, str]]:
    """Return what the data must be and the places as they are to be looked up; copy small data."""
    trainer = plan.trainer
    paths = {name: Path(trainer.environ[name]) for name in PLACES if trainer.environ.get(name)}
    folder, tokenizer = paths.get("DATA_PATH"), paths.get("TOKENIZER_PATH")
    shards = {
        kind: sorted(folder.glob(f"*_{kind}_*.bin")) if folder and folder.is_dir() else []
        for kind in ("train", "val")
    }
    data = DataFiles(
        train={path.name: path.stat().st_size for path in shards["train"]},
        val={path.name: path.stat().st_size for path in shards["val"]},
        tokenizer_sha256=start.sha256(tokenizer) if tokenizer and tokenizer.is_file() else None,
    )
    files = [*shards["train"], *shards["val"], *([tokenizer] if tokenizer and tokenizer.is_file() else [])]
    if files and sum(path.stat().st_size for path in files) <= MAX_DATA_BYTES:
        (target / "data").mkdir()
        for path in files:
            shutil.copyfile(path, target / "data" / path.name)
        inside = {"DATA_PATH": "data", "TOKENIZER_PATH": f"data/{tokenizer.name}" if tokenizer else ""}
        return data, {name: inside[name] for name in paths}
    return data, {name: _as_written(plan, name) for name in paths}


def _as_written(plan: Plan, name: str) -> str:
    """Return a place as the trainer's own default has it, when that is no path of this machine."""
    snapshot = plan.trainer.snapshot
    if snapshot is None:
        default = str(KNOBS[name].default)
    else:
        from harness.scripts.knobs import read_script

        knob = read_script(snapshot.texts()).knobs.get(name)
        default = (knob.default if knob else None) or ""
    return "" if Path(default).expanduser().is_absolute() else default


def _unresolved(plan: Plan, name: str) -> str:
    """Return a setting of the built-in trainer as it was before this machine resolved it."""
    preset = PRESETS.get(plan.trainer.preset or "", {})
    return plan.trainer.overrides.get(name) or preset.get(name) or str(KNOBS[name].default)


def _refuse_own_paths(environ: dict[str, str]) -> None:
    """Refuse a setting that names a file of this machine: it would name nothing over there."""
    for name, value in environ.items():
        if Path(value).is_absolute() and Path(value).exists() and len(Path(value).parts) > 2:
            raise UsageError(
                f"{name}={value} is a path of this machine",
                f"leave {name} to the shell over there, or write a path relative to where run.sh is called",
            )


def _shared(settings: Mapping[str, str], places: Mapping[str, str]) -> dict[str, str]:
    return mask_settings({name: value for name, value in settings.items() if name not in places})


def _refuse_secrets(files: Mapping[str, bytes]) -> None:
    """Refuse code that holds a secret: it would travel with it. Raises UsageError naming file and line."""
    for place, kind in secrets_of_code(files):
        raise UsageError(
            f"{place} holds what looks like a {kind}; a bundle is copied from machine to machine",
            "read it from the environment there: os.environ[...]",
        )


def _without_places(intent: Intent) -> Intent:
    """The intent as it may travel: a script goes by its name, data by what it is."""
    overrides = {name: value for name, value in intent.overrides.items() if name not in PLACES}
    script = os.path.basename(intent.script) if intent.script else None  # noqa: PTH119
    return private_intent(intent.model_copy(update={"overrides": mask_settings(overrides), "script": script}))


_RUN_SH = """\
#!/usr/bin/env bash
# Plays this bundle; README.md says how. DATA_PATH, TOKENIZER_PATH, NPROC and PYTHON may be set.
export BUNDLE_CALLER="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
exec "${PYTHON:-python3}" start.py "$@"
"""


def _read_me(plan: Plan, data: DataFiles, places: dict[str, str]) -> str:
    trainer = plan.trainer
    what = trainer.preset or trainer.code.trainer
    seeds = ", ".join(str(seed) for seed in plan.seeds if seed is not None) or "the script's own"
    modules = third_party(trainer.snapshot) if trainer.snapshot else _MODULES
    needs = ", ".join(modules) or "nothing beyond its standard library"
    bundled = places.get("DATA_PATH") == "data"
    where = (
        "The data rides along in `data/`."
        if bundled
        else f"Data: {len(data.train)} train and {len(data.val)} val shards and their tokenizer, looked for "
        "where the trainer expects them (below this folder or where you call run.sh), or named:\n\n"
        "    DATA_PATH=/where/the/shards/are TOKENIZER_PATH=/where/it/is.model bash run.sh"
    )
    settings = "\n".join(
        f"    {name}={value}"
        for name, value in sorted(_shared(trainer.recorded_overrides, dict.fromkeys(PLACES, "")).items())
    )
    return f"""\
# {plan.intent.title or plan.hole.folder}

A launch bundle of {plan.hole.folder} on the {plan.course.name} course: {what}, seeds {seeds}.

    bash run.sh --check     # code, data, modules; starts nothing
    bash run.sh             # plays; Ctrl-C once stops with what was reached, twice kills
    NPROC=8 bash run.sh     # eight processes by torchrun

It needs Python 3.11 or newer with {needs}. {where}

Everything it leaves lies in `result/`, a folder for each seed: log, curve, artifact, and `finish.json` with
the hash of each. A seed that is done is not played again; a seed of the built-in trainer that was cut short
goes on from its checkpoint. Changed code or other data is refused unless you say `--force`; the record will
tell.

Take the folder back, and:

    harness import --pull FOLDER

Overrides:

{settings or "    none"}
"""
