"""The view model of a hole's page: every string ready to be placed, every number formatted. Writes nothing.

Numbers are worded by `harness.figures`, sentences come from `site/copy` and the hole's notes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from harness import figures
from harness.publish.drawings.charts import Mark, MarkRole, number_line
from harness.publish.views.command import repeat_command
from harness.publish.views.compare import (
    DeltaCard,
    compare_file,
    compare_rows,
    compared_kinds,
    delta_card,
    ruling_of,
)
from harness.publish.views.curve import CurveCache, CurveView, draw_curve
from harness.publish.views.origin import weights_note
from harness.publish.views.prediction import PredictionCard, prediction_card
from harness.publish.views.tables import (
    TITLE_LENGTH,
    Bag,
    FactRow,
    InPlay,
    Metric,
    Table,
    artifact_bag,
    attempt_rows,
    byte_check,
    cap_check,
    fits_cap,
    headroom_note,
    headroom_text,
    model_rows,
    read_play,
    result_rows,
    scorecard,
    seeds_note,
    shown_note,
)
from harness.publish.words.commentary import Choice, Facts, Narrator, ResultLabel, tidy
from harness.publish.words.facts import SeasonFacts, read_facts
from harness.publish.words.wording import (
    BoothLine,
    Voice,
    Wording,
    announcer_voice,
    booth_dialogue,
    caddie_voice,
    excerpt,
    long_day,
    render_notes,
    render_plain,
    split_question,
)
from harness.records.notes import Notes
from harness.records.record import RunRecord
from harness.season.bindings import BoundNotes, bind_notes
from harness.season.hole import PlayedHole
from harness.season.pairs import parent_whiff
from harness.season.prediction import forecast
from harness.season.season import Season
from harness.season.standing import ComparisonKind, Standing


@dataclass(frozen=True)
class Neighbour:
    position: str
    title: str
    href: str


@dataclass(frozen=True, kw_only=True)
class CardHeading:
    """What a card is called, and the way to the cards before and after it."""

    name: str
    file: str
    number: int
    round: int
    hole: int
    position: str
    title: str
    course: str
    day: str
    day_iso: str
    previous: Neighbour | None
    next: Neighbour | None


@dataclass(frozen=True, kw_only=True)
class CardResult:
    """What the hole came to."""

    status: str
    verdict: str
    verdict_why: str
    strokes: int
    record_badge: bool
    score: str
    score_label: str
    score_note: str
    weights_note: str
    result: ResultLabel
    summary: str
    meaning: str
    failure: tuple[str, str, str] | None
    whiff: str
    decision: tuple[str, str] | None
    ruling: str
    in_play: InPlay | None


@dataclass(frozen=True, kw_only=True)
class CardComparisons:
    """The hole against par, the SOTA, our best, the previous hole and the parent."""

    par_delta: DeltaCard
    previous_delta: DeltaCard
    best_delta: DeltaCard
    sota_delta: DeltaCard
    parent_delta: DeltaCard | None
    comparison: Table | None
    comparison_reason: str
    comparison_verdict: str
    field_line: Markup
    compared: tuple[Neighbour, ...]


@dataclass(frozen=True, kw_only=True)
class CardFigures:
    """Figures, tables and drawings, all from the validated records."""

    artifact: str
    headroom: str
    headroom_note: str
    tempo: str
    tempo_note: str
    results: tuple[FactRow, ...]
    results_note: str
    cap_check: str
    cap_ok: bool | None
    metrics: tuple[Metric, ...]
    bag: Bag | None
    curve: CurveView | None
    model: tuple[FactRow, ...]
    overrides: tuple[str, ...]
    overrides_none: str
    command: str
    attempts: Table | None
    warnings: tuple[str, ...]
    has_record: bool
    has_curve: bool


@dataclass(frozen=True, kw_only=True)
class CardStory:
    """The words: the idea, the voices, the shot, the lesson.

    choice: of the sentences that were spoken by rule, for the holes after it in its round.
    """

    strategy: str
    hypothesis: str
    prediction: PredictionCard | None
    caddie: Voice
    announcer: Voice
    booth: tuple[BoothLine, ...]
    booth_voice: Voice
    shot_title: str
    shot_question: str
    shot: Markup
    shot_initial: bool  # begins with a letter, which may be set large
    more: tuple[tuple[str, Markup], ...]
    lesson: Markup
    lesson_text: str
    own_lesson: bool
    choice: Choice


@dataclass(frozen=True, kw_only=True)
class HoleCard(CardHeading, CardResult, CardComparisons, CardFigures, CardStory):
    """All that a hole's page shows; templates read its parts as one flat table of names."""


@dataclass(frozen=True, kw_only=True)
class _CardSources:
    """What the parts of a card are made from. unread: why the notes, or numbers in them, could not be."""

    season: Season
    standing: Standing
    wording: Wording
    curve_cache: CurveCache
    narrator: Narrator
    notes: Notes
    unread: tuple[str, ...]

    @property
    def played(self) -> PlayedHole:
        return self.standing.played

    @property
    def record(self) -> RunRecord | None:
        return self.played.record

    @cached_property
    def title(self) -> str:
        return tidy(self.played.title, TITLE_LENGTH)

    @cached_property
    def overrides(self) -> dict[str, str]:
        return self.record.overrides if self.record else self.played.intent.overrides

    @cached_property
    def cap(self) -> int | None:
        """The artifact's limit in bytes: the record's own, else the course's."""
        course = self.standing.course
        own = self.record.cap_bytes if self.record else None
        return own or (course.caps.artifact_bytes if course else None)


def build_card(
    season: Season,
    standing: Standing,
    wording: Wording,
    curve_cache: CurveCache,
    *,
    live: bool = False,
    used: Collection[str] = (),
) -> HoleCard:
    """Gather a hole's page. The notes' words win; where they are silent the voices speak by rule.

    live: find out whether an attempt without a record is being played right now. used: keys of the sentences
    that the holes before it in its round took (`HoleCard.choice`).
    """
    played = standing.played
    doubtful, opens = season.survives(played) is False, season.neighbours(played)[0] is None
    around = SeasonFacts(whiff=parent_whiff(season, played), opens=opens, doubtful=doubtful)
    narrator = Narrator(wording.script, read_facts(standing, around), used)
    bound = bind_notes(season, played)
    sources = _CardSources(
        season=season,
        standing=standing,
        wording=wording,
        curve_cache=curve_cache,
        narrator=narrator,
        notes=bound.notes,
        unread=_why_unread(bound, wording),
    )
    return HoleCard(
        **vars(_heading(sources)),
        **vars(_result(sources, live)),
        **vars(_comparisons(sources)),
        **vars(_figures(sources)),
        **vars(_story(sources)),
    )


def _why_unread(bound: BoundNotes, wording: Wording) -> tuple[str, ...]:
    """What the notes lack: all of them, or numbers that no record holds. The page must still be built."""
    if bound.unread:
        return (wording.fill("note", "unread_notes", reason=bound.unread),)
    return tuple(problem.message for problem in bound.problems)


# Heading and result ------------------------------------------------------------------------------


def _heading(sources: _CardSources) -> CardHeading:
    played, course = sources.played, sources.standing.course
    before, after = sources.season.neighbours(played)
    return CardHeading(
        name=played.name.folder,
        file=f"{played.name.folder}.html",
        number=played.name.number,
        round=played.name.round,
        hole=played.name.hole,
        position=played.name.position,
        title=sources.title,
        course=course.title if course else tidy(played.course or "", 60),
        day=long_day(played.day),
        day_iso=played.day.isoformat() if played.day else "",
        previous=_neighbour(before),
        next=_neighbour(after),
    )


def _neighbour(played: PlayedHole | None) -> Neighbour | None:
    if played is None:
        return None
    return Neighbour(played.name.position, tidy(played.title, TITLE_LENGTH), f"{played.name.folder}.html")


def _result(sources: _CardSources, live: bool) -> CardResult:
    played, standing, wording, narrator = sources.played, sources.standing, sources.wording, sources.narrator
    sample = played.sample
    return CardResult(
        status=played.status,
        verdict=standing.result,
        verdict_why=standing.verdict.why if sample else "",
        strokes=standing.verdict.strokes if sample and played.status == "ok" else 0,
        record_badge=standing.course_record,
        score=figures.bpb(sample.mean) if sample else wording.say("hole", "no_score"),
        score_label=wording.say("hole", "score_label"),
        score_note=seeds_note(played, wording),
        weights_note=weights_note(played, wording),
        result=narrator.name_result(wording.results),
        summary=narrator.speak("summary"),
        meaning=next(term["text"] for term in wording.terms if term["id"] == "bpb"),
        failure=_failure(sources.record),
        whiff=narrator.speak("whiff"),
        decision=_decision(played, wording),
        ruling=ruling_of(played, wording),
        in_play=read_play(played, wording, live),
    )


def _failure(record: RunRecord | None) -> tuple[str, str, str] | None:
    """Kind, message and last lines of what went wrong."""
    if record is None or record.failure is None:
        return None
    failure = record.failure
    lines = "\n".join(tidy(line, 300) for line in failure.last_lines[-12:])
    return failure.kind.replace("_", " "), tidy(failure.message, 400), lines


def _decision(played: PlayedHole, wording: Wording) -> tuple[str, str] | None:
    """What was decided on the hole: the word, and the reason with who and when."""
    decision = played.decision
    if decision is None:
        return None
    reason = f"{decision.reason} ({decision.who}, {long_day(decision.when.date())})"
    return wording.say("decision", decision.decision), tidy(reason, 700)


# Comparisons --------------------------------------------------------------------------------------


def _comparisons(sources: _CardSources) -> CardComparisons:
    standing, wording = sources.standing, sources.wording
    compared, previous = standing.comparisons, standing.comparisons["previous"]
    story = standing.story
    next_to = story if story.kind == "parent" and story.hole else previous

    def delta(label: str, kind: ComparisonKind) -> DeltaCard:
        return delta_card(wording.say("label", label), compared[kind], wording)

    return CardComparisons(
        par_delta=delta("baseline", "par"),
        previous_delta=delta("last_hole", "previous"),
        best_delta=delta("our_best", "best"),
        sota_delta=delta("sota", "sota"),
        parent_delta=delta("parent", "parent") if _has_other_parent(standing) else None,
        comparison=compare_rows(standing, next_to.kind, wording),
        comparison_reason=previous.reason,
        comparison_verdict=tidy(sources.notes.get("verdict")) or sources.narrator.speak("comparison"),
        field_line=_field_line(standing, wording, sources.title),
        compared=_compare_links(standing),
    )


def _has_other_parent(standing: Standing) -> bool:
    """Whether a hole was made from another one that is not the previous hole already."""
    parent, previous = standing.comparisons["parent"], standing.comparisons["previous"]
    return bool(standing.played.intent.parent) and (parent.hole is None or parent.hole is not previous.hole)


def _compare_links(standing: Standing) -> tuple[Neighbour, ...]:
    name = standing.played.name.folder
    return tuple(
        Neighbour(kind, tidy(hole.title, TITLE_LENGTH), f"../compare/{compare_file(name, kind)}")
        for kind in compared_kinds(standing)
        if (hole := standing.comparisons[kind].hole)
    )


def _field_line(standing: Standing, wording: Wording, title: str) -> Markup:
    """SOTA, par, our best and this hole on one scale; those that coincide share a label."""
    played, compared = standing.played, standing.comparisons
    if played.sample is None:
        return Markup("")
    scores: list[tuple[float | None, str, MarkRole]] = [
        (played.sample.mean, "this_hole", "ball"),
        (compared["sota"].val_bpb, "sota", "pin"),
        (compared["par"].val_bpb, "par", "par"),
        (compared["best"].val_bpb, "our_best", "best"),
    ]
    places: dict[str, tuple[float, list[str], MarkRole]] = {}
    for value, label, role in scores:
        if value is not None:
            _, labels, _ = places.setdefault(figures.bpb(value), (value, [], role))
            labels.append(wording.say("label", label))
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


# Figures --------------------------------------------------------------------------------


def _figures(sources: _CardSources) -> CardFigures:
    played, standing, wording = sources.played, sources.standing, sources.wording
    record, cap, headroom = sources.record, sources.cap, sources.standing.headroom_bytes
    drawing = draw_curve(sources.season, standing, wording, sources.curve_cache, sources.title)
    problems = [*(record.warnings if record else ()), *played.problems, *sources.unread]
    problems += sources.curve_cache.get(played).problems
    steps = record.steps if record else None
    return CardFigures(
        artifact=figures.megabytes(record.artifact_bytes if record else None),
        headroom=headroom_text(headroom, wording),
        headroom_note=headroom_note(headroom, cap, wording),
        tempo=figures.tempo(record.step_ms if record else None),
        tempo_note=figures.number(steps, "step") if steps is not None else "",
        results=result_rows(played, record, cap, wording),
        results_note=shown_note(played, wording),
        cap_check=cap_check(record, cap, wording),
        cap_ok=fits_cap(record, cap),
        metrics=scorecard(standing, record, wording),
        bag=artifact_bag(record, cap, wording),
        curve=drawing,
        model=model_rows(standing, wording) + byte_check(standing, wording),
        overrides=tuple(tidy(f"{name}={value}", 200) for name, value in sorted(sources.overrides.items())),
        overrides_none=_without_overrides(sources),
        command=repeat_command(played, sources.overrides),
        attempts=attempt_rows(played, wording),
        warnings=tuple(tidy(text, 300) for text in problems),
        has_record=record is not None,
        has_curve=drawing is not None and drawing.has_points,
    )


def _without_overrides(sources: _CardSources) -> str:
    """What is said where no override is listed. A preset sets knobs of its own, so it is named."""
    record, intent, wording = sources.record, sources.played.intent, sources.wording
    preset = record.preset if record else intent.preset
    script = record.code.trainer if record and record.code.trainer != "builtin" else intent.script
    if preset:
        return wording.fill("hole", "overrides_none_preset", preset=tidy(preset, 60))
    if script:
        return wording.fill("hole", "overrides_none_script", script=tidy(script, 120))
    return wording.say("hole", "overrides_none")


# The story ----------------------------------------------------------------------------------------


def _story(sources: _CardSources) -> CardStory:
    played, wording, notes, narrator = sources.played, sources.wording, sources.notes, sources.narrator
    caddie, announcer = caddie_voice(notes, wording, narrator), announcer_voice(notes, wording, narrator)
    booth, booth_voice = booth_dialogue(notes, wording, narrator)
    question, essay = split_question(notes.get("shot"))
    shot = narrator.speak("shot") if not essay.strip() else ""
    lesson = render_notes(notes.get("lesson")) or render_plain(narrator.speak("lesson"))
    strategy = played.intent.strategy or "none"
    said = "" if played.intent.prediction else narrator.speak("read")  # that nothing was predicted
    return CardStory(
        strategy=wording.say("strategy", strategy),
        hypothesis=tidy(played.intent.hypothesis or notes.get("read"), 600) or said,
        prediction=prediction_card(forecast(sources.season, sources.standing), wording),
        caddie=caddie,
        announcer=announcer,
        booth=booth,
        booth_voice=booth_voice,
        shot_title=tidy(notes.shot_title, TITLE_LENGTH),
        shot_question=tidy(question) or narrator.speak("question"),
        shot=render_notes(essay) or (Markup("<p>%s</p>") % shot if shot else Markup("")),
        shot_initial=essay.lstrip()[:1].isalpha(),
        more=tuple((tidy(head, TITLE_LENGTH), render_notes(body)) for head, body in notes.other if body),
        lesson=lesson,
        lesson_text=excerpt(lesson, 300),
        own_lesson=bool(notes.get("lesson")),
        choice=narrator.choice,
    )
