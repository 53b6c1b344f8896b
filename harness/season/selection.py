"""Our best, told as what it is: the lowest of so many, until fresh seeds confirm it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from harness import figures
from harness.season.confirmation import Confirmation, confirm
from harness.season.hole import PlayedHole
from harness.season.schema import BestData
from harness.season.score_kind import alike
from harness.season.season import Season


@dataclass(frozen=True)
class Selection:
    """The lowest of several holes. lead: of the seeds it was chosen with, below the middle one of all."""

    confirmation: Confirmation
    lead: float

    @property
    def folder(self) -> str:
        return self.confirmation.claim.folder

    @property
    def count(self) -> int:
        return self.confirmation.claim.candidates

    @property
    def confirmed(self) -> bool:
        return self.confirmation.outcome == "confirmed"

    @property
    def sigmas(self) -> float:
        """How far the lowest of so many equal holes looks too low, in standard errors."""
        return -self.confirmation.claim.bias

    @property
    def shrinkage(self) -> float | None:
        """The same in bits per byte; None where nobody measured the noise."""
        return self.confirmation.claim.shrinkage


def selection_of(season: Season, played: PlayedHole) -> Selection | None:
    """Return what choosing a hole for its score means; None where it is not the lowest of several."""
    counts = played.counts and not played.foreign_text(season.course(played.course))
    confirmation = confirm(season, played) if counts else None
    if confirmation is None or not confirmation.claim.lowest or confirmation.claim.candidates < 2:
        return None
    middle = statistics.median(
        confirmation.claim.chosen.mean if hole.name == played.name else hole.sample.mean
        for hole in season.holes
        if hole.sample is not None and hole.is_candidate and alike(hole.kind, played.kind)
    )
    return Selection(confirmation, middle - confirmation.claim.chosen.mean)


def describe_selection(selection: Selection) -> str:
    """Say of how many it is the lowest, how much of its lead that explains, and what would confirm it."""
    if selection.confirmed:
        fresh = selection.confirmation.fresh
        seeds = figures.number(fresh.n, "fresh seed") if fresh else ""
        return f"our best: confirmed by {seeds}, after it was chosen as the lowest of {selection.count}"
    outcome, told_by_luck = selection.confirmation.outcome, selection.shrinkage
    text = f"lowest of {selection.count}, " + (
        "not confirmed" if outcome == "no fresh seeds" else f"by fresh seeds {outcome}"
    )
    if told_by_luck is not None:
        part = "all" if told_by_luck >= selection.lead else f"{told_by_luck:.4f}"
        text += (
            f": selection alone explains {part} of its lead of {selection.lead:.4f} over the middle hole "
            f"({selection.sigmas:.1f} sigma = {told_by_luck:.4f})"
        )
    return f"{text}; `harness confirm {selection.folder}` plays fresh seeds"


def selection_data(selection: Selection) -> BestData:
    return BestData(
        lowest_of=selection.count,
        expected_bias_sigma=selection.sigmas,
        expected_shrinkage=selection.shrinkage,
        lead=selection.lead,
        confirmation=selection.confirmation.outcome,
        told_as=describe_selection(selection),
    )
