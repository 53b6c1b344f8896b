"""`harness run`: play a hole."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import figures
from harness.cli import run_options, series
from harness.cli.app import (
    CourseProgress,
    HoleArgument,
    Json,
    Runs,
    ScriptCommand,
    app,
    print_json,
    script_arguments,
    warn,
)
from harness.cli.background import play_in_background
from harness.cli.run_options import SAFETY, WHAT, WHERE
from harness.cli.series import Turn
from harness.errors import UsageError
from harness.privacy import mask_secret_settings, mask_secret_words

if TYPE_CHECKING:
    from harness.findings import Group
    from harness.run.plan import Plan

RESUME_OPTIONS = frozenset(
    {
        "reference",
        "resume",
        "timeout",
        "max_cost",
        "rate",
        "abort",
        "stall",
        "slow",
        "outlive",
        "trust",
        "runs",
        "as_json",
    }
)

# What a plan holds; the rest was typed for this command alone, and goes into one that is offered as it is.
IN_PLAN = frozenset(
    {
        *("reference", "override", "preset", "course", "script", "module", "python", "seed", "seeds"),
        *("title", "hypothesis", "predict", "parent", "paired", "inherit", "reopen", "resume", "dry_run"),
    }
)

Seed = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Train once with this seed.", rich_help_panel=WHAT)
]
Seeds = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="Several seeds, played in turn.", rich_help_panel=WHAT)
]
Title = Annotated[str, typer.Option(help="Title of a new hole.", rich_help_panel=WHAT)]
Paired = Annotated[
    str | None,
    typer.Option(
        metavar="HOLE",
        help="Play that hole's seeds; `parent`: those of the hole's parent.",
        rich_help_panel=WHAT,
    ),
]
Interleave = Annotated[
    bool,
    typer.Option("--interleave", help="Before each seed play the parent afresh.", rich_help_panel=WHERE),
]
Parent = Annotated[
    str | None,
    typer.Option(
        metavar="HOLE",
        help="The hole that this one varies, or a public run: field:NAME, pr:NUMBER.",
        rich_help_panel=WHAT,
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        "--nproc", metavar="N", min=1, help="Processes, by torchrun; at least 1.", rich_help_panel=WHERE
    ),
]
Launcher = Annotated[
    str | None,
    typer.Option(metavar="torchrun|python", help="What starts the processes.", rich_help_panel=WHERE),
]
Emit = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Start nothing; write a bundle for another machine.", rich_help_panel=WHERE
    ),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach", help="Play in the background, and return once it has begun.", rich_help_panel=WHERE
    ),
]
Outlive = Annotated[
    bool,
    typer.Option("--outlive", help="Let training go on when the harness is killed.", rich_help_panel=SAFETY),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, print the plan.", rich_help_panel=SAFETY)
]
Repeat = Annotated[
    bool, typer.Option("--repeat", help="Play even what was played before.", rich_help_panel=SAFETY)
]
Reopen = Annotated[
    bool,
    typer.Option(
        "--reopen",
        help="Play another configuration in a hole that was played; it then shows both.",
        rich_help_panel=SAFETY,
    ),
]
AllowOverCap = Annotated[
    bool,
    typer.Option("--allow-over-cap", help="Play even if the artifact cannot fit.", rich_help_panel=SAFETY),
]
AllowUnread = Annotated[
    bool,
    typer.Option(
        "--allow-unread", help="Hand over overrides that the script does not read.", rich_help_panel=SAFETY
    ),
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Play even if this machine lacks what the script needs.",
        rich_help_panel=SAFETY,
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="The same as `harness resume HOLE`.")]


@app.command(cls=ScriptCommand, short_help="Play a hole and record it")
def run(
    context: typer.Context,
    reference: HoleArgument,
    override: run_options.Overrides = None,
    preset: run_options.Preset = None,
    course: run_options.Course = None,
    script: run_options.Script = None,
    module: run_options.Module = None,
    seed: Seed = None,
    seeds: Seeds = None,
    title: Title = "",
    hypothesis: run_options.Hypothesis = "",
    inherit: run_options.From = None,
    predict: run_options.Predict = None,
    parent: Parent = None,
    paired: Paired = None,
    interleave: Interleave = False,
    timeout: run_options.Timeout = None,
    max_cost: run_options.MaxCost = None,
    rate: run_options.Rate = None,
    abort: run_options.Abort = None,
    stall: run_options.Stall = None,
    slow: run_options.Slow = None,
    nproc: Processes = 1,
    launcher: Launcher = None,
    python: run_options.Python = None,
    emit: Emit = None,
    detach: Detach = False,
    outlive: Outlive = False,
    dry_run: DryRun = False,
    repeat: Repeat = False,
    reopen: Reopen = False,
    allow_unread: AllowUnread = False,
    allow_missing: AllowMissing = False,
    allow_over_cap: AllowOverCap = False,
    trust: run_options.Trust = False,
    resume: Resume = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Play a hole: check everything, train, record, and show the scorecard.

    What follows `--` goes to the script: `harness run 7 --script train.py -- --depth 12`.
    """
    from harness.records.prediction import parse_prediction
    from harness.run.plan import make_plan
    from harness.run.request import RunRequest

    if module is not None and script is not None:
        raise UsageError(f"--module {module} and --script {script} both name what to run", "keep one of them")
    if detach:
        if dry_run or emit is not None:
            other = "--dry-run" if dry_run else "--emit"
            raise UsageError(f"--detach plays in the background, {other} plays nothing", "keep one of them")
        play_in_background(runs, as_json)
        return
    limits = run_options.read_limits(timeout, max_cost, rate, abort, stall, slow)
    if resume:
        _refuse_new_settings(context)
        typer.echo(f"note: --resume is a command of its own: `harness resume {reference}`", err=True)
        run_options.show_result(
            [run_options.resume_attempt(reference, runs, limits, trust)], reference, runs, as_json
        )

    request = RunRequest(
        reference=reference,
        overrides=tuple(override or ()),
        seeds=parse_seeds(seed, seeds),
        preset=preset,
        course=course,
        script=script,
        module=module,
        arguments=script_arguments(context),
        python=python,
        title=title,
        hypothesis=hypothesis,
        inherit=inherit,
        prediction=parse_prediction(predict) if predict else None,
        parent=parent,
        paired=paired,
        limits=limits,
        nproc=nproc,
        launcher=launcher,
        outlive=outlive,
        repeat=repeat,
        reopen=reopen,
        other_options=run_options.typed_options(context, IN_PLAN),
        allow_over_cap=allow_over_cap,
        allow_unread=allow_unread,
        allow_missing=allow_missing,
        elsewhere=emit is not None,
        trusted=warn if trust else None,
    )
    if interleave and emit is not None:
        raise UsageError(
            "--interleave plays two holes, a bundle of --emit holds one", "emit them one after the other"
        )
    plan = make_plan(request, runs, CourseProgress())
    turns = series.interleave(plan, request, runs) if interleave else series.turns_of(plan)
    checks = series.check_turns(turns, limits, runs)
    if dry_run:
        _show_plan(plan, turns, checks, as_json)
    elif emit is not None:
        _emit(plan, emit, runs, as_json)
    else:
        records = series.play_turns(turns, limits, runs, outlive, repeat=repeat)
        run_options.show_result(records, plan.hole.folder, runs, as_json)


def _refuse_new_settings(context: typer.Context) -> None:
    """Refuse `--resume` with options that an attempt has been started with already."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in RESUME_OPTIONS and source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--resume goes on with the settings it was started with; "
                f"{parameter.opts[0]} cannot be given",
                "leave it out, or play a new attempt without --resume",
            )
    if (arguments := script_arguments(context)) is not None:
        raise UsageError(
            f"--resume goes on with the settings it was started with; "
            f"-- {shlex.join(arguments)} cannot be given",
            "leave it out, or play a new attempt without --resume",
        )


def _emit(plan: Plan, folder: Path, runs: Path, as_json: bool) -> None:
    """Write a launch bundle; the hole is made here, so that its number is taken and its intent kept."""
    from harness.run.bundle.emit import emit
    from harness.run.play import make_hole, seal_intent

    def make_sealed_hole() -> None:
        hole = make_hole(plan, runs)
        seal_intent(hole, dt.datetime.now(dt.UTC), first=not hole.attempts)

    bundle = emit(plan, folder, make_sealed_hole)
    if as_json:
        data = bundle.model_dump(mode="json", by_alias=True)
        print_json("emit", folder=str(folder), hole=plan.hole.folder, bundle=data)
        return
    typer.echo(f"{folder}: {plan.hole.folder} as a launch bundle, {bundle.id[:12]}")
    typer.echo(f"  there: bash run.sh    back here: harness import --pull {folder}")


def parse_seeds(seed: int | None, seeds: str | None) -> tuple[int, ...]:
    if seed is not None and seeds is not None:
        raise UsageError("--seed and --seeds are both given", "--seeds 42,1337,314 plays several")
    if seeds is None:
        return () if seed is None else (seed,)
    try:
        return tuple(int(word) for word in seeds.split(","))
    except ValueError:
        raise UsageError(
            f'--seeds "{seeds}" is not a list of whole numbers', "write --seeds 42,1337,314"
        ) from None


def _show_plan(plan: Plan, turns: Sequence[Turn], checks: list[Group], as_json: bool) -> None:
    trainer, start = plan.trainer, plan.trainer.start
    data = {
        "hole": plan.hole.folder,
        "new": plan.is_new,
        "course": plan.course.name,
        "split": trainer.split,
        "preset": trainer.preset,
        "preset_reason": trainer.preset_reason,
        "script": plan.intent.script,
        "module": start.module if start else None,
        "python": start.interpreter.as_data() if start else None,
        "arguments": list(start.arguments) if start else [],
        "options": dict(start.options) if start else {},
        "launcher": plan.launcher,
        "nproc": plan.nproc,
        "seeds": list(plan.seeds),
        "order": [turn.as_data() for turn in turns],
        "parent": plan.intent.parent,
        "overrides": mask_secret_settings(trainer.overrides),
        "handed": mask_secret_settings(
            {name: trainer.environ[name] for name in trainer.overrides if name in trainer.environ}
        ),
        "params": trainer.params,
        "forecast_bytes": trainer.forecast_bytes,
        "code_bytes": trainer.snapshot.code_bytes if trainer.snapshot else None,
        "cap_bytes": plan.course.caps.artifact_bytes,
        "config": mask_secret_settings(trainer.config),
        "warnings": list(plan.warnings),
        "checks": [group.as_data() for group in checks],
    }
    if as_json:
        print_json("plan", **data)
        return
    what = "a new hole" if plan.is_new else "a new attempt"
    typer.echo(f"{plan.hole.folder} ({plan.hole.position}): {what} on the {plan.course.name} course")
    cap = plan.course.caps.artifact_bytes
    if trainer.snapshot:
        files = figures.number(len(trainer.snapshot.files), "file")
        module = f"{start.module} in " if start and start.module else ""
        typer.echo(
            f"  script      {module}{plan.intent.script} ({files}, {trainer.snapshot.code_bytes:,} bytes)"
        )
    else:
        chosen = f" (chosen for {trainer.preset_reason})" if trainer.preset_reason else ""
        typer.echo(f"  preset      {trainer.preset}{chosen}")
    if start:
        typer.echo(f"  python      {start.interpreter.describe()}")
        typer.echo(f"  options     {shlex.join(mask_secret_words(start.arguments)) or 'none'}")
    overrides = " ".join(f"{k}={v}" for k, v in mask_secret_settings(trainer.overrides).items())
    typer.echo(f"  overrides   {overrides or 'none'}")
    seeds = ", ".join(map(str, plan.seeds)) if None not in plan.seeds else "the script has none"
    typer.echo(f"  seeds       {seeds}")
    if len(turns) > len(plan.seeds):
        whose = (f"{turn.seed} {'hole' if turn.plan.hole == plan.hole else 'parent'}" for turn in turns)
        typer.echo(f"  order       {', '.join(whose)} (parent {plan.intent.parent})")
    typer.echo(f"  processes   {plan.nproc}, started by {plan.launcher}")
    if trainer.params is not None and trainer.forecast_bytes is not None:
        typer.echo(f"  parameters  {trainer.params:,}")
        typer.echo(f"  artifact    about {trainer.forecast_bytes:,} of {cap:,} bytes")
    else:
        typer.echo(f"  artifact    not known before; the cap is {cap:,} bytes")
    for group in checks:
        if group.name == "memory":
            typer.echo(f"  memory      {group.summary}")
    typer.echo(f"  split       {trainer.split or 'known after the first score'}")
    typer.echo("nothing was started; leave out --dry-run to play")
