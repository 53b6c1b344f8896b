"""Commands that read a season: ls, show, compare, brief, knobs; and `decide`, which notes a verdict beside one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import table
from harness.cli.app import Json, Reference, Runs, Strict, app
from harness.cli.output import (
    open_season,
    print_json,
    report_problems,
    report_unfinished,
    standing_of,
    warn,
)
from harness.errors import Exit, UsageError

if TYPE_CHECKING:
    from harness.season.hole import Played
    from harness.season.season import Season


@app.command("ls")
def list_holes(
    course: Annotated[str | None, typer.Option("--course", help="Only this course.")] = None,
    sort: Annotated[str, typer.Option("--sort", help="number, val_bpb, artifact, tempo or date.")] = "number",
    tree: Annotated[bool, typer.Option("--tree", help="Each hole under its parent.")] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """List all holes: score, distance to par, artifact, tempo, status."""
    if not tree and not as_json:
        table.print_holes(runs, course, sort, strict)
        return
    from harness import listing, scorecard
    from harness.season import lineage

    listing.check_sort(sort)
    season = open_season(runs, glance=not as_json)
    shown = [hole for hole in season.holes if course in (None, hole.course)]
    standings = {hole.name.folder: season.standing(hole) for hole in shown}
    ordered = [
        standings[row.folder] for row in listing.sort_rows(map(listing.row_of, standings.values()), sort)
    ]
    if not shown and as_json:
        table.no_holes(runs, course)
    if not tree:
        print_json("ls", holes=[scorecard.as_data(s) for s in ordered], problems=list(season.problems))
    else:
        grown = lineage.branches(season, ordered)
        if as_json:
            rows = [lineage.as_data(branch) for branch in grown]
            print_json("tree", holes=rows, problems=list(season.problems))
        else:
            typer.echo("\n".join(map(lineage.describe, grown)) or table.no_holes(runs, course))
    report_unfinished(runs, (hole.name.folder for hole in shown if hole.status == "unfinished"))
    report_problems(season.problems, strict)


@app.command()
def show(
    reference: Reference,
    why: Annotated[bool, typer.Option("--why", help="Why it failed: the cause and the last lines.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="How its code differs from its parent's.")] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Show one hole's scorecard, with every comparison computed against the field of its day."""
    from rich.console import Console

    from harness import scorecard
    from harness.records.store import Store
    from harness.season import pairs

    folder = Store(runs).get(reference).name.folder
    season = open_season(runs)
    standing = standing_of(season, folder)
    record = standing.played.record
    whiff = pairs.parent_whiff(season, standing.played)
    changed = _diff_to_parent(season, standing.played) if diff else None
    if as_json:
        print_json(
            "show", **scorecard.as_data(standing), whiff=whiff.why if whiff else None, code_diff=changed
        )
    else:
        scorecard.print_card(standing)
        if whiff:
            typer.echo(f"  {pairs.describe_whiff(whiff)}")
        if len(standing.played.entries) > 1:
            Console(highlight=False).print(scorecard.attempts_table(standing.played))
        if record and record.scores:
            if len(standing.played.group) > 1:
                typer.echo(f"  {scorecard.shown_attempt(standing.played)}:")
            for score in record.scores:
                typer.echo(f"  {score.stage:20} {score.val_bpb:.8f} bpb  {score.label}")
        if why and record and record.failure:
            typer.echo("\n".join(record.failure.last_lines))
        if changed is not None:
            typer.echo(changed)
    report_unfinished(runs, [folder])
    report_problems(season.problems, strict)


def _diff_to_parent(season: Season, played: Played) -> str:
    from harness.season.code_diff import code_diff

    parent = season.parent(played)
    if parent is None:
        named = played.intent.parent
        return f'the parent "{named}" is not here' if named else "round.toml names no parent to differ from"
    return code_diff(played, parent)


@app.command()
def compare(
    references: Annotated[
        list[str],
        typer.Argument(metavar="A [B ...]", help="A hole, and holes or entries of runs/field beside it."),
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="par, sota, best, prev, parent: with commas, of A's own day.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show how the code differs, too.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curves: .svg, .png or .pdf.")
    ] = None,
    across_stages: Annotated[
        bool, typer.Option("--across-stages", help="Subtract official scores even of different stages.")
    ] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compare holes: by how much, in which unit, and whether that is more than noise."""
    from harness import compare_report
    from harness.records.store import Store
    from harness.season.code_diff import code_diff
    from harness.season.pairs import find_other, pairs_of, parse_kinds

    asked = parse_kinds(to) if to is not None else ()
    if plot is not None:
        compare_report.check_plot(plot)
    season = open_season(runs)
    by_folder = {hole.name.folder: hole for hole in season.holes}
    played = by_folder[Store(runs).get(references[0]).name.folder]
    others = [find_other(season, reference) for reference in references[1:]]
    pairs = pairs_of(season, played, others, asked, across_stages)
    rivals = [pair.b.name for pair in pairs if diff and pair.b.name in by_folder]
    codes = {name: code_diff(played, by_folder[name]) for name in rivals}

    if as_json:
        code = {"code": codes} if diff else {}
        print_json(
            "compare", hole=played.name.folder, pairs=[compare_report.as_data(p) for p in pairs], **code
        )
    else:
        typer.echo("\n\n".join("\n".join(compare_report.describe(pair)) for pair in pairs))
        for folder, text in codes.items():
            typer.echo(f"\n{played.name.folder} against {folder}\n{text}")
    if plot is not None:
        compare_report.plot(pairs, plot)
        typer.echo(f"wrote {plot}", err=True)
    report_problems(season.problems, strict)
    if any(pair.difference is None for pair in pairs):
        raise typer.Exit(Exit.NOT_COMPARABLE)


@app.command()
def brief(
    course: Annotated[str | None, typer.Option("--course", help="Another course than the newest.")] = None,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Sum up the season: best, last five, dead ends, open questions, noise, budget used."""
    from harness.courses.course import load_course
    from harness.season.brief import as_data, brief_season, describe

    if course is not None:
        load_course(course, runs)  # an unknown name is refused, not taken for an empty season
    season = open_season(runs)
    summed = brief_season(season, course)
    if as_json:
        print_json("brief", **as_data(summed), problems=list(season.problems))
    else:
        typer.echo("\n".join(describe(summed)))
    report_problems(season.problems, strict)


@app.command()
def decide(
    reference: Reference,
    choice: Annotated[str, typer.Argument(metavar="keep|drop|invalid", help="What becomes of the hole.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in your words.")],
    by: Annotated[str, typer.Option("--by", help="Who decides; else your user name.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Keep, drop or invalidate a hole, with the reason; earlier decisions stay on file."""
    import datetime as dt
    import getpass

    from harness.records.decision import as_data
    from harness.records.decision import decide as take
    from harness.records.store import Store

    if not by:
        try:
            by = getpass.getuser()
        except (KeyError, OSError):  # a container without a user's entry
            by = "unknown"
    hole = Store(runs).get(reference)
    taken = take(hole, choice, reason, by, dt.datetime.now(dt.UTC).replace(microsecond=0))
    if as_json:
        print_json("decide", hole=hole.name.folder, decision=as_data(taken))
    else:
        typer.echo(f"{hole.name.folder}: {taken.decision} ({taken.reason})")


@app.command()
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
    chosen = [knob for name, knob in KNOBS.items() if pattern.upper() in name]
    if not chosen:
        raise UsageError(f'no knob has "{pattern}" in its name', "`harness knobs` lists all of them")
    if as_json:
        print_json("knobs", knobs=[_knob_data(knob) for knob in chosen])
        return
    rows = [
        tuple(_knob_data(knob)[key] for key in ("name", "default", "unit", "range", "meaning"))
        for knob in chosen
    ]
    _print_table(("knob", "default", "unit", "range", "meaning"), rows)


def _list_script_knobs(path: Path, pattern: str, as_json: bool) -> None:
    from harness.scripts.knobs import read_script
    from harness.scripts.snapshot import take_snapshot

    script = read_script(take_snapshot(path).texts())
    chosen = [knob for name, knob in sorted(script.knobs.items()) if pattern.upper() in name.upper()]
    if not chosen and not script.dynamic:
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
            for k in chosen
        ]
        print_json("knobs", script=str(path), knobs=rows, unchecked=list(script.unclear))
        return
    _print_table(
        ("knob", "default", "type", "read in", "with"),
        [
            (k.name, k.default if k.default is not None else "computed or none", k.kind, k.place, k.how)
            for k in chosen
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
