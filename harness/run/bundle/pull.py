"""Takes the results of a launch bundle back: every seed becomes an attempt of the hole it was emitted for.

What was launched is known from `bundle.json`, what ran from `finish.json`; every file is checked against its
hash before anything is written. An attempt appears whole, and the same results never twice.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness import __version__
from harness.courses.course import load_course
from harness.documents import FileProblem, check_model, naming, parse_json, read_file, read_json
from harness.errors import HarnessError
from harness.files import open_plain, path_below, write_whole
from harness.records.arguments import takes_seed, with_seed
from harness.records.frozen import AwareDatetime, Int, NonNegativeFloat, PositiveInt
from harness.records.intent import Intent, dump_intent
from harness.records.launch import Launch, dump_launch
from harness.records.origin import Provenance
from harness.records.private import private_intent, private_launch, write_record
from harness.records.record import Environment, Frozen, RunRecord, find_record
from harness.records.store import Attempt, Hole, NumberTaken, Store, add_attempt, require_hole_name
from harness.run.bundle import start
from harness.run.bundle.emit import MAX_BYTES, PLACES, Bundle, load_bundle
from harness.run.capture import ProcessEnd
from harness.run.result import build_record
from harness.run.trust import is_own_bundle, remember_launch


class Finish(Frozen):
    """`finish.json`: how one seed ended over there."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    bundle: str
    seed: Int | None
    exit_code: Int
    interrupted: bool
    wall_seconds: NonNegativeFloat
    started_at: AwareDatetime
    ended_at: AwareDatetime
    nproc: PositiveInt
    python: str
    versions: dict[str, str | None] = Field(default_factory=dict)  # of packages
    platform: str
    source_sha256: str
    notes: tuple[str, ...]
    files: dict[str, str]


_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class PulledSeed:
    """What became of one seed.

    state: added (or would be), known: pulled before, or missing: it has not been played to its end.
    """

    seed: int | None
    state: Literal["added", "known", "missing"]
    hole: str
    attempt: int | None = None
    record: RunRecord | None = None
    why: str = ""


def pull(folder: Path, runs: Path, dry_run: bool = False) -> list[PulledSeed]:
    """Take in what a bundle left in its `result/`.

    Raises HarnessError when it is no bundle, when a file is missing or is not the one that was written over
    there, or when the hole's number is another's here.
    """
    bundle = load_bundle(folder)
    store = Store(runs)
    with store.locked() if not dry_run else contextlib.nullcontext():
        hole = _find_hole(bundle, store)
        seeds = [_look_up(bundle, seed, folder, hole) for seed in bundle.seeds]
        if dry_run or all(one.state != "added" for one in seeds):
            return seeds
        if hole is not None:
            return [_take(bundle, one, folder, hole, runs) for one in seeds]
        intent = private_intent(Intent.model_validate(bundle.intent))
        with store.add_hole(bundle.hole, dump_intent(intent)) as new:
            return [_take(bundle, one, folder, new, runs) for one in seeds]


def _look_up(bundle: Bundle, seed: int | None, folder: Path, hole: Hole | None) -> PulledSeed:
    """Say what there is to take of one seed, all files of which are checked."""
    source = _source(folder, seed)
    if not (source / start.FINISH).is_file():
        return PulledSeed(seed, "missing", bundle.hole, why=_why_missing(source))
    finish, digest = _load_finish(source / start.FINISH, folder, bundle)
    if record := _earlier_record(hole, digest):
        return PulledSeed(seed, "known", bundle.hole, record.attempt, record)
    _check_files(folder, source, bundle, finish)
    return PulledSeed(seed, "added", bundle.hole)


def _source(folder: Path, seed: int | None) -> Path:
    return folder / "result" / (f"seed_{seed}" if seed is not None else "run")


def _find_hole(bundle: Bundle, store: Store) -> Hole | None:
    name = require_hole_name(bundle.hole)
    for hole in store.holes():
        if hole.name.folder == name.folder:
            return hole
        if hole.name.number == name.number:
            raise HarnessError(
                f"number {name.number} is taken by {hole.name.folder}; "
                f"the bundle was emitted for {name.folder}",
                "name the season it was emitted from with --runs DIR",
            )
    return None


def _why_missing(source: Path) -> str:
    if not source.is_dir():
        return "it was not played"
    unfinished = "it still runs, or was cut short; `bash run.sh` there goes on with it"
    return f"{source.name} has no {start.FINISH}: {unfinished}"


def _load_finish(path: Path, root: Path, bundle: Bundle) -> tuple[Finish, str]:
    content = read_file(path, MAX_BYTES, "copy it again", root)
    finish = check_model(Finish, parse_json(content, path, "copy it again"), path, "copy it again")
    if finish.bundle != bundle.id:
        raise HarnessError(
            f"{path} is of another bundle ({finish.bundle[:12]})", "pull the folder that it was played in"
        )
    return finish, hashlib.sha256(content).hexdigest()


def _earlier_record(hole: Hole | None, digest: str) -> RunRecord | None:
    """Return the record that was made of the same results before."""
    for attempt in hole.attempts if hole else ():
        with contextlib.suppress(HarnessError):
            record = find_record(attempt.record_path)
            if record is not None and record.provenance is not None and record.provenance.sha256 == digest:
                return record
    return None


def _check_files(folder: Path, source: Path, bundle: Bundle, finish: Finish) -> None:
    """See that every file came over as it was written, and that none leads out of the bundle.

    Code may differ where `run.sh --force` played changed files: then another hash was noted over there.
    """
    for name, digest in finish.files.items():
        if _read_through(folder, path_below(source, name, source / start.FINISH)) != digest:
            raise HarnessError(
                f"{source / name} is not the file that was written over there",
                "the copy is broken or not complete: copy it again",
            )
    changed = finish.source_sha256 != bundle.code.source_sha256
    for name in _code_files(bundle) if bundle.kind == "script" or changed else ():
        path = path_below(folder, name, folder / "bundle.json")
        if _read_through(folder, path) != bundle.files[name] and not changed:
            raise HarnessError(
                f"{folder / name} is not the file that was launched",
                "the copy is broken or not complete: copy it again",
            )


def _code_files(bundle: Bundle) -> list[str]:
    return [name for name in bundle.files if name.startswith("code/")]


def _read_through(folder: Path, path: Path, target: Path | None = None) -> str:
    """Return the sha256 of a file of a bundle, and copy it to `target`. No part of its path may be a link.

    Raises HarnessError when it is missing or no plain file.
    """
    digest = hashlib.sha256()
    try:
        source = open_plain(path, root=folder)
    except FileNotFoundError as error:
        raise HarnessError(f"{path} is missing", "the copy is not complete: copy the folder again") from error
    except OSError as error:
        raise HarnessError(
            f"{path} cannot be read: {error.strerror or error}", "copy the folder with its files"
        ) from error
    with source, contextlib.ExitStack() as stack:
        copy = None
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = stack.enter_context(target.open("xb"))
        while block := source.read(_COPY_BYTES):
            digest.update(block)
            if copy is not None:
                copy.write(block)
    return digest.hexdigest()


# An attempt ---------------------------------------------------------------------------------------


def _take(bundle: Bundle, seed: PulledSeed, folder: Path, hole: Hole, runs: Path) -> PulledSeed:
    """Build the attempt of a seed that is to be added next to its place, and move it there whole."""
    if seed.state != "added":
        return seed
    source = _source(folder, seed.seed)
    finish, digest = _load_finish(source / start.FINISH, folder, bundle)
    changed = finish.source_sha256 != bundle.code.source_sha256
    while True:
        with contextlib.suppress(NumberTaken), add_attempt(hole.path) as attempt:
            for name in finish.files:
                _read_through(folder, source / name, attempt.path / name)
            if bundle.kind == "script" or changed:
                _copy_source(bundle, folder, attempt)
            launch = _launch(bundle, finish, attempt)
            content = dump_launch(private_launch(launch)).encode()
            if is_own_bundle(bundle.id) and not changed and finish.nproc == bundle.nproc:
                remember_launch(content, ())  # what it would start again is what was packed here
            write_whole(attempt.launch_path, content)
            record = _record(bundle, finish, digest, attempt, launch, runs)
            record = write_record(attempt.record_path, record)
            return replace(seed, attempt=attempt.number, record=record)


def _copy_source(bundle: Bundle, folder: Path, attempt: Attempt) -> None:
    for name in _code_files(bundle):
        _read_through(folder, folder / name, attempt.source_dir / name.removeprefix("code/"))


def _launch(bundle: Bundle, finish: Finish, attempt: Attempt) -> Launch:
    """What was launched, as it was started over there."""
    by_name = finish.seed is not None and not takes_seed(bundle.arguments)
    config = bundle.config | ({"SEED": str(finish.seed)} if by_name else {})
    if bundle.kind == "builtin":  # `auto` has come to something over there
        with contextlib.suppress(FileProblem), naming(attempt.result_path):
            resolved = read_json(attempt.result_path, MAX_BYTES)["config"]
            config = {name: str(resolved.get(name, value)) for name, value in config.items()}
    return Launch(
        hole=bundle.hole,
        attempt=attempt.number,
        course=bundle.course,
        course_named=bundle.course_named,
        split=bundle.split,
        cap_bytes=bundle.cap_bytes,
        preset=bundle.preset,
        script=bundle.main,
        module=bundle.module,
        arguments=bundle.arguments if finish.seed is None else with_seed(bundle.arguments, finish.seed),
        overrides=bundle.overrides,
        config={name: value for name, value in config.items() if name not in PLACES},
        environ=bundle.environ if bundle.kind == "script" else {},
        hidden=(),
        seed=finish.seed,
        planned_seeds=tuple(seed for seed in bundle.seeds if seed is not None)
        if bundle.planned_seeds is None
        else bundle.planned_seeds,
        purpose=bundle.purpose,
        nproc=finish.nproc,
        launcher=bundle.launcher,
        started_at=finish.started_at,
        command=bundle.command,
        code=bundle.code.model_copy(update={"source_sha256": finish.source_sha256}),
        data=bundle.fingerprints,
        harness=bundle.harness,
        code_bytes=bundle.code_bytes,
        code_rule=bundle.code_rule,
    )


def _record(
    bundle: Bundle, finish: Finish, digest: str, attempt: Attempt, launch: Launch, runs: Path
) -> RunRecord:
    end = ProcessEnd(finish.exit_code, finish.wall_seconds, finish.interrupted)
    record = build_record(launch, attempt, end, load_course(bundle.course, runs))
    warnings = [*record.warnings, *finish.notes]
    if finish.source_sha256 != bundle.code.source_sha256:
        warnings.append(
            "another code ran than was launched; `source/` has what lay in the bundle when it was pulled"
        )
    machine: dict[str, Any] = {
        **{name: version for name, version in finish.versions.items() if name in Environment.model_fields},
        "python": finish.python,
        "platform": finish.platform,
        "world_size": finish.nproc if finish.nproc > 1 else None,
    }
    return record.model_copy(
        update={
            "ended_at": max(finish.ended_at, finish.started_at),
            "environment": record.environment.model_copy(
                update=machine if bundle.kind == "script" else {"harness": bundle.harness}
            ),
            "provenance": Provenance(
                source=f"bundle {bundle.id[:12]}, emitted {bundle.created_at:%Y-%m-%d}",
                sha256=digest,
                importer=f"harness {__version__}",
            ),
            "warnings": tuple(dict.fromkeys(warnings)),
        }
    )
