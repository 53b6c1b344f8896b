"""harness knobs: what can be overridden."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import Json, PlainCommand, app, print_json, warn
from harness.errors import UsageError

if TYPE_CHECKING:
    pass


@app.command(cls=PlainCommand, short_help="List the knobs and what they do")
def knobs(
    pattern: Annotated[
        str, typer.Argument(metavar="[WORD]", help="Only knobs whose name has this word.")
    ] = "",
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="Those that a training script reads.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the trainer's knobs: type, default, range, meaning; or those of a script, read off its source."""
    from trainer.config import KNOBS

    if script is not None:
        _list_script_knobs(script, pattern, as_json)
        return
    matches = [knob for name, knob in KNOBS.items() if pattern.upper() in name]
    if not matches:
        raise UsageError(f'no knob has "{pattern}" in its name', "`harness knobs` lists all of them")
    if as_json:
        print_json("knobs", knobs=[_knob_data(knob) for knob in matches])
        return
    rows = [
        tuple(_knob_data(knob)[key] for key in ("name", "default", "unit", "range", "meaning"))
        for knob in matches
    ]
    _print_table(("knob", "default", "unit", "range", "meaning"), rows)


def _list_script_knobs(path: Path, pattern: str, as_json: bool) -> None:
    from harness.scripts.knobs import read_script
    from harness.scripts.snapshot import take_snapshot

    script = read_script(take_snapshot(path).texts())
    matches = [knob for name, knob in sorted(script.knobs.items()) if pattern.upper() in name.upper()]
    if not matches and not script.dynamic:
        what = f'no knob with "{pattern}" in its name' if pattern else "no environment variable at all"
        raise UsageError(f"{path} reads {what}", "`harness knobs --script FILE` lists all of them")
    if as_json:
        rows = [
            {
                "name": k.name,
                "type": k.kind,
                "default": k.default,
                "file": k.file,
                "line": k.line,
                "read_with": k.how,
                "spelling": k.spelling,
            }
            for k in matches
        ]
        print_json("knobs", script=str(path), knobs=rows, unchecked=list(script.unclear))
        return
    _print_table(
        ("knob", "default", "type", "read in", "with"),
        [
            (k.name, k.default if k.default is not None else "computed or none", k.kind, k.place, k.how)
            for k in matches
        ],
    )
    for what in script.unclear:
        warn(f"unchecked: {what}; names it reads there are not listed")


def _print_table(headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings[:-1]:
        table.add_column(heading, overflow="fold")
    table.add_column(headings[-1])
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


def _knob_data(knob: Any) -> dict[str, Any]:
    return {
        "name": knob.name,
        "type": knob.type_name,
        "default": knob.format(knob.default),
        "unit": knob.unit,
        "range": knob.range_text,
        "meaning": knob.meaning,
    }
