"""`harness evaluate`: a new hole from the weights of an earlier one, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import run_options
from harness.cli.app import CourseProgress, Json, Runs, SeasonCommand, app, print_json, warn
from harness.cli.run import DryRun, Repeat, parse_seeds
from harness.cli.run_options import WHAT
from harness.cli.series import left_unplayed, report_not_played
from harness.privacy import mask_secret_settings

if TYPE_CHECKING:
    from harness.run.evaluate import Evaluation

Source = Annotated[str, typer.Argument(metavar="HOLE", help="The hole whose weights are evaluated.")]
Seed = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="The weights of this seed.", rich_help_panel=WHAT)
]
Seeds = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="Those of several; default: all.", rich_help_panel=WHAT)
]
New = Annotated[
    str | None,
    typer.Option("--new", metavar="HOLE", help="The new hole; default: the next.", rich_help_panel=WHAT),
]
Title = Annotated[str, typer.Option(help="Its title.", rich_help_panel=WHAT)]


@app.command(cls=SeasonCommand, short_help="Pack or score weights another way")
def evaluate(
    reference: Source,
    override: run_options.Overrides = None,
    seed: Seed = None,
    seeds: Seeds = None,
    new: New = None,
    title: Title = "",
    hypothesis: run_options.Hypothesis = "",
    predict: run_options.Predict = None,
    timeout: run_options.Timeout = None,
    dry_run: DryRun = False,
    repeat: Repeat = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Play a new hole from the kept weights of an earlier one: packed or scored another way, not trained."""
    from harness.records.prediction import parse_prediction
    from harness.run.evaluate import EvaluationRequest, plan_evaluation
    from harness.run.play import make_hole
    from harness.season.sessions import session

    request = EvaluationRequest(
        reference=reference,
        overrides=tuple(override or ()),
        seeds=parse_seeds(seed, seeds),
        new=new,
        title=title,
        hypothesis=hypothesis,
        prediction=parse_prediction(predict) if predict else None,
        repeat=repeat,
    )
    limits = run_options.read_limits(timeout, None, None, None, None, None)
    evaluation = plan_evaluation(request, runs, CourseProgress())
    for note in (*evaluation.plan.warnings, *evaluation.notes):
        warn(note)
    if dry_run:
        _show_plan(evaluation, as_json)
        return
    records = []
    with session(make_hole(evaluation.plan, runs), evaluation.seeds) as end:
        for one in evaluation.seeds:
            records.append(run_options.play_evaluation(evaluation, one, runs, limits))
            if records[-1].status in ("stopped", "failed"):
                break
        missing = [*evaluation.plan.skipped, *left_unplayed(evaluation.seeds[len(records) :], records)]
        report_not_played(missing, records, runs)
        end.exit_code = int(run_options.worst_exit(records))
    run_options.show_result(records, evaluation.plan.hole.folder, runs, as_json, "evaluate")


def _show_plan(evaluation: Evaluation, as_json: bool) -> None:
    plan, setup = evaluation.plan, evaluation.plan.trainer
    sources: list[dict[str, Any]] = [
        {"seed": seed, **evaluation.sources[seed].origin.model_dump(exclude_none=True)}
        for seed in evaluation.seeds
    ]
    if as_json:
        print_json(
            "evaluation plan",
            hole=plan.hole.folder,
            new=plan.is_new,
            source=evaluation.source.folder,
            course=plan.course.name,
            split=setup.split,
            changed=dict(evaluation.changed),
            overrides=mask_secret_settings(setup.overrides),
            weights=sources,
            code_bytes=setup.code_bytes,
            cap_bytes=plan.course.caps.artifact_bytes,
            config=mask_secret_settings(setup.config),
        )
        return
    what = "a new hole" if plan.is_new else "new attempts"
    typer.echo(f"{plan.hole.folder} ({plan.hole.position}): {what} from {evaluation.source.folder}")
    changed = " ".join(f"{name}={value}" for name, value in evaluation.changed.items())
    typer.echo(f"  changed     {changed or 'nothing'}")
    for source in sources:
        where = f"{source['hole']}/attempt_{source['attempt']:02d}/{source['file']}"
        typer.echo(f"  seed {source['seed']:<6} {where} ({source['weights']}, {source['sha256'][:12]})")
    typer.echo("nothing was started; leave out --dry-run to play")
