"""What the index adds where much is compared: which claims stand when all are counted, how far luck goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness import figures
from harness.publish.views.tables import TITLE_LENGTH
from harness.publish.words.commentary import tidy
from harness.publish.words.wording import Wording
from harness.season.confirmation import confirm
from harness.season.season import Season
from harness.season.standing import Standing

_CONFIRMATIONS = {
    "confirmed": "confirmed",
    "not confirmed": "not_confirmed",
    "cannot tell": "confirmation_open",
    "no fresh seeds": "unconfirmed",
}


@dataclass(frozen=True)
class Doubtful:
    """A hole whose gain or loss may be one of the lucky ones among so many."""

    title: str
    href: str


@dataclass(frozen=True)
class Claims:
    """text: how many gains and losses are told, stand and are exact. doubtful: those that do not stand."""

    text: str
    doubtful: tuple[Doubtful, ...]


def count_claims(season: Season, standings: Sequence[Standing], wording: Wording) -> Claims | None:
    """Count the gains and losses that holes are told by, as `brief` does; None where there are none."""
    courses = dict.fromkeys(one.played.course for one in standings)
    families = [season.claims.of_course(course) for course in courses]
    claims, exact = sum(one.claims for one in families), sum(one.exact for one in families)
    parts = []
    if claims:
        counts = {
            "comparisons": figures.number(sum(one.comparisons for one in families), "comparison"),
            "claims": figures.count(claims),
            "standing": figures.count(sum(one.survivors for one in families)),
        }
        parts.append(wording.fill("index", "claims", **counts))
    if exact:
        parts.append(wording.fill("index", "exact", exact=figures.count(exact)))
    if not parts:
        return None
    doubtful = tuple(
        Doubtful(tidy(one.played.title, TITLE_LENGTH), f"holes/{one.played.name.folder}.html")
        for one in standings
        if season.survives(one.played) is False
    )
    return Claims(" ".join(parts), doubtful)


@dataclass(frozen=True)
class Lowest:
    """of: how many holes it was picked from. note: whether fresh seeds confirmed it, and what luck can do."""

    of: int
    note: str


def judge_lowest(season: Season, name: str, wording: Wording) -> Lowest | None:
    """Judge the lowest hole of a course; None where it was not picked from several."""
    played = next((hole for hole in season.holes if hole.name.folder == name), None)
    confirmation = confirm(season, played) if played else None
    if confirmation is None or confirmation.claim.candidates < 2:
        return None
    claim = confirmation.claim
    text = wording.say("index", _CONFIRMATIONS[confirmation.outcome])
    if claim.shrinkage is None or confirmation.outcome == "confirmed":
        return Lowest(claim.candidates, text)
    luck = wording.fill(
        "index", "selection", candidates=str(claim.candidates), shrinkage=figures.bpb(claim.shrinkage)
    )
    return Lowest(claim.candidates, f"{text}; {luck}")
