"""The page that explains the words and the verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness import figures
from harness.courses.course import Course
from harness.publish.views.index import course_names_in_order
from harness.publish.views.tables import TITLE_LENGTH, term_values
from harness.publish.words.commentary import Facts, tidy
from harness.publish.words.facts import FACTS
from harness.publish.words.wording import Wording
from harness.records.record import RunRecord
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.season.standing import Standing


@dataclass(frozen=True)
class Term:
    id: str
    name: str
    text: str
    here: tuple[tuple[str, str], ...]  # course title, its own numbers


@dataclass(frozen=True)
class VerdictTable:
    course: str
    rows: tuple[tuple[str, str], ...]  # name, distance


@dataclass(frozen=True, kw_only=True)
class WorkedSum:
    """val_loss ÷ ln2 × tokens_a_byte = val_bpb of one attempt: whoever works the sum gets the last one."""

    title: str
    href: str
    attempt: str  # empty where the hole has only one
    val_loss: str
    ln2: str
    tokens_a_byte: str
    val_bpb: str


@dataclass(frozen=True, kw_only=True)
class Handbook:
    terms: tuple[Term, ...]
    verdicts: tuple[VerdictTable, ...]
    results: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    noise: tuple[tuple[str, str, str], ...]  # course, figure, source
    splits: tuple[tuple[str, str, str], ...]  # course, split, bytes
    example: WorkedSum | None


def build_handbook(
    season: Season, wording: Wording, standings: dict[str, Standing], example: PlayedHole | None
) -> Handbook:
    """Everything a card takes for granted, from the same sources as the cards themselves.

    standings: one scored hole's standing a course, for the course's own numbers. example: a hole whose
    record has a loss and a score, to work the sum for.
    """
    courses = [course for name in course_names_in_order(season) if (course := season.course(name))]
    terms = []
    for term in wording.terms:
        here = []
        for name, standing in standings.items():
            filled = Facts("", frozenset(), term_values(standing)).fill(term["here"])
            course = season.course(name)
            if filled and course:
                here.append((course.title, filled))
        terms.append(Term(term["id"], term["long_name"], term["text"], tuple(here)))
    noise = tuple(
        (course.title, f"{noise.std_bpb:g} bpb", f"{noise.source}, {noise.date.isoformat()}")
        for course in courses
        if (noise := course.noise)
    )
    splits = tuple(
        (course.title, split.name, figures.count(split.val_bytes))
        for course in courses
        for split in course.splits
    )
    return Handbook(
        terms=tuple(terms),
        verdicts=tuple(_verdict_table(course, wording) for course in courses),
        results=tuple((row["label"], row["rule"]) for row in wording.results),
        facts=tuple(FACTS.items()),
        noise=noise,
        splits=splits,
        example=_work_sum(example, wording) if example else None,
    )


def _work_sum(played: PlayedHole, wording: Wording) -> WorkedSum | None:
    """The sum for the record shown; a mean over seeds is not one sum."""
    record = played.record
    if record is None or not record.val_loss or not record.val_bpb:
        return None
    printed = print_sum(record.val_loss, record.val_bpb)
    if printed is None:
        return None
    val_loss, ln2, tokens_a_byte, val_bpb = printed
    return WorkedSum(
        title=tidy(played.title, TITLE_LENGTH),
        href=f"holes/{played.name.folder}.html",
        attempt=_attempt_name(played, record, wording),
        val_loss=val_loss,
        ln2=ln2,
        tokens_a_byte=tokens_a_byte,
        val_bpb=val_bpb,
    )


def _attempt_name(played: PlayedHole, record: RunRecord, wording: Wording) -> str:
    if len(played.entries) < 2:
        return ""
    seed = figures.MISSING if record.seed is None else str(record.seed)
    return wording.fill("handbook", "on_attempt", attempt=str(record.attempt), seed=seed)


def print_sum(val_loss: float, val_bpb: float) -> tuple[str, str, str, str] | None:
    """Return val_loss, ln 2, the tokens in a byte and val_bpb with the fewest digits that give the result.

    val_bpb has the four places of a card. Where it lies so near the edge between two of them that no digits
    of the others decide it, it has more. None where twelve digits do not do, as for a loss of 1e-15.
    """
    ratio = val_bpb * math.log(2) / val_loss
    for places in range(4, 13):
        for digits in range(4, 13):
            printed = f"{val_loss:.{digits}f}", f"{math.log(2):.{digits + 2}f}", f"{ratio:.{digits + 1}f}"
            loss, ln2, tokens = map(float, printed)
            result = f"{val_bpb:.{places}f}"
            if tokens and f"{loss / ln2 * tokens:.{places}f}" == result:
                return *printed, result
    return None


def _verdict_table(course: Course, wording: Wording) -> VerdictTable:
    """Every name of the course's table with the distances it is given at, best first."""
    table = course.verdicts

    def at(key: str, low: float, high: float = 0.0) -> str:
        return wording.fill("distance", key, low=f"{low:g}", high=f"{high:g}")

    below = [table.par_within, *(edge for edge, _ in table.under)]
    above = [table.par_within, *(edge for edge, _ in table.over)]
    rows = [(table.beyond_under, at("beyond_under", below[-1]))]
    rows += [
        (name, at("under", low, edge))
        for low, (edge, name) in reversed([*zip(below, table.under, strict=False)])
    ]
    rows.append((wording.say("label", "par"), at("within", table.par_within)))
    rows += [(name, at("over", low, edge)) for low, (edge, name) in zip(above, table.over, strict=False)]
    rows.append((table.beyond_over, at("beyond_over", above[-1])))
    return VerdictTable(course.title, tuple(rows))
