"""Our record as a submission folder: `submission.json` and a log in the field's own line format.

Numbers are printed with all their digits. What no log says lies beside it (`harness.records.exported`), so
that `harness import` gives the same record back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import refuse_used, write_whole
from harness.records.curve import load_curve
from harness.records.exported import FILE, dump_exported
from harness.records.record import RunRecord
from harness.season.hole import PlayedHole
from harness.submit.files import as_json, submission_data
from harness.submit.submission import Author, SubmittedRun, submitted_runs
from harness.temporary import new_folder

# An export claims only what its logs show; a submission's folder has more to say.
KEYS = (
    "author",
    "github_id",
    "name",
    "date",
    "val_bpb",
    "val_bpb_std",
    "val_loss",
    "pre_quant_val_bpb",
    "bytes_total",
    "bytes_code",
    "seeds",
    "seed_results",
)
SEED_KEYS = ("val_bpb", "val_loss", "artifact_bytes", "steps", "step_avg_ms")


def export_hole(played: PlayedHole, out: Path, author: str = "", github_id: str = "") -> list[Path]:
    """Write a hole's complete attempts as a record folder and return the files written.

    Raises HarnessError when nothing is complete, or when `out` holds files already.
    """
    if not played.group:
        raise HarnessError(
            f"{played.name.folder} has no complete attempt", f"play it: `harness run {played.name.folder}`"
        )
    refuse_used(out, "--out")
    runs = submitted_runs(played)
    try:
        with new_folder(out) as unfinished:
            exported = []
            for run in runs:
                lines = log_lines(run.record, load_curve(run.attempt.curve_path))
                log = ("\n".join(lines) + "\n").encode()
                write_whole(unfinished / run.log_name, log)
                exported.append((run.log_name, hashlib.sha256(log).hexdigest(), run.record))
            claims = _claims(played, Author(author, github_id), runs)
            write_whole(unfinished / "submission.json", as_json(claims))
            write_whole(unfinished / FILE, dump_exported(exported))
    except OSError as error:
        raise HarnessError(
            f"cannot write {out}: {error.strerror or error}", "name another folder with --out DIR"
        ) from error
    return [*(out / run.log_name for run in runs), out / "submission.json", out / FILE]


def _claims(played: PlayedHole, author: Author, runs: tuple[SubmittedRun, ...]) -> dict[str, Any]:
    data = submission_data(played, author, runs)
    if played.day is None:
        del data["date"]
    if "seed_results" in data:
        data["seed_results"] = {
            seed: {key: result[key] for key in SEED_KEYS if key in result}
            for seed, result in data["seed_results"].items()
        }
    return {key: data[key] for key in KEYS if data.get(key, "") != ""}


def log_lines(record: RunRecord, curve: Any) -> Iterator[str]:
    """Yield a record as a log in the field's line format (family A)."""
    if record.config:
        yield "Hyperparameters:"
        for name, value in sorted(record.config.items()):
            yield f"  {name}: {value}"
    if record.environment.python:
        yield f"Running Python {record.environment.python}"
    if record.environment.torch:
        yield f"Running PyTorch {record.environment.torch}"
    if record.data.val_tokens is not None:
        yield f"val_loader:shards pattern=fineweb_val_*.bin tokens:{record.data.val_tokens}"
    if record.params is not None:
        yield f"model_params:{record.params}"
    if record.environment.world_size is not None:
        yield f"world_size:{record.environment.world_size}"
    if record.seed is not None:
        yield f"seed:{record.seed}"
    yield from _step_lines(record, curve)
    if record.stop_reason == "wallclock_cap" and record.train_seconds is not None:
        time = round(record.train_seconds * 1000)
        yield f"stopping_early: wallclock_cap train_time:{time}ms step:{record.steps}/{record.planned_steps}"
    if record.peak_memory_bytes is not None:
        yield f"peak memory allocated: {record.peak_memory_bytes // 2**20} MiB"
    if record.model_bytes is not None:
        yield f"Serialized model int8+zlib: {record.model_bytes} bytes"
    if record.code_bytes is not None:
        yield f"Code size: {record.code_bytes} bytes"
    if record.artifact_bytes is not None:
        yield f"Total submission size int8+zlib: {record.artifact_bytes} bytes"
    for score in record.scores:
        seconds = f" eval_time:{round(score.seconds * 1000)}ms" if score.seconds is not None else ""
        loss = f" val_loss:{_digits(score.val_loss)}" if score.val_loss is not None else ""
        yield f"{score.label}{loss} val_bpb:{score.text or _digits(score.val_bpb)}{seconds}"


def _step_lines(record: RunRecord, curve: Any) -> Iterator[str]:
    planned = record.planned_steps or record.steps or 0
    points = sorted(
        [*((p.step, 1, p) for p in curve.train), *((p.step, 0, p) for p in curve.val)], key=lambda x: x[:2]
    )
    last = len(points) - 1
    for index, (step, is_train, point) in enumerate(points):
        if is_train:
            what = f"train_loss:{_digits(point.loss)}"
        else:
            what = f"val_loss:{_digits(point.loss)} val_bpb:{_digits(point.bpb)}"
        time = ""
        if point.time_ms is not None:
            average = (
                record.step_ms
                if index == last and record.step_ms is not None
                else point.time_ms / max(step, 1)
            )
            time = f" train_time:{round(point.time_ms)}ms step_avg:{_digits(average)}ms"
        yield f"step:{step}/{planned} {what}{time}"


def _digits(value: float) -> str:
    """All digits of a number, never with an exponent: the field's lines have none."""
    return (
        format(Decimal(repr(float(value))), "f")
        if value == value and abs(value) != float("inf")
        else str(value)
    )
