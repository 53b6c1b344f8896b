"""The story of `harness run`: plan and check, then play, then record.

    plan()   everything that can be wrong is found here, before anything costs time
    play()   one attempt: folder, launch.json, child process, record.json

Trains nothing itself: the trainer is a child process (`harness.launch`, `harness.capture`).
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import trainer
from harness import __version__
from harness.capture import Outcome, run_captured
from harness.course import Course, course_names, load_course
from harness.errors import Exit, HarnessError, UsageError, nearest
from harness.launch import Launch, dump_launch, load_launch, trainer_command
from harness.overrides import alias_notices, canonical_all, parse_overrides
from harness.record import Code, Data, RunRecord, hash_config
from harness.registry import Played, Season, load_season
from harness.result import build_record
from harness.rounds import HoleName, Intent, require_hole_name, slugify
from harness.source import describe_code
from harness.store import Attempt, Hole, Store, write_whole
from trainer.config import ALIASES, KNOBS, PRESETS

KNOB_NAMES = (*KNOBS, *ALIASES)
TRAINER_FOLDER = Path(trainer.__file__).resolve().parent
DEFAULT_COURSE = "practice"
DEFAULT_PRESET = {"practice": "practice"}  # others play the challenge's baseline
FORECAST_ERROR = 0.10  # how far the size forecast may be off: see `_check_size`


@dataclass(frozen=True)
class Request:
    """What was typed after `harness run`."""

    reference: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    preset: str | None = None
    course: str | None = None
    title: str = ""
    parent: str | None = None
    repeat: bool = False
    allow_over_cap: bool = False


@dataclass(frozen=True)
class Plan:
    """A run that passed every check. knobs: explicit settings; config: all of them, as the trainer resolved them."""

    hole: HoleName
    is_new: bool
    intent: Intent
    course: Course
    split: str
    preset: str
    overrides: dict[str, str]
    config: dict[str, str]
    seeds: tuple[int, ...]
    data: Data
    params: int
    forecast_bytes: int
    code: Code
    code_diff: str = ""
    skipped: tuple[str, ...] = ()  # seeds that were played before, one sentence each
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listeners:
    """Who is told what happens while an attempt is played."""

    on_line: Callable[[str], None] = lambda line: None
    on_idle: Callable[[], None] = lambda: None


# Planning -----------------------------------------------------------------------------------------


def plan(request: Request, runs: Path, progress: Callable[[str, float], None]) -> Plan:
    """Check a run completely and return what would be done. Writes nothing under `runs/`.

    progress: told about the preparation of the practice course, (what, share done).
    Raises UsageError or HarnessError for whatever is wrong.
    """
    store = Store(runs)
    hole = store.find(request.reference)
    name = hole.name if hole else _new_name(request, store)
    intent = hole.load_intent() if hole else Intent()

    course = load_course(request.course or intent.course or DEFAULT_COURSE, runs)
    preset = request.preset or intent.preset or DEFAULT_PRESET.get(course.name, "baseline")
    if preset not in PRESETS:
        close = nearest(preset, PRESETS)
        raise UsageError(
            f'no preset is called "{preset}"',
            (f"did you mean {close}? " if close else "") + f"known presets: {', '.join(PRESETS)}",
        )
    overrides = canonical_all(intent.overrides, f"{name.folder}/round.toml")
    overrides |= parse_overrides(request.overrides)
    seeds = _choose_seeds(request, intent, overrides)
    overrides.pop("SEED", None)

    places, course_data, split = _course_data(course, overrides, progress)
    knobs = canonical_all(PRESETS[preset], f"preset {preset}") | places | overrides
    checked = _ask_trainer(knobs, seeds[0])
    data = Data.model_validate(checked["data"] | course_data)
    code, diff = describe_code(TRAINER_FOLDER)

    drawn = Plan(
        hole=name,
        is_new=hole is None,
        intent=_intent(request, intent, course.name, preset, overrides, seeds),
        course=course,
        split=split or _name_split(course, data),
        preset=preset,
        overrides=overrides,
        config=checked["config"],
        seeds=seeds,
        data=data,
        params=checked["params"],
        forecast_bytes=checked["forecast_bytes"],
        code=code,
        code_diff=diff,
        warnings=alias_notices(request.overrides),
    )
    _check_size(drawn, request.allow_over_cap)
    _check_disk(drawn, runs)
    return drawn if request.repeat else _drop_duplicates(drawn, load_season(runs))


def _new_name(request: Request, store: Store) -> HoleName:
    """Name a hole that does not exist yet, and see that its number is free."""
    wanted = request.reference
    if request.reference.isdecimal():
        wanted = f"round_{int(request.reference):03d}"
    name = require_hole_name(wanted)
    taken = next((hole for hole in store.holes() if hole.name.number == name.number), None)
    if taken:
        raise UsageError(
            f"number {name.number} is taken by {taken.name.folder}",
            f"play that hole with `harness run {taken.name.folder}`, or choose a free number",
        )
    slug = slugify(request.title) if not name.slug else ""
    return require_hole_name(f"{wanted}_{slug}") if slug else name


def _choose_seeds(request: Request, intent: Intent, overrides: dict[str, str]) -> tuple[int, ...]:
    """Seeds from the command line, else from an override, else from round.toml, else the trainer's own."""
    by_override = (int(overrides["SEED"]),) if "SEED" in overrides else ()
    if request.seeds and by_override and request.seeds != by_override:
        raise UsageError(
            f"the seed is given twice: --seed {request.seeds[0]} and SEED={by_override[0]}",
            "keep one of them",
        )
    seeds = request.seeds or by_override or intent.seeds or (int(str(KNOBS["SEED"].default)),)
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if repeated:
        raise UsageError(f"seed {repeated[0]} is listed twice", "a seed shows something once; name others")
    for seed in seeds:
        canonical_all({"SEED": str(seed)}, "--seed")
    return seeds


def _course_data(
    course: Course, overrides: dict[str, str], progress: Callable[[str, float], None]
) -> tuple[dict[str, str], dict[str, Any], str | None]:
    """Return where the course's data lies (as knobs), what is known of it, and its split."""
    if course.data:
        brought = {"DATA_PATH": course.data.path, "TOKENIZER_PATH": course.data.tokenizer}
        _refuse_other_data(course, overrides)
        return brought | {"VOCAB_SIZE": str(course.data.vocab_size)}, {}, None
    if course.name != "practice":
        places = {
            name: str(Path(overrides.get(name) or str(KNOBS[name].default)).expanduser().resolve())
            for name in ("DATA_PATH", "TOKENIZER_PATH")
        }
        overrides |= {name: places[name] for name in places if name in overrides}
        return places, {}, None
    _refuse_other_data(course, overrides)
    from trainer.practice import CourseError, prepare_course

    try:
        prepared = prepare_course(progress)
    except CourseError as error:
        raise HarnessError(error.message, error.hint) from error
    places = {"DATA_PATH": str(prepared.data_path), "TOKENIZER_PATH": str(prepared.tokenizer_path)}
    return places, {"yardsticks": prepared.yardsticks}, f"py{prepared.python}-{prepared.val_text_sha256[:12]}"


def _refuse_other_data(course: Course, overrides: dict[str, str]) -> None:
    for name in ("DATA_PATH", "TOKENIZER_PATH"):
        if name in overrides:
            raise UsageError(
                f"override {name}={overrides[name]} does not fit the {course.name} course, which brings its own data",
                f"leave it out, or name the course of that data: --course {' | '.join(course_names())}",
            )


def _ask_trainer(knobs: dict[str, str], seed: int) -> dict[str, Any]:
    """Let the trainer check a configuration and its data; it knows best, and it alone needs torch."""
    config = knobs | {"SEED": str(seed)}
    command = trainer_command(Path.cwd(), config, os.environ, KNOB_NAMES, "--check")
    done = subprocess.run(
        command.argv, env=command.env, cwd=command.cwd, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
    said = dict(
        line.split(": ", 1) for line in done.stderr.splitlines() if line.startswith(("error: ", "hint: "))
    )
    if "error" in said:
        raise UsageError(said["error"], said.get("hint", ""))
    last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    raise HarnessError(f"the trainer cannot start: {last[0]}", "`python -m trainer --check` shows all of it")


def _name_split(course: Course, data: Data) -> str:
    """Name the export of the validation text by its bytes; an unknown one goes by its fingerprint."""
    for split in course.splits:
        if data.val_bytes and abs(data.val_bytes / split.val_bytes - 1) < 0.001:
            return split.name
    return f"unknown-{(data.val_sha256 or 'none')[:12]}"


def _intent(
    request: Request,
    intent: Intent,
    course: str,
    preset: str,
    overrides: dict[str, str],
    seeds: tuple[int, ...],
) -> Intent:
    """The round.toml of a hole that is about to be made."""
    return intent.model_copy(
        update={
            "title": request.title or intent.title,
            "parent": request.parent or intent.parent,
            "course": course,
            "preset": preset,
            "overrides": overrides,
            "seeds": seeds,
            "created": intent.created or dt.datetime.now(dt.UTC).date(),
        }
    )


def _check_size(plan: Plan, allow: bool) -> None:
    """Refuse a run whose artifact cannot be under the cap. The forecast may be 10 % off, so that is allowed for."""
    cap = plan.course.caps.artifact_bytes
    if plan.forecast_bytes * (1 - FORECAST_ERROR) >= cap and not allow:
        raise HarnessError(
            f"{plan.params:,} parameters will take about {plan.forecast_bytes:,} bytes; the cap is {cap:,}",
            "make the model smaller, or insist with --allow-over-cap",
            Exit.OVER_CAP,
        )


def _check_disk(plan: Plan, runs: Path) -> None:
    """Refuse a run whose checkpoint and artifact would not fit on the disk: fp32 weights, two moments, twice."""
    there = next(folder for folder in (runs, *runs.resolve().parents) if folder.is_dir())
    needed = plan.params * 4 * 3 * 2 + plan.forecast_bytes
    free = shutil.disk_usage(there).free
    if free < needed:
        raise HarnessError(
            f"{needed / 1e6:,.0f} MB are needed for checkpoints and the artifact; {there} has {free / 1e6:,.0f} MB",
            "free some space, or name another folder with --runs DIR",
        )


def _drop_duplicates(plan: Plan, season: Season) -> Plan:
    """Leave out seeds that were played before; refuse when nothing new is left (exit 15)."""
    known = {
        record.seed: (hole, record)
        for hole in season.holes
        for record in hole.records
        if record.complete and _same_experiment(plan, record)
    }
    seen = [(seed, *known[seed]) for seed in plan.seeds if seed in known]
    left = tuple(seed for seed in plan.seeds if seed not in known)
    if left:
        skipped = tuple(
            f"seed {seed} was played before: {_describe(hole, record)}" for seed, hole, record in seen
        )
        return replace(plan, seeds=left, skipped=skipped)
    _, hole, record = seen[0]
    raise HarnessError(
        f"this run equals {_describe(hole, record)}: same code, configuration, data and seed",
        "change something, choose another --seed, or insist with --repeat",
        Exit.DUPLICATE,
    )


def _same_experiment(plan: Plan, record: RunRecord) -> bool:
    return (
        record.config_hash == hash_config(plan.config)
        and record.code.source_sha256 == plan.code.source_sha256
        and record.course == plan.course.name
        and record.split == plan.split
        and record.data.train_fingerprint == plan.data.train_fingerprint
        and record.data.tokenizer_sha256 == plan.data.tokenizer_sha256
    )


def _describe(hole: Played, record: RunRecord) -> str:
    return f"{hole.name.folder} attempt {record.attempt} (seed {record.seed}, val_bpb {record.val_bpb:.4f})"


# Playing ------------------------------------------------------------------------------------------


def play(plan: Plan, seed: int, runs: Path, listeners: Listeners, timeout: float | None = None) -> RunRecord:
    """Play one attempt and return its record, which is written whatever happened.

    timeout: seconds after which the attempt is asked to stop.
    """
    hole = _make_hole(plan, runs)
    attempt = hole.new_attempt()
    with _hold(attempt):
        config = plan.config | {"SEED": str(seed)}
        command = trainer_command(attempt.path, config, os.environ, KNOB_NAMES)
        launch = Launch(
            hole=plan.hole.folder, attempt=attempt.number, course=plan.course.name, split=plan.split,
            cap_bytes=plan.course.caps.artifact_bytes, preset=plan.preset, overrides=plan.overrides,
            config=config, seed=seed, started_at=dt.datetime.now(dt.UTC),
            command=_repeat_command(plan, seed), code=plan.code, data=plan.data, harness=__version__,
        )  # fmt: skip
        if plan.code_diff:
            attempt.source_dir.mkdir()
            write_whole(attempt.source_dir / "uncommitted.diff", plan.code_diff.encode())
        write_whole(attempt.launch_path, dump_launch(launch).encode())
        outcome = run_captured(
            command, attempt.log_path, listeners.on_line, listeners.on_idle, timeout=timeout
        )
        return _conclude(attempt, launch, outcome)


def resume(reference: str, runs: Path, listeners: Listeners, timeout: float | None = None) -> RunRecord:
    """Go on with a hole's newest attempt where its last checkpoint stands, with the settings it was started with.

    An attempt whose trainer had finished while nobody was there to write its record is only recorded.
    Raises HarnessError when there is nothing to resume, when it is running, or when the code has changed.
    """
    hole = Store(runs).get(reference)
    attempts = [attempt for attempt in hole.attempts if attempt.launch_path.is_file()]
    if not attempts:
        raise HarnessError(
            f"{hole.name.folder} has no attempt to resume", f"play it: `harness run {hole.name.folder}`"
        )
    attempt = attempts[-1]
    with _hold(attempt):
        record = attempt.load_record()
        if record is not None and record.complete:
            raise HarnessError(
                f"{hole.name.folder} attempt {attempt.number} is complete (val_bpb {record.val_bpb:.4f})",
                "another attempt: give another --seed, or --repeat",
                Exit.DUPLICATE,
            )
        launch = load_launch(attempt.launch_path)
        if record is None and _finished(attempt):
            return _conclude(attempt, launch, Outcome(0, 0.0))
        _check_code_unchanged(launch, attempt)
        command = trainer_command(attempt.path, launch.config, os.environ, KNOB_NAMES, "--resume")
        if record is not None:
            attempt.record_path.unlink()
        attempt.result_path.unlink(missing_ok=True)
        outcome = run_captured(
            command, attempt.log_path, listeners.on_line, listeners.on_idle, timeout=timeout
        )
        return _conclude(attempt, launch, outcome)


def _make_hole(plan: Plan, runs: Path) -> Hole:
    store = Store(runs)
    return store.create(plan.hole.folder, plan.intent) if plan.is_new else store.get(plan.hole.folder)


def _conclude(attempt: Attempt, launch: Launch, outcome: Outcome) -> RunRecord:
    record = build_record(launch, attempt, outcome)
    attempt.write_record(record)
    return record


def _finished(attempt: Attempt) -> bool:
    try:
        return bool(json.loads(attempt.result_path.read_bytes()).get("status") == "ok")
    except (OSError, ValueError, AttributeError):
        return False


def _check_code_unchanged(launch: Launch, attempt: Attempt) -> None:
    """Half a run with one code and half with another would be a record of neither."""
    now, _ = describe_code(TRAINER_FOLDER)
    if now.source_sha256 != launch.code.source_sha256:
        raise HarnessError(
            f"the trainer's code has changed since {attempt.path.name} was started",
            f"check out {launch.code.git_sha or 'that version'} to resume it, or play a new attempt",
        )


def _hold(attempt: Attempt) -> FileLock:
    """Take the attempt for this process. The lock is the system's: it ends with us, however we end."""
    lock = FileLock(attempt.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise HarnessError(
            f"{attempt.path.parent.name} attempt {attempt.number} is being played by another process",
            "wait for it, or stop it first",
        ) from None
    return lock


def _repeat_command(plan: Plan, seed: int) -> tuple[str, ...]:
    """The words that play this attempt again, settings spelled out."""
    settings = [word for name, value in sorted(plan.overrides.items()) for word in ("-o", f"{name}={value}")]
    return (
        "harness", "run", plan.hole.folder, "--course", plan.course.name, "--preset", plan.preset,
        "--seed", str(seed), *settings, "--repeat",
    )  # fmt: skip


__all__ = ["Listeners", "Plan", "Request", "plan", "play", "resume"]
