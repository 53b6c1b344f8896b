"""The referee: check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import Json, PlainCommand, Runs, Strict, app, open_season, print_json, report_problems
from harness.cli.terminal import console
from harness.errors import Exit, UsageError

if TYPE_CHECKING:
    from harness.season.season import Season
    from harness.submit.candidate import Candidate
    from harness.submit.referee import Report

_STYLES = {"pass": "green", "fail": "bold red", "cannot tell": "yellow", "please attest": "cyan"}


@app.command(cls=PlainCommand, short_help="Check against the rules")
def check(
    reference: Annotated[
        str,
        typer.Argument(metavar="HOLE|DIR", help="A hole, an entry of runs/field, or a submission folder."),
    ],
    policy: Annotated[
        str | None, typer.Option("--policy", help="A policy by name or file; else the one of its day.")
    ] = None,
    course: Annotated[
        str, typer.Option("--course", metavar="NAME", help="Course of a folder's logs.")
    ] = "fineweb",
    track: Annotated[
        str | None,
        typer.Option("--track", metavar="NAME", help="10min, non-record or unlimited; else as it is named."),
    ] = None,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Check a hole against the rules of a policy."""
    from harness.courses.policy import load_policy, policy_for
    from harness.courses.track import NamedTrack, read_track
    from harness.submit.referee import as_data
    from harness.submit.referee import check as judge

    named_policy = load_policy(policy, runs) if policy else None
    named_track = read_track(track) if track else None
    season = open_season(runs)
    candidate = _candidate(season, reference, runs, course)
    if named_track:
        candidate = replace(candidate, track=NamedTrack(named_track, "as --track says"))
    claim, problems = candidate.claim, season.file_problems
    rules = named_policy or policy_for(candidate.course.name, claim.day, runs, claim.pr, problems)
    report = judge(season, candidate, rules)
    if as_json:
        print_json("check", **as_data(report), problems=list(season.problems))
    else:
        print_report(report)
    report_problems(season.problems, strict)
    if report.failed:
        raise typer.Exit(Exit.NOT_COMPARABLE)


def _candidate(season: Season, reference: str, runs: Path, course: str) -> Candidate:
    from harness.records.references import within_season
    from harness.season.hole import PlayedHole
    from harness.season.pairs import find_other
    from harness.submit.candidate import entry_candidate, folder_candidate, hole_candidate

    is_folder = "/" in reference or (Path(reference) / "submission.json").is_file()
    if is_folder and Path(reference).is_dir() and within_season(reference, runs) is None:
        return folder_candidate(Path(reference), runs, course)
    try:
        other = find_other(season, reference)
    except UsageError:
        path = Path(reference)
        if path.is_file():
            raise UsageError(f"{path} is a file", "name the folder of a submission") from None
        if not path.is_dir() and "/" in reference:
            raise UsageError(f"there is no folder {path}", "name a hole, or a submission's folder") from None
        if not path.is_dir():
            raise
        return folder_candidate(Path(reference), runs, course)
    return hole_candidate(season, other) if isinstance(other, PlayedHole) else entry_candidate(season, other)


def print_report(report: Report) -> None:
    """Print a row for each rule: outcome, rule, what was measured; with limit and hint where needed."""
    from rich.table import Table
    from rich.text import Text

    since = f"since {report.policy.since}" + (f" until {report.policy.until}" if report.policy.until else "")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for result in report.results:
        measured = Text(result.measured)
        if result.limit:
            measured.append(f" (limit: {result.limit})", style="dim")
        if result.hint and result.outcome != "pass":
            measured.append(f"\nhint: {result.hint}", style="dim")
        table.add_row(Text(result.outcome, style=_STYLES[result.outcome]), result.title, measured)
    screen = console()
    screen.print(f'{report.subject} under "{report.policy.title}" ({report.policy.name}, {since})')
    free = "" if report.track.track.for_records else ": time, machine and gain do not bind it"
    screen.print(f"{report.track.track.name} track, {report.track.source}{free}", style="dim")
    screen.print(table)
    screen.print(report.closing, style="bold")
