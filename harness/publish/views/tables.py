"""The figures of a hole's page as rows of strings: scorecard, results, attempts, model card, byte check.

Reads records; writes nothing. An attempt without a record is described by how far it came. Whether a process
is playing it only this machine knows, right now: a preview asks, a published page says that both may be.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from harness import figures
from harness.courses.course import byte_evidence, check_record_bytes
from harness.errors import HarnessError
from harness.publish.drawings.charts import artifact_bar
from harness.publish.words.commentary import Facts, tidy
from harness.publish.words.wording import Wording
from harness.records.curve import Curve
from harness.records.launch import Launch, load_launch
from harness.records.record import RunRecord, excess_bytes, mean_gap, mean_stage_bpb
from harness.season.hole import PlayedHole
from harness.season.standing import Standing

if TYPE_CHECKING:
    from harness.season.progress import AttemptProgress

TITLE_LENGTH = 120
SMALL = 100_000  # bytes too many that are written out: in megabytes they would round to nothing
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


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of the scorecard with the explanation that opens from it."""

    el: str
    label: str
    value: str
    note: str
    term: str
    tip: str
    here: str


@dataclass(frozen=True, kw_only=True)
class Bag:
    """The artifact bar and its captions."""

    svg: Markup
    artifact: str
    share: str
    limit: str
    room: str
    over: bool


def _row(wording: Wording, key: str, value: str, note: str = "", tone: str = "") -> FactRow:
    return FactRow(key, wording.say("label", key), value, note, tone)


# The scorecard ------------------------------------------------------------------------------------


def term_values(standing: Standing) -> dict[str, str]:
    """The course's own numbers, for the glossary's `here` lines."""
    course, par = standing.course, standing.comparisons["par"]
    if course is None:
        return {}
    values = {
        "cap_bytes": figures.count(course.caps.artifact_bytes),
        "cap_seconds": figures.seconds(course.caps.train_seconds),
    }
    if noise := course.noise:
        values |= {
            "noise_std": f"{noise.std_bpb:g}",
            "noise_source": noise.source,
            "noise_date": noise.date.isoformat(),
        }
    if par.val_bpb is not None:
        values |= {"par": figures.bpb(par.val_bpb), "par_name": tidy(par.label, 80)}
    return values


def scorecard(standing: Standing, record: RunRecord | None, wording: Wording) -> tuple[Metric, ...]:
    played = standing.played
    here = Facts("", frozenset(), term_values(standing))
    par = standing.comparisons["par"].difference

    def note(key: str, **values: str) -> str:
        return wording.fill("note", key, **values)

    shown = {
        "bpb": (
            figures.bpb(played.sample.mean if played.sample else None),
            note("to_par", delta=figures.delta(par.delta)) if par else "",
        ),
        "loss": (figures.nats(played.val_loss), note("nats")),
        "params": (figures.count(record.params if record else None), ""),
        "artifact": (
            figures.megabytes(record.artifact_bytes if record else None),
            figures.number(record.artifact_bytes, "byte")
            if record and record.artifact_bytes is not None
            else "",
        ),
        "wall": (figures.seconds(record.train_seconds if record else None), note("training")),
        "steps": (
            figures.count(record.steps if record else None),
            note("planned", planned=figures.count(record.planned_steps))
            if record and record.planned_steps
            else "",
        ),
        "step-avg": (figures.tempo(record.step_ms if record else None), note("a_step")),
    }
    terms = {term["id"]: term for term in wording.terms}
    return tuple(
        Metric(
            el=f"metric-{key}",
            label=terms[key]["name"],
            value=value,
            note=note if value != figures.MISSING else "",
            term=key,
            tip=terms[key]["text"],
            here=here.fill(terms[key]["here"]) or "",
        )
        for key, (value, note) in shown.items()
    )


def artifact_bag(record: RunRecord | None, cap: int | None, wording: Wording) -> Bag | None:
    if record is None or record.artifact_bytes is None or cap is None:
        return None
    artifact, limit = figures.megabytes(record.artifact_bytes), figures.megabytes(cap).replace(".00", "")
    facts = Facts("", frozenset(), {"artifact": artifact, "cap": limit})
    room = cap - record.artifact_bytes
    share = wording.fill("note", "of_the_cap", share=f"{record.artifact_bytes / cap:.1%}")
    title = facts.fill(wording.say("charts", "bar_title")) or artifact
    note = headroom_note(room, cap, wording)
    return Bag(
        svg=artifact_bar(record.artifact_bytes, record.code_bytes, cap, (title, f"{share}. {note}.")),
        artifact=artifact,
        share=share,
        limit=limit,
        room=note,
        over=room <= 0,
    )


def headroom_text(headroom: int | None, wording: Wording) -> str:
    if headroom is None:
        return figures.MISSING
    if headroom > 0:
        return figures.megabytes(headroom)
    excess = excess_bytes(-headroom, 0)
    size = figures.number(excess, "byte") if excess < SMALL else figures.megabytes(excess)
    return wording.fill("note", "over", size=size)


def headroom_note(headroom: int | None, cap: int | None, wording: Wording) -> str:
    if headroom is None or cap is None:
        return ""
    key, size = ("bytes_left", headroom) if headroom > 0 else ("bytes_over", excess_bytes(-headroom, 0))
    cap_text = figures.megabytes(cap).replace(".00", "")
    return wording.fill("note", key, bytes=figures.number(size, "byte"), cap=cap_text)


def fits_cap(record: RunRecord | None, cap: int | None) -> bool | None:
    """Whether the artifact is under the cap; None when either is not known."""
    if record is None or record.artifact_bytes is None or cap is None:
        return None
    return record.artifact_bytes < cap


def cap_check(record: RunRecord | None, cap: int | None, wording: Wording) -> str:
    fits = fits_cap(record, cap)
    if fits is None or cap is None:
        return wording.say("note", "cap_unchecked")
    return wording.fill("note", "cap_passed" if fits else "cap_failed", cap=f"{cap / 1e6:g}MB")


# Results ------------------------------------------------------------------------------------------


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
    rows.append(
        row("val_loss", figures.nats(played.val_loss), note("nats") if played.val_loss is not None else "")
    )
    if record.val_loss and record.val_bpb is not None:
        ratio = record.val_bpb * math.log(2) / record.val_loss
        rows.append(row("tokens_a_byte", f"{ratio:.5f}", note("tokens_a_byte")))
    if (gap := mean_gap(played.measured)) is not None:
        before = figures.bpb(mean_stage_bpb(played.measured, "pre_quantization"))
        rows.append(row("quant_gap", figures.delta(gap), note("before_packing", before=before)))
    rows.append(row("params", figures.count(record.params)))
    rows.append(row("artifact", _bytes(record.artifact_bytes), _parts(record, wording), _room(record, cap)))
    training = note("training") if record.train_seconds is not None else ""
    rows.append(row("wall_time", figures.seconds(record.train_seconds), training))
    if played.summary.cost is not None:
        attempts = figures.number(played.summary.attempts, "attempt")
        rows.append(row("cost", figures.money(played.summary.cost), note("cost", attempts=attempts)))
    planned = note("planned", planned=figures.count(record.planned_steps)) if record.planned_steps else ""
    rows.append(row("steps", figures.count(record.steps), planned))
    rows.append(row("step_avg", figures.tempo(record.step_ms)))
    if record.peak_memory_bytes is not None:
        rows.append(row("peak_memory", figures.megabytes(record.peak_memory_bytes)))
    for name, bpb in sorted(record.data.yardsticks.items()):
        rows.append(FactRow("yardstick", tidy(name, 40), f"{bpb:.4f}", note("yardstick")))
    return tuple(rows)


def _score_basis(played: PlayedHole, record: RunRecord, wording: Wording) -> str:
    """Which score counts, and on how many runs."""
    stage = record.official.stage.replace("_", " ") if record.official else ""
    return ", ".join(filter(None, (stage, seeds_note(played, wording))))


def seeds_note(played: PlayedHole, wording: Wording) -> str:
    """How many seeds of those begun a score stands on, how far repeats lie apart, what was played before."""
    sample, failed = played.sample, len(played.summary.failed_seeds)
    if sample is None:
        return ""
    begun = {"begun": str(sample.n + failed), "failed": str(failed)}
    repeats = ""
    if apart := played.summary.repeat_std:
        repeats = ", " + wording.fill("note", "repeat_noise", spread=figures.bpb(apart))
    for earlier in played.earlier:
        repeats += "; " + tidy(wording.fill("note", "earlier_configuration", earlier=str(earlier)), 400)
    if sample.std is None:
        one = wording.fill("note", "one_of_seeds", **begun) if failed else wording.say("note", "one_seed")
        return one + repeats
    key, spread = "some_seeds" if failed else "seeds", figures.bpb(sample.std)
    return wording.fill("note", key, seeds=str(sample.n), spread=spread, **begun) + repeats


def _bytes(value: int | None) -> str:
    return figures.MISSING if value is None else figures.number(value, "byte")


def _parts(record: RunRecord, wording: Wording) -> str:
    if record.code_bytes is None or record.model_bytes is None:
        return figures.megabytes(record.artifact_bytes) if record.artifact_bytes is not None else ""
    code, weights = figures.count(record.code_bytes), figures.count(record.model_bytes)
    return wording.fill("note", "parts", code=code, weights=weights)


def _room(record: RunRecord, cap: int | None) -> str:
    if record.artifact_bytes is None or cap is None:
        return ""
    return "good" if record.artifact_bytes < cap else "bad"


def shown_note(played: PlayedHole, wording: Wording) -> str:
    """Which attempt the figures are of that are no mean; empty where there is only one."""
    if len(played.group) < 2 or played.attempt is None or played.record is None:
        return ""
    seed = figures.MISSING if played.record.seed is None else str(played.record.seed)
    return wording.fill("note", "shown_attempt", attempt=str(played.attempt.number), seed=seed)


def attempt_rows(played: PlayedHole, wording: Wording) -> Table | None:
    """Every attempt of a hole that has more than one."""
    if len(played.entries) < 2:
        return None
    rows = []
    for entry in played.entries:
        record = entry.record
        if record is None:
            rows.append((str(entry.attempt.number), "", "unfinished", "", "", ""))
            continue
        counted = "counts" if record in played.group else "does_not_count"
        rows.append(
            (
                str(entry.attempt.number),
                "" if record.seed is None else str(record.seed),
                record.status.replace("_", " "),
                figures.bpb(record.val_bpb),
                figures.megabytes(record.artifact_bytes),
                wording.say("note", counted) if record.complete else "",
            )
        )
    heads = ("attempt", "seed", "status", "val_bpb", "artifact", "in_score")
    return Table(
        wording.say("note", "all_attempts"), tuple(wording.say("label", head) for head in heads), tuple(rows)
    )


# Provenance ---------------------------------------------------------------------------------------


def model_rows(standing: Standing, wording: Wording) -> tuple[FactRow, ...]:
    """What is needed to play a hole again. Facts that nobody recorded are left out, but for three."""
    played, record = standing.played, standing.played.record
    status = played.status.replace("_", " ")

    def note(key: str, **values: str) -> str:
        return wording.fill("note", key, **values)

    def row(key: str, value: str, comment: str = "") -> FactRow:
        return _row(wording, key, value, comment)

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
    official, times = record.official, record.resumes
    resumes = note("times", count=str(times)) if times > 1 else note("once") if times else ""
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
        row("python", environment.python or "", tidy(environment.interpreter or "", 80)),
        row("pytorch", environment.torch or ""),
        row("mlx", environment.mlx or ""),
        row("stopped_by", record.stop_reason or ""),
        row("resumed", resumes),
        row("official", official.label if official else "", official.why if official else ""),
    ]
    if source := record.provenance:
        importer = note("importer", name=source.importer, hash=source.sha256[:12])
        rows.append(row("imported_from", source.source, importer))
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
    threads = figures.number(used, "thread") if used else ""
    return ", ".join(filter(None, (f"{count} × {name}" if count > 1 and name else name, threads)))


_BADGES = {
    "verified": ("verified", "good"),
    "older split": ("other_split", ""),
    "suspect": ("suspect", "bad"),
}


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
    if badge.implied_bytes is None:
        return row("suspect", "impossible_tokens", "bad", tokens=figures.count(byte_evidence(record).tokens))
    if badge.expected_bytes is None:
        return row("suspect", "unknown_export", "bad", implied=implied)
    word, tone = _BADGES[badge.kind]
    by_run = badge.expected_bytes == record.data.val_bytes
    name = wording.say("bytes", "data_read") if by_run else badge.split or ""
    return row(word, "has", tone, implied=implied, name=name, expected=figures.count(badge.expected_bytes))


# An attempt without a record ----------------------------------------------------------------------


@dataclass(frozen=True)
class InPlay:
    """share: of the training that is done, in thousandths; None when nobody knows how long it will be.

    line: the same in one line, for lists.
    """

    lead: str
    line: str
    share: int | None
    rows: tuple[FactRow, ...]


# The phrases of each row: the first whose figures are all known is shown.
_ROWS = (
    ("progress", "progress_part"),
    ("left",),
    ("time", "time_part"),
    ("train",),
    ("val",),
    ("tempo",),
    ("seed",),
    ("started",),
)


def read_play(played: PlayedHole, wording: Wording, ask_system: bool = False) -> InPlay | None:
    """Describe a hole's newest attempt when it has no record; None when it has one or there is none.

    ask_system: find out whether a process holds it.
    """
    newest = played.entries[-1] if played.entries else None
    if newest is None or newest.record is not None:
        return None
    from harness.season.progress import is_playing, load_progress, measure  # reads logs, which few holes need

    attempt, curve = newest.attempt, load_progress(newest.attempt)
    launch = None
    if attempt.launch_path.is_file():
        with contextlib.suppress(HarnessError):  # of another harness: only its log can be read
            launch = load_launch(attempt.launch_path)
    values = {"attempt": str(attempt.number), "hole": played.name.folder}
    share = _read_progress(curve, measure(curve, launch), launch, values)
    facts = Facts("", frozenset(), values)

    def phrase(*keys: str) -> str:
        filled = (facts.fill(wording.say("live", key)) for key in keys)
        return next((text for text in filled if text), "")

    state = "unknown" if not ask_system else "playing" if is_playing(attempt) else "quiet"
    rows = [FactRow(keys[0], phrase(f"row_{keys[0]}"), phrase(*keys)) for keys in _ROWS]
    line = phrase("line_full", "line_part", "line_none")
    return InPlay(phrase(f"lead_{state}"), line, share, tuple(row for row in rows if row.value))


def _read_progress(
    curve: Curve, now: AttemptProgress, launch: Launch | None, values: dict[str, str]
) -> int | None:
    """Fill in what is known; return the share done in thousandths."""
    if launch:
        values |= {"seed": str(launch.seed), "started": f"{launch.started_at:%Y-%m-%d %H:%M} UTC"}
    if now.planned:
        values["planned"] = figures.count(now.planned)
    if now.limit_seconds:
        values["limit"] = figures.seconds(now.limit_seconds)
    if curve.val and curve.val[-1].bpb is not None:
        values |= {"val_bpb": figures.bpb(curve.val[-1].bpb), "val_step": figures.count(curve.val[-1].step)}
    if not curve.train:
        return None
    values |= {"step": figures.count(now.step), "train_loss": f"{curve.train[-1].loss:.4f}"}
    if now.train_seconds is not None:
        values["time"] = figures.seconds(now.train_seconds)
    if now.step_ms is not None:
        values["step_ms"] = figures.tempo(now.step_ms)
    if now.left_seconds is not None:
        values["left"] = figures.duration(now.left_seconds)
    return None if now.share is None else round(1000 * now.share)
