"""`harness run`: play a hole."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import HoleArgument, Json, Runs, app
from harness.cli.doctor import heed
from harness.cli.output import course_progress, open_season, print_json, report_unfinished, standing_of, warn
from harness.errors import Exit, UsageError
from harness.records.names import hole_names

if TYPE_CHECKING:
    from harness.cli.views.live import LiveView
    from harness.records.record import RunRecord
    from harness.run.capture import Listeners
    from harness.run.limits import RunLimits
    from harness.run.plan import Plan


@app.command()
def run(
    reference: HoleArgument,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", "-o", metavar="KEY=VALUE", help="Set a knob; repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the one attempt.")] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="A,B,C", help="Several seeds, played in turn.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="A training script of your own.")
    ] = None,
    allow_unread: Annotated[
        bool, typer.Option("--allow-unread", help="Hand over overrides that the script does not read.")
    ] = False,
    nproc: Annotated[int, typer.Option("--nproc", metavar="N", min=1, help="Processes, by torchrun.")] = 1,
    launcher: Annotated[str | None, typer.Option("--launcher", help="torchrun or python.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Settings to start from.")] = None,
    course: Annotated[str | None, typer.Option("--course", help="What is being predicted.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title of a new hole.")] = "",
    parent: Annotated[str | None, typer.Option("--parent", help="The hole that this one varies.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan.")] = False,
    emit: Annotated[
        Path | None,
        typer.Option("--emit", metavar="DIR", help="Start nothing; write a bundle for another machine."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    repeat: Annotated[bool, typer.Option("--repeat", help="Play even what was played before.")] = False,
    allow_over_cap: Annotated[
        bool, typer.Option("--allow-over-cap", help="Play even if the artifact cannot fit.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", min=1.0, help="Stop each attempt after this."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="MONEY", min=0.0, help="Stop when this is spent.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="MONEY", min=0.0, envvar="HARNESS_RATE", help="What an hour costs."),
    ] = None,
    abort: Annotated[
        list[str] | None,
        typer.Option("--abort", metavar="RULE", help="Stop on 'val_bpb@1000>1.45'; repeatable."),
    ] = None,
    stall: Annotated[
        float | None,
        typer.Option("--stall", metavar="SECONDS", min=1.0, help="Stop when nothing is printed for so long."),
    ] = None,
    slow: Annotated[
        float | None,
        typer.Option("--slow", metavar="MS", min=0.0, help="Stop when steps take longer than this."),
    ] = None,
    outlive: Annotated[
        bool, typer.Option("--outlive", help="Let training go on when the harness is killed.")
    ] = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Play a hole: check everything, train, record, and show the scorecard."""
    from harness.run import plan
    from harness.run.doctor.examine import before_run
    from harness.run.limits import RunLimits, parse_abort

    limits = RunLimits(timeout, max_cost, rate, tuple(map(parse_abort, abort or ())), stall, slow)
    if resume:
        given = [
            name
            for name, value in {
                "--override": override,
                "--seed": seed,
                "--seeds": seeds,
                "--preset": preset,
                "--course": course,
                "--repeat": repeat,
                "--dry-run": dry_run,
                "--parent": parent,
                "--title": title,
                "--script": script,
                "--launcher": launcher,
                "--nproc": nproc > 1,
                "--emit": emit,
            }.items()
            if value
        ]
        if given:
            raise UsageError(
                f"--resume goes on with the settings it was started with; {given[0]} cannot be given",
                "leave it out, or play a new attempt without --resume",
            )
        limits.check_budget(None, 1)
        records = [_resume(reference, runs, limits)]
        _finish_run(records, reference, runs, as_json)
        return

    request = plan.Request(
        reference=reference,
        overrides=tuple(override or ()),
        seeds=_parse_seeds(seed, seeds),
        preset=preset,
        course=course,
        title=title,
        parent=parent,
        script=script,
        nproc=nproc,
        launcher=launcher,
        repeat=repeat,
        allow_over_cap=allow_over_cap,
        allow_unread=allow_unread,
    )
    drawn = plan.plan(request, runs, course_progress())
    report_unfinished(runs, (name.folder for name in hole_names(runs)))
    for note in (*drawn.warnings, *drawn.skipped):
        warn(note)
    limits.check_budget(_planned_seconds(drawn), len(drawn.seeds))
    checked = before_run(drawn, runs)
    heed(checked)
    if dry_run:
        _show_plan(drawn, [group.as_data() for group in checked], as_json)
        return
    if emit is not None:
        _emit(drawn, emit, runs, as_json)
        return

    _outlast_terminal()
    records = []
    for one in drawn.seeds:
        records.append(_play(drawn, one, runs, limits, outlive))
        limits = limits.after(records[-1].wall_seconds or 0.0)
        if records[-1].status in ("stopped", "failed"):
            break
        if one != drawn.seeds[-1] and not as_json:
            with contextlib.suppress(OSError):  # the terminal may be gone
                _print_card(drawn.hole.folder, runs)
    _finish_run(records, drawn.hole.folder, runs, as_json)


def _emit(drawn: Plan, folder: Path, runs: Path, as_json: bool) -> None:
    """Write a launch bundle; the hole is made here, so that its number is taken and its intent kept."""
    from harness.run import play
    from harness.run.bundle import emit

    made = emit.emit(drawn, folder)
    play.make_hole(drawn, runs)
    if as_json:
        print_json(
            "emit", folder=str(folder), **made.model_dump(mode="json", by_alias=True, exclude={"schema_"})
        )
        return
    typer.echo(f"{folder}: {drawn.hole.folder} as a launch bundle, {made.id[:12]}")
    typer.echo(f"  there: bash run.sh    back here: harness import --pull {folder}")


def _parse_seeds(seed: int | None, seeds: str | None) -> tuple[int, ...]:
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


def _planned_seconds(drawn: Plan) -> float | None:
    """Training time that one attempt will take at most, where a knob says it."""
    try:
        return float(drawn.trainer.config["MAX_WALLCLOCK_SECONDS"]) or None
    except (KeyError, ValueError):
        return None


def _play(drawn: Plan, seed: int | None, runs: Path, limits: RunLimits, outlive: bool) -> RunRecord:
    from harness.cli.views.live import LiveView
    from harness.run import play

    title = drawn.hole.folder + (f" seed {seed}" if seed is not None else "")
    batch = drawn.trainer.config.get("TRAIN_BATCH_TOKENS", "0")
    with LiveView(title, int(batch) if batch.isdecimal() else 0) as view:
        return play.play(drawn, seed, runs, _listeners(view, limits), outlive)


def _resume(reference: str, runs: Path, limits: RunLimits) -> RunRecord:
    from harness.cli.views.live import LiveView
    from harness.run.resume import resume

    with LiveView(f"{reference} resumed", 0) as view:
        return resume(reference, runs, _listeners(view, limits))


def _listeners(view: LiveView, limits: RunLimits) -> Listeners:
    """Let the screen and the watcher hear every line."""
    from harness.run.capture import Listeners
    from harness.run.limits import LimitWatcher

    watcher = LimitWatcher(limits)

    def hear(text: str) -> None:
        watcher.line(text)
        view.line(text)

    return Listeners(hear, view.idle, watcher.judge)


def _finish_run(records: list[RunRecord], folder: str, runs: Path, as_json: bool) -> None:
    """Show the hole as it now stands and end with the code that the last attempt calls for."""
    from harness.cli.views import scorecard
    from harness.records.store import Store
    from harness.season import pairs

    last = records[-1]
    for warning in dict.fromkeys(warning for record in records for warning in record.warnings):
        warn(warning)
    season = open_season(runs)
    standing = standing_of(season, Store(runs).get(folder).name.folder)
    whiff = pairs.parent_whiff(season, standing.played)
    if as_json:
        attempts = [record.model_dump(mode="json", by_alias=True, exclude_none=True) for record in records]
        print_json("run", **scorecard.as_data(standing), played=attempts, whiff=whiff.why if whiff else None)
    else:
        scorecard.print_card(standing)
        if whiff:
            typer.echo(f"  {pairs.describe_whiff(whiff)}")
    if last.status == "failed":
        assert last.failure is not None
        codes = {"timeout": Exit.TIMED_OUT, "budget": Exit.BUDGET}
        raise typer.Exit(codes.get(last.failure.kind, Exit.CRASHED))
    raise typer.Exit({"ok": Exit.DONE, "over_cap": Exit.OVER_CAP, "stopped": Exit.FAILED}[last.status])


def _outlast_terminal() -> None:
    """Let a closed terminal or a lost connection end neither this attempt nor those that follow."""
    import signal

    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _print_card(folder: str, runs: Path) -> None:
    from harness.cli.views import scorecard

    scorecard.print_card(standing_of(open_season(runs), folder))


def _show_plan(drawn: Plan, checks: list[dict[str, Any]], as_json: bool) -> None:
    ours = drawn.trainer
    data = {
        "hole": drawn.hole.folder,
        "new": drawn.is_new,
        "course": drawn.course.name,
        "split": ours.split,
        "preset": ours.preset,
        "script": drawn.intent.script,
        "launcher": drawn.launcher,
        "nproc": drawn.nproc,
        "seeds": list(drawn.seeds),
        "overrides": ours.overrides,
        "handed": {name: ours.environ[name] for name in ours.overrides if name in ours.environ},
        "params": ours.params,
        "forecast_bytes": ours.forecast_bytes,
        "code_bytes": ours.snapshot.code_bytes if ours.snapshot else None,
        "cap_bytes": drawn.course.caps.artifact_bytes,
        "config": ours.config,
        "checks": checks,
    }
    if as_json:
        print_json("plan", **data)
        return
    what = "a new hole" if drawn.is_new else "a new attempt"
    typer.echo(f"{drawn.hole.folder} ({drawn.hole.position}): {what} on the {drawn.course.name} course")
    cap = drawn.course.caps.artifact_bytes
    if ours.snapshot:
        files = f"{len(ours.snapshot.files)} file{'s' if len(ours.snapshot.files) > 1 else ''}"
        typer.echo(f"  script      {drawn.intent.script} ({files}, {ours.snapshot.code_bytes:,} bytes)")
    else:
        typer.echo(f"  preset      {ours.preset}")
    typer.echo(f"  overrides   {' '.join(f'{k}={v}' for k, v in ours.overrides.items()) or 'none'}")
    typer.echo(
        f"  seeds       {', '.join(map(str, drawn.seeds)) if None not in drawn.seeds else 'the script has none'}"
    )
    typer.echo(f"  processes   {drawn.nproc}, started by {drawn.launcher}")
    if ours.params is not None and ours.forecast_bytes is not None:
        typer.echo(f"  parameters  {ours.params:,}")
        typer.echo(f"  artifact    about {ours.forecast_bytes:,} of {cap:,} bytes")
    else:
        typer.echo(f"  artifact    not known before; the cap is {cap:,} bytes")
    typer.echo(f"  split       {ours.split or 'told by the scores'}")
    typer.echo("nothing was started; leave out --dry-run to play")
