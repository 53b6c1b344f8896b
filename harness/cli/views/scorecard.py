"""The terminal's scorecard, the table of attempts, and what `--json` has of them. Computes nothing."""

from __future__ import annotations

import shlex
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness import figures
from harness.cli.terminal import console
from harness.courses.course import UNKNOWN
from harness.records.intent import decision_data
from harness.records.origin import trained_in
from harness.records.record import RunRecord, excess_bytes, mean_gap
from harness.run.result import hint_for
from harness.season.differences import describe_interest, hole_data
from harness.season.hole import AttemptEntry, PlayedHole
from harness.season.schema import AttemptData, ShownHole
from harness.season.season import Season
from harness.season.series import Series
from harness.season.standing import Comparison, Standing

_OUTCOME_STYLE = {"better": "green", "worse": "yellow"}  # the others are no change: dim
_LABELS = {
    "par": "versus par",
    "sota": "versus SOTA",
    "best": "versus lowest",
    "previous": "versus previous",
    "parent": "versus parent",
}
# The previous hole is a row of the card: a score is lower or higher than its, and no idea better for that.
_PREVIOUS_WORDS = {"better": "lower", "worse": "higher"}


def scorecard(standing: Standing) -> RenderableType:
    """Return the card that ends a run: score, comparisons, artifact, tempo, verdict."""
    played, record = standing.played, standing.played.record
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    if record is None:
        grid.add_row("status", played.status)
        _add_decision(grid, played)
        return _panel(played, grid, standing.result)

    grid.add_row("val_bpb", Text(_score(played), style="bold"))
    for earlier in played.earlier:
        grid.add_row("earlier", Text(f"another configuration: {earlier}", style="dim"))
    if gap := mean_gap(played.measured):
        grid.add_row("quantization gap", figures.delta(gap))
    notes: set[str] = set()
    for kind, label in _LABELS.items():
        comparison = standing.comparisons[kind]  # type: ignore[index]
        if kind == "parent" and not played.intent.parent:
            continue
        if comparison.reason and comparison.reason == standing.foreign_text:  # the verdict says it
            text = (
                "its validation text is not known" if played.split == UNKNOWN else "another validation text"
            )
            grid.add_row(label, Text(f"not compared: {text}", style="dim"))
            continue
        grid.add_row(label, _comparison(comparison))
        note = describe_interest(comparison.difference) if comparison.difference else ""
        if note and note not in notes:
            grid.add_row("", Text(note, style="dim"))
            notes.add(note)
        if comparison.caveat:
            grid.add_row("", Text(comparison.caveat, style="dim"))
    grid.add_row("artifact", _artifact(standing))
    tempo = None if record.step_ms is None else f"{figures.tempo(record.step_ms)} a step"
    steps = None if record.steps is None else figures.number(record.steps, "step")
    grid.add_row("tempo", _measured(tempo, steps))
    time = None if record.train_seconds is None else figures.seconds(record.train_seconds)
    params = None if record.params is None else figures.number(record.params, "parameter")
    grid.add_row("trained", _measured(time, params))
    if played.summary.cost is not None:
        attempts = figures.number(len(played.entries), "attempt")
        grid.add_row("cost", f"{figures.money(played.summary.cost)} for {attempts}")
    if trained := trained_in([one.evaluated_from for one in played.measured]):
        grid.add_row("weights", "evaluated from the weights of hole {}, {}".format(*trained))
    if len(played.group) > 1:
        grid.add_row("", Text(f"artifact, tempo and time: {shown_attempt(played)}", style="dim"))
    grid.add_row("verdict", Text(verdict_line(standing), style="bold"))
    if standing.record_obstacles and played.status == "ok":
        grid.add_row("no record", Text("; ".join(standing.record_obstacles), style="dim"))
    _add_decision(grid, played)
    rows: list[RenderableType] = [grid]
    if record.failure:
        rows.append(
            Text(f"\n{record.status}: {record.failure.kind.replace('_', ' ')}: {record.failure.message}")
        )
        rows.append(Text(f"hint: {hint_for(record)}", style="dim"))
    return _panel(played, Group(*rows), standing.result)


def _add_decision(grid: Table, played: PlayedHole) -> None:
    if played.decision:
        newest = played.decision
        text = f"{newest.decision}: {newest.reason} ({newest.who}, {newest.when.date().isoformat()})"
        grid.add_row("decision", Text(text))


def shown_attempt(played: PlayedHole) -> str:
    """Name the attempt whose figures stand for the hole where they are no mean."""
    attempt, record = played.attempt, played.record
    assert attempt is not None
    assert record is not None
    return f"{attempt.path.name}, seed {record.seed}"


def verdict_line(standing: Standing) -> str:
    record = " and Course Record" if standing.course_record else ""
    return f"{standing.result}{record}: {standing.verdict.why}"


def attempts_table(played: PlayedHole) -> Table:
    """Return all attempts of a hole, the bad ones too, and which of them the score is the mean of."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, right in (
        ("attempt", False),
        ("seed", True),
        ("val_bpb", True),
        ("status", False),
        ("", False),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for entry in played.entries:
        record = entry.record
        if record is None:
            table.add_row(entry.attempt.path.name, "", "-", "no record yet", "")
            continue
        table.add_row(
            entry.attempt.path.name,
            "-" if record.seed is None else str(record.seed),
            "-" if record.val_bpb is None else f"{record.val_bpb:.8f}",
            record.status,
            "counts" if record in played.group else "another configuration" if record.complete else "",
        )
    return table


def as_data(season: Season, standing: Standing) -> dict[str, Any]:
    """Return what `--json` says of a hole: the record shown, its group, and what is computed from them."""
    played = standing.played
    shown = ShownHole(
        **dict(hole_data(season, standing)),
        attempts=len(played.entries),
        attempt_list=[_attempt_data(played, entry) for entry in played.entries],
        verdict_why=standing.verdict.why,
        sets_par=standing.sets_par,
        course_record=standing.course_record,
        record_obstacles=list(standing.record_obstacles),
        headroom_bytes=standing.headroom_bytes,
        decision=decision_data(played.decision),
        record=played.record.model_dump(mode="json", by_alias=True, exclude_none=True)
        if played.record
        else None,
        problems=list(played.problems),
    )
    return shown.model_dump(mode="json")


def _attempt_data(played: PlayedHole, entry: AttemptEntry) -> AttemptData:
    record = entry.record
    return AttemptData(
        attempt=entry.attempt.number,
        seed=record.seed if record else None,
        status=record.status if record else "unfinished",
        val_bpb=record.val_bpb if record else None,
        counts=record in played.group,
    )


def series_lines(played: PlayedHole, series: Series) -> list[str]:
    """Return what stands in the card's place while planned seeds are missing: scores alone, no verdict."""
    record = played.records[-1]
    scores = {one.seed: one.val_bpb for one in played.records if one.complete}
    lines = [f"{played.name.folder}: {series.no_verdict}"]
    lines += [f"  seed {seed:<10} {figures.bpb(scores[seed])}" for seed in series.finished]
    lines += [f"  seed {seed:<10} failed" for seed in series.failed]
    if record.failure:
        lines.append(
            f"  seed {record.seed}: {record.failure.kind.replace('_', ' ')}: {record.failure.message}; "
            f"{hint_for(record)}"
        )
    return [*lines, f"the rest: `{_series_command(record, series)}`"]


def _series_command(record: RunRecord, series: Series) -> str:
    """Return the words that play the planned seeds that are missing, with the settings of this record."""
    words = list(record.command)
    if words[:2] != ["harness", "run"]:  # it was played from a launch bundle
        words = ["harness", "run", record.hole]
    end = words.index("--") if "--" in words else len(words)
    words, handed = words[:end], words[end:]
    if "--seed" in words:
        at = words.index("--seed")
        del words[at : at + 2]
    words = [word for word in words if word != "--repeat"]
    return shlex.join([*words, "--seeds", series.planned_text, *handed])


def print_card(standing: Standing) -> None:
    """Print a scorecard to standard output, in colour only on a terminal."""
    console().print(scorecard(standing))


def _panel(played: PlayedHole, body: RenderableType, subtitle: str) -> Panel:
    head = f"{played.name.position}: {played.title}"
    return Panel(
        body,
        title=Text(head, style="bold"),
        subtitle=Text(subtitle),
        title_align="left",
        subtitle_align="right",
        box=box.ROUNDED,
        expand=False,
        padding=(1, 2),
    )


def _score(played: PlayedHole) -> str:
    record = played.record
    if played.sample is None:
        return "no score"
    text = figures.bpb(played.sample.mean)
    failed, apart = len(played.summary.failed_seeds), played.summary.repeat_std
    repeats = f"; repeats of a seed spread by {apart:.4f}" if apart else ""
    if played.sample.std is not None:
        seeds = f"{played.sample.n} of {played.sample.n + failed}" if failed else f"{played.sample.n}"
        lost = f", {failed} failed" if failed else ""
        return f"{text} (mean of {seeds} seeds{lost}, standard deviation {played.sample.std:.4f}{repeats})"
    stage = record.official.stage.replace("_", " ") if record and record.official else ""
    return f"{text} ({', '.join(filter(None, (stage, '1 seed')))}{repeats})" if stage or repeats else text


def _comparison(comparison: Comparison) -> Text:
    if comparison.difference is None:
        return Text(comparison.reason, style="dim")
    difference = comparison.difference
    outcome, style = str(difference.outcome), _OUTCOME_STYLE.get(difference.outcome, "dim")
    if comparison.kind == "previous":
        outcome, style = _PREVIOUS_WORDS.get(outcome, outcome), "dim"
    exactly = "exactly " if difference.exact else ""
    text = Text(f"{exactly}{figures.delta(difference.delta)}")
    text.append(f"  {outcome}", style=style)
    facts = [f"{figures.bpb(comparison.val_bpb)} {comparison.label}"]
    if comparison.date:
        facts.append(comparison.date.isoformat())
    if difference.lowest_of:
        facts.append(f"lowest of {difference.lowest_of}")
    if difference.threshold:
        facts.append(f"noise threshold (95 %) {difference.threshold:.4f}")
    text.append(f"  ({', '.join(facts)})", style="dim")
    return text


def _measured(*texts: str | None) -> str:
    """Join what was measured."""
    return ", ".join(text for text in texts if text is not None) or figures.MISSING


def _artifact(standing: Standing) -> str:
    record, headroom = standing.played.record, standing.headroom_bytes
    if record is None or record.artifact_bytes is None:
        return figures.MISSING
    room = ""
    if headroom is not None:
        left, excess = figures.number(headroom, "byte"), figures.number(excess_bytes(-headroom, 0), "byte")
        room = f", headroom {left}" if headroom > 0 else f", OVER THE CAP: {excess} too many"
    size = figures.number(record.artifact_bytes, "byte")
    return f"{size} ({figures.megabytes(record.artifact_bytes)}){room}"
