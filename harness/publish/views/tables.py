"""What a score stands on, as rows of strings: results, comparison, attempts, model card, byte check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from harness import figures
from harness.courses.course import check_record_bytes
from harness.publish.words.text import tidy
from harness.publish.words.wording import Wording
from harness.records.code_rule import artifact_change
from harness.records.record import RunRecord, mean_gap, mean_stage_bpb
from harness.season.hole import PlayedHole
from harness.season.season import Comparison, Standing
from harness.stats import Sample

_LONG = 200


class FactRow(NamedTuple):
    """One fact. key: which; tone: good, bad or empty, for the stylesheet; the words say the same."""

    key: str
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


def _row(wording: Wording, key: str, value: str, note: str = "", tone: str = "") -> FactRow:
    return FactRow(key, wording.say("label", key), value, note, tone)


def result_rows(
    played: PlayedHole, record: RunRecord | None, cap: int | None, wording: Wording
) -> tuple[FactRow, ...]:
    """Metric and value, all from the validated record."""
    if record is None:
        return ()
    sample = played.sample

    def row(key: str, value: str, note: str = "", tone: str = "") -> FactRow:
        return _row(wording, key, value, note, tone)

    def note(key: str, **values: str) -> str:
        return wording.fill("note", key, **values)

    rows = [
        row("val_bpb", figures.bpb(sample.mean if sample else None), _score_basis(played, record, wording))
    ]
    rows.append(row("val_loss", _loss(played.val_loss), note("nats") if played.val_loss is not None else ""))
    if record.val_loss and record.val_bpb is not None:
        ratio = record.val_bpb * math.log(2) / record.val_loss
        rows.append(row("tokens_a_byte", f"{ratio:.5f}", note("tokens_a_byte")))
    if (gap := mean_gap(played.measured)) is not None:
        before = figures.bpb(mean_stage_bpb(played.measured, "pre_quantization"))
        rows.append(row("quant_gap", figures.delta(gap), note("before_packing", before=before)))
    rows.append(row("params", figures.count(record.params)))
    rows.append(row("artifact", _bytes(record.artifact_bytes), _parts(record, wording), _room(record, cap)))
    rows.append(
        row(
            "wall_time",
            figures.seconds(record.train_seconds),
            note("training") if record.train_seconds is not None else "",
        )
    )
    planned = note("planned", planned=figures.count(record.planned_steps)) if record.planned_steps else ""
    rows.append(row("steps", figures.count(record.steps), planned))
    rows.append(row("step_avg", figures.tempo(record.step_ms)))
    if record.peak_memory_bytes is not None:
        rows.append(row("peak_memory", figures.megabytes(record.peak_memory_bytes)))
    for name, bpb in sorted(record.data.yardsticks.items()):
        rows.append(FactRow("yardstick", tidy(name, 40), f"{bpb:.4f}", note("yardstick")))
    return tuple(rows)


def seeds_note(sample: Sample | None, wording: Wording) -> str:
    """How many runs a score stands on."""
    if sample is None:
        return ""
    if sample.std is None:
        return wording.say("note", "one_seed")
    return wording.fill("note", "seeds", seeds=str(sample.n), spread=figures.bpb(sample.std))


def _score_basis(played: PlayedHole, record: RunRecord, wording: Wording) -> str:
    """Which score counts, and on how many runs."""
    stage = record.official.stage.replace("_", " ") if record.official else ""
    return ", ".join(filter(None, (stage, seeds_note(played.sample, wording))))


def _loss(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:.4f}"


def _bytes(value: int | None) -> str:
    return figures.MISSING if value is None else f"{figures.count(value)} bytes"


def _parts(record: RunRecord, wording: Wording) -> str:
    if record.code_bytes is None or record.model_bytes is None:
        return figures.megabytes(record.artifact_bytes) if record.artifact_bytes is not None else ""
    code, weights = figures.count(record.code_bytes), figures.count(record.model_bytes)
    return wording.fill("note", "parts", code=code, weights=weights)


def _room(record: RunRecord, cap: int | None) -> str:
    if record.artifact_bytes is None or cap is None:
        return ""
    return "good" if record.artifact_bytes < cap else "bad"


# Beside the previous hole ---------------------------------------------------------------------------------


def compare_rows(played: PlayedHole, comparison: Comparison, wording: Wording) -> Table | None:
    """Two holes side by side; the heads name what was changed. None when there is nothing to compare with."""
    other, record = comparison.hole, played.record
    before = other.record if other else None
    if other is None or before is None or record is None or played.sample is None or other.sample is None:
        return None
    changed_here, changed_there = changed_settings(record, before)
    heads = (
        wording.say("label", "measure"),
        hole_name(other, wording) + (f": {changed_there}" if changed_there else ""),
        hole_name(played, wording) + (f": {changed_here}" if changed_here else ""),
        wording.say("label", "change"),
    )
    rows = [
        (
            "val_bpb",
            figures.bpb(other.sample.mean),
            figures.bpb(played.sample.mean),
            figures.delta(played.sample.mean - other.sample.mean),
        ),
        (
            "val_loss",
            _loss(other.val_loss),
            _loss(played.val_loss),
            _change(played.val_loss, other.val_loss, ".4f"),
        ),
        ("quant_gap", *_gaps(played, other)),
        (
            "artifact",
            figures.megabytes(before.artifact_bytes),
            figures.megabytes(record.artifact_bytes),
            _artifact_change(record, before, wording),
        ),
        (
            "params",
            figures.count(before.params),
            figures.count(record.params),
            _change(record.params, before.params, ",d"),
        ),
        (
            "steps",
            figures.count(before.steps),
            figures.count(record.steps),
            _change(record.steps, before.steps, ",d"),
        ),
        (
            "step_avg",
            figures.tempo(before.step_ms),
            figures.tempo(record.step_ms),
            _change(record.step_ms, before.step_ms, ".1f", " ms"),
        ),
    ]
    caption = wording.fill("note", "pair", a=tidy(other.title, 80), b=tidy(played.title, 80))
    return Table(caption, heads, tuple((wording.say("label", key), *cells) for key, *cells in rows))


def _artifact_change(record: RunRecord, before: RunRecord, wording: Wording) -> str:
    change = artifact_change(record, before)
    if change is None:
        return figures.MISSING
    told = _change(change.bytes, 0, ",d", " bytes")
    return wording.fill("note", "weights_change", change=told) if change.weights_alone else told


def _gaps(played: PlayedHole, other: PlayedHole) -> tuple[str, str, str]:
    theirs, ours = mean_gap(other.measured), mean_gap(played.measured)
    return figures.delta(theirs), figures.delta(ours), _change(ours, theirs, ".4f")


def shown_note(played: PlayedHole, wording: Wording) -> str:
    """Which attempt the figures are of that are no mean; empty where there is only one."""
    if len(played.group) < 2 or played.attempt is None or played.record is None:
        return ""
    seed = figures.MISSING if played.record.seed is None else str(played.record.seed)
    return wording.fill("note", "shown_attempt", attempt=str(played.attempt.number), seed=seed)


def hole_name(played: PlayedHole, wording: Wording) -> str:
    return f"{wording.say('label', 'hole')} {played.name.number}"


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


def attempt_rows(played: PlayedHole, wording: Wording) -> Table | None:
    """Every attempt of a hole that has more than one."""
    if len(played.entries) < 2:
        return None
    rows = []
    for entry in played.entries:
        record = entry.record
        if record is None:
            rows.append((str(entry.attempt.number), "", wording.say("status", "unfinished"), "", "", ""))
            continue
        counted = "counts" if record in played.group else "does_not_count"
        rows.append(
            (
                str(entry.attempt.number),
                "" if record.seed is None else str(record.seed),
                wording.say("status", record.status),
                figures.bpb(record.val_bpb),
                figures.megabytes(record.artifact_bytes),
                wording.say("note", counted) if record.complete else "",
            )
        )
    heads = ("attempt", "seed", "status", "val_bpb", "artifact", "in_score")
    return Table(
        wording.say("note", "all_attempts"), tuple(wording.say("label", head) for head in heads), tuple(rows)
    )


# Provenance -----------------------------------------------------------------------------------------------


def model_rows(standing: Standing, wording: Wording) -> tuple[FactRow, ...]:
    """What is needed to play a hole again. Facts that nobody recorded are left out, except the first three."""
    played, record = standing.played, standing.played.record
    status = wording.say("status", played.status)

    def note(key: str, **values: str) -> str:
        return wording.fill("note", key, **values)

    def row(key: str, value: str, said: str = "") -> FactRow:
        return _row(wording, key, value, said)

    rows = [
        row("run_id", played.name.folder),
        row("status", played.status, status if status != played.status else ""),
    ]
    if record is None:
        return (*rows, row("backend", figures.MISSING))
    code, environment = record.code, record.environment
    rows.append(row("backend", environment.device or figures.MISSING, _hardware(record)))
    seeds = ", ".join(str(one.seed) for one in (played.group or (record,)) if one.seed is not None)
    commit = code.git_sha[:12] if code.git_sha else ""
    rows += [
        row("course", record.course, record.split or ""),
        row("seed", seeds),
        row("preset", record.preset or ""),
        row("trainer", code.trainer),
        row("commit", commit, "" if code.dirty is None else note("dirty" if code.dirty else "clean")),
        row("code", (code.source_sha256 or "")[:12], note("source_hash")),
        row("configuration", record.config_hash or "", note("config_hash")),
        row("data", (record.data.val_sha256 or "")[:12], note("text_hash")),
        row("tokenizer", (record.data.tokenizer_sha256 or "")[:12], note("hash")),
        row("python", environment.python or ""),
        row("pytorch", environment.torch or ""),
        row("stopped_by", record.stop_reason or ""),
        row(
            "resumed",
            note("times", count=str(record.resumes))
            if record.resumes > 1
            else note("once")
            if record.resumes
            else "",
        ),
        row(
            "official",
            record.official.label if record.official else "",
            record.official.why if record.official else "",
        ),
    ]
    if source := record.provenance:
        rows.append(
            row(
                "imported_from",
                source.source,
                note("importer", name=source.importer, hash=source.sha256[:12]),
            )
        )
        rows.append(row("author", source.author or ""))
    return tuple(
        FactRow(one.key, one.label, tidy(one.value, _LONG), tidy(one.note, _LONG), one.tone)
        for one in rows
        if one.value
    )


def _hardware(record: RunRecord) -> str:
    environment = record.environment
    count = environment.world_size or 1
    name = environment.device_name or ""
    used = environment.threads if environment.device == "cpu" else None
    threads = "1 thread" if used == 1 else f"{used} threads" if used else ""
    return ", ".join(filter(None, (f"{count} × {name}" if count > 1 and name else name, threads)))


def byte_check(standing: Standing, wording: Wording) -> tuple[FactRow, ...]:
    """Say whose bytes a score stands on, as `check_record_bytes` finds it (DESIGN rule 5)."""
    record, course = standing.played.record, standing.course
    if record is None or record.val_bpb is None:
        return ()
    badge = check_record_bytes(course, record)
    implied = figures.count(round(badge.implied_bytes)) if badge.implied_bytes is not None else ""

    def row(word: str, reason: str, tone: str = "", **values: str) -> tuple[FactRow, ...]:
        note = wording.fill("bytes", reason, **values)
        return (_row(wording, "byte_check", wording.say("bytes", word), note, tone),)

    if badge.kind == "unchecked":
        return row("unchecked", "none_listed", implied=implied) if implied else row("unchecked", "no_tokens")
    if badge.kind == "suspect" and badge.expected_bytes is None:
        return row("suspect", "unknown_export", "bad", implied=implied)
    word, tone = {"verified": ("verified", "good"), "older split": ("other_split", "")}.get(
        badge.kind, ("suspect", "bad")
    )
    by_run = badge.expected_bytes == record.data.val_bytes
    name = wording.say("bytes", "data_read") if by_run else badge.split or ""
    return row(word, "has", tone, implied=implied, name=name, expected=figures.count(badge.expected_bytes))
