"""Which seeds a command plays: those of the parent, or fresh ones that the hole has not seen.

Reads what lies in the holes' folders; writes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from harness.courses.course import Course
from harness.errors import HarnessError, UsageError
from harness.records.intent import Intent
from harness.records.launch import load_launch
from harness.records.record import RunRecord
from harness.records.references import is_public
from harness.records.store import Hole, Store
from harness.run.request import RunRequest
from harness.season.hole import PlayedHole, load_hole
from trainer.config import KNOBS

PARENT_WORD = "parent"  # `--paired parent`: the one that round.toml names


def pair_with_parent(request: RunRequest, intent: Intent, hole: Hole | None, runs: Path) -> RunRequest:
    """Return the request with the parent's seeds and the parent's full name.

    Raises UsageError when seeds are named as well, when round.toml names another parent, or when the parent
    is the hole itself or has no complete seed.
    """
    assert request.paired is not None
    if request.seeds:
        raise UsageError(
            f"--paired {request.paired} brings its own seeds; --seed or --seeds name others",
            "keep one of them",
        )
    place = f"{hole.path}/round.toml" if hole else ""
    named = request.parent or intent.parent
    if request.paired == PARENT_WORD and named is None:
        raise UsageError(
            f"--paired {PARENT_WORD}: {place or 'a new hole'} names no parent", "write --paired HOLE"
        )
    if (request.paired == PARENT_WORD and is_public(named)) or is_public(request.paired):
        public = named if request.paired == PARENT_WORD else request.paired
        raise UsageError(
            f"--paired plays the seeds of a hole of ours; {public} is a public run",
            "name a hole, or name the public run's seeds with --seeds",
        )
    store = Store(runs)
    parent = store.get(named if request.paired == PARENT_WORD and named else request.paired)
    if hole is not None and parent.name == hole.name:
        raise UsageError(f"{hole.name.folder} is paired with itself", "name the hole that it varies")
    for other, what in ((request.parent, "--parent"), (intent.parent, place)):
        if other is not None and store.find(other) != parent:
            raise UsageError(
                f"--paired {parent.name.folder}, but {what} names {other} as the parent",
                f"write --paired {other}, or change the parent",
            )
    seeds = distinct_seeds(load_hole(parent).group)
    if not seeds:
        raise UsageError(
            f"{parent.name.folder} has no complete attempt with a seed, so there is none to share",
            f"play it first: `harness run {parent.name.folder}`",
        )
    return replace(request, seeds=seeds, parent=parent.name.folder)


def refuse_other_text(parent: PlayedHole, course: Course, split: str | None) -> None:
    """Refuse a parent whose score is of another text. Raises HarnessError saying what differs."""
    folder = parent.name.folder
    if parent.course != course.name:
        raise UsageError(
            f"{folder} was played on the {parent.course} course, this run is on {course.name}: "
            "their scores are not compared",
            f"add --course {parent.course}, or pair with a hole of {course.name}",
        )
    if split and parent.split and parent.split != split:
        raise UsageError(
            f"{folder} was scored on the split {parent.split}, this run is scored on {split}: "
            "their scores are not compared",
            f"play {folder} again on this data: `harness run {folder} --repeat`",
        )


def distinct_seeds(records: Sequence[RunRecord]) -> tuple[int, ...]:
    """Return the seeds of records, each once, in the order of play."""
    return tuple(dict.fromkeys(record.seed for record in records if record.seed is not None))


def used_seeds(hole: Hole) -> set[int]:
    """Return every seed that an attempt of a hole was started with, whatever became of it."""
    seeds = {record.seed for record in load_hole(hole).records}
    for attempt in hole.attempts:
        with contextlib.suppress(HarnessError):  # none, or not readable: then its record tells
            seeds.add(load_launch(attempt.launch_path).seed)
    return {seed for seed in seeds if seed is not None}


def fresh_seeds(used: Collection[int], count: int) -> tuple[int, ...]:
    """Return the next seeds that are not used, counted up from the trainer's own default.

    All holes count from the same seed, so that their fresh seeds are shared ones and can be paired.
    """
    seeds: list[int] = []
    seed = int(str(KNOBS["SEED"].default))
    while len(seeds) < count:
        if seed not in used:
            seeds.append(seed)
        seed += 1
    return tuple(seeds)
