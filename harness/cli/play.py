"""`harness run`: play a hole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import (
    Json,
    Reference,
    Runs,
    app,
    course_progress,
    open_season,
    print_json,
    standing_of,
    warn,
)
from harness.errors import Exit, UsageError

if TYPE_CHECKING:
    from harness.record import RunRecord


@app.command()
def run(
    reference: Reference,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", "-o", metavar="KEY=VALUE", help="Set a knob; repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the one attempt.")] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="A,B,C", help="Several seeds, played in turn.")
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Settings to start from.")] = None,
    course: Annotated[str | None, typer.Option("--course", help="What is being predicted.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title of a new hole.")] = "",
    parent: Annotated[str | None, typer.Option("--parent", help="The hole that this one varies.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    repeat: Annotated[bool, typer.Option("--repeat", help="Play even what was played before.")] = False,
    allow_over_cap: Annotated[
        bool, typer.Option("--allow-over-cap", help="Play even if the artifact cannot fit.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", min=1.0, help="Stop each attempt after this."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Play a hole: check everything, train, record, and show the scorecard."""
    from harness import runner

    if resume:
        given = [name for name, value in {
            "--override": override, "--seed": seed, "--seeds": seeds, "--preset": preset, "--course": course,
            "--repeat": repeat, "--dry-run": dry_run, "--parent": parent, "--title": title,
        }.items() if value]  # fmt: skip
        if given:
            raise UsageError(
                f"--resume goes on with the settings it was started with; {given[0]} cannot be given",
                "leave it out, or play a new attempt without --resume",
            )
        records = [_resume(reference, runs, timeout, quiet=as_json)]
        _finish_run(records, reference, runs, as_json)
        return

    request = runner.Request(
        reference=reference,
        overrides=tuple(override or ()),
        seeds=_parse_seeds(seed, seeds),
        preset=preset,
        course=course,
        title=title,
        parent=parent,
        repeat=repeat,
        allow_over_cap=allow_over_cap,
    )
    drawn = runner.plan(request, runs, course_progress())
    for note in (*drawn.warnings, *drawn.skipped):
        warn(note)
    if dry_run:
        _show_plan(drawn, as_json)
        return

    records = []
    for one in drawn.seeds:
        records.append(_play(drawn, one, runs, timeout))
        if records[-1].status in ("stopped", "failed"):
            break
        if one != drawn.seeds[-1] and not as_json:
            _print_card(drawn.hole.folder, runs)
    _finish_run(records, drawn.hole.folder, runs, as_json)


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


def _play(drawn: Any, seed: int, runs: Path, timeout: float | None) -> RunRecord:
    from harness import runner
    from harness.live import LiveView

    title = f"{drawn.hole.folder} seed {seed}"
    with LiveView(title, int(drawn.config["TRAIN_BATCH_TOKENS"])) as view:
        listeners = runner.Listeners(on_line=view.line, on_idle=view.idle)
        return runner.play(drawn, seed, runs, listeners, timeout)


def _resume(reference: str, runs: Path, timeout: float | None, quiet: bool) -> RunRecord:
    from harness import runner
    from harness.live import LiveView

    with LiveView(f"{reference} resumed", 0) as view:
        return runner.resume(reference, runs, runner.Listeners(view.line, view.idle), timeout)


def _finish_run(records: list[RunRecord], folder: str, runs: Path, as_json: bool) -> None:
    """Show the hole as it now stands and end with the code that the last attempt calls for."""
    from harness import opponents, scorecard
    from harness.store import Store

    last = records[-1]
    season = open_season(runs)
    standing = standing_of(season, Store(runs).get(folder).name.folder)
    whiff = opponents.parent_whiff(season, standing.played)
    if as_json:
        attempts = [record.model_dump(mode="json", by_alias=True, exclude_none=True) for record in records]
        print_json("run", **scorecard.as_data(standing), played=attempts, whiff=whiff.why if whiff else None)
    else:
        scorecard.print_card(standing)
        if whiff:
            typer.echo(f"  {opponents.describe_whiff(whiff)}")
    if last.status == "failed":
        assert last.failure is not None
        raise typer.Exit(Exit.TIMED_OUT if last.failure.kind == "timeout" else Exit.CRASHED)
    raise typer.Exit({"ok": Exit.DONE, "over_cap": Exit.OVER_CAP, "stopped": Exit.FAILED}[last.status])


def _print_card(folder: str, runs: Path) -> None:
    from harness import scorecard

    scorecard.print_card(standing_of(open_season(runs), folder))


def _show_plan(drawn: Any, as_json: bool) -> None:
    data = {
        "hole": drawn.hole.folder,
        "new": drawn.is_new,
        "course": drawn.course.name,
        "split": drawn.split,
        "preset": drawn.preset,
        "seeds": list(drawn.seeds),
        "overrides": drawn.overrides,
        "params": drawn.params,
        "forecast_bytes": drawn.forecast_bytes,
        "cap_bytes": drawn.course.caps.artifact_bytes,
        "config": drawn.config,
    }
    if as_json:
        print_json("plan", **data)
        return
    what = "a new hole" if drawn.is_new else "a new attempt"
    typer.echo(f"{drawn.hole.folder} ({drawn.hole.position}): {what} on the {drawn.course.name} course")
    typer.echo(f"  preset      {drawn.preset}")
    typer.echo(f"  overrides   {' '.join(f'{k}={v}' for k, v in drawn.overrides.items()) or 'none'}")
    typer.echo(f"  seeds       {', '.join(map(str, drawn.seeds))}")
    typer.echo(f"  parameters  {drawn.params:,}")
    typer.echo(f"  artifact    about {drawn.forecast_bytes:,} of {drawn.course.caps.artifact_bytes:,} bytes")
    typer.echo(f"  split       {drawn.split}")
    typer.echo("nothing was started; leave out --dry-run to play")
