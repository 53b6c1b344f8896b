"""The last lines of a command that played: where everything lies, what it cost, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from harness import figures
from harness.records.record import RunRecord, total_cost
from harness.records.store import Store
from harness.season.standing import Standing


def closing_lines(standing: Standing, records: Sequence[RunRecord], runs: Path) -> list[str]:
    """Return them for the attempts that one command played. records: theirs, not empty."""
    return [
        *(f"written  {path}" for path in attempt_paths(records, runs)),
        *(f"cost     {text}" for text in _cost(standing, records)),
        *(f"next     {command}" for command in next_commands(standing, runs)),
    ]


def attempt_paths(records: Sequence[RunRecord], runs: Path) -> list[str]:
    """Return the folders of the attempts, below the season's folder as it was typed."""
    return [f"{Store(runs).get(record.hole).path}/attempt_{record.attempt:02d}" for record in records]


def next_commands(standing: Standing, runs: Path) -> list[str]:
    """Return the two commands that follow from how a hole stands; none while planned seeds are missing."""
    if standing.played.summary.no_verdict:
        return []  # what plays the rest is said with the scores
    season = "" if runs == Path("runs") else f" --runs {shlex.quote(str(runs))}"
    return [f"harness {words}{season}" for words in _next(standing)]


def _next(standing: Standing) -> tuple[str, str]:
    played = standing.played
    number, record = played.name.folder, played.record
    if record is not None and record.status == "stopped":
        return f"resume {number}", f"show {number} --why"
    if record is None or not record.complete:
        return f"show {number} --why", "doctor"
    difference = standing.story.difference
    unclear = difference is not None and difference.outcome in ("within noise", "cannot tell")
    if unclear and played.sample is not None and played.sample.n < 3:  # as many as the field's records have
        seeds = ",".join(str(seed) for seed in (42, 7, 1337) if seed not in played.sample.seeds)
        return f"run {number} --seeds {seeds}", f"compare {number} {standing.story.reference}"
    return f'decide {number} keep --reason "why"', "publish"


def _cost(standing: Standing, records: Sequence[RunRecord]) -> list[str]:
    wall = [record.wall_seconds for record in records if record.wall_seconds is not None]
    if not wall:
        return []
    text = figures.duration(sum(wall))
    if (cost := total_cost(records)) is None:
        return [text]
    text += f", {figures.money(cost)} at {records[-1].rate_per_hour:g} an hour"
    whole = standing.played.summary.cost
    if whole is not None and len(standing.played.records) > len(records):
        text += f"; the hole {figures.money(whole)} in all"
    return [text]
