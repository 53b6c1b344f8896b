"""What a score stands on, as rows of strings: results, comparison, attempts, model card, byte check."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness import figures
from harness.commentary import tidy
from harness.publish.wording import Wording
from harness.record import RunRecord, Score
from harness.registry import Comparison, Played, Standing

BYTES_AGREE = 5e-4  # relative; scores are printed with four places
_LONG = 200


@dataclass(frozen=True)
class Row:
    """One fact. tone: good, bad or empty, for the stylesheet; the words say the same."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """heads: the first names the row headers' column. rows: the row header, then a cell a column."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def result_rows(played: Played, record: RunRecord | None, cap: int | None) -> tuple[Row, ...]:
    """Metric and value, all from the validated record."""
    if record is None:
        return ()
    sample = played.sample
    rows = [Row("val_bpb", figures.bpb(sample.mean if sample else None), _score_basis(played, record))]
    rows.append(
        Row("val_loss", _loss(played.val_loss), "nats a token" if played.val_loss is not None else "")
    )
    if record.val_loss and record.val_bpb is not None:
        rows.append(
            Row(
                "tokens a byte",
                f"{record.val_bpb * math.log(2) / record.val_loss:.5f}",
                "val_bpb × ln 2 ÷ val_loss",
            )
        )
    if (gap := record.quantization_gap) is not None:
        before = figures.bpb(record.stage_bpb("pre_quantization"))
        rows.append(Row("quant gap", figures.delta(gap), f"{before} before packing"))
    rows.append(Row("params", figures.count(record.params)))
    room = _room(record, cap)
    rows.append(Row("artifact", _bytes(record.artifact_bytes), _parts(record), room))
    rows.append(
        Row(
            "wall time",
            figures.seconds(record.train_seconds),
            "training" if record.train_seconds is not None else "",
        )
    )
    planned = f"of {figures.count(record.planned_steps)} planned" if record.planned_steps else ""
    rows.append(Row("steps", figures.count(record.steps), planned))
    rows.append(Row("step avg", figures.tempo(record.step_ms)))
    if record.peak_memory_bytes is not None:
        rows.append(Row("peak memory", figures.megabytes(record.peak_memory_bytes)))
    for name, bpb in sorted(record.data.yardsticks.items()):
        rows.append(Row(tidy(name, 40), f"{bpb:.4f}", "a general compressor on the same bytes"))
    return tuple(rows)


def _score_basis(played: Played, record: RunRecord) -> str:
    """Which score counts, and on how many runs."""
    stage = record.official.stage.replace("_", " ") if record.official else ""
    sample = played.sample
    seeds = (
        f"mean of {sample.n} seeds, spread {sample.std:.4f}"
        if sample and sample.std is not None
        else "1 seed"
        if sample
        else ""
    )
    return ", ".join(filter(None, (stage, seeds)))


def _loss(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:.4f}"


def _bytes(value: int | None) -> str:
    return figures.MISSING if value is None else f"{figures.count(value)} bytes"


def _parts(record: RunRecord) -> str:
    if record.code_bytes is None or record.model_bytes is None:
        return figures.megabytes(record.artifact_bytes) if record.artifact_bytes is not None else ""
    return f"{figures.count(record.code_bytes)} code + {figures.count(record.model_bytes)} weights"


def _room(record: RunRecord, cap: int | None) -> str:
    if record.artifact_bytes is None or cap is None:
        return ""
    return "good" if record.artifact_bytes < cap else "bad"


# Beside the previous hole ---------------------------------------------------------------------------------


def compare_rows(played: Played, comparison: Comparison, wording: Wording) -> Table | None:
    """Two holes side by side; the heads name what was changed. None when there is nothing to compare with."""
    other, record = comparison.hole, played.record
    before = other.record if other else None
    if other is None or before is None or record is None or played.sample is None or other.sample is None:
        return None
    changed_here, changed_there = changed_settings(record, before)
    heads = (
        "Measure",
        f"Hole {other.name.number}" + (f": {changed_there}" if changed_there else ""),
        f"Hole {played.name.number}" + (f": {changed_here}" if changed_here else ""),
        "Change",
    )
    rows = [
        ("val_bpb", figures.bpb(other.sample.mean), figures.bpb(played.sample.mean), figures.delta(played.sample.mean - other.sample.mean)),
        ("val_loss", _loss(other.val_loss), _loss(played.val_loss), _change(played.val_loss, other.val_loss, ".4f")),
        ("quant gap", figures.delta(before.quantization_gap), figures.delta(record.quantization_gap), _change(record.quantization_gap, before.quantization_gap, ".4f")),
        ("artifact", figures.megabytes(before.artifact_bytes), figures.megabytes(record.artifact_bytes), _change(record.artifact_bytes, before.artifact_bytes, ",d", " bytes")),
        ("params", figures.count(before.params), figures.count(record.params), _change(record.params, before.params, ",d")),
        ("steps", figures.count(before.steps), figures.count(record.steps), _change(record.steps, before.steps, ",d")),
        ("step avg", figures.tempo(before.step_ms), figures.tempo(record.step_ms), _change(record.step_ms, before.step_ms, ".1f", " ms")),
    ]  # fmt: skip
    caption = f"{tidy(other.title, 80)} and {tidy(played.title, 80)}"
    return Table(caption, heads, tuple(rows))


def changed_settings(record: RunRecord, before: RunRecord) -> tuple[str, str]:
    """Return what each of two runs set that the other did not, as text; long lists are counted instead."""

    def told(ours: dict[str, str], theirs: dict[str, str]) -> str:
        own = [f"{name}={value}" for name, value in sorted(ours.items()) if theirs.get(name) != value]
        text = ", ".join(own)
        return tidy(text, 100) if len(own) <= 3 else f"{len(own)} settings"

    return told(record.overrides, before.overrides), told(before.overrides, record.overrides)


def _change(now: float | None, then: float | None, form: str, unit: str = "") -> str:
    if now is None or then is None:
        return figures.MISSING
    change = now - then
    if not change:
        return "none"
    return f"{change:+{form}}{unit}"


def attempt_rows(played: Played, wording: Wording) -> Table | None:
    """Every attempt of a hole that has more than one."""
    if len(played.entries) < 2:
        return None
    rows = []
    for entry in played.entries:
        record = entry.record
        if record is None:
            rows.append((str(entry.attempt.number), "", wording.say("status", "unfinished"), "", "", ""))
            continue
        counted = "counts" if record in played.group else "does not count"
        rows.append((
            str(entry.attempt.number), "" if record.seed is None else str(record.seed),
            wording.say("status", record.status), figures.bpb(record.val_bpb),
            figures.megabytes(record.artifact_bytes), counted if record.complete else "",
        ))  # fmt: skip
    return Table(
        "All attempts of this hole",
        ("Attempt", "Seed", "Status", "val_bpb", "Artifact", "In the score"),
        tuple(rows),
    )


# Provenance -----------------------------------------------------------------------------------------------


def model_rows(standing: Standing, wording: Wording) -> tuple[Row, ...]:
    """What is needed to play a hole again. Facts that nobody recorded are left out, except the first three."""
    played, record = standing.played, standing.played.record
    status = wording.say("status", played.status)
    rows = [
        Row("Run ID", played.name.folder),
        Row("Status", played.status, status if status != played.status else ""),
    ]
    if record is None:
        return (*rows, Row("Backend", figures.MISSING))
    code, environment = record.code, record.environment
    rows.append(Row("Backend", environment.device or figures.MISSING, _hardware(record)))
    seeds = ", ".join(str(one.seed) for one in (played.group or (record,)) if one.seed is not None)
    commit = code.git_sha[:12] if code.git_sha else ""
    rows += [
        Row("Course", record.course, record.split or ""),
        Row("Seed", seeds),
        Row("Preset", record.preset or ""),
        Row("Trainer", code.trainer),
        Row("Commit", commit, {True: "with uncommitted changes", False: "clean", None: ""}[code.dirty]),
        Row("Code", (code.source_sha256 or "")[:12], "sha256 of the source"),
        Row("Configuration", record.config_hash or "", "hash of every setting but the seed"),
        Row("Data", (record.data.val_sha256 or "")[:12], "sha256 of the validation text"),
        Row("Tokenizer", (record.data.tokenizer_sha256 or "")[:12], "sha256"),
        Row("Python", environment.python or ""),
        Row("PyTorch", environment.torch or ""),
        Row("Stopped by", record.stop_reason or ""),
        Row("Resumed", f"{record.resumes} times" if record.resumes > 1 else "once" if record.resumes else ""),
        Row("Score that counts", record.official.label if record.official else "", record.official.why if record.official else ""),
    ]  # fmt: skip
    if source := record.provenance:
        rows.append(Row("Imported from", source.source, f"by {source.importer}, sha256 {source.sha256[:12]}"))
        rows.append(Row("Author", source.author or ""))
    return tuple(
        Row(row.label, tidy(row.value, _LONG), tidy(row.note, _LONG), row.tone) for row in rows if row.value
    )


def _hardware(record: RunRecord) -> str:
    environment = record.environment
    count = environment.world_size or 1
    name = environment.device_name or ""
    threads = f"{environment.threads} threads" if environment.device == "cpu" and environment.threads else ""
    return ", ".join(filter(None, (f"{count} × {name}" if count > 1 and name else name, threads)))


def byte_check(standing: Standing) -> tuple[Row, ...]:
    """Recompute the validation bytes from loss, tokens and score, and say whose bytes they are (DESIGN rule 5)."""
    record, course = standing.played.record, standing.course
    if record is None or record.val_bpb is None:
        return ()
    score = _official_score(record)
    loss = score.val_loss if score and score.val_loss is not None else record.val_loss
    tokens = (score.tokens if score else None) or record.data.val_tokens
    if loss is None or not tokens or not record.val_bpb:
        return (Row("Byte check", "not checked", "the record does not say how many tokens were scored"),)
    bytes_ = tokens * loss / (math.log(2) * record.val_bpb)
    implied = f"the score implies {figures.count(round(bytes_))} bytes"
    known = [(split.name, split.val_bytes) for split in course.splits] if course else []
    if record.data.val_bytes:
        known.insert(0, ("the data that was read", record.data.val_bytes))
    for at, (name, expected) in enumerate(known):
        if math.isclose(bytes_, expected, rel_tol=BYTES_AGREE):
            word = "verified" if at == 0 else "other split"
            return (
                Row(
                    "Byte check",
                    word,
                    f"{implied}; {name} has {figures.count(expected)}",
                    "good" if at == 0 else "",
                ),
            )
    if not known:
        return (Row("Byte check", "not checked", f"{implied}; the course lists none to hold it against"),)
    return (Row("Byte check", "suspect", f"{implied}, which is no export we know", "bad"),)


def _official_score(record: RunRecord) -> Score | None:
    if record.official is None:
        return None
    wanted = (record.official.stage, record.official.label)
    return next((score for score in reversed(record.scores) if (score.stage, score.label) == wanted), None)
