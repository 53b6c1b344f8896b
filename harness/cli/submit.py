"""`harness submit`: a hole as a folder that can be handed in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, PlainCommand, Runs, app, open_season, print_json
from harness.errors import Exit


@app.command(cls=PlainCommand, short_help="Prepare a hole to be handed in")
def submit(
    reference: HoleArgument,
    track: Annotated[
        str, typer.Option("--track", metavar="NAME", help="10min, non-record or unlimited.")
    ] = "10min",
    check: Annotated[bool, typer.Option("--check", help="Report only; write nothing.")] = False,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="DIR", help="Write the folder, if no rule fails.")
    ] = None,
    author: Annotated[str, typer.Option("--author", help="Your name; else git's user.name.")] = "",
    github_id: Annotated[
        str, typer.Option("--github-id", help="Your GitHub handle; else git's github.user.")
    ] = "",
    policy: Annotated[
        str | None, typer.Option("--policy", help="The referee's policy; else that of the hole's day.")
    ] = None,
    readable: Annotated[
        bool,
        typer.Option("--readable", help="Our trainer as plain text with its comments; more bytes count."),
    ] = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Make a hole's record folder: README, submission.json, a log per seed, one train_gpt.py."""
    from harness.courses.policy import load_policy
    from harness.files import refuse_used
    from harness.records.store import Store
    from harness.season.shown import shown_hole
    from harness.submit.prepare import as_data, describe, find_author, prepare
    from harness.submit.prepare import write as write_folder

    out = None if check else write
    if out is not None:
        refuse_used(out, "--write")
    played = shown_hole(Store(runs).get(reference))
    rules = load_policy(policy, runs) if policy else None
    who = find_author(author, github_id)
    submission = prepare(played, track, who, open_season(runs), rules, readable)
    written = write_folder(submission, out) if out is not None and not submission.failed else []
    if as_json:
        print_json("submit", **as_data(submission, out if written else None))
    else:
        typer.echo(describe(submission))
        for path in written:
            typer.echo(f"  {path}: {path.stat().st_size:,} bytes")
    if submission.failed:
        if not as_json:
            names = ", ".join(dict.fromkeys(rule.title for rule in submission.failed))
            nothing = "; nothing was written" if write else ""
            typer.echo(f"not compliant: {names}{nothing}", err=True)
        raise typer.Exit(Exit.NOT_COMPARABLE)
