"""Whether fresh seeds confirm a score that was chosen for being low.

The lowest of many scores is low by luck, too. Seeds that were played after the choice (`purpose` is `confirm`
in their records) had no part in it: their mean alone says what the hole is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness import figures
from harness.multiplicity import against_lowest, selection_bias
from harness.records.record import RunRecord
from harness.records.seeds import sample_of
from harness.season.differences import difference_data
from harness.season.hole import PlayedHole
from harness.season.schema import Reference
from harness.season.score_kind import alike
from harness.season.season import Season
from harness.stats import Difference, Sample

Outcome = Literal["confirmed", "not confirmed", "cannot tell", "no fresh seeds"]


@dataclass(frozen=True)
class Claim:
    """What a hole claims, by the seeds that it was chosen with.

    candidates: how many holes count on this course, split and stage, this one among them. lowest: whether it
    is the lowest of them. std: of one seed, None where nobody measured it. reference: what it must be better
    than: the lowest of the others, else par; None where there is neither.
    """

    folder: str
    chosen: Sample
    candidates: int
    lowest: bool
    std: float | None
    reference: Sample | None
    reference_name: str

    @property
    def bias(self) -> float:
        """Expected distance of the lowest of so many equal candidates from the truth, in standard errors."""
        return selection_bias(self.candidates) if self.lowest else 0.0

    @property
    def shrinkage(self) -> float | None:
        """By how much the score looks too low if all candidates are equal, in bits per byte."""
        if self.std is None:
            return None
        return -self.bias * self.std / math.sqrt(self.chosen.n) if self.bias else 0.0


@dataclass(frozen=True)
class Confirmation:
    """A claim and what its fresh seeds say, by the season's test. fresh: None before any has finished."""

    claim: Claim
    fresh: Sample | None
    to_claim: Difference | None
    to_reference: Difference | None

    @property
    def outcome(self) -> Outcome:
        """confirmed: the fresh seeds are better than the reference. not confirmed: they are worse than it, or
        worse than the claim; what is neither cannot be told."""
        if self.fresh is None:
            return "no fresh seeds"
        if self.to_reference is not None and self.to_reference.outcome == "better":
            return "confirmed"
        outcomes = [one.outcome for one in (self.to_reference, self.to_claim) if one is not None]
        return "not confirmed" if "worse" in outcomes else "cannot tell"


def is_fresh(record: RunRecord) -> bool:
    """Whether an attempt was played to confirm a choice that had been made before it."""
    return record.purpose == "confirm"


def state_claim(season: Season, played: PlayedHole) -> Claim | None:
    """Return what a hole claims; None where no seed but fresh ones is complete, its course is unknown, or the
    hole was decided to be invalid."""
    chosen = sample_of([record for record in played.group if not is_fresh(record)])
    course = season.course(played.course)
    if chosen is None or course is None or played.invalid:
        return None
    others = [
        hole
        for hole in season.holes
        if hole.name != played.name and hole.is_candidate and alike(hole.kind, played.kind)
        if hole.counts or _mean(hole) >= chosen.mean  # a dropped one is no rival, but was in the choice
    ]
    runner_up = min((hole for hole in others if hole.counts), key=_mean, default=None)
    reference, name = _reference(season, played, runner_up)
    chosen = _with_floor(season, played, chosen)
    std = season.evidence.against(chosen, chosen, course, played.split).std
    lowest = runner_up is None or chosen.mean <= _mean(runner_up)
    return Claim(played.name.folder, chosen, len(others) + 1, lowest, std, reference, name)


def confirm(season: Season, played: PlayedHole) -> Confirmation | None:
    """Hold a hole's fresh seeds against its claim; None where it claims nothing."""
    claim, course = state_claim(season, played), season.course(played.course)
    if claim is None or course is None:
        return None
    fresh = sample_of([record for record in played.group if is_fresh(record)])
    if fresh is None:
        return Confirmation(claim, None, None, None)
    fresh = _with_floor(season, played, fresh)
    to_claim = season.evidence.against(fresh, claim.chosen, course, played.split)
    if claim.lowest:
        to_claim = against_lowest(to_claim, claim.candidates)
    to_reference = None
    if claim.reference is not None:
        to_reference = season.evidence.against(fresh, claim.reference, course, played.split)
        to_reference = against_lowest(to_reference, claim.candidates - 1)  # of one or none, it is no choice
    return Confirmation(claim, fresh, to_claim, to_reference)


def _mean(hole: PlayedHole) -> float:
    assert hole.sample is not None
    return hole.sample.mean


def _reference(season: Season, played: PlayedHole, runner_up: PlayedHole | None) -> tuple[Sample | None, str]:
    if runner_up is not None:
        return season.evidence.sample(runner_up), runner_up.name.folder
    par = season.par(played, played.kind).val_bpb
    return (None, "") if par is None else (Sample((par,)), "par")


def _with_floor(season: Season, played: PlayedHole, sample: Sample) -> Sample:
    """A single score gets the floor that was measured for its configuration."""
    return replace(sample, floor=season.evidence.floor(played)) if sample.n == 1 else sample


# Words ----------------------------------------------------------------------------------------------


def describe_claim(claim: Claim) -> list[str]:
    """Say before the fresh seeds are played what to expect of them."""
    score = f"{figures.bpb(claim.chosen.mean)} over {figures.number(claim.chosen.n, 'seed')}"
    if not claim.lowest:
        return [f"{claim.folder} claims {score}; it is not the lowest of {claim.candidates}"]
    if claim.candidates < 2:
        return [f"{claim.folder} claims {score}; it is the only candidate, so nothing was chosen"]
    lines = [f"{claim.folder} claims {score}: the lowest of {claim.candidates}"]
    expected = f"the lowest of {claim.candidates} equal candidates looks {-claim.bias:.1f} sigma too low"
    if claim.shrinkage is None:
        return [*lines, f"{expected}; sigma is not known on this course"]
    fallback = claim.chosen.mean + claim.shrinkage
    return [
        *lines,
        f"{expected}, here {claim.shrinkage:.4f} bpb: fresh seeds then come to {figures.bpb(fallback)}",
    ]


def describe(confirmation: Confirmation) -> list[str]:
    """Say what the fresh seeds show."""
    claim, fresh = confirmation.claim, confirmation.fresh
    if fresh is None:
        return ["no fresh seed has finished"]
    seeds = ", ".join(map(str, fresh.seeds))
    lines = [f"fresh seeds alone   {figures.bpb(fresh.mean)} (n {fresh.n}: {seeds})"]
    rows = [("against the claim", claim.chosen.mean, confirmation.to_claim)]
    if claim.reference is not None:
        rows.append((f"against {claim.reference_name}", claim.reference.mean, confirmation.to_reference))
    for name, score, difference in rows:
        assert difference is not None
        luck = (
            ""
            if difference.threshold is None
            else f"; the noise threshold (95 %) is {difference.threshold:.4f}"
        )
        lines.append(
            f"{name:19} {figures.delta(difference.delta)} to {figures.bpb(score)}: {difference.outcome} "
            f"({difference.basis}{luck})"
        )
    return [*lines, _conclusion(confirmation)]


def _conclusion(confirmation: Confirmation) -> str:
    """The outcome with its reason, and what to quote or to play next."""
    claim, outcome = confirmation.claim, confirmation.outcome
    too_low = confirmation.to_claim is not None and confirmation.to_claim.outcome == "worse"
    reasons = []
    if outcome == "confirmed":
        reasons.append(f"better than {claim.reference_name} with fresh seeds alone")
    elif confirmation.to_reference is not None and confirmation.to_reference.outcome == "worse":
        reasons.append(f"worse than {claim.reference_name} with fresh seeds alone")
    if too_low:
        reasons.append("the claimed score was too low: fresh seeds are worse than it")
    if outcome == "cannot tell" and claim.reference is not None and confirmation.to_reference is not None:
        lead = claim.reference.mean - claim.chosen.mean
        more = confirmation.to_reference.more_seeds(lead)
        if more:
            reasons.append(f"{figures.number(more, 'more seed')} a side would show a lead of {lead:.4f}")
    return ": ".join([outcome, *filter(None, ["; ".join(reasons)])])


def as_data(confirmation: Confirmation) -> dict[str, Any]:
    """Return what `--json` says of a claim and its fresh seeds."""
    claim, fresh = confirmation.claim, confirmation.fresh
    return {
        "outcome": confirmation.outcome,
        "claim": {
            "val_bpb": claim.chosen.mean,
            "seeds": list(claim.chosen.seeds),
            "candidates": claim.candidates,
            "lowest": claim.lowest,
            "expected_bias_sigma": claim.bias,
            "expected_shrinkage_bpb": claim.shrinkage,
        },
        "fresh": {"val_bpb": fresh.mean, "std": fresh.std, "seeds": list(fresh.seeds)} if fresh else None,
        "to_claim": _difference_data(claim.folder, claim.chosen, confirmation.to_claim),
        "to_reference": _difference_data(claim.reference_name, claim.reference, confirmation.to_reference),
    }


def _difference_data(name: str, other: Sample | None, difference: Difference | None) -> dict[str, Any] | None:
    """name: of a hole, or par."""
    if difference is None or other is None:
        return None
    reference = Reference(
        kind="par" if name == "par" else "hole",
        label=name,
        hole=None if name == "par" else name,
        val_bpb=other.mean,
    )
    return difference_data(difference, reference).model_dump(mode="json")
