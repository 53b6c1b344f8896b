"""`harness import`: other people's logs and submissions, the leaderboard, and played bundles."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, cast

import typer

from harness.cli.app import Json, Runs, SeasonCommand, app, print_json, warn
from harness.cli.terminal import console
from harness.errors import Exit, UsageError


@app.command("import", cls=SeasonCommand, short_help="Import logs and submissions")
def import_logs(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH...]", help="Logs, record folders, folders of them, or -."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--as", metavar="field|hole|auto", help="auto: with a submission file field, else hole."
        ),
    ] = "auto",
    course: Annotated[
        str | None,
        typer.Option(
            "--course",
            metavar="NAME",
            help="What the logs' scores are of; else fineweb where a log's own counts show it.",
        ),
    ] = None,
    log: Annotated[
        str,
        typer.Option(
            "--log", metavar="copy|reference", help="Copy the log into its attempt, or only name its path."
        ),
    ] = "copy",
    leaderboard: Annotated[
        Path | None,
        typer.Option("--leaderboard", metavar="FILE.md", help="Refresh the published leaderboard."),
    ] = None,
    pull: Annotated[
        Path | None,
        typer.Option("--pull", metavar="DIR", help="Take back a bundle of `harness run --emit`."),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Move what the last import made to the trash.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; write nothing.")] = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Turn other people's logs and submissions into records like ours."""
    if undo:
        if paths or leaderboard or pull or dry_run:
            raise UsageError("--undo takes the last import back and nothing else", "give it alone")
        _undo(runs, as_json)
        return
    if pull is not None:
        if paths or leaderboard:
            raise UsageError(
                "--pull takes a bundle back and nothing else", "import the rest in a second call"
            )
        _pull(pull, runs, dry_run, as_json)
        return

    if kind not in ("auto", "field", "hole"):
        raise UsageError(f'--as "{kind}" is not known', "use field, hole or auto")
    if log not in ("copy", "reference"):
        raise UsageError(f'--log "{log}" is not known', "use copy or reference")
    if leaderboard is None and not paths:
        raise UsageError(
            "nothing to import", "name a log, a record folder, a folder of them, or - for standard input"
        )
    if leaderboard is not None:
        _refresh_leaderboard(leaderboard, runs, dry_run, as_json, alone=not paths)
    if paths:
        _import_paths([Path(path) for path in paths], runs, kind, course, log, dry_run, as_json)


def _refresh_leaderboard(file: Path, runs: Path, dry_run: bool, as_json: bool, alone: bool) -> None:
    """alone: nothing else is imported, so that its rows are all that `--json` prints."""
    from harness.field.leaderboard import refresh_leaderboard

    rows = refresh_leaderboard(file, runs, dry_run)
    if not as_json:
        best = min(rows, key=lambda row: row.val_bpb)
        who = best.author or best.name
        typer.echo(f"leaderboard: {len(rows)} rows, best {best.val_bpb} by {who} ({best.date})")
    elif alone:
        print_json("import", leaderboard=[row.model_dump(mode="json") for row in rows], dry_run=dry_run)


def _import_paths(
    paths: list[Path], runs: Path, kind: str, course: str | None, log: str, dry_run: bool, as_json: bool
) -> None:
    """Import logs and record folders; exit 1 when one cannot be read, or none of them holds a run."""
    from harness.field import importing
    from harness.field.record_folders import count_record_folders
    from harness.season.undo_import import remember_import

    how = cast("importing.As", kind), course, cast("importing.KeepLog", log)
    report = importing.ImportReport()
    try:
        with _import_progress(count_record_folders(paths)) as advance:
            importing.import_paths(paths, runs, *how, dry_run, advance, report)
    finally:
        if not dry_run and report.added:
            remember_import(runs, report.bundles)
    if as_json:
        bundles = [importing.as_data(bundle) for bundle in report.bundles]
        print_json("import", dry_run=dry_run, added=report.added, bundles=bundles)
    else:
        for bundle in report.bundles:
            typer.echo(importing.describe(bundle))
        what = "would be added" if dry_run else "added"
        nothing = "" if report.added else ": nothing is new"
        typer.echo(f"{report.added} of {len(report.bundles)} {what}{nothing}")
    if report.failed:
        raise typer.Exit(Exit.FAILED)


def _undo(runs: Path, as_json: bool) -> None:
    """Take the last import back; exit 1 when something of it was kept."""
    from harness.season.undo_import import undo_import

    undone = undo_import(runs)
    if as_json:
        kept = [{"name": name, "why": why} for name, why in undone.kept]
        print_json("import", undone=[one.name for one in undone.removed], kept=kept)
    else:
        for one in undone.removed:
            typer.echo(f"{one.name}: moved to {one.path}; `harness restore {one.name}` takes it back")
    for name, why in undone.kept:
        warn(f"{name} is kept: {why}")
    if undone.kept:
        raise typer.Exit(Exit.FAILED)


def _pull(folder: Path, runs: Path, dry_run: bool, as_json: bool) -> None:
    """Take a bundle's results back; exit 1 when there was nothing to take."""
    from harness import figures
    from harness.run.bundle.pull import pull

    results = pull(folder, runs, dry_run)
    if as_json:
        seeds = [
            {
                "seed": one.seed,
                "state": one.state,
                "attempt": one.attempt,
                "why": one.why,
                "status": one.record.status if one.record else None,
                "warnings": list(one.record.warnings) if one.record else [],
            }
            for one in results
        ]
        print_json("import", hole=results[0].hole, pulled=seeds, dry_run=dry_run)
    else:
        for one in results:
            who = f"{one.hole}" + (f" seed {one.seed}" if one.seed is not None else "")
            if one.state == "missing":
                typer.echo(f"{who}: nothing to take: {one.why}")
            elif one.record is None:
                typer.echo(f"{who}: would be added")
            else:
                what = "is here already" if one.state == "known" else "added"
                score = f", val_bpb {figures.bpb(one.record.val_bpb)}" if one.record.val_bpb else ""
                typer.echo(f"{who}: {what} as attempt {one.attempt} ({one.record.status}{score})")
                for warning in one.record.warnings:
                    warn(warning)
    if all(one.state == "missing" for one in results):
        raise typer.Exit(Exit.FAILED)


@contextlib.contextmanager
def _import_progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal when there is much to read."""
    if total < 4 or not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.progress import Progress

    with Progress(console=console(err=True), transient=True) as progress:
        task = progress.add_task("importing", total=total)
        yield lambda name: progress.update(task, advance=1, description=name[:40])
