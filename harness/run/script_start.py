"""How a script of one's own is started: its Python, its module, its options, and where its seed goes.

Which options it takes is read off its source (`harness.scripts.options`); what cannot be read is handed over
as it was typed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.errors import HarnessError, UsageError
from harness.records.arguments import (
    BARE,
    SEED,
    is_argument,
    read_arguments,
    takes_seed,
    with_seed,
    without_seed,
)
from harness.run.interpreter import Interpreter, ask_interpreter
from harness.run.request import PlanInputs, ScriptStart, choose_seeds
from harness.run.resources import shows_gpu
from harness.scripts.arguments import ScriptOptions, check_arguments, option_defaults
from harness.scripts.demands import Demands, read_demands
from harness.scripts.snapshot import Snapshot

DEFAULT_SEED = "1337"  # where a script takes a seed but computes its default
_SEED_OPTION = re.compile(r"--(?:\w+[-_])?seed")
_TWO_SEEDS = (1337, 7331)  # an option whose value differs between them has the seed


def plan_start(
    inputs: PlanInputs, snapshot: Snapshot, options: ScriptOptions
) -> tuple[ScriptStart, tuple[str, ...]]:
    """Say how a script is started, and what of it is worth a warning.

    Raises HarnessError for a Python that surely cannot run it, unless the request insists; UsageError for
    options that the script does not take.
    """
    request, intent = inputs.request, inputs.intent
    typed = intent.python if request.python is None else request.python
    place = "--python" if request.python is not None else f"{inputs.place}: python"
    interpreter = ask_interpreter(typed, snapshot, place)
    demands = read_demands(snapshot.texts())
    notes = [] if request.elsewhere else _unmet_demands(demands, interpreter, request.allow_missing)
    if demands.launcher and request.launcher != "torchrun" and request.nproc == 1:
        needed = demands.launcher
        notes.append(f"{needed.place} needs {needed.what}, which torchrun sets: add --launcher torchrun")
    if snapshot.module and not (request.module or intent.module):
        notes.append(f"{snapshot.main} imports relatively: it runs as `python -m {snapshot.module}`")
    arguments = intent.arguments if request.arguments is None else request.arguments
    notes += [f"options of the script are unchecked: {why}" for why in options.unclear[:1] if arguments]
    if arguments and not options:
        notes.append(f"options are unchecked: nothing in {snapshot.main} is seen to take {arguments[0]}")
    start = ScriptStart(interpreter, snapshot.module)
    return _with_arguments(start, arguments, options, request.allow_unread), tuple(notes)


def _unmet_demands(demands: Demands, interpreter: Interpreter, allow_missing: bool) -> list[str]:
    """Return what the script needs and this machine does not show.

    Raises HarnessError for a Python that surely cannot run it, unless `allow_missing`. That a line is reached
    no reading shows for sure, so a missing GPU, program or module is a warning.
    """
    needed = demands.python
    if needed and needed.version > interpreter.version:
        notes = [f"the script {needed}; it would run under {interpreter.python}"]
    else:
        notes = [f"Python {interpreter.python} cannot read {problem}" for problem in interpreter.problems[:1]]
    if notes and not allow_missing:
        raise HarnessError(
            notes[0], "name a newer one with --python PATH, or start it all the same with --allow-missing"
        )
    if interpreter.missing:
        notes.append(f"Python {interpreter.describe()} has no {', '.join(interpreter.missing)}")
    if demands.cuda and not shows_gpu():
        notes.append(
            f"{demands.cuda.place} needs CUDA ({demands.cuda.what}), and this machine shows no GPU; "
            "--emit DIR writes a bundle for one that has"
        )
    notes += [
        f"{program.place} starts {program.what}, which is not on PATH"
        for program in demands.programs
        if shutil.which(program.what) is None
    ]
    return notes


def with_seed_option(
    start: ScriptStart, options: ScriptOptions, allow_unread: bool
) -> tuple[ScriptStart, str | None]:
    """Return the start with `{seed}` where the script takes its seed, and the seed that stood there.

    Nothing changes for a script that has no option for it and was given none.
    """
    name = _seed_option(options)
    arguments, given = without_seed(start.arguments, name or "--seed")
    if given == SEED:
        given = None
    if name is not None and not takes_seed(arguments):
        arguments += (f"{name}={SEED}",) if options.only_equals else (name, SEED)
    if arguments == start.arguments:
        return start, given
    return _with_arguments(start, arguments, options, allow_unread), given


def option_seeds(inputs: PlanInputs, options: ScriptOptions, given: str | None) -> tuple[int, ...]:
    """Return the seeds of a script that takes its seed as an option. given: the one among its arguments."""
    name = _seed_option(options)
    default = options.options[name].default if name else None
    if given is not None and not given.lstrip("-").isdecimal():
        raise UsageError(f"-- {name or '--seed'} {given} is not a whole number", "write it like 1337")
    request = inputs.request
    if given is not None and request.seeds and request.seeds != (int(given),):
        raise UsageError(
            f"the seed is given twice: --seed {request.seeds[0]} and -- {name or '--seed'} {given}",
            "keep one of them",
        )
    usable = default is not None and default.lstrip("-").isdecimal()
    return choose_seeds(request, inputs.intent, given, str(default) if usable else DEFAULT_SEED)


def _seed_option(options: ScriptOptions) -> str | None:
    """Return the name of the option that takes the seed: `--seed`, else the only one that ends so."""
    names = [name for name in options.options if _SEED_OPTION.fullmatch(name)]
    return "--seed" if "--seed" in names else names[0] if len(names) == 1 else None


def _with_arguments(
    start: ScriptStart, arguments: Sequence[str], options: ScriptOptions, allow_unread: bool
) -> ScriptStart:
    """Return the start with other words; the option that has the seed is none of its settings."""
    one, other = (_values(options, with_seed(arguments, seed), allow_unread) for seed in _TWO_SEEDS)
    given = {name: value for name, value in one.items() if other.get(name) == value}
    defaults = {_setting(name): value for name, value in option_defaults(options).items()}
    defaults = {name: value for name, value in defaults.items() if name not in one}
    values = {**defaults, **given}
    return replace(start, arguments=tuple(arguments), options=values, given=frozenset(given))


def _values(options: ScriptOptions, words: Sequence[str], allow_unread: bool) -> Mapping[str, str]:
    if not options:
        return read_arguments(words)
    try:
        values = check_arguments(options, words)
    except UsageError:
        if not allow_unread:
            raise
        return read_arguments(words)
    return {_setting(name): value for name, value in values.items()}


def _setting(name: str) -> str:
    """What an option is called among settings; a word without dashes must not look like a variable."""
    return name if is_argument(name) else BARE + name
