"""`harness doctor`: what is wrong before a run costs anything."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli.app import CourseProgress, Json, PlainCommand, Runs, app, check_runs, print_json
from harness.cli.run_options import Course, Overrides, Preset, Script
from harness.errors import Exit, UsageError

if TYPE_CHECKING:
    from harness.findings import Group


@app.command(cls=PlainCommand, short_help="Check machine, data and season")
def doctor(
    reference: Annotated[
        str | None, typer.Argument(metavar="[HOLE]", help="Also check this hole's run, played or not.")
    ] = None,
    override: Overrides = None,
    preset: Preset = None,
    course: Course = None,
    script: Script = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="List what a site would show of secrets, folders, users, hosts.")
    ] = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Check machine, data and season; with HOLE also what it would run. Exit 1 when there is an error."""
    from harness.run.doctor.examine import examine
    from harness.run.request import RunRequest

    if reference is None and (override or preset or course or script):
        raise UsageError(
            "--override, --preset, --course and --script belong to a run, and no hole is named",
            "name one, played or new: `harness doctor round_001 -o ...`",
        )
    if publish:
        _show_exposure(reference, runs, as_json)
    if reference is None:  # a hole may be the first of a season that is not there yet, as in `harness run`
        check_runs(runs)
    request = None
    if reference is not None:
        request = RunRequest(
            reference, overrides=tuple(override or ()), preset=preset, course=course, script=script
        )
    show_findings(examine(request, runs, CourseProgress()), "doctor", as_json)


def _show_exposure(reference: str | None, runs: Path, as_json: bool) -> NoReturn:
    if reference is not None:
        raise UsageError(
            f"--publish looks at the whole season, not at {reference} alone", "leave one of them out"
        )
    check_runs(runs)
    from harness.publish.exposure import examine_exposure

    show_findings(examine_exposure(runs), "doctor", as_json)


def show_findings(groups: list[Group], command: str, as_json: bool) -> NoReturn:
    """Print all findings and end, with code 1 where there is an error."""
    from harness.findings import of_level, report

    errors = of_level(groups, "error")
    if as_json:
        print_json(command, ok=not errors, groups=[group.as_data() for group in groups])
    else:
        typer.echo(report(groups, min(shutil.get_terminal_size().columns, 100)))
    raise typer.Exit(Exit.FAILED if errors else Exit.DONE)
