"""Ledgers of experiments, a row an attempt: `results.tsv` of agent loops, CSV tables, JSON lines.

Which column says what is told by a small grammar of names (`_COLUMNS`, and `bpb` as a word for scores); every
other column is kept as it stands. Where rows are kept is `harness.field.importing`'s, how a row becomes a
record `harness.field.row_record`'s.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.field.seeds import SEED_IN_NAME
from harness.files import open_file

MAX_BYTES = 64 * 1024 * 1024
MAX_CELL = 2_000  # characters kept of a cell
_SNIFF_BYTES = 256 * 1024

# Our fact <- the names its column goes by, best first; names are folded to lower case and underscores.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "name": (
        *("name", "experiment", "experiment_name", "exp_id", "run_id", "run_name", "id", "candidate_id"),
        *("attempt", "iteration", "run", "trial", "row"),
    ),
    "commit": ("commit", "commit_id", "commit_sha", "commit_hash", "git_commit", "git_sha", "sha"),
    "description": ("description", "change_description", "changes", "hypothesis", "notes", "note", "comment"),
    "status": ("status", "decision", "outcome", "verdict", "kept", "result"),
    "seed": ("seed", "random_seed"),
    "val_loss": ("val_loss", "final_val_loss", "loss_nats"),
    "steps": (
        *("steps", "num_steps", "final_step", "last_step", "step_stop", "stopped_step", "steps_completed"),
        *("train_steps", "total_steps"),
    ),
    "artifact_bytes": (
        *("artifact_bytes", "bytes_total", "total_bytes", "artifact_bytes_total", "artifact_size_bytes"),
        *("submission_bytes", "total_submission_bytes", "compressed_bytes", "file_size_bytes"),
    ),
    "code_bytes": ("code_bytes", "bytes_code"),
    "params": ("model_params", "params", "num_params", "n_params", "parameters", "param_count"),
    "step_ms": ("step_avg_ms", "ms_per_step", "step_ms", "avg_ms"),
    "train_seconds": (
        *("train_seconds", "training_seconds", "train_time_seconds", "train_time_s", "train_s"),
        *("train_wall_sec", "train_wallclock_s", "wallclock_seconds"),
    ),
    "eval_seconds": ("eval_seconds", "eval_time_seconds", "eval_s", "eval_wall_sec", "eval_time_s"),
    "memory_gb": ("memory_gb", "peak_memory_gb", "peak_vram_gb"),
    "memory_mb": ("peak_vram_mb", "peak_memory_mb", "memory_mb"),
    "memory_mib": ("peak_memory_mib", "memory_mib"),
    "world_size": ("world_size", "num_gpus", "n_gpus"),
    "date": ("timestamp", "date", "created_at", "recorded_at", "time"),
    "config": ("config", "extra_env", "env", "overrides"),
}
_SCORE = re.compile(r"(?:^|_)(?:val_)?bpb(?:_|$)")
# A column of scores that are not this row's: of others, or a spread over several.
_NOT_A_SCORE = re.compile(
    r"(?:^|_)(?:std|gap|delta|diff|change|improvement|best|baseline|parent|prev|previous|target|vs|expected"
    r"|threshold|sota|reference|n|count)(?:_|$)"
)
_CURVE = frozenset({"step", "epoch", "iter", "chunk", "batch"})  # a row a step is a curve, not a ledger
_IDENTITY = ("name", "commit", "description", "status", "seed")


@dataclass(frozen=True)
class LedgerRow:
    """One row. cells: folded name of the column -> text. number: its line in the file, from 1.

    sha256: of its cells, so that a row is known again in a longer ledger. config: settings that it lists.
    """

    number: int
    cells: Mapping[str, str]
    sha256: str
    config: Mapping[str, str]

    def text(self, fact: str) -> str:
        """Return what a row says of a fact, "" where it does not."""
        values = (self.cells.get(name, "") for name in _COLUMNS[fact])
        return next((value for value in values if value and not _is_missing(value)), "")

    def number_of(self, fact: str) -> float | None:
        return read_number(self.text(fact))

    @property
    def artifact_bytes(self) -> float | None:
        """The artifact's size, also from such names as `total_submission_size_int8_zlib_bytes`."""
        value = self.number_of("artifact_bytes")
        sizes = (read_number(self.cells[name]) for name in self.cells if _is_artifact_size(name))
        return value if value is not None else next((size for size in sizes if size is not None), None)

    @cached_property
    def scores(self) -> dict[str, str]:
        """The columns of scores with what stands in them, as they stand."""
        return {name: value for name, value in self.cells.items() if is_score_column(name) and value}

    @property
    def title(self) -> str:
        """What the row calls itself, else what it describes, else its commit."""
        name = self.text("name")
        if not name or name.isdigit():
            name = self.text("description") or self.text("commit") or name
        return " ".join(SEED_IN_NAME.sub("", name).split()).strip("_- ")[:80] or f"row {self.number}"


@dataclass(frozen=True)
class Ledger:
    """rows: that are attempts. problems: rows that cannot be read, each with its line."""

    rows: tuple[LedgerRow, ...]
    problems: tuple[str, ...] = ()


def _is_artifact_size(name: str) -> bool:
    words = set(name.split("_"))
    return (
        "bytes" in words
        and not words.isdisjoint({"artifact", "submission", "compressed"})
        and words.isdisjoint({"model", "code", "raw", "delta", "diff", "limit", "cap", "vs", "margin"})
    )


def is_score_column(name: str) -> bool:
    return _SCORE.search(name) is not None and _NOT_A_SCORE.search(name) is None


def is_ledger(path: Path) -> bool:
    """Whether a file's first rows have a score and say what was tried; a curve does not."""
    try:
        with open_file(path) as file:
            head = file.read(_SNIFF_BYTES)
    except OSError:
        return False
    if len(head) == _SNIFF_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    names: set[str] = set()
    for count, (_, cells) in enumerate(_read_rows(path, head)):
        if cells is not None:
            names |= cells.keys()
        if count > 50:
            break
    named = any(name in names for fact in _IDENTITY for name in _COLUMNS[fact])
    return named and not names & _CURVE and any(map(is_score_column, names))


def read_ledger(path: Path) -> Ledger:
    """Read the rows of a ledger. A row equal to an earlier one counts once.

    Raises HarnessError when the file cannot be read, or is none.
    """
    try:
        with open_file(path) as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    if len(raw) > MAX_BYTES:
        raise HarnessError(f"{path} is larger than {MAX_BYTES // 2**20} MiB", "name a smaller ledger")
    if not is_ledger(path):
        raise HarnessError(
            f"{path} is no ledger of experiments",
            "it needs a column of scores (val_bpb), and one of name, commit, seed, status or description",
        )
    rows: dict[str, LedgerRow] = {}
    problems = []
    for number, cells in _read_rows(path, raw):
        if cells is None:
            problems.append(f"{path.name} line {number} is no row of the ledger; not read")
            continue
        config = cells.pop("", "")
        row = LedgerRow(number, cells, _hash(cells), json.loads(config) if config else {})
        if why := _why_no_attempt(row):
            problems.append(f"{path.name} line {number}: {why}")
        elif row.sha256 in rows:
            problems.append(
                f"{path.name} line {number} is line {rows[row.sha256].number} again; it counts once"
            )
        else:
            rows[row.sha256] = row
    return Ledger(tuple(rows.values()), tuple(problems))


def _why_no_attempt(row: LedgerRow) -> str:
    """Say why a row is none, "" where it is one: a score that can be one, or words of a failure."""
    if failed_in_words(row):
        return ""
    texts = row.scores.values()
    numbers = [number for text in texts if (number := read_number(text)) is not None]
    if any(math.isnan(number) or 0 < number < 100 for number in numbers):
        return ""
    shown = ", ".join(f"{name} {value[:20]!r}" for name, value in row.scores.items()) or "an empty one"
    return f"no score ({shown}) and no word of a failure; not read"


_FAILED = re.compile(
    r"crash|fail|error|oom|out.of.memory|timeout|timed.out|killed|aborted|\bnan\b", re.IGNORECASE
)


def failed_in_words(row: LedgerRow) -> bool:
    """Whether the row's status, or what stands for its score, says that there is no result."""
    words = [row.text("status"), *(v for v in row.scores.values() if read_number(v) is None)]
    if row.cells.get("crashed", "").lower() in ("true", "1", "yes"):
        return True
    failed = any(_FAILED.search(word) for word in words)
    # `checks_failed` beside a real score is a remark on a run that has a result.
    has_score = any(0 < (read_number(v) or 0) < 100 for v in row.scores.values())
    return failed and (not has_score or row.text("status").lower().startswith(("crash", "oom", "killed")))


def choice_of(row: LedgerRow) -> str | None:
    """Return "keep" or "drop" where the row's status says so."""
    status = row.text("status").lower()
    if status.startswith(("keep", "kept", "accept", "promote", "true")):
        return "keep"
    return "drop" if status.startswith(("discard", "revert", "reject", "drop", "false")) else None


def read_number(text: str) -> float | None:
    """Read a number as people write it: separators, a unit behind it, `1000/2000` (the first); else None."""
    match = re.match(
        r"[~≈]?\s*([-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|[-+]?nan)(?:\s*/\s*\d+|\s*%|\s*[A-Za-z]{1,5})?$",
        text.strip(),
        re.IGNORECASE,
    )
    return float(match[1].replace(",", "").replace("_", "")[:40]) if match else None


# Rows of the forms ---------------------------------------------------------------------------------


def _read_rows(path: Path, raw: bytes) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Yield each row's line number and cells; None where a line is no row. "": its settings, as JSON."""
    text = raw.decode("utf-8-sig", "replace")
    if path.suffix.lower() == ".jsonl":
        yield from _json_rows(text)
        return
    lines, header = io.StringIO(text, newline=""), text.lstrip().partition("\n")[0]
    semicolons = "\t" not in header and ";" in header and "," not in header
    if "\t" in header:  # written by hand: a lone quote is a sign like others
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=";" if semicolons else ",")
    names: list[str] | None = None
    try:
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if semicolons:  # a spreadsheet's, where 1,25 is one and a quarter
                values = [re.sub(r"^\s*([-+]?\d+),(\d+)\s*$", r"\1.\2", value) for value in values]
            if names is None:
                names = [_fold(value) for value in values]
            elif len(values) > len(names) and any(value.strip() for value in values[len(names) :]):
                yield reader.line_num, None
            else:
                pairs = zip(names, values, strict=False)
                yield reader.line_num, {name: _unquote(value) for name, value in pairs if name}
    except csv.Error:
        yield reader.line_num, None


def _unquote(value: str) -> str:
    value = value.strip()[:MAX_CELL]
    return value[1:-1].replace('""', '"') if len(value) > 1 and value[0] == value[-1] == '"' else value


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, str] | None]]:
    metric = "metric"
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, None
            continue
        if not isinstance(row, dict):
            yield number, None
            continue
        if "bpb" in str(row.get("metricName", "")):  # the head of a ledger that names what it measures
            metric = "val_bpb"
            continue
        cells: dict[str, str] = {}
        _flatten(row, "", cells)
        if metric == "val_bpb" and "metric" in cells:
            cells["val_bpb"] = cells.pop("metric")
        config = {
            str(name): str(value)
            for key in _COLUMNS["config"]
            if isinstance(row.get(key), dict)
            for name, value in row[key].items()
            if isinstance(value, str | int | float)
        }
        yield number, cells | ({"": json.dumps(config)} if config else {})


def _flatten(value: dict[str, Any], prefix: str, cells: dict[str, str], depth: int = 0) -> None:
    for key, item in value.items():
        name = _fold(f"{prefix}{key}")
        if isinstance(item, dict):
            if depth < 4 and not (depth == 0 and name in _COLUMNS["config"]):
                _flatten(item, f"{name}_", cells, depth + 1)
        elif item is not None and not isinstance(item, list) and len(cells) < 500:
            cells[name] = str(item)[:MAX_CELL]


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")[:80]


def _is_missing(text: str) -> bool:
    return text.lower() in ("n/a", "na", "n_a", "none", "null", "-", "—", "todo", "tbd", "?")


def _hash(cells: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(cells), sort_keys=True).encode()).hexdigest()
