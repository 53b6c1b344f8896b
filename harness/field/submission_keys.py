"""Under which keys people write what into a submission file, and how they write numbers.

Keys are folded (`valBpb`, `Val BPB` and `val-bpb` are `val_bpb`); what stands in an object such as `results`
is taken where the top level does not say it. Collected from about 45 public files of other shapes than the
challenge's own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.field.result_lines import claim_of

# Our name <- the keys it goes by, best first.
LOSSES = (
    *("val_loss", "mean_val_loss", "val_loss_mean", "val_loss_nats", "mean_val_loss_nats"),
    "final_val_loss",
)
TOTALS = (
    *("bytes_total", "artifact_bytes", "artifact_size_bytes", "artifact_bytes_max", "artifact_bytes_mean"),
    *("total_bytes", "artifact_bytes_total", "artifact_total_bytes", "total_artifact_bytes"),
    *("submission_bytes", "total_submission_bytes", "compressed_bytes", "artifact_size"),
    "submission_size_bytes",
)
CODES = ("bytes_code", "code_bytes", "code_size_bytes", "code_size")
NAMES = ("name", "run_name", "title", "submission_name")
AUTHORS = ("author", "authors", "author_name", "submitter")
GITHUB_IDS = ("github_id", "github", "github_username", "github_handle", "author_github")
BLURBS = ("blurb", "summary", "description")
STEPS = ("step_stop", "steps", "train_steps", "training_steps", "total_steps", "num_steps", "final_step")
PARAMS = ("model_params", "params", "num_params", "n_params", "parameter_count", "parameters")
WALL = ("wallclock_seconds", "train_time_seconds", "training_time_seconds", "train_seconds", "train_time_s")
HARDWARE = ("hardware", "gpu", "gpus", "platform")
BPB_STD = ("val_bpb_std", "std_val_bpb", "bpb_std", "std_bpb")
LOSS_STD = ("val_loss_std", "std_val_loss", "val_loss_nats_std")
PRE_BPB = ("pre_quant_val_bpb", "prequant_val_bpb")
PRE_LOSS = ("pre_quant_val_loss", "prequant_val_loss")
SEED_OBJECTS = (
    *("seed_results", "seeds", "per_seed", "per_seed_results", "results_per_seed", "results_by_seed"),
    *("val_bpb_per_seed", "per_seed_val_bpb", "seed_val_bpb", "seed_bpb", "seed_scores", "runs"),
)
SEED_LISTS = ("seed_scores", "val_bpb_seeds", "val_bpb_per_seed", "per_seed_val_bpb", "seed_bpbs")
MODEL_KEY = re.compile(r"bytes_model(_\w+)?$")

# Objects that hold what belongs to the submission as a whole.
_CONTAINERS = frozenset(
    {"results", "result", "metrics", "scores", "score", "summary", "final", "final_results", "final_metrics"}
    | {"performance", "headline", "evaluation", "submission", "artifact", "sizes", "size", "training"}
    | {"aggregate", "mean", "official"}
)
_BEST_SCORES = (
    *("val_bpb", "mean_val_bpb", "val_bpb_mean", "mean_bpb", "bpb_mean", "bpb", "final_val_bpb"),
    "score",
)
_SCORE_WORDS = re.compile(r"(?:^|_)bpb(?:_|$)")
_NO_STAGE = re.compile(r"(?<![a-z])(?:val|bpb|mean|avg|average)(?![a-z])_?")  # words that name no stage
_OTHER_SCORES = re.compile(
    r"(?:^|_)(?:std|stdev|sd|var|gap|delta|diff|baseline|sota|best|prev|previous|improvement|threshold|target"
    r"|expected|estimated|published|reproduced|significance|pre|prequant|single|range|min|max|values|seed"
    r"|leaderboard|vs|per|live|anchor|ref|reference|[0-9]*seeds)(?:_|$)"
)


def fold(key: str) -> str:
    """Turn a key into small words joined by underscores."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", str(key)[:120])
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def view_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's keys, folded, with those that stand in objects such as `results` where they miss."""
    view: dict[str, Any] = {}
    for key, value in raw.items():
        if view.get(fold(key)) is None:
            view[fold(key)] = value
    for _ in range(2):  # results/summary/mean_val_bpb
        for name, value in list(view.items()):
            if name in _CONTAINERS and isinstance(value, dict) and seeds_in(value) is None:
                for key, inner in value.items():
                    if view.get(fold(key)) is None:
                        view[fold(key)] = inner
    return view


def score_keys(view: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that may hold the score in bits per byte, best first; keys of other scores are none."""
    others = [
        key
        for key in view
        if key not in _BEST_SCORES and _SCORE_WORDS.search(key) and not _OTHER_SCORES.search(key)
        if claim_of(_NO_STAGE.sub("", key).strip("_") or "val") != "none"
    ]
    return (*_BEST_SCORES, *sorted(others, key=lambda key: "mean" not in key and "avg" not in key))


def seeds_in(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an object's members by seed (`42`, `seed_42`, `seed42`); None unless all are seeds."""
    found = {}
    for key, inner in value.items():
        match = re.fullmatch(r"(?:seed)?_?(\d{1,10})", fold(key))
        if match is None:
            return None
        found[match[1]] = inner
    return found or None


def listed_runs(value: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield seed and run of `[{"seed": 42, ..}, ..]`; other members are passed over."""
    for run in value[:1000]:
        if isinstance(run, dict):
            seed = next((run[key] for key in run if fold(key) in ("seed", "seed_id")), None)
            if isinstance(seed, int | str) and not isinstance(seed, bool):
                yield str(seed), run


_UNIT = r"(?:\s*(?:bytes?|b|bpb|bits?(?:/|\s+per\s+)byte|nats|s|sec|seconds?|steps?|params?|parameters?))?"
_NUMBER = re.compile(r"([-+]?\d{1,20}(?:\.\d{0,40})?(?:[eE][-+]?\d{1,3})?)" + _UNIT, re.IGNORECASE)
_SEPARATOR = re.compile(r"(?<=\d)[,_\s'](?=\d{3}(?!\d))")


def as_number(value: object) -> float | None:
    """Return a finite number, also out of quotes: "15,992,001 bytes". "97 %" or "15.9 MB" is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        match = _NUMBER.fullmatch(_SEPARATOR.sub("", value.strip()[:200]))
        if match is None:
            return None
        value = float(match[1])
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_placeholder(value: float) -> bool:
    """Whether a score is none that a run has: not above 0, above 100, or nothing but nines."""
    return not 0 < value < 100 or re.fullmatch(r"9+\.9+", repr(value)) is not None
