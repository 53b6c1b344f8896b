"""A new hole from the weights of an earlier one: the same training, packed or scored another way.

    plan_evaluation()    source, overrides, weights, hole, duplicates -> an Evaluation; writes nothing
    play_evaluation()    one seed of it: folder, curve, launch.json, the trainer, record.json

Which knobs act after training is the trainer's knowledge (`trainer.knob`); which file holds the weights is
said by the source's record, and its hash must agree.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.courses.corpus import ProgressCallback
from harness.courses.course import load_course
from harness.errors import HarnessError, UsageError
from harness.files import read_plain, write_whole
from harness.records.intent import Intent
from harness.records.launch import Launch, Trained
from harness.records.prediction import Prediction
from harness.records.record import RunRecord
from harness.records.store import Attempt, HoleName, Store, slugify
from harness.run.again import recorded_overrides
from harness.run.builtin import check_builtin
from harness.run.capture import RunCallbacks
from harness.run.kept_weights import Source, find_sources
from harness.run.plan import Plan, drop_duplicates, new_hole_name, same_experiment
from harness.run.play import play
from harness.run.request import PlanInputs, RunRequest, TrainerSetup, parse_overrides
from harness.season.aliases import next_number
from harness.season.hole import PlayedHole
from harness.season.season import Season, load_season
from trainer.config import KNOBS, Config, load_config
from trainer.errors import ConfigError

CODEC = "COMPRESSOR"  # the one knob of the packing that an artifact can be read back for


@dataclass(frozen=True)
class EvaluationRequest:
    """What was typed after `harness evaluate`. new: how the hole is called; None for the next free number."""

    reference: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    new: str | None = None
    title: str = ""
    hypothesis: str = ""
    prediction: Prediction | None = None
    repeat: bool = False


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that passed every check. sources: by seed. changed: the overrides that were typed."""

    plan: Plan
    source: HoleName
    sources: Mapping[int, Source]
    changed: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds to play: those of the sources that were not played before."""
        return tuple(seed for seed in self.plan.seeds if seed is not None)


def plan_evaluation(request: EvaluationRequest, runs: Path, progress: ProgressCallback) -> Evaluation:
    """Check an evaluation completely and return what would be done. Writes nothing under `runs/`.

    Raises UsageError for an override that acts in training, and HarnessError where there are no weights, the
    data is another one, or the same was played before (exit 15).
    """
    store, season = Store(runs), load_season(runs)
    name = store.get(request.reference).name
    played = next(hole for hole in season.holes if hole.name == name)
    record = _require_own_training(played)
    changed = parse_overrides(request.overrides, record.config).settings
    overrides = recorded_overrides(played, record)
    _refuse_training(changed, record, overrides, store, request.reference)
    sources, notes = find_sources(played, season, request.seeds, _repacked(changed, record))

    setup = _check_setup(record, overrides, changed, tuple(sources), runs, progress)
    _refuse_other_data(record, setup, name)
    plan = Plan(
        hole=name,
        is_new=True,
        intent=_intent(request, played, setup, changed),
        course=load_course(record.course, runs),
        trainer=setup,
        seeds=tuple(sources),
        planned_seeds=tuple(sources),
    )
    plan = plan if request.repeat else drop_duplicates(plan, season)
    plan = _choose_hole(plan, request, store, season, name)
    return Evaluation(
        plan,
        name,
        sources,
        changed,
        (*notes, *(one.text for one in plan.skipped), *_other_code(record, setup)),
    )


def play_evaluation(
    evaluation: Evaluation,
    seed: int,
    runs: Path,
    callbacks: RunCallbacks,
    rate_per_hour: float | None = None,
) -> RunRecord:
    """Evaluate the weights of one seed and return the record, which is written whatever happened.

    rate_per_hour: what an hour of the machine costs.
    """
    source = evaluation.sources[seed]
    rescored = _scores_validation_otherwise(source.record, evaluation.plan.trainer)

    def prepare(attempt: Attempt, launch: Launch) -> Launch:
        _copy_curve(source.attempt, attempt, training_alone=rescored)
        return launch.model_copy(
            update={
                "evaluated_from": source.origin,
                "trained": _trained(source, rescored),
                "command": evaluation_command(evaluation, seed),
            }
        )

    return play(evaluation.plan, seed, runs, callbacks, prepare=prepare, rate_per_hour=rate_per_hour)


def evaluation_command(evaluation: Evaluation, seed: int) -> tuple[str, ...]:
    """Return the words that evaluate these weights again, into the same hole."""
    settings = [word for name, value in sorted(evaluation.changed.items()) for word in _setting(name, value)]
    words = ("harness", "evaluate", evaluation.source.folder, *settings)
    return (*words, "--new", evaluation.plan.hole.folder, "--seed", str(seed), "--repeat")


def _setting(name: str, value: str) -> tuple[str, str]:
    return "-o", f"{name}={value}"


# What may be evaluated ----------------------------------------------------------------------------


def _require_own_training(played: PlayedHole) -> RunRecord:
    """Return the newest complete record. Raises HarnessError where nothing of ours was trained to its end."""
    folder = played.name.folder
    if not played.group:
        raise HarnessError(
            f"{folder} has no complete attempt whose weights could be evaluated",
            f"play it: `harness run {folder}`",
        )
    record = played.group[-1]
    if record.code.trainer != "builtin":
        number = next_number(Store(played.hole.path.parent))
        raise UsageError(
            f"{folder} was played with {record.code.trainer}: a script of your own trains, packs and scores "
            "in one go, so its weights cannot be evaluated alone",
            f"train it with the override: `harness run {number} --parent {folder} "
            f"--script {shlex.quote(played.intent.script or record.code.trainer)} -o NAME=VALUE`",
        )
    if not record.config:
        raise UsageError(
            f"{folder} was imported from a log, which brings no weights", "name a hole that was played here"
        )
    return record


def _refuse_training(
    changed: Mapping[str, str],
    record: RunRecord,
    overrides: Mapping[str, str],
    store: Store,
    reference: str,
) -> None:
    """Refuse an override that acts in training, with the command that would train."""
    before, after = _config(record.config), _config({**record.config, **changed})
    for name, value in changed.items():
        why = "" if KNOBS[name].free_on_resume else KNOBS[name].acts_in_training(before, after)
        if name == "SEED":
            raise UsageError(
                f"override SEED={value}: the weights were trained with the seeds that they have",
                f"choose among them: --seed {value}",
            )
        if why:
            words = [word for pair in sorted({**overrides, **changed}.items()) for word in _setting(*pair)]
            parent = store.get(reference).name.folder
            command = ["harness", "run", f"round_{next_number(store):03d}", "--parent", parent]
            command += ["--course", record.course, *(["--preset", record.preset] if record.preset else [])]
            raise UsageError(
                f"override {name}={value} cannot be evaluated: {why}, and {parent} is trained already",
                f"train it: `{shlex.join([*command, *words])}`",
            )


def _config(settings: Mapping[str, str]) -> Config:
    try:
        return load_config(settings)
    except ConfigError as error:
        raise UsageError(f"override {error.message}", error.hint) from error


def _repacked(changed: Mapping[str, str], record: RunRecord) -> tuple[str, ...]:
    """Return the overrides that need unrounded weights: they pack them anew, not just in another codec."""
    return tuple(
        name
        for name, value in changed.items()
        if KNOBS[name].acts == "export" and name != CODEC and record.config.get(name) != value
    )


def _refuse_other_data(record: RunRecord, setup: TrainerSetup, name: HoleName) -> None:
    """Refuse to score weights on another text, or with another tokenizer, than they were trained for."""
    ours, theirs = setup.data, record.data
    facts = {
        "validation text": (ours.val_sha256, theirs.val_sha256),
        "tokenizer": (ours.tokenizer_sha256, theirs.tokenizer_sha256),
        "training text": (ours.train_fingerprint, theirs.train_fingerprint),
    }
    for what, (here, then) in facts.items():
        if None not in (here, then) and here != then:
            raise HarnessError(
                f"the {what} here is not the one that {name.folder} was trained with "
                f"({str(here)[:12]} against {str(then)[:12]})",
                "name the data it had with -o DATA_PATH=DIR -o TOKENIZER_PATH=FILE, "
                "or evaluate on the machine that trained it",
            )


def _other_code(record: RunRecord, setup: TrainerSetup) -> tuple[str, ...]:
    if record.code.source_sha256 in (None, setup.code.source_sha256):
        return ()
    return (f"{record.hole} was trained by another version of the trainer than the one that evaluates it",)


def _check_setup(
    record: RunRecord,
    overrides: Mapping[str, str],
    changed: Mapping[str, str],
    seeds: tuple[int, ...],
    runs: Path,
    progress: ProgressCallback,
) -> TrainerSetup:
    """Let the trainer check the source's own settings with what is changed in them."""
    request = RunRequest(
        reference=record.hole,
        overrides=tuple(f"{name}={value}" for name, value in changed.items()),
        seeds=seeds,
        preset=record.preset,
    )
    intent = Intent(overrides={name: v for name, v in overrides.items() if name != "SEED"})
    inputs = PlanInputs(
        request, intent, load_course(record.course, runs), f"{record.hole}'s record", progress
    )
    return check_builtin(inputs, {name: v for name, v in record.config.items() if name in KNOBS})


# The hole -----------------------------------------------------------------------------------------


def _intent(
    request: EvaluationRequest, played: PlayedHole, setup: TrainerSetup, changed: Mapping[str, str]
) -> Intent:
    """The round.toml of the new hole: the source is its parent."""
    what = ", ".join(f"{name}={value}" for name, value in changed.items())
    return Intent(
        title=request.title or ", ".join(filter(None, (played.intent.title, what))),
        hypothesis=request.hypothesis,
        prediction=request.prediction,
        parent=played.name.folder,
        course=played.course,
        preset=setup.preset,
        overrides=setup.overrides,
        seeds=tuple(seed for seed in setup.seeds if seed is not None),
        created=dt.datetime.now(dt.UTC).date(),
    )


def _choose_hole(
    plan: Plan, request: EvaluationRequest, store: Store, season: Season, source: HoleName
) -> Plan:
    """Name the hole: the one that holds this evaluation of other seeds already, else a new one."""
    before = next((hole for hole in season.holes if _is_evaluation(hole, plan, source)), None)
    named = store.find(request.new) if request.new is not None else None
    if named is not None and (before is None or named.name != before.name):
        raise UsageError(
            f"--new {request.new}: {named.name.folder} is there, and is not this evaluation of "
            f"{source.folder}",
            f"name a free one: --new round_{next_number(store):03d}",
        )
    if (before is not None and request.new is None) or named is not None:
        assert before is not None
        return replace(plan, hole=before.name, is_new=False)
    title = request.title or " ".join(request.overrides).replace("=", " ")
    folder = request.new or f"round_{next_number(store):03d}"
    return replace(plan, hole=new_hole_name(folder, slugify(title), store))


def _is_evaluation(hole: PlayedHole, plan: Plan, source: HoleName) -> bool:
    return hole.summary.parent == source.folder and any(
        record.evaluated_from is not None and same_experiment(plan, record) for record in hole.records
    )


# What is taken over from the training -------------------------------------------------------------


def _scores_validation_otherwise(record: RunRecord, setup: TrainerSetup) -> bool:
    """Whether validations would come to something else: they are not the source's any more."""
    before, after = _config(record.config), _config(setup.config)
    return before.eval_length != after.eval_length


def _trained(source: Source, rescored: bool) -> Trained:
    record = source.record
    scores = [score for score in record.scores if score.stage == "pre_quantization"]
    return Trained(
        steps=record.steps,
        planned_steps=record.planned_steps,
        step_ms=record.step_ms,
        train_seconds=record.train_seconds,
        tokens_seen=record.tokens_seen,
        tokens_per_second=record.tokens_per_second,
        last_train_loss=record.last_train_loss,
        stop_reason=record.stop_reason,
        resumes=record.resumes,
        score=scores[-1] if scores and not rescored else None,
    )


def _copy_curve(source: Attempt, attempt: Attempt, training_alone: bool) -> None:
    """Copy the curve of the training, without its validations where they would be scored otherwise now."""
    try:
        lines = read_plain(source.curve_path).decode("utf-8", errors="replace").splitlines(keepends=True)
    except OSError:
        return  # it was not kept, and is missing here as it is there
    if training_alone:
        lines = [line for line in lines if not _is_validation(line)]
    write_whole(attempt.curve_path, "".join(lines).encode())


def _is_validation(line: str) -> bool:
    try:
        return "val_loss" in json.loads(line)
    except (ValueError, TypeError):
        return False
