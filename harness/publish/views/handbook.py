"""The page that explains the words and the verdicts."""

from __future__ import annotations

from dataclasses import dataclass

from harness import figures
from harness.courses.course import Course
from harness.publish.views.card import HoleCard
from harness.publish.views.index import course_names_in_order
from harness.publish.views.tables import term_values
from harness.publish.words.commentary import FACTS, Facts
from harness.publish.words.wording import Wording
from harness.season.season import Season, Standing


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
class Handbook:
    terms: tuple[Term, ...]
    verdicts: tuple[VerdictTable, ...]
    results: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    noise: tuple[tuple[str, str, str], ...]  # course, figure, source
    splits: tuple[tuple[str, str, str], ...]  # course, split, bytes
    example: HoleCard | None


def build_handbook(
    season: Season, wording: Wording, standings: dict[str, Standing], example: HoleCard | None
) -> Handbook:
    """Everything a card takes for granted, from the same sources as the cards themselves.

    standings: one scored hole's standing a course, for the course's own numbers.
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
        example=example,
    )


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
