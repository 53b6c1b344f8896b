"""How a hole stands: its comparisons with par, the SOTA, our best, the previous hole and its parent."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.courses.course import Course
from harness.records.references import FIELD_PREFIX
from harness.season.evidence import Evidence
from harness.season.hole import PlayedHole
from harness.season.verdict import Verdict
from harness.stats import Difference

if TYPE_CHECKING:
    from harness.field.entries import StoredEntry

ComparisonKind = Literal["par", "sota", "best", "previous", "parent"]
KINDS: tuple[ComparisonKind, ...] = ("par", "sota", "best", "previous", "parent")


class Comparison(NamedTuple):
    """A hole against one reference. difference is None when `reason` says why there is none.

    caveat: what to know about the number. entry: the public run that is the parent.
    """

    kind: ComparisonKind
    label: str = ""
    val_bpb: float | None = None
    date: dt.date | None = None
    source: str = ""
    hole: PlayedHole | None = None
    difference: Difference | None = None
    reason: str = ""
    caveat: str = ""
    entry: StoredEntry | None = None

    @property
    def better(self) -> bool:
        return self.difference is not None and self.difference.outcome == "better"

    @property
    def reference(self) -> str:
        """What to call the other side: a hole's folder, `field:SLUG`, or the name of a published score."""
        if self.hole is not None:
            return self.hole.name.folder
        return f"{FIELD_PREFIX}{self.entry.slug}" if self.entry is not None else self.label


@dataclass(frozen=True)
class Standing:
    """Everything that is computed about a hole's place in its field. evidence: of its whole season.

    record_obstacles: of a hole that beats the SOTA, what keeps it from being a record.
    """

    played: PlayedHole
    course: Course | None
    verdict: Verdict
    comparisons: dict[ComparisonKind, Comparison]
    evidence: Evidence
    sets_par: bool = False
    record_obstacles: tuple[str, ...] = ()

    @property
    def story(self) -> Comparison:
        """The comparison that a hole is told by: its parent where they can be compared, else par."""
        parent = self.comparisons["parent"]
        return parent if parent.difference is not None else self.comparisons["par"]

    @property
    def result(self) -> str:
        """The golf name; where there is no score, the status and the golf name in brackets."""
        status, name = self.played.status, self.verdict.name
        return name if status in ("ok", "over_cap") else f"{status} ({name})"

    @property
    def course_record(self) -> bool:
        """Whether a hole beats the SOTA of its day within the rules, as far as its records tell."""
        better = self.comparisons["sota"].better
        return better and self.played.status == "ok" and not self.record_obstacles

    @property
    def foreign_text(self) -> str:
        """Why its score is not of the course's validation text; empty where nothing speaks against it."""
        return self.played.foreign_text(self.course)

    @property
    def headroom_bytes(self) -> int | None:
        summary = self.played.summary
        if summary.artifact_bytes is None:
            return None
        cap = summary.cap_bytes or (self.course.caps.artifact_bytes if self.course else None)
        return None if cap is None else cap - summary.artifact_bytes
