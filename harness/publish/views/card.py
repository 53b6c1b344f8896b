"""The view model of a hole's page: every string ready to be placed, every number formatted. Writes nothing.

Numbers are worded by `harness.figures`, sentences come from `site/copy` and the hole's notes.
"""

from __future__ import annotations

import datetime as dt
import shlex
from dataclasses import dataclass

from markupsafe import Markup

from harness import figures
from harness.publish.drawings.charts import Mark, MarkRole, artifact_bar, number_line
from harness.publish.views import curve
from harness.publish.views.in_play import InPlay, read_play
from harness.publish.views.tables import (
    FactRow,
    Table,
    attempt_rows,
    byte_check,
    compare_rows,
    model_rows,
    result_rows,
    seeds_note,
    shown_note,
)
from harness.publish.words import prose
from harness.publish.words.commentary import ResultLabel, name_result, speak
from harness.publish.words.facts import Facts, read_facts
from harness.publish.words.text import tidy
from harness.publish.words.voices import BoothLine, Voice, announcer_voice, booth_dialogue, caddie_voice
from harness.publish.words.wording import Wording
from harness.records.notes import Notes
from harness.records.record import RunRecord
from harness.season.hole import PlayedHole
from harness.season.pairs import parent_whiff
from harness.season.season import Comparison, Kind, Season, Standing

TITLE_LENGTH = 120


@dataclass(frozen=True)
class Neighbour:
    position: str
    title: str
    href: str


@dataclass(frozen=True)
class DeltaCard:
    """A difference to one reference. value is empty when `reason` says why there is none.

    tone: better, worse or even, for the stylesheet; the word beside it says the same.
    """

    label: str
    value: str = ""
    word: str = ""
    tone: str = "even"
    reference: str = ""
    name: str = ""
    day: str = ""
    source: str = ""
    noise: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Metric:
    """A figure of the scorecard with the explanation that opens beside it."""

    el: str
    label: str
    value: str
    note: str
    term: str
    tip: str
    here: str


@dataclass(frozen=True)
class Bag:
    """The artifact bar and its captions."""

    svg: Markup
    artifact: str
    share: str
    limit: str
    room: str
    over: bool


@dataclass(frozen=True)
class HoleCard:
    """All that a hole's page shows."""

    name: str
    file: str
    number: int
    round: int
    hole: int
    position: str
    title: str
    course: str
    status: str
    status_word: str
    verdict: str
    verdict_why: str
    strokes: int
    record_badge: bool
    day: str
    day_iso: str
    score: str
    score_label: str
    score_note: str
    result: ResultLabel
    summary: str
    meaning: str
    par_delta: DeltaCard
    previous_delta: DeltaCard
    best_delta: DeltaCard
    sota_delta: DeltaCard
    parent_delta: DeltaCard | None
    artifact: str
    headroom: str
    headroom_note: str
    tempo: str
    tempo_note: str
    strategy: str
    hypothesis: str
    caddie: Voice
    announcer: Voice
    booth: tuple[BoothLine, ...]
    booth_voice: Voice
    shot_title: str
    shot_question: str
    shot: Markup
    shot_initial: bool  # begins with a letter that may stand large; half a number may not
    more: tuple[tuple[str, Markup], ...]
    results: tuple[FactRow, ...]
    results_note: str
    cap_check: str
    cap_ok: bool | None
    comparison: Table | None
    comparison_reason: str
    comparison_verdict: str
    metrics: tuple[Metric, ...]
    bag: Bag | None
    curve: curve.CurveView | None
    lesson: Markup
    lesson_text: str
    own_lesson: bool
    field_line: Markup
    model: tuple[FactRow, ...]
    overrides: tuple[str, ...]
    command: str
    attempts: Table | None
    failure: tuple[str, str, str] | None
    whiff: str
    decision: tuple[str, str] | None
    warnings: tuple[str, ...]
    previous: Neighbour | None
    next: Neighbour | None
    has_record: bool
    has_curve: bool
    compared: tuple[Neighbour, ...]
    in_play: InPlay | None


def build_card(
    season: Season, standing: Standing, wording: Wording, shelf: curve.Shelf, live: bool = False
) -> HoleCard:
    """Gather a hole's page. The notes' words win; where they are silent the voices speak by rule.

    live: find out whether an attempt without a record is being played right now.
    """
    played = standing.played
    facts = read_facts(standing, parent_whiff(season, played))
    notes, unread = _load_notes(played, wording)
    record = played.record
    title = tidy(played.title, TITLE_LENGTH)
    before, after = season.neighbours(played)
    result = name_result(wording.results, facts)
    caddie, announcer = caddie_voice(notes, wording, facts), announcer_voice(notes, wording, facts)
    turns, booth_voice = booth_dialogue(notes, wording, facts)
    question, essay = prose.split_question(notes.get("shot"))
    lesson = prose.render(notes.get("lesson")) or prose.words(speak(wording.script, "lesson", facts))
    cap = record.cap_bytes if record else None
    cap = cap or (standing.course.caps.artifact_bytes if standing.course else None)
    compared = standing.comparisons
    strategy = played.intent.strategy or "none"
    overrides = record.overrides if record else played.intent.overrides
    drawn = curve.draw_curve(season, standing, wording, shelf, title)
    return HoleCard(
        name=played.name.folder,
        file=f"{played.name.folder}.html",
        number=played.name.number,
        round=played.name.round,
        hole=played.name.hole,
        position=played.name.position,
        title=title,
        course=standing.course.title if standing.course else tidy(played.course or "", 60),
        status=played.status,
        status_word=wording.say("status", played.status),
        verdict=verdict_name(standing, wording),
        verdict_why=standing.verdict.why if played.sample else "",
        strokes=standing.verdict.strokes if played.sample and played.status == "ok" else 0,
        record_badge=standing.course_record,
        day=long_day(played.day),
        day_iso=played.day.isoformat() if played.day else "",
        score=figures.bpb(played.sample.mean) if played.sample else wording.say("hole", "no_score"),
        score_label=wording.say("hole", "score_label"),
        score_note=seeds_note(played.sample, wording),
        result=result,
        summary=speak(wording.script, "summary", facts),
        meaning=next(term["text"] for term in wording.terms if term["id"] == "bpb"),
        par_delta=delta_card(wording.say("label", "baseline"), compared["par"], wording),
        previous_delta=delta_card(wording.say("label", "last_hole"), compared["previous"], wording),
        best_delta=delta_card(wording.say("label", "our_best"), compared["best"], wording),
        sota_delta=delta_card(wording.say("label", "sota"), compared["sota"], wording),
        parent_delta=_parent_delta(standing, wording),
        artifact=figures.megabytes(record.artifact_bytes if record else None),
        headroom=_headroom(standing.headroom_bytes, wording),
        headroom_note=_headroom_note(standing.headroom_bytes, cap, wording),
        tempo=figures.tempo(record.step_ms if record else None),
        tempo_note=wording.fill("note", "steps", steps=figures.count(record.steps))
        if record and record.steps is not None
        else "",
        strategy=wording.say("strategy", strategy),
        hypothesis=tidy(played.intent.hypothesis, 600) or tidy(notes.get("read"), 600),
        caddie=caddie,
        announcer=announcer,
        booth=turns,
        booth_voice=booth_voice,
        shot_title=tidy(notes.shot_title, TITLE_LENGTH),
        shot_question=tidy(question) or wording.say("question", strategy),
        shot=prose.render(essay),
        shot_initial=essay.lstrip()[:1].isalpha(),
        more=tuple((tidy(head, TITLE_LENGTH), prose.render(body)) for head, body in notes.other if body),
        results=result_rows(played, record, cap, wording),
        results_note=shown_note(played, wording),
        cap_check=_cap_check(record, cap, wording),
        cap_ok=None
        if record is None or record.artifact_bytes is None or cap is None
        else record.artifact_bytes < cap,
        comparison=compare_rows(played, compared["previous"], wording),
        comparison_reason=compared["previous"].reason,
        comparison_verdict=tidy(notes.get("verdict")) or speak(wording.script, "comparison", facts),
        metrics=_metrics(standing, record, wording),
        bag=_bag(record, cap, wording),
        curve=drawn,
        lesson=lesson,
        lesson_text=prose.excerpt(lesson, 300),
        own_lesson=bool(notes.get("lesson")),
        field_line=_field_line(standing, wording, title),
        model=model_rows(standing, wording) + byte_check(standing, wording),
        overrides=tuple(tidy(f"{name}={value}", 200) for name, value in sorted(overrides.items())),
        command=_command(played, overrides),
        attempts=attempt_rows(played, wording),
        failure=_failure(record),
        whiff=speak(wording.script, "whiff", facts),
        decision=_decision(played, wording),
        warnings=tuple(
            tidy(text, 300)
            for text in (
                *(record.warnings if record else ()),
                *played.problems,
                *unread,
                *(drawn.problems if drawn else ()),
            )
        ),
        previous=neighbour(before),
        next=neighbour(after),
        has_record=record is not None,
        has_curve=drawn is not None and drawn.has_points,
        compared=_compared(standing),
        in_play=read_play(played, wording, live),
    )


def _load_notes(played: PlayedHole, wording: Wording) -> tuple[Notes, list[str]]:
    """The hole's words; when they cannot be read, none and the reason. The page must still be built."""
    try:
        return played.hole.load_notes(), []
    except OSError as error:
        return Notes(), [wording.fill("note", "unread_notes", reason=str(error.strerror))]


def compared_kinds(standing: Standing) -> list[Kind]:
    """Which compare pages a hole has: beside the previous hole, and beside its parent where that is another."""
    kinds: list[Kind] = ["previous", "parent"]
    found = [
        kind for kind in kinds if standing.comparisons[kind].difference and standing.comparisons[kind].hole
    ]
    same = len(found) == 2 and standing.comparisons["previous"].hole is standing.comparisons["parent"].hole
    return found[:1] if same else found


def compare_file(name: str, kind: Kind) -> str:
    return f"{name}{'' if kind == 'previous' else f'-{kind}'}.html"


def _compared(standing: Standing) -> tuple[Neighbour, ...]:
    name = standing.played.name.folder
    return tuple(
        Neighbour(kind, tidy(hole.title, TITLE_LENGTH), f"../compare/{compare_file(name, kind)}")
        for kind in compared_kinds(standing)
        if (hole := standing.comparisons[kind].hole)
    )


def verdict_name(standing: Standing, wording: Wording) -> str:
    """The golf name; a hole without a score has the name of its state instead."""
    status = standing.played.status
    return standing.verdict.name if status in ("ok", "over_cap") else wording.say("verdict", status)


def neighbour(played: PlayedHole | None) -> Neighbour | None:
    if played is None:
        return None
    return Neighbour(played.name.position, tidy(played.title, TITLE_LENGTH), f"{played.name.folder}.html")


def long_day(day: dt.date | None) -> str:
    """March 18, 2026; without the locale, so that pages are the same everywhere."""
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}" if day else "day not known"


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


_TONES = {"better": "better", "worse": "worse"}


def delta_card(label: str, comparison: Comparison, wording: Wording) -> DeltaCard:
    """Word one comparison: the signed difference, what it is worth, and against whom."""
    difference = comparison.difference
    if difference is None or comparison.val_bpb is None:
        return DeltaCard(label, reason=comparison.reason)
    threshold = difference.threshold
    noise = difference.basis
    if threshold is not None:
        noise = wording.fill("note", "luck", noise=figures.bpb(threshold), basis=difference.basis)
    return DeltaCard(
        label,
        figures.delta(difference.delta),
        wording.say("outcome", difference.outcome),
        _TONES.get(difference.outcome, "even"),
        figures.bpb(comparison.val_bpb),
        tidy(
            f"{comparison.hole.name.position}: {comparison.label}" if comparison.hole else comparison.label,
            100,
        ),
        long_day(comparison.date) if comparison.date else "",
        tidy(comparison.source, 160),
        f"{noise}; {comparison.caveat}" if comparison.caveat else noise,
    )


def _parent_delta(standing: Standing, wording: Wording) -> DeltaCard | None:
    """The hole this one was made from, unless the previous hole is that already."""
    parent, previous = standing.comparisons["parent"], standing.comparisons["previous"]
    if not standing.played.intent.parent or (parent.hole is not None and parent.hole is previous.hole):
        return None
    return delta_card(wording.say("label", "parent"), parent, wording)


def _headroom(headroom: int | None, wording: Wording) -> str:
    if headroom is None:
        return figures.MISSING
    if headroom > 0:
        return figures.megabytes(headroom)
    return wording.fill("note", "over", size=figures.megabytes(-headroom))


def _headroom_note(headroom: int | None, cap: int | None, wording: Wording) -> str:
    if headroom is None or cap is None:
        return ""
    key, size = ("bytes_left", headroom) if headroom > 0 else ("bytes_over", -headroom)
    cap_text = figures.megabytes(cap).replace(".00", "")
    return wording.fill("note", key, bytes=figures.count(size), cap=cap_text)


def _cap_check(record: RunRecord | None, cap: int | None, wording: Wording) -> str:
    if record is None or record.artifact_bytes is None or cap is None:
        return wording.say("note", "cap_unchecked")
    key = "cap_passed" if record.artifact_bytes < cap else "cap_failed"
    return wording.fill("note", key, cap=f"{cap / 1e6:g}MB")


# The scorecard ------------------------------------------------------------------------------------------


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


def _metrics(standing: Standing, record: RunRecord | None, wording: Wording) -> tuple[Metric, ...]:
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
        "loss": (f"{played.val_loss:.4f}" if played.val_loss is not None else figures.MISSING, note("nats")),
        "params": (figures.count(record.params if record else None), ""),
        "artifact": (
            figures.megabytes(record.artifact_bytes if record else None),
            note("bytes", bytes=figures.count(record.artifact_bytes))
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
            f"metric-{key}",
            terms[key]["name"],
            value,
            note if value != figures.MISSING else "",
            key,
            terms[key]["text"],
            here.fill(terms[key]["here"]) or "",
        )
        for key, (value, note) in shown.items()
    )


def _bag(record: RunRecord | None, cap: int | None, wording: Wording) -> Bag | None:
    if record is None or record.artifact_bytes is None or cap is None:
        return None
    artifact, limit = figures.megabytes(record.artifact_bytes), figures.megabytes(cap).replace(".00", "")
    facts = Facts("", frozenset(), {"artifact": artifact, "cap": limit})
    room = cap - record.artifact_bytes
    share = wording.fill("note", "of_the_cap", share=f"{record.artifact_bytes / cap:.1%}")
    spoken = facts.fill(wording.say("charts", "bar_title")) or artifact
    svg = artifact_bar(
        record.artifact_bytes,
        record.code_bytes,
        cap,
        (spoken, f"{share}. {_headroom_note(room, cap, wording)}."),
    )
    return Bag(svg, artifact, share, limit, _headroom_note(room, cap, wording), room <= 0)


def _field_line(standing: Standing, wording: Wording, title: str) -> Markup:
    """SOTA, par, our best and this hole on one scale; those that coincide share a label."""
    played, compared = standing.played, standing.comparisons
    if played.sample is None:
        return Markup("")
    places: dict[str, tuple[float, list[str], MarkRole]] = {}

    def put(value: float | None, label: str, role: MarkRole) -> None:
        if value is None:
            return
        key = figures.bpb(value)
        kept = places.setdefault(key, (value, [], role))
        kept[1].append(wording.say("label", label))

    put(played.sample.mean, "this_hole", "ball")
    put(compared["sota"].val_bpb, "sota", "pin")
    put(compared["par"].val_bpb, "par", "par")
    put(compared["best"].val_bpb, "our_best", "best")
    marks = [
        Mark(value, f"{' · '.join(labels)} {key}", role) for key, (value, labels, role) in places.items()
    ]
    points = ", ".join(mark.text for mark in sorted(marks, key=lambda mark: mark.value))
    facts = Facts("", frozenset(), {"title": title, "points": points})
    name = (
        facts.fill(wording.say("charts", "line_title")) or "",
        facts.fill(wording.say("charts", "line_desc")) or "",
    )
    return number_line(marks, wording.say("charts", "better"), name)


def _command(played: PlayedHole, overrides: dict[str, str]) -> str:
    """The line that plays the hole again."""
    parts = [f"harness run {played.name.folder}"]
    if played.record and played.record.preset:
        parts.append(f"--preset {played.record.preset}")
    elif played.intent.script:
        parts.append(f"--script {shlex.quote(played.intent.script)}")
    parts += [f"-o {shlex.quote(f'{name}={value}')}" for name, value in sorted(overrides.items())]
    return tidy(" ".join(parts), 2000)


def _decision(played: PlayedHole, wording: Wording) -> tuple[str, str] | None:
    """What was decided on the hole: the word, and the reason with who and when."""
    taken = played.decision
    if taken is None:
        return None
    said = f"{taken.reason} ({taken.who}, {long_day(taken.when.date())})"
    return wording.say("decision", taken.decision), tidy(said, 700)


def _failure(record: RunRecord | None) -> tuple[str, str, str] | None:
    """Kind, message and last lines of what went wrong."""
    if record is None or record.failure is None:
        return None
    failure = record.failure
    lines = "\n".join(tidy(line, 300) for line in failure.last_lines[-12:])
    return failure.kind.replace("_", " "), tidy(failure.message, 400), lines
