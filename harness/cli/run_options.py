"""What `harness run` and `harness resume` share: options, the live view, and the scorecard at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli.app import find_standing, open_season, print_json, warn
from harness.cli.completion import complete_course, complete_hole, complete_knob, complete_preset
from harness.errors import Exit

if TYPE_CHECKING:
    from harness.cli.views.live import LiveView
    from harness.records.failures import FailureKind
    from harness.records.record import RunRecord
    from harness.run.capture import RunCallbacks
    from harness.run.evaluate import Evaluation
    from harness.run.plan import Plan
    from harness.run.request import RunLimits

# From the best end of an attempt to the worst; after an interruption the rest has not been played.
_SEVERITY = (
    Exit.DONE,
    Exit.OVER_CAP,
    Exit.RULE,
    Exit.BUDGET,
    Exit.TIMED_OUT,
    Exit.CRASHED,
    Exit.INTERRUPTED,
)
_EXIT_OF_FAILURE: dict[FailureKind, Exit] = {
    "timeout": Exit.TIMED_OUT,
    "budget": Exit.BUDGET,
    "aborted": Exit.RULE,
    "stalled": Exit.RULE,
    "slow": Exit.RULE,
    "interrupted": Exit.INTERRUPTED,
}
WHAT, HOW_LONG, WHERE, SAFETY = "What", "How long", "Where", "Safety"  # headings of the help

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        "-o",
        metavar="KEY=VALUE",
        help="Set a knob; repeatable.",
        rich_help_panel=WHAT,
        autocompletion=complete_knob,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Settings to start from: baseline, practice, practice_long or tiny.",
        rich_help_panel=WHAT,
        autocompletion=complete_preset,
    ),
]
Course = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What is predicted: fineweb, practice, or a course of your own.",
        rich_help_panel=WHAT,
        autocompletion=complete_course,
    ),
]
Script = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A training script of your own.", rich_help_panel=WHAT),
]

Module = Annotated[
    str | None,
    typer.Option(
        "--module",
        "-m",
        metavar="NAME",
        help="A script as `python -m` knows it: scripts.train.",
        rich_help_panel=WHAT,
    ),
]
Python = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="Run the script under this Python, not the harness's.", rich_help_panel=WHERE
    ),
]

Hypothesis = Annotated[
    str, typer.Option(metavar="TEXT", help="What a new hole is to show, and why.", rich_help_panel=WHAT)
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="HOLE",
        help="A new hole with that hole's settings, and with it as the parent.",
        rich_help_panel=WHAT,
        autocompletion=complete_hole,
    ),
]
Predict = Annotated[
    str | None,
    typer.Option(
        metavar="WORDS",
        help='"val_bpb lower 0.005": sealed when the first attempt starts.',
        rich_help_panel=WHAT,
    ),
]

Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", min=1.0, help="Stop each attempt after this; at least 1.", rich_help_panel=HOW_LONG
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        metavar="MONEY", min=0.0, help="Stop when this is spent (needs --rate).", rich_help_panel=HOW_LONG
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        metavar="MONEY",
        min=0.0,
        envvar="HARNESS_RATE",
        help="What an hour costs.",
        rich_help_panel=HOW_LONG,
    ),
]
Abort = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="Stop on 'val_bpb@1000>1.45'; repeatable.", rich_help_panel=HOW_LONG),
]
Stall = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=1.0,
        help="Stop when nothing is printed for so long; at least 1.",
        rich_help_panel=HOW_LONG,
    ),
]
Slow = Annotated[
    float | None,
    typer.Option(metavar="MS", min=0.0, help="Stop when a step takes longer.", rich_help_panel=HOW_LONG),
]


Trust = Annotated[
    bool,
    typer.Option("--trust", help="Start even what a file of others names.", rich_help_panel=SAFETY),
]


def read_limits(
    timeout: float | None,
    max_cost: float | None,
    rate: float | None,
    abort: Sequence[str] | None,
    stall: float | None,
    slow: float | None,
) -> RunLimits:
    """Return the limits that the options of "How long" name. Raises UsageError for a malformed rule."""
    from harness.run.request import RunLimits, parse_abort

    return RunLimits(
        timeout=timeout,
        max_cost=max_cost,
        rate=rate,
        aborts=tuple(map(parse_abort, abort or ())),
        stall=stall,
        slow=slow,
    )


def typed_options(context: typer.Context, leave_out: Collection[str]) -> tuple[str, ...]:
    """Return the options of a command line as they were typed. leave_out: parameters by their names."""
    words: list[str] = []
    for parameter in context.command.params:
        name, source = parameter.name or "", context.get_parameter_source(parameter.name or "")
        if name in leave_out or source is None or source.name != "COMMANDLINE":
            continue
        value, option = context.params[name], parameter.opts[0]
        if isinstance(value, bool):
            words.append(option)
        else:
            for one in value if isinstance(value, list | tuple) else [value]:
                words += [option, str(one)]
    return tuple(words)


def play_attempt(plan: Plan, seed: int | None, runs: Path, limits: RunLimits, outlive: bool) -> RunRecord:
    """Play one attempt of a plan under the live view."""
    from harness.cli.views.live import LiveView
    from harness.run import play

    title = plan.hole.folder + (f" seed {seed}" if seed is not None else "")
    batch = plan.trainer.config.get("TRAIN_BATCH_TOKENS", "0")
    with LiveView(title, int(batch) if batch.isdecimal() else 0) as view:
        return play.play(plan, seed, runs, _callbacks(view, limits), outlive, rate_per_hour=limits.rate)


def play_evaluation(evaluation: Evaluation, seed: int, runs: Path, limits: RunLimits) -> RunRecord:
    """Evaluate the weights of one seed under the live view."""
    from harness.cli.views.live import LiveView
    from harness.run import evaluate

    with LiveView(f"{evaluation.plan.hole.folder} seed {seed}, evaluated", 0) as view:
        return evaluate.play_evaluation(evaluation, seed, runs, _callbacks(view, limits), limits.rate)


def resume_attempt(
    reference: str, runs: Path, limits: RunLimits, trust: bool, number: int | None = None
) -> RunRecord:
    """Go on with an unfinished attempt under the live view."""
    from harness.cli.views.live import LiveView
    from harness.records.store import Store
    from harness.run.resume import resume
    from harness.season.sessions import session

    limits.check_budget([])
    hole = Store(runs).get(reference)
    with session(hole, ()) as end, LiveView(f"{hole.name.folder}, resumed", 0) as view:
        record = resume(hole.name.folder, runs, _callbacks(view, limits), warn if trust else None, number)
        end.exit_code = int(exit_code_of(record))
        return record


def _callbacks(view: LiveView, limits: RunLimits) -> RunCallbacks:
    """Hand every line of the log to the view and to the watcher of the limits."""
    from harness.run.capture import RunCallbacks
    from harness.run.limits import LimitWatcher

    watcher = LimitWatcher(limits)

    def on_lines(texts: list[str]) -> None:
        watcher.lines(texts)
        view.lines(texts)

    return RunCallbacks(on_lines, view.idle, watcher.stop_reason)


def show_result(
    records: Sequence[RunRecord], folder: str, runs: Path, as_json: bool, command: str = "run"
) -> NoReturn:
    """Show the hole as it now stands and end with the exit code of the attempt that ended worst.

    While seeds that were planned are missing, only scores are shown: a verdict on some of them, taken for the
    end, would be wrong more often than its test says.
    """
    from harness.cli.views import closing, scorecard
    from harness.records.record import total_cost
    from harness.records.store import Store
    from harness.season import pairs, prediction
    from harness.season.series import find_series

    for warning in dict.fromkeys(warning for record in records for warning in record.warnings):
        warn(warning)
    season = open_season(runs)
    standing = find_standing(season, Store(runs).get(folder).name.folder)
    series = find_series(standing.played.records)
    not_played = [one for record in records for one in record.not_played]
    whiff = pairs.parent_whiff(season, standing.played)
    predicted = prediction.forecast(season, standing)
    if as_json:
        data = scorecard.as_data(season, standing) | {"prediction": prediction.as_data(predicted)}
        if series:
            data |= {"seeds_planned": list(series.planned), "seeds_failed": list(series.failed)}
        data |= {
            "attempt_paths": closing.attempt_paths(records, runs),
            "cost": total_cost(records),
            "next": closing.next_commands(standing, runs),
        }
        attempts = [record.model_dump(mode="json", by_alias=True, exclude_none=True) for record in records]
        missing = [one.model_dump(mode="json") for one in not_played]
        print_json(
            command, **data, played=attempts, seeds_not_played=missing, whiff=whiff.why if whiff else None
        )
    elif series and series.no_verdict:
        typer.echo("\n".join(scorecard.series_lines(standing.played, series)))
    else:
        scorecard.print_card(standing)
        if whiff:
            typer.echo(f"  {pairs.describe_whiff(whiff)}")
        for line in prediction.describe(predicted):
            typer.echo(f"  prediction: {line}")
        if series and len(series.planned) > 1:
            typer.echo(f"  {series.progress}")
    if not as_json:
        for one in not_played:
            typer.echo(f"  {one.text}")
        for line in closing.closing_lines(standing, records, runs):
            typer.echo(f"  {line}")
    end_with(records)


def end_with(records: Sequence[RunRecord]) -> NoReturn:
    """End with the exit code of the attempt that ended worst."""
    raise typer.Exit(worst_exit(records))


def worst_exit(records: Sequence[RunRecord]) -> Exit:
    return max(map(exit_code_of, records), key=_SEVERITY.index)


def exit_code_of(record: RunRecord) -> Exit:
    """Return what an attempt of its own would end the command with."""
    if record.failure is None:
        return Exit.OVER_CAP if record.status == "over_cap" else Exit.DONE
    return _EXIT_OF_FAILURE.get(record.failure.kind, Exit.CRASHED)
