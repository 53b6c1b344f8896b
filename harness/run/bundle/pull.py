"""Takes the results of a launch bundle back: every seed becomes an attempt of the hole it was emitted for.

What was launched is known from `bundle.json`, what ran from `finish.json`; every file is checked against its
hash before anything is written. An attempt appears whole, and the same results never twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from harness import __version__
from harness.courses.course import load_course
from harness.documents import FileProblem, check_model, naming, parse_json, read_file, read_json
from harness.errors import HarnessError
from harness.files import write_whole
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
    _check_files(source, finish)
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


def _check_files(source: Path, finish: Finish) -> None:
    """See that every file came over as it was written, and that none leads out of the folder."""
    for name, digest in finish.files.items():
        path = source / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise HarnessError(
                f"{source / start.FINISH} names {name}, outside of its folder", "nothing was taken in"
            )
        if any(part.is_symlink() for part in _parts(source, name)):
            raise HarnessError(f"{path} is a link; links are not followed", "copy the folder with its files")
        if not path.is_file():
            raise HarnessError(f"{path} is missing", "the copy is not complete: copy the folder again")
        if start.sha256(path) != digest:
            raise HarnessError(
                f"{path} is not the file that was written over there",
                "the copy is broken or not complete: copy it again",
            )


def _parts(source: Path, name: str) -> Iterator[Path]:
    path = source
    for part in PurePosixPath(name).parts:
        path = path / part
        yield path


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
                (attempt.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, attempt.path / name, follow_symlinks=False)
            if bundle.kind == "script" or changed:
                _copy_source(bundle, folder, attempt)
            launch = _launch(bundle, finish, attempt)
            write_whole(attempt.launch_path, dump_launch(private_launch(launch)).encode())
            record = _record(bundle, finish, digest, attempt, launch, runs)
            record = write_record(attempt.record_path, record)
            return replace(seed, attempt=attempt.number, record=record)


def _copy_source(bundle: Bundle, folder: Path, temporary: Attempt) -> None:
    for name in bundle.files:
        if (
            name.startswith("code/")
            and ".." not in PurePosixPath(name).parts
            and not (folder / name).is_symlink()
        ):
            place = temporary.source_dir / name.removeprefix("code/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, place, follow_symlinks=False)


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
        planned_seeds=tuple(seed for seed in bundle.seeds if seed is not None),
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
