"""`harness rename`: another name for a hole; its former names stay valid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, Runs, SeasonCommand, app, check_runs, print_json


@app.command(cls=SeasonCommand, short_help="Give a hole another name or number")
def rename(
    reference: HoleArgument,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A title, a number, or a name such as round_006_fp16embed.")
    ],
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Give a hole another name: a title renames folder and title, a number moves it in the order of play.

    Former names stay valid: on the command line, as parents, in notes, and as addresses on the site.
    """
    from harness.records.store import Store
    from harness.season.aliases import rename_hole

    check_runs(runs)
    store = Store(runs)
    hole = store.get(reference)
    renamed = rename_hole(store, hole, name)
    if as_json:
        print_json("rename", hole=renamed.name.folder, former=hole.name.folder)
    elif renamed.name == hole.name:
        typer.echo(f"{hole.name.folder} keeps its folder")
    else:
        typer.echo(f"{hole.name.folder} is {renamed.name.folder} now; the former name stays valid")
