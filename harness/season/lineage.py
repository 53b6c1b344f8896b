"""Which hole varies which: the tree that `parent` in round.toml draws. Pure.

A parent that is not here and a lineage that goes in a circle are noted, never followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import figures
from harness.records.references import is_public
from harness.season.differences import comparison_data, describe_outcome, place_data
from harness.season.schema import BranchData
from harness.season.season import Season
from harness.season.standing import Standing


@dataclass(frozen=True)
class Branch:
    """A hole in its place: depth 0 is a root. note: what is wrong with its lineage, or empty.

    public: the public run that a root is built on, `field:SLUG` or as round.toml names it.
    """

    standing: Standing
    parent: str | None
    depth: int
    note: str = ""
    public: str | None = None


def branches(season: Season, standings: Sequence[Standing]) -> list[Branch]:
    """Return a branch for each hole, after its parent; children of one parent keep their order."""
    listed = {standing.played.name.folder: standing for standing in standings}
    parents: dict[str, str | None] = {}
    notes: dict[str, str] = {}
    children: dict[str, list[str]] = {}
    for name, standing in listed.items():
        parents[name], notes[name] = _parent(season, standing, listed)
        if (parent := parents[name]) is not None:
            children.setdefault(parent, []).append(name)

    ordered: list[Branch] = []
    placed: set[str] = set()

    def grow(root: str) -> None:
        waiting = [(root, 0)]
        while waiting:
            name, depth = waiting.pop()
            if name in placed:
                continue
            placed.add(name)
            standing = listed[name]
            ordered.append(Branch(standing, parents[name], depth, notes[name], _public_parent(standing)))
            waiting += [(child, depth + 1) for child in reversed(children.get(name, []))]

    for name in listed:
        if parents[name] is None:
            grow(name)
    for name in listed:  # the rest descends from a circle: break it where it starts
        if name not in placed:
            start, circle = _circle(name, parents)
            notes[start] = f"its lineage goes in a circle: {circle}"
            grow(start)
    return ordered


def _parent(season: Season, standing: Standing, listed: dict[str, Standing]) -> tuple[str | None, str]:
    """Return the parent's folder when it is listed, and what is wrong when it is not."""
    played = standing.played
    if not played.summary.parent:
        return None, ""
    if is_public(played.summary.parent):
        return None, _missing_public(standing)
    parent = season.parent(played)
    if parent is None:
        return None, season.say_parent_missing(played.summary.parent)
    if parent.name.folder not in listed:
        return None, f"its parent {parent.name.folder} is not listed"
    return parent.name.folder, ""


def _public_parent(standing: Standing) -> str | None:
    parent = standing.played.summary.parent
    if not is_public(parent):
        return None
    comparison = standing.comparisons["parent"]
    return comparison.reference if comparison.entry else parent


def _missing_public(standing: Standing) -> str:
    """Say why a hole stands without its public parent; an unplayed hole was not compared yet."""
    comparison = standing.comparisons["parent"]
    return "" if comparison.entry or standing.played.sample is None else comparison.reason


def _circle(name: str, parents: dict[str, str | None]) -> tuple[str, str]:
    """Follow parents until a name comes twice; return the circle's first hole and the way round."""
    path: list[str] = []
    at: str | None = name
    while at is not None and at not in path:
        path.append(at)
        at = parents[at]
    circle = path[path.index(at) :] if at is not None else path
    first = circle.index(min(circle))
    turned = circle[first:] + circle[:first]
    return turned[0], " -> ".join([*turned, turned[0]])


def describe(branch: Branch) -> str:
    """Return a hole's line in the tree."""
    played = branch.standing.played
    score = figures.bpb(played.sample.mean) if played.sample else played.status
    difference = branch.standing.comparisons["parent"].difference
    to_parent = (
        f", {figures.delta(difference.delta)} to its parent: {describe_outcome(difference)}"
        if difference
        else ""
    )
    decision = f", {played.summary.decision}" if played.summary.decision else ""
    public = f", built on {branch.public}" if branch.public else ""
    note = f" [{branch.note}]" if branch.note else ""
    return f"{'  ' * branch.depth}{played.name.folder}  {score}{public}{to_parent}{decision}{note}"


def as_data(season: Season, branch: Branch) -> dict[str, Any]:
    """Return what `--json` says of a hole's place; the rows stand in the tree's order."""
    played = branch.standing.played
    data = BranchData(
        **dict(place_data(branch.standing)),
        parent=branch.parent or branch.public,
        depth=branch.depth,
        difference=comparison_data(season, branch.standing, "parent"),
        decision=played.summary.decision,
        note=branch.note or None,
    )
    return data.model_dump(mode="json")
