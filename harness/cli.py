"""The command line: parse, call one function, print. Errors are caught once, in `main`.

Whatever is slow to import is imported inside the command that needs it: `harness --help` feels instant.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from harness import __version__
from harness.errors import Exit, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.record import RunRecord
    from harness.registry import Season, Standing

JSON_SCHEMA = 1  # of every object that --json prints

app = typer.Typer(
    name="harness",
    help="Train small models under hard limits; keep every run, compare it fairly, publish its scorecard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Runs = Annotated[
    Path, typer.Option("--runs", help="Folder of the season.", envvar="HARNESS_RUNS", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Reference = Annotated[str, typer.Argument(metavar="ROUND", help="A hole: round_006, its full name, or 6.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 when a file could not be read.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    reference: Reference,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", "-o", metavar="KEY=VALUE", help="Set a knob; repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the one attempt.")] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="A,B,C", help="Several seeds, played in turn.")
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Settings to start from.")] = None,
    course: Annotated[str | None, typer.Option("--course", help="What is being predicted.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title of a new hole.")] = "",
    parent: Annotated[str | None, typer.Option("--parent", help="The hole that this one varies.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    repeat: Annotated[bool, typer.Option("--repeat", help="Play even what was played before.")] = False,
    allow_over_cap: Annotated[
        bool, typer.Option("--allow-over-cap", help="Play even if the artifact cannot fit.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", min=1.0, help="Stop each attempt after this."),
    ] = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Play a hole: check everything, train, record, and show the scorecard."""
    from harness import runner

    if resume:
        given = [name for name, value in {
            "--override": override, "--seed": seed, "--seeds": seeds, "--preset": preset, "--course": course,
            "--repeat": repeat, "--dry-run": dry_run, "--parent": parent, "--title": title,
        }.items() if value]  # fmt: skip
        if given:
            raise UsageError(
                f"--resume goes on with the settings it was started with; {given[0]} cannot be given",
                "leave it out, or play a new attempt without --resume",
            )
        records = [_resume(reference, runs, timeout, quiet=as_json)]
        _finish_run(records, reference, runs, as_json)
        return

    request = runner.Request(
        reference=reference,
        overrides=tuple(override or ()),
        seeds=_parse_seeds(seed, seeds),
        preset=preset,
        course=course,
        title=title,
        parent=parent,
        repeat=repeat,
        allow_over_cap=allow_over_cap,
    )
    drawn = runner.plan(request, runs, _course_progress())
    for note in (*drawn.warnings, *drawn.skipped):
        _warn(note)
    if dry_run:
        _show_plan(drawn, as_json)
        return

    records = []
    for one in drawn.seeds:
        records.append(_play(drawn, one, runs, timeout))
        if records[-1].status in ("stopped", "failed"):
            break
        if one != drawn.seeds[-1] and not as_json:
            _print_card(drawn.hole.folder, runs)
    _finish_run(records, drawn.hole.folder, runs, as_json)


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
    from rich.console import Console

    from harness import scorecard

    season = _season(runs)
    standings = [season.standing(hole) for hole in season.holes if course in (None, hole.course)]
    standings = _sorted(standings, sort)
    if tree:
        from harness import lineage

        grown = lineage.branches(season, standings)
        if as_json:
            rows = [lineage.as_data(branch) for branch in grown]
            _print_json("tree", holes=rows, problems=list(season.problems))
        else:
            empty = f"no holes in {runs}/ yet; `harness run round_001` plays the first"
            typer.echo("\n".join(map(lineage.describe, grown)) or empty)
    elif as_json:
        _print_json("ls", holes=[scorecard.as_data(s) for s in standings], problems=list(season.problems))
    elif not standings:
        typer.echo(f"no holes in {runs}/ yet; `harness run round_001` plays the first")
    else:
        width = None if sys.stdout.isatty() else 200
        Console(highlight=False, width=width).print(scorecard.holes_table(season, standings))
    _report_problems(season, strict)


@app.command()
def show(
    reference: Reference,
    why: Annotated[bool, typer.Option("--why", help="Why it failed: the cause and the last lines.")] = False,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Show one hole's scorecard, with every comparison computed against the field of its day."""
    from harness import opponents, scorecard
    from harness.store import Store

    folder = Store(runs).get(reference).name.folder
    season = _season(runs)
    standing = _standing(season, folder)
    record = standing.played.record
    whiff = opponents.parent_whiff(season, standing.played)
    if as_json:
        _print_json("show", **scorecard.as_data(standing), whiff=whiff.why if whiff else None)
    else:
        scorecard.print_card(standing)
        if whiff:
            typer.echo(f"  WHIFF: {whiff.why} (seed {whiff.seed})")
        if record and record.scores:
            for score in record.scores:
                typer.echo(f"  {score.stage:20} {score.val_bpb:.8f} bpb  {score.label}")
        if why and record and record.failure:
            typer.echo("\n".join(record.failure.last_lines))
    _report_problems(season, strict)


@app.command()
def compare(
    references: Annotated[
        list[str], typer.Argument(metavar="A [B ...]", help="A hole, and those it is compared with.")
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="par, sota, best, prev, parent: with commas, of A's own day.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show how the code differs, too.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curves: .svg, .png or .pdf.")
    ] = None,
    runs: Runs = Path("runs"),
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compare holes: by how much, in which unit, and whether that is more than noise."""
    from harness import compare_report, opponents
    from harness.store import Store

    asked = opponents.parse_kinds(to) if to is not None else ()
    if plot is not None:
        compare_report.check_plot(plot)
    season, store = _season(runs), Store(runs)
    by_folder = {hole.name.folder: hole for hole in season.holes}
    played, *others = [by_folder[store.get(reference).name.folder] for reference in references]
    pairs = opponents.pairs_of(season, played, others, asked)
    rivals = [pair.b.name for pair in pairs if diff and pair.b.name in by_folder]
    codes = {name: compare_report.code_diff(played, by_folder[name]) for name in rivals}

    if as_json:
        code = {"code": codes} if diff else {}
        _print_json(
            "compare", hole=played.name.folder, pairs=[compare_report.as_data(p) for p in pairs], **code
        )
    else:
        typer.echo("\n\n".join("\n".join(compare_report.describe(pair)) for pair in pairs))
        for folder, text in codes.items():
            typer.echo(f"\n{played.name.folder} against {folder}\n{text}")
    if plot is not None:
        compare_report.plot(pairs, plot)
        typer.echo(f"wrote {plot}", err=True)
    _report_problems(season, strict)
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
    from harness.brief import as_data, brief_season, describe
    from harness.course import load_course

    if course is not None:
        load_course(course, runs)  # an unknown name is refused, not taken for an empty season
    season = _season(runs)
    summed = brief_season(season, course)
    if as_json:
        _print_json("brief", **as_data(summed), problems=list(season.problems))
    else:
        typer.echo("\n".join(describe(summed)))
    _report_problems(season, strict)


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

    from harness.decision import as_data
    from harness.decision import decide as take
    from harness.store import Store

    if not by:
        try:
            by = getpass.getuser()
        except (KeyError, OSError):  # a container without a user's entry
            by = "unknown"
    hole = Store(runs).get(reference)
    taken = take(hole, choice, reason, by, dt.datetime.now(dt.UTC).replace(microsecond=0))
    if as_json:
        _print_json("decide", hole=hole.name.folder, decision=as_data(taken))
    else:
        typer.echo(f"{hole.name.folder}: {taken.decision} ({taken.reason})")


@app.command("import")
def import_logs(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH...", help="Logs, record folders, folders of them, or -."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--as", help="field, hole, or auto: with a submission file field, else hole.")
    ] = "auto",
    course: Annotated[str, typer.Option("--course", help="What they predict.")] = "fineweb",
    log: Annotated[
        str, typer.Option("--log", help="copy the log beside its record, or only reference it.")
    ] = "copy",
    leaderboard: Annotated[
        Path | None,
        typer.Option("--leaderboard", metavar="FILE.md", help="Refresh the published leaderboard."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; write nothing.")] = False,
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Turn other people's logs and submissions into records like ours."""
    from harness import exchange

    if kind not in ("auto", "field", "hole"):
        raise UsageError(f'--as "{kind}" is not known', "use field, hole or auto")
    if log not in ("copy", "reference"):
        raise UsageError(f'--log "{log}" is not known', "use copy or reference")
    if leaderboard is not None:
        from harness.leaderboard import refresh_leaderboard

        rows = refresh_leaderboard(leaderboard, runs, dry_run)
        if as_json and not paths:
            _print_json("import", leaderboard=[row.model_dump(mode="json") for row in rows], dry_run=dry_run)
        elif not as_json:
            best = min(rows, key=lambda row: row.val_bpb)
            typer.echo(
                f"leaderboard: {len(rows)} rows, best {best.val_bpb} by {best.author or best.name} ({best.date})"
            )
    if not paths:
        if leaderboard is None:
            raise UsageError(
                "nothing to import", "name a log, a record folder, a folder of them, or - for standard input"
            )
        return
    given = [Path(path) for path in paths]
    with _import_progress(exchange.count_bundles(given)) as advance:
        report = exchange.import_paths(
            given, runs, cast("exchange.As", kind), course, cast("exchange.KeepLog", log), dry_run, advance
        )
    if as_json:
        _print_json(
            "import",
            dry_run=dry_run,
            added=report.added,
            bundles=[exchange.as_data(b) for b in report.bundles],
        )
    else:
        for bundle in report.bundles:
            typer.echo(exchange.describe(bundle))
        what = "would be added" if dry_run else "added"
        typer.echo(
            f"{report.added} of {len(report.bundles)} {what}" + ("" if report.added else ": nothing is new")
        )
    if report.bundles and all(bundle.state == "skipped" for bundle in report.bundles):
        raise typer.Exit(Exit.FAILED)


@app.command()
def export(
    reference: Reference,
    out: Annotated[Path, typer.Option("--out", help="A new folder for submission.json and the logs.")],
    author: Annotated[str, typer.Option("--author", help="Your name.")] = "",
    github_id: Annotated[str, typer.Option("--github-id", help="Your GitHub handle.")] = "",
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a hole as a submission folder: submission.json and a log per seed, in the field's format."""
    from harness.export import export_hole
    from harness.registry import load_hole
    from harness.store import Store

    written = export_hole(load_hole(Store(runs).get(reference)), out, author, github_id)
    if as_json:
        _print_json("export", files=[str(path) for path in written])
    else:
        typer.echo("\n".join(map(str, written)))


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
        _warn(problem)
    if as_json:
        _print_json(
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


@app.command()
def knobs(
    pattern: Annotated[
        str, typer.Argument(metavar="[WORD]", help="Only knobs whose name has this word.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the trainer's knobs: type, default, range, meaning."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from trainer.config import KNOBS

    chosen = [knob for name, knob in KNOBS.items() if pattern.upper() in name]
    if not chosen:
        raise UsageError(f'no knob has "{pattern}" in its name', "`harness knobs` lists all of them")
    if as_json:
        _print_json("knobs", knobs=[_knob_data(knob) for knob in chosen])
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("knob", "default", "unit", "range"):
        table.add_column(heading, overflow="fold")
    table.add_column("meaning")
    for knob in chosen:
        data = _knob_data(knob)
        table.add_row(data["name"], data["default"], data["unit"], data["range"], data["meaning"])
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


# Running ------------------------------------------------------------------------------------------


def _parse_seeds(seed: int | None, seeds: str | None) -> tuple[int, ...]:
    if seed is not None and seeds is not None:
        raise UsageError("--seed and --seeds are both given", "--seeds 42,1337,314 plays several")
    if seeds is None:
        return () if seed is None else (seed,)
    try:
        return tuple(int(word) for word in seeds.split(","))
    except ValueError:
        raise UsageError(
            f'--seeds "{seeds}" is not a list of whole numbers', "write --seeds 42,1337,314"
        ) from None


def _play(drawn: Any, seed: int, runs: Path, timeout: float | None) -> RunRecord:
    from harness import runner
    from harness.live import LiveView

    title = f"{drawn.hole.folder} seed {seed}"
    with LiveView(title, int(drawn.config["TRAIN_BATCH_TOKENS"])) as view:
        listeners = runner.Listeners(on_line=view.line, on_idle=view.idle)
        return runner.play(drawn, seed, runs, listeners, timeout)


def _resume(reference: str, runs: Path, timeout: float | None, quiet: bool) -> RunRecord:
    from harness import runner
    from harness.live import LiveView

    with LiveView(f"{reference} resumed", 0) as view:
        return runner.resume(reference, runs, runner.Listeners(view.line, view.idle), timeout)


def _finish_run(records: list[RunRecord], folder: str, runs: Path, as_json: bool) -> None:
    """Show the hole as it now stands and end with the code that the last attempt calls for."""
    from harness import scorecard
    from harness.store import Store

    last = records[-1]
    standing = _standing(_season(runs), Store(runs).get(folder).name.folder)
    if as_json:
        attempts = [record.model_dump(mode="json", by_alias=True, exclude_none=True) for record in records]
        _print_json("run", **scorecard.as_data(standing), played=attempts)
    else:
        scorecard.print_card(standing)
    if last.status == "failed":
        assert last.failure is not None
        raise typer.Exit(Exit.TIMED_OUT if last.failure.kind == "timeout" else Exit.CRASHED)
    raise typer.Exit({"ok": Exit.DONE, "over_cap": Exit.OVER_CAP, "stopped": Exit.FAILED}[last.status])


def _print_card(folder: str, runs: Path) -> None:
    from harness import scorecard

    scorecard.print_card(_standing(_season(runs), folder))


def _show_plan(drawn: Any, as_json: bool) -> None:
    data = {
        "hole": drawn.hole.folder,
        "new": drawn.is_new,
        "course": drawn.course.name,
        "split": drawn.split,
        "preset": drawn.preset,
        "seeds": list(drawn.seeds),
        "overrides": drawn.overrides,
        "params": drawn.params,
        "forecast_bytes": drawn.forecast_bytes,
        "cap_bytes": drawn.course.caps.artifact_bytes,
        "config": drawn.config,
    }
    if as_json:
        _print_json("plan", **data)
        return
    what = "a new hole" if drawn.is_new else "a new attempt"
    typer.echo(f"{drawn.hole.folder} ({drawn.hole.position}): {what} on the {drawn.course.name} course")
    typer.echo(f"  preset      {drawn.preset}")
    typer.echo(f"  overrides   {' '.join(f'{k}={v}' for k, v in drawn.overrides.items()) or 'none'}")
    typer.echo(f"  seeds       {', '.join(map(str, drawn.seeds))}")
    typer.echo(f"  parameters  {drawn.params:,}")
    typer.echo(f"  artifact    about {drawn.forecast_bytes:,} of {drawn.course.caps.artifact_bytes:,} bytes")
    typer.echo(f"  split       {drawn.split}")
    typer.echo("nothing was started; leave out --dry-run to play")


def _course_progress() -> Callable[[str, float], None]:
    """Say how the preparation of a course goes, on standard error; silent when there is nothing to prepare."""
    last = ""

    def say(what: str, share: float) -> None:
        nonlocal last
        if sys.stderr.isatty():
            filled = int(share * 30)
            print(
                f"\r{what:40.40} [{'#' * filled}{'.' * (30 - filled)}]", end="", file=sys.stderr, flush=True
            )
            if share >= 1:
                print("\r" + " " * 74 + "\r", end="", file=sys.stderr, flush=True)
        elif what != last:
            print(what, file=sys.stderr, flush=True)
        last = what

    return say


@contextlib.contextmanager
def _import_progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal when there is much to read."""
    if total < 4 or not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("importing", total=total)
        yield lambda name: progress.update(task, advance=1, description=name[:40])


# Shared by commands -------------------------------------------------------------------------------


def _season(runs: Path) -> Season:
    from harness.registry import load_season

    if not runs.is_dir() and runs != Path("runs"):
        raise UsageError(f"there is no folder {runs}", "name the folder of the season with --runs DIR")
    return load_season(runs)


def _standing(season: Season, folder: str) -> Standing:
    return season.standing(next(hole for hole in season.holes if hole.name.folder == folder))


def _sorted(standings: list[Standing], by: str) -> list[Standing]:
    """Sort with what is missing last; lower is better for every measure here."""
    keys: dict[str, Callable[[Standing], Any]] = {
        "number": lambda s: s.played.name.number,
        "val_bpb": lambda s: s.played.sample.mean if s.played.sample else None,
        "artifact": lambda s: s.played.record.artifact_bytes if s.played.record else None,
        "tempo": lambda s: s.played.record.step_ms if s.played.record else None,
        "date": lambda s: s.played.day,
    }
    if by not in keys:
        raise UsageError(f'cannot sort by "{by}"', f"sort by one of {', '.join(keys)}")
    values = [(keys[by](standing), standing) for standing in standings]
    present = sorted((pair for pair in values if pair[0] is not None), key=lambda pair: pair[0])
    return [s for _, s in present] + [s for value, s in values if value is None]


def _knob_data(knob: Any) -> dict[str, Any]:
    return {
        "name": knob.name,
        "type": knob.type_name,
        "default": knob.format(knob.default),
        "unit": knob.unit,
        "range": knob.range_text,
        "meaning": knob.meaning,
    }


def _report_problems(season: Season, strict: bool) -> None:
    for problem in season.problems:
        _warn(problem)
    if strict and season.problems:
        raise typer.Exit(Exit.FAILED)


def _print_json(command: str, **data: Any) -> None:
    typer.echo(json.dumps({"schema": JSON_SCHEMA, "command": command, **data}, ensure_ascii=False, indent=2))


def _warn(text: str) -> None:
    typer.echo(f"warning: {text}", err=True)


def main() -> None:
    """Run the command line. The only place where a HarnessError is caught."""
    try:
        app()
    except HarnessError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        if "--json" in sys.argv:
            _print_json("error", error=error.message, hint=error.hint, exit_code=int(error.exit_code))
        sys.exit(int(error.exit_code))
    except BrokenPipeError:  # `harness ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
