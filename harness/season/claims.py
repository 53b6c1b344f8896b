"""Which claims of a season survive that there are many of them. Pure.

A claim is a story (a hole against its parent, else par) that is told as better or worse. Of many comparisons
some look like one by luck alone, so those of a course are counted and corrected for together (see
`harness.multiplicity.adjust`): among the claims that survive at most 5 % are expected to be luck.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from harness.figures import number
from harness.multiplicity import survival_bound, survival_limit
from harness.stats import LEVEL, Difference

PERCENT = f"{100 * LEVEL:g} %"


@dataclass
class Family:
    """The stories of one course. p_values: of those that luck is in. exact: claims without any."""

    p_values: list[float] = field(default_factory=list)
    exact: int = 0

    @property
    def comparisons(self) -> int:
        return len(self.p_values)

    @property
    def claims(self) -> int:
        return sum(p < LEVEL for p in self.p_values)

    @property
    def survivors(self) -> int:
        return sum(p <= self.limit for p in self.p_values)

    @cached_property
    def limit(self) -> float:
        """The p-value up to which a story's claim survives."""
        return survival_limit(self.p_values)

    def survives_beside(self, p: float) -> bool:
        """Whether one more comparison with this p-value would survive beside the stories."""
        ranked, limit = self._beside
        return p <= limit or p <= survival_bound(bisect_right(ranked, p) + 1, len(ranked) + 1)

    @cached_property
    def _beside(self) -> tuple[list[float], float]:
        return sorted(self.p_values), survival_limit(self.p_values, more=1)


class Claims:
    """stories: of a season, by folder, with the course they were played on."""

    def __init__(self, stories: Iterable[tuple[str, str | None, Difference | None]]) -> None:
        self._stories: dict[str, tuple[Difference, Family]] = {}
        self._families: dict[str | None, Family] = {}
        for folder, course, difference in stories:
            if difference is None:
                continue
            family = self._families.setdefault(course, Family())
            self._stories[folder] = difference, family
            if difference.exact:
                family.exact += is_claim(difference)
            elif difference.p_value is not None:
                family.p_values.append(difference.p_value)

    def of_course(self, course: str | None) -> Family:
        return self._families.get(course, Family())

    def survives(self, folder: str) -> bool | None:
        """Whether a hole's story is a claim that survives; None where it is no claim."""
        difference, family = self._stories.get(folder, (None, Family()))
        if difference is None or not is_claim(difference):
            return None
        return difference.exact or (difference.p_value or 0.0) <= family.limit

    def survives_beside(self, difference: Difference | None, course: str | None) -> bool | None:
        """Whether a difference that is no story would survive as one more; None where it is no claim."""
        if difference is None or not is_claim(difference):
            return None
        return difference.exact or self.of_course(course).survives_beside(difference.p_value or 0.0)


def is_claim(difference: Difference) -> bool:
    return difference.outcome in ("better", "worse")


def describe(family: Family) -> str:
    """Say how many comparisons and claims a course counts, and how many survive."""
    counted = number(family.comparisons, "comparison")
    if not family.claims:
        text = f"the season counts {counted} and no claim"
    else:
        text = (
            f"the season counts {counted}; {number(family.claims, 'claim')}, {family.survivors} "
            f"{'survives' if family.survivors == 1 else 'survive'} the correction for their number "
            f"(Benjamini-Hochberg-Yekutieli, {PERCENT})"
        )
    return (
        f"{text}; {family.exact} more {'differs' if family.exact == 1 else 'differ'} exactly"
        if family.exact
        else text
    )
