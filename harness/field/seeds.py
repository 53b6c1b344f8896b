"""How many seeds stand behind several logs of one entry, and the scores that may be compared as such.

n counts distinct seeds of one configuration and code: a repeat of a seed is no second seed, and two versions
of a script differ by more than luck.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.field.submission_file import ROUNDING_BPB
from harness.figures import number
from harness.records.record import UNHASHED_KNOBS, RunRecord
from harness.records.seeds import sample_of
from harness.stats import Sample

# Knobs of public scripts that name a run or a place on its machine; they change no result.
_NAMES_AND_PLACES = frozenset(
    {"logfile", "val_files", "train_files", "run_name", "exp_name", "experiment_name", "experiment"}
    | {"wandb_name", "wandb_run_name", "wandb_project", "wandb_group", "hostname", "host", "timestamp"}
    | {"date", "port", "master_port", "rank", "local_rank", "pid", "save_every"}
)
SEED_IN_NAME = re.compile(r"seed[_-]?(\d{1,10})(?!\d)", re.IGNORECASE)
_PLACE_ENDINGS = ("_path", "_dir", "_id")
_SEEDS = frozenset({"seed", "random_seed", "manual_seed", "torch_seed", "global_seed", "base_seed"})


@dataclass(frozen=True)
class SeedCount:
    """logs: with a score. seeds: distinct, in the order of the logs. unknown: logs that print no seed.

    versions: of configuration and code, as far as the logs tell them apart. sample: one value a seed where
    there is one version, the mean of a seed's repeats; several versions, or logs without a seed: one value.
    """

    logs: int
    seeds: tuple[int, ...]
    unknown: int
    versions: int
    sample: Sample | None

    @property
    def comparable(self) -> bool:
        """Whether the sample's values are seeds of one version, so that their spread is luck."""
        return bool(self.seeds) and self.versions <= 1

    @property
    def one_log_a_seed(self) -> bool:
        """Whether nothing needs to be said: each log has a seed of its own, all of one version."""
        return self.comparable and self.logs == len(self.seeds)

    def __str__(self) -> str:
        """Such as "1 seed in 4 logs of 4 versions"."""
        logs = number(self.logs, "log")
        if not self.seeds:
            return f"{logs} with no seed" + (f", of {self.versions} versions" if self.versions > 1 else "")
        text = f"{number(len(self.seeds), 'seed')} in {logs}"
        text += f" of {self.versions} versions" if self.versions > 1 else ""
        return text + (f", {self.unknown} with no seed" if self.unknown else "")


def count_seeds(
    records: Sequence[RunRecord], claimed_bpb: float | None = None, by_settings: bool = False
) -> SeedCount:
    """Count the seeds behind complete records of one entry and reduce their scores to a sample.

    Of several versions a seed's claimed score counts, else that of its last log; the mean over seeds is then
    one value without a spread, since nobody can tell luck from what was changed.
    claimed_bpb: the entry's own claim, in bits per byte. by_settings: runs are of one version where their
    logs state the same settings, though their code has another size.
    """
    scored = [record for record in records if record.complete and record.val_bpb is not None]
    by_seed: dict[int | None, list[RunRecord]] = {}
    for record in scored:
        by_seed.setdefault(record.seed, []).append(record)
    unknown = len(by_seed.get(None, ()))
    versions = _count_versions(scored, same_settings if by_settings else _same_version)
    seeds = tuple(seed for seed in by_seed if seed is not None)
    counted = [by_seed[seed] for seed in seeds] or ([by_seed[None]] if unknown else [])
    if versions <= 1:
        values = tuple(one.mean for repeats in counted if (one := sample_of(repeats)))
    else:
        picked = [_claimed_or_last(repeats, claimed_bpb) for repeats in counted]
        values = (math.fsum(picked) / len(picked),)
    return SeedCount(len(scored), seeds, unknown, versions, Sample(values) if values else None)


def _count_versions(records: Sequence[RunRecord], same: Callable[[RunRecord, RunRecord], bool]) -> int:
    groups: list[list[RunRecord]] = []
    for record in records:
        group = next((g for g in groups if all(same(record, other) for other in g)), None)
        if group is None:
            groups.append([record])
        else:
            group.append(record)
    return len(groups)


def _same_version(a: RunRecord, b: RunRecord) -> bool:
    """Whether code, configuration and kind of score are the same, as far as both logs print them."""
    known = zip(_version(a), _version(b), strict=True)
    return all(not ours or not theirs or ours == theirs for ours, theirs in known)


def same_settings(a: RunRecord, b: RunRecord) -> bool:
    """Whether two logs state the same settings; where one states none, whether their versions agree."""
    if not (_settings(a) and _settings(b)):
        return _same_version(a, b)
    return not differing_settings((a, b)) and _label(a) == _label(b)


def differing_settings(records: Sequence[RunRecord]) -> dict[str, list[str]]:
    """Return the settings to which logs give several values, with these; one that a log lacks is none."""
    values: dict[str, list[str]] = {}
    for record in records:
        for name, value in _settings(record).items():
            if value not in (known := values.setdefault(name, [])):
                known.append(value)
    return {name: known for name, known in sorted(values.items()) if len(known) > 1}


def _settings(record: RunRecord) -> dict[str, str]:
    return {
        name: value
        for name, value in record.config.items()
        if not is_seed(name) and not names_a_place(name, value)
    }


def _label(record: RunRecord) -> tuple[str, str] | None:
    return (record.official.stage, record.official.label) if record.official else None


def _version(record: RunRecord) -> tuple[object, ...]:
    config = tuple(sorted(item for item in record.config.items() if not names_a_place(*item)))
    return (record.code.source_sha256, record.code_bytes, _label(record), config)


@lru_cache(maxsize=65536)  # hundreds of logs print the same settings
def names_a_place(name: str, value: str) -> bool:
    """Whether a setting names a run or a place on its machine, so that it changes no result."""
    lower = name.lower()
    return (
        name.upper() in UNHASHED_KNOBS
        or lower in _NAMES_AND_PLACES
        or lower.endswith(_PLACE_ENDINGS)
        or "/" in value
    )


def seed_in_name(path: Path | str) -> int | None:
    """Return the seed that a log's file name claims, else the name of its folder: `seed_7/train.log`."""
    match = SEED_IN_NAME.search(Path(path).stem) or SEED_IN_NAME.search(Path(path).parent.name)
    return int(match[1]) if match else None


@lru_cache(maxsize=8192)
def is_seed(name: str) -> bool:
    """Whether a setting is the seed of a run."""
    return name.lower() in _SEEDS


def _claimed_or_last(records: Sequence[RunRecord], claimed_bpb: float | None) -> float:
    scores = [record.val_bpb for record in records if record.val_bpb is not None]
    if claimed_bpb is None:
        return scores[-1]
    return next((score for score in scores if abs(score - claimed_bpb) <= ROUNDING_BPB), scores[-1])
