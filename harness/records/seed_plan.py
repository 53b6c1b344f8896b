"""What an attempt knows of the series it was played in: the planned seeds, and what they are for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from harness.records.frozen import Frozen, Int

MAX_SEEDS = 10_000
Purpose = Literal["confirm"]  # a fresh seed, played after the hole had been chosen for its score


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        repeated = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise ValueError(f"seed {repeated} is planned twice")
    return seeds


# All seeds of the command that started the attempt, its own among them; empty when nobody planned any.
PlannedSeeds = Annotated[tuple[Int, ...], Field(max_length=MAX_SEEDS), AfterValidator(_distinct)]


class SeedNotPlayed(Frozen):
    """A seed that a command was asked for and did not play."""

    seed: Int
    reason: Annotated[str, Field(max_length=500)]

    @property
    def text(self) -> str:
        return f"seed {self.seed} was not played: {self.reason}"


SeedsNotPlayed = Annotated[tuple[SeedNotPlayed, ...], Field(max_length=MAX_SEEDS)]
