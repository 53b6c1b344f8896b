"""`harness tag` and `harness archive`: what a hole is filed under, and whether lists show it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import HoleArgument, Json, Runs, SeasonCommand, app, check_runs, print_json
from harness.cli.rm import Holes


@app.command(cls=SeasonCommand, short_help="File a hole under words")
def tag(
    reference: HoleArgument,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG...]", help="Tags to add, such as ablation.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Remove this tag; repeatable.")
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Add tags to a hole, or remove them; without any, show those that it has."""
    from harness.records.store import Store
    from harness.season.tags import change_tags

    check_runs(runs)
    store = Store(runs)
    hole = store.get(reference)
    tags = change_tags(store, hole, words or (), remove or ())
    if as_json:
        print_json("tag", hole=hole.name.folder, tags=list(tags))
    else:
        typer.echo(f"{hole.name.folder}: {', '.join(tags) or 'no tags'}")


@app.command(cls=SeasonCommand, short_help="Leave holes out of lists")
def archive(references: Holes, runs: Runs = Path("runs"), as_json: Json = False) -> None:
    """Leave holes out of `harness ls` and of the site's index; `harness restore HOLE` shows them again.

    An archived hole is hidden, not undone: its page, its round and its score stay, and it may be our best.
    What should not count is decided: `harness decide HOLE invalid`.
    """
    from harness.records.store import Store
    from harness.season import tags

    check_runs(runs)
    store = Store(runs)
    folders = []
    for hole in [store.get(reference) for reference in references]:
        tags.archive(store, hole, True)
        folders.append(hole.name.folder)
    if as_json:
        print_json("archive", archived=folders)
        return
    for folder in folders:
        typer.echo(f"{folder}: archived; `harness restore {folder}` lists it again")
