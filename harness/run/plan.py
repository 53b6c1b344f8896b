"""What `harness run` is about to do, checked before anything costs time. Writes nothing under `runs/`.

    make_plan()   the hole, the overrides, the data, the size, the disk, duplicates -> a Plan

What only one kind of trainer knows is checked in `harness.run.builtin` or `harness.run.script`. A plan is
played by `harness.run.play`.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from harness.courses.corpus import ProgressCallback
from harness.courses.course import Course, course_names, is_unknown, load_course
from harness.errors import Exit, HarnessError, UsageError, nearest
from harness.field.entries import FieldStore
from harness.field.reference import find_public
from harness.privacy import is_masked, mask_settings
from harness.records.intent import Intent, load_intent
from harness.records.private import refuse_masked, restore, warn_of_typed_secrets
from harness.records.record import RunRecord, hash_config
from harness.records.references import FIELD_PREFIX, clean_reference, folder_name, is_public
from harness.records.seed_plan import Purpose, SeedNotPlayed
from harness.records.store import Hole, HoleName, Store, require_hole_name, slugify
from harness.run.builtin import check_builtin
from harness.run.new_hole import inherited_intent
from harness.run.one_configuration import check_configuration
from harness.run.request import PlanInputs, RunRequest, TrainerSetup
from harness.run.resources import LEAST_BYTES_PER_PARAM, most_processes, resources
from harness.run.script import check_script
from harness.run.seeds import pair_with_parent, refuse_other_text
from harness.run.trust import (
    ForeignStart,
    Name,
    describe_script,
    is_own_name,
    own_launches,
    require_trust,
)
from harness.scripts.snapshot import Snapshot
from harness.season.hole import PlayedHole, load_hole
from harness.season.season import Season, load_season

DEFAULT_COURSE = "practice"
SCRIPT_COURSE = "fineweb"  # what scripts of the field are made for
FORECAST_ERROR = 0.10  # how far the size forecast may be off: see `_check_size`


@dataclass(frozen=True)
class Plan:
    """A run that passed every check."""

    hole: HoleName
    is_new: bool
    intent: Intent
    course: Course
    trainer: TrainerSetup
    seeds: tuple[int | None, ...]
    nproc: int = 1
    launcher: Literal["python", "torchrun"] = "python"
    planned_seeds: tuple[int, ...] = ()  # `seeds` and those that were played before in this hole
    purpose: Purpose | None = None
    typed: frozenset[str] = frozenset()  # keys of `intent` that the round.toml of a hole takes over
    start_names: tuple[Name, ...] = ()  # by which its script and its interpreter were found
    course_named: bool = True  # by the user or round.toml, not by default
    skipped: tuple[SeedNotPlayed, ...] = ()  # seeds that were played before
    notes: tuple[str, ...] = ()  # on the hole's earlier attempts

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self.notes, *self.trainer.warnings, *warn_of_typed_secrets(self.intent))


def make_plan(request: RunRequest, runs: Path, progress: ProgressCallback) -> Plan:
    """Check a run completely and return what would be done. Writes nothing under `runs/`.

    progress: told about the preparation of the practice course, (what, share done).
    Raises UsageError or HarnessError for whatever is wrong.
    """
    store = Store(runs)
    hole = store.find(request.reference)
    name = hole.name if hole else new_hole_name(request.reference, slugify(request.title), store)
    intent = load_intent(hole.intent_path) if hole else Intent()
    if request.inherit is not None:
        if hole is not None:
            raise UsageError(
                f"--from {request.inherit} is for a new hole; {hole.name.folder} is there already",
                f"leave it out, or make a new hole: `harness new TITLE --from {request.inherit}`",
            )
        intent = inherited_intent(store, request.inherit)
    refuse_for_builtin(request, intent)
    if request.parent is not None:
        request = replace(request, parent=clean_reference(request.parent, runs))
    if request.paired is not None:
        request = replace(request, paired=clean_reference(request.paired, runs))
    request, intent = _put_back(request, intent)
    if request.paired is not None:
        request = pair_with_parent(request, intent, hole, runs)
    if request.parent is not None and not is_public(request.parent):
        request = replace(request, parent=_own_parent(request.parent, name, store))
    script = find_script(request, intent, hole.path if hole else None)
    names = _start_names(request, intent, script, runs) if script else ()
    launcher = _launcher(request)

    default = SCRIPT_COURSE if script else DEFAULT_COURSE
    course = load_course(request.course or intent.course or default, runs)
    if is_public(parent := request.parent or intent.parent):
        request = replace(request, parent=_public_parent(str(parent), course, runs))
    check = partial(_require_own_start, request, intent, hole, names)
    inputs = PlanInputs(request, intent, course, f"{name.folder}/round.toml", progress, check)
    trainer = check_builtin(inputs) if script is None else check_script(inputs, script)
    if request.paired is not None and request.parent is not None:
        refuse_other_text(load_hole(store.get(request.parent)), course, trainer.split)

    plan = Plan(
        hole=name,
        is_new=hole is None,
        intent=_intent(inputs, trainer, script, runs),
        course=course,
        trainer=trainer,
        seeds=trainer.seeds,
        nproc=request.nproc,
        launcher=launcher,
        planned_seeds=tuple(seed for seed in trainer.seeds if seed is not None),
        purpose=request.purpose,
        start_names=names,
        course_named=script is None or inputs.course_named,
    )
    _check_size(plan, request.allow_over_cap)
    if not request.elsewhere:
        _check_memory(plan)
    _check_disk(plan, runs)
    if not request.repeat:
        plan = drop_duplicates(plan, load_season(runs))
    if hole and not request.as_recorded:
        notes = check_configuration(hole, intent, plan.intent, trainer, request)
        plan = replace(plan, typed=_typed(request, intent), notes=notes)
    return plan


def _typed(request: RunRequest, intent: Intent) -> frozenset[str]:
    """Return the keys of round.toml that what was typed speaks of; seeds only where none stand there."""
    code = request.script is not None or request.module is not None
    typed = {
        "title": request.title,
        "hypothesis": request.hypothesis,
        "prediction": request.prediction,
        "parent": request.parent,
        "course": request.course,
        "preset": request.preset,
        "script": code,
        "module": code,
        "arguments": request.arguments is not None,
        "python": request.python,
        "overrides": request.overrides,
        "seeds": request.seeds and not intent.seeds,
    }
    return frozenset(name for name, value in typed.items() if value)


def refuse_for_builtin(request: RunRequest, intent: Intent) -> None:
    """Refuse what only a script can be given, where none is named."""
    if request.module or request.script or intent.script:
        return
    given = {"--python": request.python, "--": " ".join(request.arguments or ())}
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} {value} is for a script of your own; the built-in trainer takes no such thing",
                "add --script FILE, or leave it out",
            )


def _start_names(request: RunRequest, intent: Intent, script: Path, runs: Path) -> tuple[Name, ...]:
    """Return the names of script, module and interpreter, as typed, else as round.toml has them; and where
    the script lies."""
    module = request.module or (None if request.script else intent.module)
    python = intent.python if request.python is None else request.python
    name = _script_name(request, intent, script, runs)
    names = ("script", name, module or ""), *([("python", python)] if python else [])
    return *names, ("place", str(script.resolve()))


def _require_own_start(
    request: RunRequest,
    intent: Intent,
    hole: Hole | None,
    names: tuple[Name, ...],
    script: Path,
    snapshot: Snapshot,
    settings: Mapping[str, str],
) -> None:
    """Let nothing start that only a round.toml of others names. Raises HarnessError saying what it would be.

    settings: what the script would be handed.
    """
    typed = {"script": request.script or request.module, "python": request.python}
    untyped = [name for name in names if name[0] in typed and typed[name[0]] is None]
    if hole is None or not untyped:
        return
    own = all(is_own_name(hole, name) for name in untyped)
    if own and typed["script"] is None:
        # It may have been edited where it was started before; elsewhere, and in the season, its hash decides.
        in_season = script.resolve().is_relative_to(hole.path.parent.resolve())
        own = any(launch.code.source_sha256 == snapshot.sha256 for launch in own_launches(hole)) or (
            not in_season and is_own_name(hole, ("place", str(script.resolve())))
        )
    if not own:
        python = intent.python if request.python is None else request.python
        arguments = intent.arguments if request.arguments is None else request.arguments
        rows = describe_script(snapshot, script, python, arguments, settings)
        require_trust(ForeignStart(f"{hole.name.folder}/round.toml", rows), request.trusted)


def _put_back(request: RunRequest, intent: Intent) -> tuple[RunRequest, Intent]:
    """Return both with the secrets and places that a record's command or round.toml leaves out.

    They stand in round.toml or in the environment. Raises UsageError naming one that does not.
    """
    place = f"the round.toml of {request.reference}"
    if request.arguments is None:
        refuse_masked(intent.arguments, place)
    pairs = [word.partition("=") for word in request.overrides]
    typed = {name.strip(): value for name, _, value in pairs if is_masked(value)}
    put_back = restore(typed, (intent.overrides, os.environ), "what was typed")
    words = tuple(
        f"{name}={put_back[name.strip()]}" if name.strip() in typed else name + equals + value
        for name, equals, value in pairs
    )
    given = {name.strip() for name, _, _ in pairs}
    written = {name: value for name, value in intent.overrides.items() if name not in given}
    overrides = intent.overrides | restore(written, (os.environ,), place)
    return replace(request, overrides=words), intent.model_copy(update={"overrides": overrides})


def _own_parent(reference: str, name: HoleName, store: Store) -> str:
    """Return the full name of the hole that `--parent` means. Raises UsageError for none, or for itself."""
    if reference == name.folder or store.get(reference).name == name:
        raise UsageError(
            f"--parent {reference}: {name.folder} cannot be its own parent", "name the hole that it varies"
        )
    return store.get(reference).name.folder


def _public_parent(parent: str, course: Course, runs: Path) -> str:
    """Return a parent that is a public run by its full name. Raises UsageError when it was not imported."""
    courses = [load_course(name, runs) for name in course_names(runs)]
    entry = find_public(FieldStore(runs).entries(), courses, course, parent)
    return f"{FIELD_PREFIX}{entry.slug}" if parent.startswith(FIELD_PREFIX) else parent


def find_script(request: RunRequest, intent: Intent, hole: Path | None) -> Path | None:
    """Return the script to run: as typed, from the current folder; else as round.toml says, from the hole's
    folder, then from the season's, the one that holds `runs/`, where commands write it from.

    Last from the current folder, where a round.toml of an older version may have it from.
    Raises UsageError for a module that is not below this folder.
    """
    if request.script is not None:
        return request.script
    if request.module is not None:
        return find_module(request.module)
    if not intent.script:
        return None
    named = Path(intent.script).expanduser()
    places = [*([hole / named, hole.parent.parent / named] if hole else []), named]
    return next((_short(place) for place in places if place.is_file()), named)


def _short(path: Path) -> Path:
    """Return a path without `..` in its middle, as one types it from the current folder."""
    return Path(os.path.normpath(path))


def find_module(name: str) -> Path:
    """Return the file that `python -m NAME` runs in this folder. Raises UsageError when there is none."""
    if not all(part.isidentifier() for part in name.split(".")):
        hint = (
            f"name the file with --script {name}" if Path(name).is_file() else "write it like scripts.train"
        )
        raise UsageError(f"--module {name} is no module's name", hint)
    path = Path(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__main__.py"):
        if file.is_file():
            return file
    if path.is_dir():
        raise UsageError(
            f"--module {name} is a package without `__main__.py`",
            f"name a module in it, such as {name}.train",
        )
    raise UsageError(
        f"--module {name} is not here: {Path.cwd()} has no {path.with_suffix('.py')}",
        "call it from the folder that `python -m` is called from, or name the file with --script",
    )


def _launcher(request: RunRequest) -> Literal["python", "torchrun"]:
    """Say who starts the processes: torchrun when there are several, unless told otherwise."""
    if request.launcher is not None and request.launcher not in ("python", "torchrun"):
        close = nearest(request.launcher, ("python", "torchrun"))
        raise UsageError(
            f'--launcher "{request.launcher}" is not known',
            (f"did you mean {close}? " if close else "") + "use python or torchrun",
        )
    if request.nproc > (most := most_processes()) and not request.elsewhere:
        raise UsageError(
            f"--nproc {request.nproc} is more than this machine can be meant to start",
            f"at most {most} here: one for each GPU, or on the CPU one for each core",
        )
    if request.nproc > 1 and request.launcher == "python":
        raise UsageError(
            f"--launcher python starts one process, --nproc {request.nproc} asks for several",
            "leave --launcher out: several processes are started by torchrun",
        )
    return "torchrun" if request.launcher == "torchrun" or request.nproc > 1 else "python"


def new_hole_name(folder: str, slug: str, store: Store) -> HoleName:
    """Name a hole that does not exist yet, and see that its number is free.

    folder: a number, round_NNN, a whole name, or a path of one; only with a whole name the slug is not used.
    """
    folder = folder_name(clean_reference(folder, store.root))
    name = require_hole_name(folder)
    other = next((hole for hole in store.holes() if hole.name.number == name.number), None)
    if other:
        raise UsageError(
            f"number {name.number} is taken by {other.name.folder}",
            f"play that hole with `harness run {other.name.folder}`, or choose a free number",
        )
    return require_hole_name(f"{folder}_{slug}") if slug and not name.slug else name


# What holds for every trainer ---------------------------------------------------------------------


def _intent(inputs: PlanInputs, trainer: TrainerSetup, script: Path | None, runs: Path) -> Intent:
    """The round.toml of a hole that is about to be made."""
    request, intent = inputs.request, inputs.intent
    return intent.model_copy(
        update={
            "title": request.title or intent.title,
            "hypothesis": request.hypothesis or intent.hypothesis,
            "prediction": request.prediction or intent.prediction,
            "parent": request.parent or intent.parent,
            # What nobody named is not written down as if somebody had.
            "course": inputs.course.name if script is None or inputs.course_named else None,
            "preset": trainer.preset,
            "script": _script_name(request, intent, script, runs) if script else None,
            "module": request.module or (None if request.script else intent.module),
            "arguments": trainer.start.arguments if trainer.start else (),
            "python": trainer.start.interpreter.typed if trainer.start else None,
            "overrides": trainer.overrides,
            "seeds": tuple(seed for seed in trainer.seeds if seed is not None),
            "created": intent.created or dt.datetime.now(dt.UTC).date(),
        }
    )


def _script_name(request: RunRequest, intent: Intent, script: Path, runs: Path) -> str:
    """Return where a script lies as round.toml keeps it: from the season's folder, or below the home folder
    without its user's name. What stands there already stays as it is written.
    """
    if intent.script and request.script is None and request.module is None:
        return intent.script
    if not script.is_absolute():
        return os.path.relpath(script, runs.absolute().parent)
    return f"~/{script.relative_to(Path.home())}" if script.is_relative_to(Path.home()) else str(script)


def _check_size(plan: Plan, allow: bool) -> None:
    """Refuse a run whose artifact cannot be under the cap.

    The forecast may be 10 % off, so that is allowed for.
    """
    cap, forecast = plan.course.caps.artifact_bytes, plan.trainer.forecast_bytes
    if forecast is not None and forecast * (1 - FORECAST_ERROR) >= cap and not allow:
        raise HarnessError(
            f"{plan.trainer.params or 0:,} parameters will take about {forecast:,} bytes; the cap is {cap:,}",
            "make the model smaller, or insist with --allow-over-cap",
            Exit.OVER_CAP,
        )


def _check_memory(plan: Plan) -> None:
    """Refuse a model whose weights, gradients and moments alone are more than this machine can hold."""
    params, gpu = plan.trainer.params or 0, plan.trainer.gpu_bytes
    there, where = (gpu[1], "the GPU") if gpu else (resources().all_bytes, "this machine")
    if (needed := params * LEAST_BYTES_PER_PARAM) > there:
        raise HarnessError(
            f"{params:,} parameters need at least {needed / 1e9:,.1f} GB of memory for weights, gradients "
            f"and moments; {where} has {there / 1e9:,.1f} GB",
            "make the model smaller (MODEL_DIM, NUM_LAYERS), or --emit DIR for a larger machine",
        )


def _check_disk(plan: Plan, runs: Path) -> None:
    """Refuse a run whose checkpoint and artifact would not fit on the disk: fp32 weights, two moments, twice.

    Of a script whose size nobody knows, the artifact's cap must fit.
    """
    folder = next(folder for folder in (runs, *runs.resolve().parents) if folder.is_dir())
    artifact = plan.trainer.forecast_bytes or plan.course.caps.artifact_bytes
    needed = (plan.trainer.params or 0) * 4 * 3 * 2 + artifact
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise HarnessError(
            f"{needed / 1e6:,.0f} MB are needed for checkpoints and the artifact; "
            f"{folder} has {free / 1e6:,.0f} MB",
            "free some space, or name another folder with --runs DIR",
        )


def drop_duplicates(plan: Plan, season: Season) -> Plan:
    """Leave out seeds that were played before; refuse when nothing new is left (exit 15)."""
    records = {
        record.seed: (hole, record)
        for hole in season.holes
        if not hole.invalid
        for record in hole.records
        if record.complete and same_experiment(plan, record)
    }
    repeated = [(seed, *records[seed]) for seed in plan.seeds if seed in records]
    new_seeds = tuple(seed for seed in plan.seeds if seed not in records)
    if new_seeds:
        skipped = tuple(
            SeedNotPlayed(seed=seed, reason=f"it was played before: {_describe(hole, record)}")
            for seed, hole, record in repeated
            if seed is not None
        )
        # A verdict on this hole cannot wait for what lies in another one.
        elsewhere = {seed for seed, hole, _ in repeated if hole.name != plan.hole}
        planned = tuple(seed for seed in plan.planned_seeds if seed not in elsewhere)
        return replace(plan, seeds=new_seeds, planned_seeds=planned, skipped=skipped)
    _, hole, record = repeated[0]
    many = f"all {len(repeated)} seeds were played before; " if len(repeated) > 1 else ""
    raise HarnessError(
        f"{many}this run equals {_describe(hole, record)}: same code, configuration, data and seed",
        "change something, choose another --seed, or insist with --repeat",
        Exit.DUPLICATE,
    )


def same_experiment(plan: Plan, record: RunRecord) -> bool:
    """Whether a plan and a record are of one code, configuration and data; only the seed may differ."""
    trainer = plan.trainer
    return (
        # of an older record it is the hash of all that was set; today's leave out secrets and folders
        record.config_hash in (hash_config(mask_settings(trainer.config)), hash_config(trainer.config))
        and record.code.source_sha256 == trainer.code.source_sha256
        and record.course == plan.course.name
        # the split of a script is known when it has printed a score
        and (trainer.split is None or record.split == trainer.split)
        # of what was played before somebody named the course, nobody knows what was scored
        and (trainer.split is not None or not (plan.course_named and is_unknown(record.split)))
        and record.data.train_fingerprint == trainer.data.train_fingerprint
        and record.data.tokenizer_sha256 == trainer.data.tokenizer_sha256
    )


def _describe(hole: PlayedHole, record: RunRecord) -> str:
    return f"{hole.name.folder} attempt {record.attempt} (seed {record.seed}, val_bpb {record.val_bpb:.4f})"
