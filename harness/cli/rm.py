"""`harness rm` and `harness restore`: holes to the season's trash, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness import figures
from harness.cli.app import Json, Runs, SeasonCommand, app, check_runs, print_json, print_result, warn
from harness.cli.completion import complete_hole
from harness.errors import UsageError

Holes = Annotated[
    list[str],
    typer.Argument(
        metavar="HOLE...",
        help="Holes: round_006, their full names, or numbers.",
        autocompletion=complete_hole,
    ),
]


@app.command(cls=SeasonCommand, short_help="Move holes to the trash")
def rm(
    references: Holes,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the trash.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Move holes to the trash of the season, runs/.trash; `harness restore HOLE` takes them back.

    Their numbers stay taken. Holes that name one as their parent keep it, and say that it was removed.
    """
    from harness.records.store import Store
    from harness.season.season import summarise_season
    from harness.season.trash import remove_hole

    check_runs(runs)
    store = Store(runs)
    holes = {hole.name.folder: hole for hole in map(store.get, references)}
    season = summarise_season(runs)
    parents = {played.name.folder: season.parent(played) for played in season.holes}
    removed = []
    for folder, hole in holes.items():
        children = [name for name, parent in parents.items() if parent and parent.name.folder == folder]
        children = [name for name in children if name not in holes]
        item = remove_hole(store, hole, reason)
        removed.append({"hole": folder, "trash": str(item.path), "reason": reason, "children": children})
        if not as_json:
            typer.echo(f"{folder}: moved to {item.path}; `harness restore {folder}` takes it back")
        if children:
            verb = "names" if len(children) == 1 else "name"
            warn(f"{', '.join(children)} {verb} {folder} as the parent, and will say that it was removed")
    if as_json:
        print_json("rm", removed=removed)


@app.command(cls=SeasonCommand, short_help="Take holes back from trash or archive")
def restore(
    references: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOLE...]", help="Holes that were removed or archived; none lists them."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Take holes back from the trash or the archive; without a hole, list what lies there.

    An attempt is named with its hole: round_006_fp16embed/attempt_02.
    """
    from harness.records.intent import load_intent
    from harness.records.store import Store
    from harness.season import trash
    from harness.season.tags import archive

    check_runs(runs)
    store = Store(runs)
    if not references:
        _list(runs, as_json)
        return
    restored = []
    for reference in references:
        hole = store.find(reference) if "/" not in reference.rstrip("/") else None
        if hole is not None and load_intent(hole.intent_path).archived:
            archive(store, hole, False)
            restored.append({"hole": hole.name.folder, "from": "archive", "place": str(hole.path)})
            continue
        removed = trash.find_removed(runs, reference)
        if removed is None:
            there = f"{hole.name.folder} is neither removed nor archived" if hole else None
            raise UsageError(
                there or f'nothing in the trash or the archive of {runs}/ matches "{reference}"',
                "`harness restore` lists what lies there",
            )
        place = trash.restore(store, removed)
        restored.append({"hole": removed.item.hole, "from": "trash", "place": str(place)})
    if as_json:
        print_json("restore", restored=restored)
        return
    for one in restored:
        typer.echo(f"{one['place']}: back from the {one['from']}")


def _list(runs: Path, as_json: bool) -> None:
    from harness.season.season import summarise_season
    from harness.season.trash import list_trash

    removed = list_trash(runs)
    archived = [hole for hole in summarise_season(runs).holes if hole.summary.archived]
    if as_json:
        print_json(
            "restore",
            trash=[
                {
                    "name": one.name,
                    "removed_at": one.item.removed_at.isoformat(),
                    "reason": one.item.reason,
                    "path": str(one.path),
                }
                for one in removed
            ],
            archived=[hole.name.folder for hole in archived],
        )
        return
    lines = [
        f"in the trash: {one.name}, removed on {one.item.removed_at.date().isoformat()}"
        + (f" ({one.item.reason})" if one.item.reason else "")
        for one in removed
    ]
    lines += [f"archived: {hole.name.folder}" for hole in archived]
    counted = f"{figures.number(len(lines), 'thing')}; `harness restore NAME` takes one back" if lines else ""
    print_result("\n".join([*lines, counted]) if lines else f"{runs}/ has nothing removed or archived")
