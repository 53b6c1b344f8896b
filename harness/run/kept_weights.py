"""The weights that an attempt has kept: where they lie, and whether they are those of its record.

An artifact can be scored, or put into another codec. Whatever packs anew needs the unrounded weights.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.files import path_below, read_plain
from harness.records.origin import EvaluatedFrom
from harness.records.record import RunRecord
from harness.records.store import Attempt
from harness.season.hole import PlayedHole
from harness.season.season import Season


@dataclass(frozen=True)
class Source:
    """The attempt whose training is kept, and the weights that are evaluated.

    attempt, record: of the source hole. path: the file that `origin` names.
    """

    attempt: Attempt
    record: RunRecord
    origin: EvaluatedFrom
    path: Path


def find_sources(
    played: PlayedHole, season: Season, seeds: tuple[int, ...], repacked: tuple[str, ...]
) -> tuple[dict[int, Source], tuple[str, ...]]:
    """Return the attempts with weights by seed, and a sentence on each seed that has none.

    Of several attempts with one seed the newest with weights counts. Raises HarnessError when none is left.
    """
    folder = played.name.folder
    group = {id(record): record for record in played.group}
    attempts = [(one.attempt, group[id(one.record)]) for one in played.entries if id(one.record) in group]
    absent = sorted(set(seeds) - {record.seed for record in played.group if record.seed is not None})
    if absent:
        known = ", ".join(str(record.seed) for record in played.group)
        raise UsageError(
            f"{folder} has no complete attempt with seed {absent[0]}", f"it was played with {known}"
        )
    sources: dict[int, Source] = {}
    reasons: dict[int, str] = {}
    for attempt, record in reversed(attempts):
        if record.seed is None or record.seed in sources or (seeds and record.seed not in seeds):
            continue
        try:
            sources[record.seed] = _find_weights(attempt, record, season, repacked)
        except HarnessError as error:
            reasons.setdefault(record.seed, error.message)
    if not sources:
        what = f"{', '.join(repacked)} needs unrounded weights" if repacked else "an artifact is needed"
        first = next(iter(reasons.values()), "it is not known which seed trained them")
        raise HarnessError(
            f"{what}, and no attempt of {folder} has them: {first}",
            f"train it again, which keeps them unless KEEP_WEIGHTS=false: "
            f"`harness run {folder} --repeat -o KEEP_WEIGHTS=true`",
        )
    notes = tuple(f"seed {seed} is left out: {why}" for seed, why in reasons.items() if seed not in sources)
    return dict(reversed(sources.items())), notes


def _find_weights(attempt: Attempt, record: RunRecord, season: Season, repacked: tuple[str, ...]) -> Source:
    """Return where an attempt's weights lie. Raises HarnessError when they are not there or not the same."""
    if repacked:
        return _find_unrounded(attempt, record, season)
    try:
        path = _check_file(attempt, record.model_file, record.model_sha256, "its artifact")
    except HarnessError as error:
        try:
            return _find_unrounded(attempt, record, season)  # packed as before, they give that artifact
        except HarnessError:
            raise error from None
    return Source(attempt, record, _origin(attempt, record, "artifact", path), path)


def _find_unrounded(attempt: Attempt, record: RunRecord, season: Season) -> Source:
    holder, trained = attempt, record
    while trained.evaluated_from is not None:  # it trained nothing, so the weights lie further back
        holder, trained = _attempt_of(season, trained.evaluated_from)
    path = _check_file(holder, trained.weights_file, trained.weights_sha256, "its weights")
    return Source(attempt, record, _origin(holder, trained, "unrounded", path), path)


def weights_of(origin: EvaluatedFrom, runs: Path) -> Path:
    """Return the file that an evaluation packs or scores. Raises HarnessError unless it is that one."""
    attempt = Attempt(runs / origin.hole / f"attempt_{origin.attempt:02d}", origin.attempt)
    return _check_file(attempt, origin.file, origin.sha256, "its weights").resolve()


def _attempt_of(season: Season, origin: EvaluatedFrom) -> tuple[Attempt, RunRecord]:
    for hole in season.holes:
        for entry in hole.entries if hole.name.folder == origin.hole else ():
            if entry.attempt.number == origin.attempt and entry.record is not None:
                return entry.attempt, entry.record
    raise HarnessError(f"{origin.hole} attempt {origin.attempt}, which trained the weights, is not here")


def _check_file(attempt: Attempt, name: str | None, sha256: str | None, what: str) -> Path:
    """Return a file of an attempt. Raises HarnessError unless it is the one that the record names."""
    place = f"{attempt.path.parent.name}/{attempt.path.name}"
    if name is None or sha256 is None:
        raise HarnessError(f"{place} did not keep {what}")
    path = path_below(attempt.path, name, f"{place}/record.json")
    try:
        found = hashlib.sha256(read_plain(path, root=attempt.path.parent)).hexdigest()
    except OSError as error:
        raise HarnessError(f"{what} {path} cannot be read: {error.strerror or error}") from error
    if found != sha256:
        raise HarnessError(f"{path} is not the file that its record names: sha256 {found[:12]}")
    return path


def _origin(attempt: Attempt, record: RunRecord, weights: str, path: Path) -> EvaluatedFrom:
    sha256 = record.model_sha256 if weights == "artifact" else record.weights_sha256
    trained = record.evaluated_from.source_sha256 if record.evaluated_from else record.code.source_sha256
    return EvaluatedFrom.model_validate(
        {
            "hole": attempt.path.parent.name,
            "attempt": attempt.number,
            "weights": weights,
            "sha256": sha256,
            "file": path.name,
            "source_sha256": trained,
        }
    )
