"""harness compare: holes against holes or references; as lines, as JSON, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import figures
from harness.cli.app import Json, PlainCommand, Runs, Strict, app, open_season, print_json, report_problems
from harness.errors import Exit, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.season.artifact import ArtifactChange
    from harness.season.compare import Change, Measure, Moment, Pair, Side
    from harness.season.hole import PlayedHole
    from harness.season.ratios import RatioChange
    from harness.season.season import Season
    from harness.season.standing import Standing

PLOTS = (".svg", ".png", ".pdf")
MOST_SETTINGS = 40


@app.command(cls=PlainCommand, short_help="Compare holes: more than noise?")
def compare(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="A [B ...]", help="A hole, and holes or entries of runs/field to compare it with."
        ),
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
    from harness.records.store import Store
    from harness.season.code_diff import code_diff
    from harness.season.pair_data import pair_data
    from harness.season.pairs import find_other, pairs_of, parse_kinds

    kinds = parse_kinds(to) if to is not None else ()
    if plot is not None:
        check_plot(plot)
    season = open_season(runs)
    by_folder = {hole.name.folder: hole for hole in season.holes}
    played = by_folder[Store(runs).get(references[0]).name.folder]
    others = [find_other(season, reference) for reference in references[1:]]
    pairs = pairs_of(season, played, others, kinds, across_stages)
    rivals = [pair.b.name for pair in pairs if diff and pair.b.name in by_folder]
    codes = {name: code_diff(played, by_folder[name]) for name in rivals}

    standing = season.standing(played)
    if as_json:
        data = [pair_data(season, standing, pair).model_dump(mode="json") for pair in pairs]
        print_json("compare", hole=played.name.folder, pairs=data, code=codes if diff else None)
    else:
        blocks = [
            [*describe(pair), *_survival(season, standing, pair), *_earlier(by_folder, pair)]
            for pair in pairs
        ]
        typer.echo("\n\n".join("\n".join(block) for block in blocks))
        for folder, text in codes.items():
            typer.echo(f"\n{played.name.folder} against {folder}\n{text}")
    if plot is not None:
        draw_curves(pairs, plot)
        typer.echo(f"wrote {plot}", err=True)
    report_problems(season.problems, strict)
    if any(pair.difference is None for pair in pairs):
        raise typer.Exit(Exit.NOT_COMPARABLE)


# Lines --------------------------------------------------------------------------------------------


def describe(pair: Pair) -> list[str]:
    """Return the lines of one pair."""
    label = f" ({pair.label})" if pair.label and pair.label != pair.b.name else ""
    head = f"{pair.a.name} against {pair.b.name}{label}"
    lines = [head]
    if pair.difference is None:
        lines.append(f"  not comparable: {pair.reason}")
        if pair.obstacle == "other stages":
            lines.append("  --across-stages subtracts them all the same")
    else:
        lines += _numbers(pair)
    if pair.artifact is not None:
        lines.append(f"  artifact: {_bytes(pair.artifact)}")
    if pair.tempo is not None:
        lines.append(f"  step time: {_tempo(pair.tempo)}")
    lines += [f"  caveat: {caveat}" for caveat in pair.caveats]
    if pair.whiff:
        what = "WHIFF" if pair.whiff.kind == "whiff" else "acts after training only"
        lines.append(f"  {what}: {pair.whiff.why} (seed {pair.whiff.seed})")
    lines += [f"  {_moment(pair, moment)}" for moment in pair.moments]
    if pair.config:
        lines.append("  settings that differ:")
        lines += [f"    {_change(change)}" for change in pair.config[:MOST_SETTINGS]]
        if len(pair.config) > MOST_SETTINGS:
            lines.append(f"    and {len(pair.config) - MOST_SETTINGS} more (--json has all)")
    return lines


def _earlier(holes: Mapping[str, PlayedHole], pair: Pair) -> list[str]:
    """Name the configurations that were played before those that are compared."""
    sides = [holes[name] for name in (pair.a.name, pair.b.name) if name in holes]
    return [
        f"  {hole.name.folder} before, as another configuration: {one}"
        for hole in sides
        for one in hole.earlier
    ]


def _survival(season: Season, standing: Standing, pair: Pair) -> list[str]:
    """Say that a claim is one of many and does not survive that; nothing where it does."""
    from harness.season.differences import describe_survival, survives

    if pair.difference is None:
        return []
    survival = survives(season, standing, pair.difference)
    comparisons = season.claims.of_course(standing.played.course).comparisons
    text = describe_survival(pair.difference, survival, comparisons)
    return [f"  {text}"] if text else []


def _numbers(pair: Pair) -> list[str]:
    from harness.season.differences import describe_interest, describe_tests

    difference, a, b = pair.difference, pair.a.sample, pair.b.sample
    assert difference is not None
    assert a is not None
    assert b is not None
    scores = f"{figures.bpb(a.mean)} against {figures.bpb(b.mean)} bpb"
    relative = "" if pair.relative is None else f", {figures.percent(pair.relative)}"
    token = "" if pair.nats_per_token is None else f", {figures.delta(pair.nats_per_token)} nats a token"
    exactly, where = ("exactly ", " on the same weights") if difference.exact else ("", "")
    lines = [
        f"  {difference.outcome}: {exactly}{figures.delta(difference.delta)} bpb ({scores}{relative}){where}",
        f"  {figures.delta(pair.nats_per_byte)} nats a byte{token}",
        f"  n {a.n} and {b.n}, standard deviation {_spread(a.std)} and {_spread(b.std)}",
    ]
    lines += [f"  {line}" for line in describe_tests(difference)]
    if difference.interval is not None and not difference.exact:
        low, high = difference.interval
        lines.append(
            f"  95 % interval {figures.delta(low)} to {figures.delta(high)}; "
            f"the smallest difference these n could have shown is {difference.threshold:.4f}"
        )
    if note := describe_interest(difference):
        lines.append(f"  {note}")
    lines.append(f"  basis: {difference.basis}" + (f"; {pair.noise}" if pair.noise else ""))
    return lines


def _bytes(change: ArtifactChange) -> str:
    size = (
        f"{change.bytes:+,} {'byte' if abs(change.bytes) == 1 else 'bytes'}"
        if change.bytes
        else "as many bytes"
    )
    if change.within_noise:
        return f"~{size} of weights: seeds alone differ as much"
    if change.weights_alone:
        return f"{size} of weights"
    return f"{size} ({change.parts})" if change.parts else size


def _tempo(change: RatioChange) -> str:
    words = {"more": "slower", "less": "quicker"}.get(change.outcome, change.outcome)
    reach = "" if change.reach is None else f"; noise threshold (95 %) {change.reach:.2f} times"
    why = "; ".join(filter(None, (change.basis, change.caveat)))
    return f"{change.ratio:.2f} times, {words}{reach}" + (f" ({why})" if why else "")


def _spread(std: float | None) -> str:
    return "unknown (1 seed)" if std is None else f"{std:.5f}"


def _change(change: Change) -> str:
    return f"{change.name}: {_set(change.a)} against {_set(change.b)}"


def _set(value: str | None) -> str:
    return "not set" if value is None else value[:80]


def _moment(pair: Pair, moment: Moment) -> str:
    where = (
        f"at step {figures.count(round(moment.at))}"
        if moment.axis == "step"
        else f"after {figures.seconds(moment.at)} of training"
    )
    return (
        f"{where} {_of_seed(pair.a)} stood at {moment.a:.4f} {moment.measure}, "
        f"{_of_seed(pair.b)} at {moment.b:.4f} ({figures.delta(moment.delta)})"
    )


def _of_seed(side: Side) -> str:
    """A curve is one attempt's: say whose, where the score is a mean."""
    if len(side.records) < 2 or side.record is None or side.record.seed is None:
        return side.name
    return f"{side.name} (seed {side.record.seed})"


# Figure -------------------------------------------------------------------------------------------


def check_plot(path: Path) -> None:
    """Refuse a figure that could not be written, before anything is computed."""
    if path.suffix.lower() not in PLOTS:
        raise UsageError(f"--plot {path} is no figure", f"its name ends in {', '.join(PLOTS)}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "make it, or name another place for the figure")


def draw_curves(pairs: list[Pair], path: Path) -> None:
    """Draw all curves on one scale: validation where every side has it, else training loss."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "harness"  # the same runs give the same bytes
    from matplotlib import pyplot

    from harness.season.compare import series

    sides = {side.name: side for pair in pairs for side in (pair.a, pair.b)}.values()
    curves = [side for side in sides if side.curve.train or side.curve.val]
    if not curves:
        raise HarnessError("nothing to plot: none of these kept a curve", "leave out --plot")
    measure: Measure = (
        "val_bpb" if all(series(side.curve, "val_bpb", "step") for side in curves) else "train_loss"
    )
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for side in curves:
        points = series(side.curve, measure, "step")
        axes.plot([x for x, _ in points], [y for _, y in points], label=side.name, linewidth=1.2)
    axes.set_xlabel("step")
    axes.set_ylabel("val_bpb, bits a byte" if measure == "val_bpb" else "train_loss, nats a token")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    no_date: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(
        path.suffix.lower(), {}
    )
    try:
        figure.savefig(path, metadata=no_date, dpi=150)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror}", "name another place") from error
    finally:
        pyplot.close(figure)
