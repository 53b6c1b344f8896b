"""What was typed after `harness run`: run, overrides and limits; and what checks find.

A `RunRequest` is all that planning is given. The built-in trainer (`harness.run.builtin`) and a script
(`harness.run.script`) check the part that is theirs: they get a `PlanInputs` and return a `TrainerSetup`.
What a knob is (type, range, unit) is the trainer's knowledge (`trainer.config`); here its refusals become
errors with a next step.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness import figures
from harness.courses.corpus import ProgressCallback
from harness.courses.course import Course, course_names
from harness.errors import Exit, HarnessError, UsageError, nearest
from harness.files import data_path
from harness.records.arguments import takes_seed, with_seed
from harness.records.intent import Intent
from harness.records.prediction import Prediction
from harness.records.record import Code, CodeRule, Data
from harness.records.seed_plan import Purpose
from harness.run.interpreter import Interpreter
from harness.run.processes import in_own_process
from harness.scripts.snapshot import Snapshot
from trainer.bytevocab import NAME as BYTE_VOCABULARY
from trainer.bytevocab import SIZE as BYTE_VOCABULARY_SIZE
from trainer.config import KNOBS
from trainer.errors import ConfigError
from trainer.names import ALIASES, meaning_notes, resolve_aliases

LARGEST_SEED = 2**63 - 1  # what torch takes and a record keeps; the built-in trainer's knob says less
METRICS = ("val_bpb", "val_loss", "train_loss")
_RULE = re.compile(r"\s*(\w+)\s*(?:@\s*(\d+))?\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class AbortRule:
    """`val_bpb@1000>1.45`: from step 1000 on, a val_bpb above 1.45 ends the run."""

    metric: str
    step: int
    sign: str
    limit: float
    text: str

    def breaks(self, step: int, value: float) -> bool:
        return step >= self.step and _SIGNS[self.sign](value, self.limit)


def parse_abort(text: str) -> AbortRule:
    """Read a rule. Raises UsageError with the form that is expected."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f'--abort "{text}" is no rule', "write it like --abort 'val_bpb@1000>1.45'")
    metric, step, sign, limit = match.groups()
    if metric not in METRICS:
        raise UsageError(
            f'--abort "{text}" watches {metric}, which is not logged', f"use {', '.join(METRICS)}"
        )
    try:
        number = float(limit)
    except ValueError:
        raise UsageError(
            f'--abort "{text}": {limit} is not a number', "write it like val_bpb@1000>1.45"
        ) from None
    return AbortRule(metric, int(step or 0), sign, number, text.strip())


@dataclass(frozen=True)
class RunLimits:
    """When a run must stop. timeout, stall: seconds. max_cost: in the money of `rate`, which is per hour.

    slow: ms per step.
    """

    timeout: float | None = None
    max_cost: float | None = None
    rate: float | None = None
    aborts: tuple[AbortRule, ...] = ()
    stall: float | None = None
    slow: float | None = None

    @property
    def cost_seconds(self) -> float | None:
        """Seconds that the money buys."""
        if self.max_cost is None or not self.rate:
            return None
        return self.max_cost / self.rate * 3600

    def check_budget(self, planned_seconds: Sequence[float | None]) -> None:
        """Refuse a run that cannot be paid for. planned_seconds: training time of each attempt, if known.

        Raises UsageError without a rate, HarnessError (exit 14) when the money cannot be enough.
        """
        if self.max_cost is not None and not self.rate:
            raise UsageError(
                f"--max-cost {self.max_cost:g} needs to know what an hour costs",
                "add --rate 3.29 (per hour), or set HARNESS_RATE",
            )
        affordable = self.cost_seconds
        known = [seconds for seconds in planned_seconds if seconds is not None]
        if affordable is None or self.rate is None or sum(known) <= affordable:
            return
        price = sum(known) / 3600 * self.rate
        times = " + ".join(f"{known.count(seconds)} x {seconds:.0f}" for seconds in dict.fromkeys(known))
        raise HarnessError(
            f"{times} s of training cost {figures.money(price)} at {self.rate:g} an hour; "
            f"--max-cost is {self.max_cost:g}",
            "raise --max-cost, or lower MAX_WALLCLOCK_SECONDS",
            Exit.BUDGET,
        )

    def after(self, spent_seconds: float) -> RunLimits:
        """Return what is left for the next attempt of the same command."""
        if self.max_cost is None or not self.rate:
            return self
        return replace(self, max_cost=max(0.0, self.max_cost - spent_seconds / 3600 * self.rate))


@dataclass(frozen=True)
class RunRequest:
    """All that `harness run` was asked for.

    reference: the hole. inherit: a hole whose settings a new one starts from. overrides: `KEY=VALUE` as
    typed. seeds: empty for the one of the settings.
    module: the script as `python -m` knows it. arguments: the script's own options; None for those of
    round.toml. python: the script's interpreter. paired: the hole whose seeds are played. purpose: what the
    attempts are for, beyond a score. outlive: training goes on when the harness is killed.
    allow_missing: play although something that the script needs is surely not here. elsewhere: it is for
    another machine, so what is missing here does not matter. reopen: play another configuration than the
    hole's. as_recorded: the settings are a record's, so round.toml is neither asked nor changed.
    other_options: what was typed beside all this, for a command that is offered. trusted: told what a stored
    file of others is about to start; None where that is refused.
    """

    reference: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    preset: str | None = None
    course: str | None = None
    script: Path | None = None
    module: str | None = None
    inherit: str | None = None
    arguments: tuple[str, ...] | None = None
    python: str | None = None
    title: str = ""
    hypothesis: str = ""
    prediction: Prediction | None = None
    parent: str | None = None
    paired: str | None = None
    purpose: Purpose | None = None
    limits: RunLimits = RunLimits()
    nproc: int = 1
    launcher: str | None = None
    outlive: bool = False
    repeat: bool = False
    reopen: bool = False
    as_recorded: bool = False
    other_options: tuple[str, ...] = ()
    allow_over_cap: bool = False
    allow_unread: bool = False
    allow_missing: bool = False
    elsewhere: bool = False
    trusted: Callable[[str], None] | None = None


@dataclass(frozen=True)
class ScriptStart:
    """How a script is started. module: as `python -m` knows it; None for a file.

    arguments: its options; the word `{seed}` stands for the seed. options: arguments by name, as `config` has
    them, with the defaults of those not given. given: the names among them that were given.
    """

    interpreter: Interpreter
    module: str | None = None
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    @property
    def takes_seed(self) -> bool:
        return takes_seed(self.arguments)

    def arguments_of(self, seed: int | None) -> tuple[str, ...]:
        """Return the arguments of one attempt."""
        return self.arguments if seed is None else with_seed(self.arguments, seed)


@dataclass(frozen=True)
class TrainerSetup:
    """What will run, checked: the built-in trainer or a script with its settings, data and code.

    config: all settings, as resolved. environ: what is handed over, in the trainer's own spelling.
    hidden: variables of the shell that must not reach it. params, forecast_bytes: None when nobody can tell.
    code_bytes: of the script that our trainer would be handed in as; None for a script of one's own.
    preset_reason: why the preset was chosen, where nobody named one. gpu_bytes: its memory, (free, all).
    """

    overrides: dict[str, str]
    config: dict[str, str]
    environ: dict[str, str]
    hidden: frozenset[str]
    seeds: tuple[int | None, ...]
    data: Data
    code: Code
    preset: str | None = None
    preset_reason: str = ""
    split: str | None = None
    params: int | None = None
    gpu_bytes: tuple[int, int] | None = None
    forecast_bytes: int | None = None
    code_bytes: int | None = None
    code_diff: str = ""
    snapshot: Snapshot | None = None
    start: ScriptStart | None = None
    warnings: tuple[str, ...] = ()

    @property
    def recorded_overrides(self) -> dict[str, str]:
        """Overrides, and the options that a script was given, by name."""
        if self.start is None:
            return self.overrides
        given = {name: value for name, value in self.start.options.items() if name in self.start.given}
        return self.overrides | given

    @property
    def code_rule(self) -> CodeRule | None:
        """How the code will be counted; a trainer that makes no script counts whole."""
        if self.snapshot is not None:
            return None
        return "package" if self.code_bytes is None else "packed"


@dataclass(frozen=True)
class PlanInputs:
    """What a plan is made from: the request, what round.toml says, the course.

    check_start: raises HarnessError for a script with its settings that others would have started here.
    """

    request: RunRequest
    intent: Intent
    course: Course
    place: str  # the hole's round.toml, for errors
    progress: ProgressCallback = field(default=lambda what, share: None)
    check_start: Callable[[Path, Snapshot, Mapping[str, str]], None] = field(default=lambda *start: None)

    @property
    def course_named(self) -> bool:
        """Whether the user or round.toml names the course; else it is the default."""
        return bool(self.request.course or self.intent.course)


# Overrides ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overrides:
    """Settings in canonical text by our names.

    notes: which were given by another name, and where the public scripts mean something else by a name.
    """

    settings: dict[str, str]
    notes: tuple[str, ...]


def parse_overrides(assignments: Iterable[str], base: Mapping[str, str] | None = None) -> Overrides:
    """Read `--override` words. base: settings by our names that these go over.

    Raises UsageError for a word without `=`, an unknown name (with the nearest known one), a value of the
    wrong type or out of range, and a name given twice with different values.
    """
    given: dict[str, str] = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        name, text = name.strip(), text.strip()
        if not equals or not name:
            raise UsageError(f'override "{word}" is not KEY=VALUE', "write it like FP16_EMBED=true")
        value = text if name in ALIASES else canonical(name, text)
        if given.get(name, value) != value:
            raise UsageError(f"override {name} is given twice: {given[name]} and {value}", "keep one of them")
        given[name] = value
    return _own_names(given, base)


def _own_names(given: Mapping[str, str], base: Mapping[str, str] | None = None) -> Overrides:
    """Read settings by any name as ours."""
    try:
        settings, notes = resolve_aliases(given, base)
    except ConfigError as error:
        raise UsageError(f"override {error.message}", error.hint) from error
    values = {name: canonical(name, text) for name, text in settings.items()}
    # A name of ours that stands for another one given: its sentence has been said.
    notes += meaning_notes({name: value for name, value in values.items() if name in given})
    return Overrides(values, tuple(notes))


def canonical(name: str, text: str) -> str:
    """Return the one spelling of a knob's value: `1`, `yes` and `True` are all `true`."""
    knob = KNOBS.get(name)
    if knob is None:
        close, elsewhere = nearest(name, KNOBS), unknown_name(name)
        hint = f"{elsewhere}; " if elsewhere else f"did you mean {close}? " if close else ""
        raise UsageError(
            f"override {name}={text} names no knob of the trainer", hint + "`harness knobs` lists all of them"
        )
    try:
        return knob.format(knob.parse(text.strip()))
    except ConfigError as error:
        raise UsageError(f"override {error.message}", error.hint) from error


def file_overrides(values: Mapping[str, str], place: str) -> Overrides:
    """Read overrides that stand in a file; `place` names it in the error."""
    try:
        return _own_names(values)
    except UsageError as error:
        raise UsageError(f"{place}: {error.message}", error.hint) from error


@cache
def field_knobs() -> dict[str, str]:
    """Return the knobs of the field's scripts by name, with their meaning; ours are not among them."""
    lines = data_path("field", "knobs.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t", 1) for line in lines if line and not line.startswith("#"))
    return {name: meaning for name, meaning in rows if name not in KNOBS and name not in ALIASES}


def unknown_name(name: str) -> str:
    """Say what a name that is no knob of ours means to other people's scripts; "" where nobody uses it."""
    meaning = field_knobs().get(name)
    return f"other scripts read {name} ({meaning}); this trainer does not" if meaning else ""


# Seeds and data -------------------------------------------------------------------------------------


def choose_seeds(
    request: RunRequest, intent: Intent, overridden: str | None, default: str
) -> tuple[int, ...]:
    """Seeds from the command line, else from an override, else from round.toml, else the trainer's own."""
    by_override = (int(overridden),) if overridden is not None else ()
    if request.seeds and by_override and request.seeds != by_override:
        raise UsageError(
            f"the seed is given twice: --seed {request.seeds[0]} and SEED={by_override[0]}",
            "keep one of them",
        )
    seeds = request.seeds or by_override or intent.seeds or (int(default),)
    if beyond := next((seed for seed in seeds if abs(seed) > LARGEST_SEED), None):
        raise UsageError(
            f"seed {beyond} is too large",
            f"generators take seeds up to {LARGEST_SEED:,}: write one like 1337",
        )
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if repeated:
        raise UsageError(f"seed {repeated[0]} is listed twice", "a seed shows something once; name others")
    return seeds


def practice_data(
    course: Course,
    overrides: Mapping[str, str],
    progress: ProgressCallback,
    vocabularies: Collection[str] = (),
) -> tuple[dict[str, str], dict[str, Any], str]:
    """Prepare the practice course's data; return where it lies, what is known of it, and its split.

    vocabularies: values of TOKENIZER_PATH under which the same text may be read.
    """
    as_bytes = overrides.get("TOKENIZER_PATH") in vocabularies
    _refuse_other_data(course, {k: v for k, v in overrides.items() if k != "TOKENIZER_PATH" or not as_bytes})
    return in_own_process(_prepare_practice, progress, as_bytes)


def _prepare_practice(
    progress: ProgressCallback, as_bytes: bool
) -> tuple[dict[str, str], dict[str, Any], str]:
    """Read the whole corpus and import numpy, 20 MB: a process of its own takes them away with it."""
    from harness.courses.practice import byte_shards, prepare_course

    course = prepare_course(progress)
    folder = byte_shards(course) if as_bytes else course.data_path
    places = {"DATA_PATH": str(folder), "TOKENIZER_PATH": str(course.tokenizer_path)}
    if as_bytes:
        places |= {"TOKENIZER_PATH": BYTE_VOCABULARY, "VOCAB_SIZE": str(BYTE_VOCABULARY_SIZE)}
    return places, {"yardsticks": course.yardsticks}, f"py{course.python}-{course.val_text_sha256[:12]}"


def own_data(course: Course, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return where a course made of one's own text keeps its data, as knobs."""
    assert course.data is not None
    _refuse_other_data(course, overrides)
    return {
        "DATA_PATH": course.data.path,
        "TOKENIZER_PATH": course.data.tokenizer,
        "VOCAB_SIZE": str(course.data.vocab_size),
    }


def _refuse_other_data(course: Course, overrides: Mapping[str, str]) -> None:
    others = [name for name in course_names() if name != course.name]
    for name in ("DATA_PATH", "TOKENIZER_PATH"):
        if name in overrides:
            raise UsageError(
                f"override {name}={overrides[name]} does not fit the {course.name} course, "
                "which brings its own data",
                f"leave it out, or name the course of that data: --course {' | '.join(others)}",
            )
