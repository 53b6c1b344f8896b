"""The club: publish, preview."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import Json, Runs, Strict, app, print_json, warn
from harness.errors import Exit, UsageError


@app.command()
def publish(
    out: Annotated[Path, typer.Option("--out", help="Folder of the site; swapped in whole.")] = Path("_site"),
    base_url: Annotated[
        str, typer.Option("--base-url", help="Where it will be served, for canonical links and feeds.")
    ] = "",
    theme: Annotated[
        Path | None, typer.Option("--theme", help="Folder whose templates, assets and copy win over ours.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Draw the social picture of each hole.")] = True,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Render the club: a page per hole, the index, the field, the handbook."""
    if not runs.is_dir():
        raise UsageError(
            f"there is no folder {runs}", "play a hole first, or name the season with --runs DIR"
        )
    from harness.publish.build import PublishOptions
    from harness.publish.build import publish as build

    options = PublishOptions(base_url=base_url, theme=theme, pictures=pictures)
    report = build(runs, out, options)
    for problem in report.problems:
        warn(problem)
    if as_json:
        print_json(
            "publish", out=str(out), written=report.written, unchanged=report.unchanged,
            problems=list(report.problems),
        )  # fmt: skip
    else:
        typer.echo(f"{out}/index.html: {report.written} files written, {report.unchanged} unchanged")
    if strict and report.problems:
        raise typer.Exit(Exit.FAILED)


@app.command()
def preview(
    out: Annotated[Path, typer.Argument(metavar="SITE", help="Folder of a published site.")] = Path("_site"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free port.")] = 8000,
) -> None:
    """Serve a published site to this machine only, until Ctrl-C."""
    from harness.publish.serve import preview as serve

    serve(out, port)
