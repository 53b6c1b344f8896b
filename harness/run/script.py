"""A training script of the user's own, checked before it runs: its knobs, its data, what it will be handed.

The source is read, never executed (`harness.scripts.snapshot`, `harness.scripts.knobs`). What cannot be
checked becomes a warning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError, nearest
from harness.privacy import mask_secret_setting
from harness.records.arguments import takes_seed
from harness.records.private import warn_of_secrets
from harness.records.record import Code, Data
from harness.run.processes import in_own_process
from harness.run.request import PlanInputs, ScriptStart, TrainerSetup, choose_seeds, own_data, practice_data
from harness.run.script_data import missing_place, settings_for, worked_out_places
from harness.run.script_start import DEFAULT_SEED, option_seeds, plan_start, with_seed_option
from harness.scripts.arguments import ScriptOptions
from harness.scripts.data_places import DataPlace, read_data_layout
from harness.scripts.git import run_git
from harness.scripts.knobs import (
    Script,
    ScriptKnob,
    canonical_value,
    find_knobs,
    read_script,
    render_value,
)
from harness.scripts.options import read_options
from harness.scripts.snapshot import Snapshot, take_snapshot
from harness.scripts.system_names import is_never_own, is_system, leads_to_code

_PLACES = ("DATA_PATH", "TOKENIZER_PATH")
_PATH_LIKE = re.compile(r"[/\\]|\.(?:bin|model|json|txt|vocab|pt|ptz|npy|yaml|yml|toml)$")


@dataclass(frozen=True)
class _Settings:
    """Overrides in one spelling, and as the script takes them."""

    canonical: dict[str, str]
    rendered: dict[str, str]
    notes: tuple[str, ...]


def check_script(inputs: PlanInputs, path: Path) -> TrainerSetup:
    """Check a run of a script: overrides against its knobs, data as far as its knobs tell where it lies."""
    request, intent, course = inputs.request, inputs.intent, inputs.course
    if request.preset:
        raise UsageError(
            f"--preset {request.preset} is the built-in trainer's; {path.name} has its own defaults",
            "leave it out, and set knobs with -o KEY=VALUE",
        )
    snapshot = take_snapshot(path, request.module or (None if request.script else intent.module))
    script = read_script(snapshot.texts())
    typed = _assignments(intent.overrides, request.overrides)
    settings = _check_overrides(script, typed, request.allow_unread, path)
    inputs.check_start(path, snapshot, settings.rendered)
    options = read_options(snapshot.texts(), settings.rendered)
    start, start_notes = plan_start(inputs, snapshot, options)
    no_knobs = (
        []
        if script.knobs or script.dynamic or options or start.arguments
        else [f"{path.name} reads no environment variable: no knobs"]
    )
    if script.derives_from(settings.rendered):
        script = read_script(snapshot.texts(), settings.rendered)
    seeds, start = _seeds(inputs, script, settings, start, options)

    split: str | None = None
    extra: dict[str, Any] = {}
    places: dict[str, str] = {}
    if course.name == "practice" or course.data:
        places, extra, split = _course_places(script, settings.canonical, inputs, snapshot)
    folders = [Path.cwd(), path.resolve().parent]
    folder_knobs = {
        name
        for place in worked_out_places(script, snapshot, settings.rendered | places).values()
        for name in place.knobs
    }
    absolute = _absolute_places(script, settings.canonical | places, folders, folder_knobs)
    values = {**script.defaults(), **settings.canonical, **absolute}
    worked_out = worked_out_places(script, snapshot, settings.rendered | absolute)
    given = frozenset(settings.canonical | places)
    data, notes = in_own_process(check_data, script, values, folders, worked_out, given)  # imports numpy
    overrides = {name: value for name, value in settings.canonical.items() if name != "SEED"}
    options_of_seed = {o.name for o in options.options.values() if "SEED" in o.variables}
    taken = {name: value for name, value in start.options.items() if name not in options_of_seed}
    return TrainerSetup(
        overrides=overrides,
        config=dict(sorted({**script.defaults(), **taken, **settings.canonical, **places}.items())),
        environ=settings.rendered | absolute,
        hidden=frozenset(script.knobs),
        seeds=seeds,
        data=Data.model_validate(data | extra),
        code=_describe(path, snapshot),
        split=split,
        snapshot=snapshot,
        start=start,
        warnings=(
            *no_knobs,
            *start_notes,
            *warn_of_secrets(typed),
            *settings.notes,
            *_unset(script, settings.canonical | absolute),
            *notes,
        ),
    )


def _assignments(written: Mapping[str, str], words: tuple[str, ...]) -> dict[str, str]:
    """Return the overrides of round.toml and, above them, of the command line, as typed."""
    typed: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f'override "{word}" is not KEY=VALUE', "write it like MATRIX_LR=0.03")
        if typed.get(name, text) != text:
            raise UsageError(f"override {name} is given twice: {typed[name]} and {text}", "keep one of them")
        typed[name] = text
    return {**written, **typed}


def _check_overrides(script: Script, typed: dict[str, str], allow_unread: bool, path: Path) -> _Settings:
    canonical, rendered, notes = {}, {}, []
    leading = next((name for name, text in typed.items() if leads_to_code(name, text)), None)
    if leading is not None:
        raise UsageError(
            f"override {leading}={typed[leading]} decides which code is loaded: it is no setting of a script",
            f"leave it out; where you need it, set it in your shell: {leading}=... harness run ...",
        )
    for name, knob in find_knobs(script, typed, allow_unread, str(path)).items():
        text = typed[name]
        if knob is None:
            canonical[name] = rendered[name] = text
            close = nearest(name, script.knobs)
            maybe = f"; did you mean {close}?" if close else ""
            if is_never_own(name):
                why, maybe = "it belongs to the system or to a library", ""
            elif script.dynamic:
                why = script.unclear[0]
            else:
                why = f"nothing in {path.name} reads it"
            notes.append(f"override {name}={mask_secret_setting(name, text)} is unchecked: {why}{maybe}")
            continue
        canonical[name], rendered[name] = canonical_value(knob, text), render_value(knob, text)
    return _Settings(canonical, rendered, tuple(notes))


def _seeds(
    inputs: PlanInputs, script: Script, settings: _Settings, start: ScriptStart, options: ScriptOptions
) -> tuple[tuple[int | None, ...], ScriptStart]:
    """Return the seeds to play, (None,) for a script that takes none, and how it is started with them."""
    request, knob = inputs.request, script.knobs.get("SEED")
    if knob is None or takes_seed(start.arguments):
        start, given = with_seed_option(start, options, request.allow_unread)
        if start.takes_seed:
            return option_seeds(inputs, options, given), start
    if knob is None and not script.dynamic:
        if request.seeds:
            raise UsageError(
                f"--seed {request.seeds[0]} cannot be handed over: the script reads no SEED",
                "let it read os.environ, or write where the seed goes: -- --seed {seed}",
            )
        return (None,), start
    overridden = settings.canonical.get("SEED")
    default = knob.default if knob and knob.default and knob.default.lstrip("-").isdecimal() else DEFAULT_SEED
    if overridden is not None and not overridden.lstrip("-").isdecimal():
        raise UsageError(f"override SEED={overridden} is not a whole number", "write SEED=1337")
    return choose_seeds(request, inputs.intent, overridden, default), start


def _unset(script: Script, settings: Mapping[str, str]) -> list[str]:
    """Return a warning for each knob that a script cannot start without and that nobody has set."""
    return [
        f"{knob.place} needs {knob.name}, and nothing sets it: "
        f"-o {knob.name}={mask_secret_setting(knob.name, os.environ.get(knob.name, 'VALUE'))}"
        for knob in script.knobs.values()
        if knob.required and knob.name not in settings and knob.name != "SEED"
    ]


def _describe(path: Path, snapshot: Snapshot) -> Code:
    """Return what is known of the code: its hash, and the commit when git has exactly these files."""
    root = path.resolve().parents[len(Path(snapshot.main).parts) - 1]
    sha = run_git(root, "rev-parse", "HEAD")
    files = sorted(snapshot.places.get(name, name) for name in snapshot.files)
    status = run_git(root, "status", "--porcelain", "--", *files)
    known = {} if sha is None or status is None else {"git_sha": sha.strip(), "dirty": bool(status.strip())}
    return Code(
        trainer=snapshot.main,
        module=snapshot.module,
        source_sha256=snapshot.sha256,
        **known,  # type: ignore[arg-type]
    )


# Where the data lies ------------------------------------------------------------------------------


def _course_places(
    script: Script, overrides: dict[str, str], inputs: PlanInputs, snapshot: Snapshot
) -> tuple[dict[str, str], dict[str, Any], str | None]:
    """Return where a course that brings its own data keeps it, what is known of it, and its split."""
    course = inputs.course
    missing = [name for name in _PLACES if name not in script.knobs]
    can_be_told = not missing or script.dynamic or read_data_layout(snapshot.texts()) is not None
    if not can_be_told:
        raise UsageError(
            f"{snapshot.main} reads no {missing[0]}, so it cannot be given the {course.name} course's data",
            "leave --course out to play it where it finds its own data, as the fineweb course",
        )
    if course.data:
        places, extra, split = own_data(course, overrides), dict[str, Any](), None
    else:
        places, extra, split = practice_data(course, overrides, inputs.progress)
    found = settings_for(snapshot, places, overrides) if missing else {}
    if found:
        places = {name: place for name, place in places.items() if name in script.knobs} | found
    return places, extra, split


def _absolute_places(
    script: Script, settings: Mapping[str, str], folders: list[Path], folder_knobs: Collection[str]
) -> dict[str, str]:
    """Return the settings that are paths, made absolute: a script runs in a folder of its own.

    A path is a text knob whose value names something that exists below one of the folders, and that looks
    like a path or is one of `folder_knobs`.
    """
    values = {name: knob.default for name, knob in script.knobs.items() if knob.takes_text}
    places = {}
    for name, value in {**values, **settings}.items():
        knob = script.knobs.get(name)
        own = knob.takes_text if knob else not is_system(name)
        if value and own and (name in folder_knobs or _PATH_LIKE.search(value)):
            place = _look_up(value, folders)
            if place is not None:
                places[name] = str(place)
    return places


def _look_up(value: str, folders: list[Path]) -> Path | None:
    """Return where a path, or the folder of a pattern, exists: as it is, or below one of the folders."""
    path = Path(value).expanduser()
    for folder in folders:
        place = folder / path
        try:
            if place.exists() or ("*" in place.name and place.parent.is_dir()):
                return Path(os.path.normpath(place))
        except OSError:  # too long for a path: not one
            return None
    return None


def check_data(
    script: Script,
    values: Mapping[str, str],
    folders: list[Path],
    worked_out: Mapping[str, DataPlace],
    given: Collection[str],
) -> tuple[dict[str, Any], list[str]]:
    """Check and fingerprint what DATA_PATH and TOKENIZER_PATH name, or what a script works out instead.

    given: names that this run sets. Returns the facts and what could not be checked. Raises HarnessError for
    a place that does not exist.
    """
    facts: dict[str, Any] = {}
    notes: list[str] = []
    unread = [name for name in _PLACES if name not in script.knobs or not values.get(name)]
    if unread and not worked_out:
        notes.append(
            f"the data is unchecked: the script reads no {' and no '.join(unread)} that tells where it lies"
        )
    folder = script.knobs.get("DATA_DIR")
    value = values.get("DATA_DIR") if folder and "DATA_PATH" in unread else None
    if folder and value and _look_up(value, folders) is None:
        if value != folder.default:  # the default of a script that finds its data elsewhere does no harm
            raise _missing(folder.name, value, folder, folders)
        notes.append(f"{folder.name}={value} does not exist; {folder.place} reads it")
    for name in _PLACES:
        own = worked_out.get(name) if name in unread else None
        if name in unread and own is None:
            continue
        place = _look_up(own.folder if own else values[name], folders)
        if place is None:
            if own is None:
                raise _missing(name, values[name], script.knobs[name], folders)
            error = missing_place(own, script, values, folders[0])
            if not own.knobs.isdisjoint(given):
                raise error
            notes.append(error.message)
        elif name == "DATA_PATH":
            facts |= _fingerprint_shards(place, notes)
        elif place.is_file():
            facts["tokenizer_sha256"] = _sha256(place)
            notes += _check_vocabulary(place, values.get("VOCAB_SIZE"))
    return facts, notes


def _missing(name: str, value: str, knob: ScriptKnob, folders: list[Path]) -> HarnessError:
    looked = " and ".join(dict.fromkeys(str(folder) for folder in folders))
    return HarnessError(
        f"{name}={value} does not exist (looked in {looked}; {knob.place} reads it)",
        f"name the right place: -o {name}=PATH",
    )


def _fingerprint_shards(folder: Path, notes: list[str]) -> dict[str, Any]:
    from trainer.data import find_shards, read_shard_header, train_fingerprint
    from trainer.errors import DataError

    try:
        train, val = find_shards(folder, "train"), find_shards(folder, "val")
        return {
            "train_fingerprint": train_fingerprint(train),
            "train_tokens": sum(map(read_shard_header, train)) or None,
            "val_sha256": _sha256(*val),
        }
    except DataError as error:
        notes.append(f"the data is unchecked: {error.message}")
        return {}


def _sha256(*paths: Path) -> str:
    from trainer.data import sha256_of

    return sha256_of(paths)


def _check_vocabulary(tokenizer: Path, vocab_size: str | None) -> list[str]:
    """Say when a SentencePiece model has another vocabulary than the script is told."""
    if tokenizer.suffix != ".model" or vocab_size is None or not vocab_size.isdecimal():
        return []
    import sentencepiece

    try:
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer)).vocab_size()
    except (RuntimeError, OSError):
        return [f"{tokenizer} is no SentencePiece model"]
    if pieces == int(vocab_size):
        return []
    return [f"VOCAB_SIZE={vocab_size}, but {tokenizer.name} has {pieces} pieces"]
