"""Which logs of a folder stand behind its claim, and which are reruns of a seed that count for nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from harness.field.printed_scores import read_printed_scores, states
from harness.field.seeds import seed_in_name
from harness.field.submission_file import SubmissionFile
from harness.records.record import RunRecord


class LoggedRecord(Protocol):
    """A run's name, record and log; what `harness.submit.candidate` judges has more."""

    @property
    def name(self) -> str: ...
    @property
    def record(self) -> RunRecord: ...
    @property
    def log(self) -> Path | None: ...


Run = TypeVar("Run", bound=LoggedRecord)

_SHORT = re.compile(r"(?:^|[_.-])s(\d{1,10})(?:$|[_.-])", re.IGNORECASE)  # log_s1337
_AT_END = re.compile(r"(\d{1,10})$")  # train0


def seed_of_name(name: str, claimed: Sequence[str]) -> int | None:
    """Return the seed that a log's file name gives, for a log that prints none.

    claimed: seeds that the submission names; a bare number counts only as one of them.
    """
    if (seed := seed_in_name(name)) is not None:
        return seed
    stem = Path(name).stem
    if short := _SHORT.search(stem):
        return int(short[1])
    end = _AT_END.search(stem)
    return int(end[1]) if end and str(int(end[1])) in claimed else None


def pick_counted(
    runs: Sequence[Run], submission: SubmissionFile | None
) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Part complete runs into those behind a claim and those beside them.

    Of several logs of a seed the one counts that prints the claim: the seed's own, else the headline. A
    headline that is the mean over all of them claims them all.
    """
    by_seed: dict[int | None, list[Run]] = {}
    for run in runs:
        by_seed.setdefault(run.record.seed, []).append(run)
    if submission is None or all(len(repeats) == 1 for seed, repeats in by_seed.items() if seed is not None):
        return tuple(runs), ()
    claim = submission.val_bpb
    scores = {score.seed: score.val_bpb for score in submission.seeds}
    values = [run.record.val_bpb for run in runs if run.record.val_bpb is not None]
    if claim is not None and not scores and states(claim, math.fsum(values) / len(values)):
        return tuple(runs), ()
    beside: list[Run] = []
    for seed, repeats in by_seed.items():
        own = scores.get(str(seed))
        wanted = own if own is not None else claim
        if seed is None or len(repeats) == 1 or wanted is None or _names_differ(repeats):
            continue
        fitting = [run for run in repeats if _prints(run, wanted)]
        if fitting:
            beside += [run for run in repeats if run is not fitting[-1]]
        elif str(seed) in scores:  # named once: the last log of it counts
            beside += repeats[:-1]
    return tuple(run for run in runs if run not in beside), tuple(beside)


def _names_differ(repeats: Sequence[LoggedRecord]) -> bool:
    """Whether the files' names give one seed each, so that the printed seed is in doubt."""
    names = [seed_in_name(run.name) for run in repeats]
    return None not in names and len(set(names)) == len(names)


def _prints(run: LoggedRecord, value: float) -> bool:
    if states(value, run.record.val_bpb or 0.0):
        return True
    if run.log is None:
        return False
    scores = read_printed_scores(run.log, run.name)
    return any(score.of_artifact and states(value, score.value, score.places) for score in scores)
