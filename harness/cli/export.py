"""harness export: a submission folder of a hole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, PlainCommand, Runs, app, print_json, warn


@app.command(cls=PlainCommand, short_help="Write a hole as a submission folder")
def export(
    reference: HoleArgument,
    out: Annotated[Path, typer.Option("--out", help="A new folder for submission.json and the logs.")],
    author: Annotated[str, typer.Option("--author", help="Your name.")] = "",
    github_id: Annotated[str, typer.Option("--github-id", help="Your GitHub handle.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a hole as a submission folder: submission.json and a log per seed, in the field's format."""
    from harness.records.store import Store
    from harness.season.shown import shown_hole
    from harness.submit.export import export_hole

    played = shown_hole(Store(runs).get(reference))
    if played.decision and played.decision.decision != "keep":
        warn(f"{played.name.folder} was decided {played.decision.decision}: {played.decision.reason}")
    written = export_hole(played, out, author, github_id)
    if as_json:
        print_json("export", files=[str(path) for path in written])
    else:
        typer.echo("\n".join(map(str, written)))
