"""What a score is a score of: course, split, stage and text; and why two scores are not of one kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.courses.course import SPLIT_TOLERANCE, SUSPECT, UNKNOWN, scored_bytes
from harness.records.record import RunRecord, mean_stage_bpb


class ScoreKind(NamedTuple):
    """What a score is a score of; None is not known. scored_bytes: how much text was scored."""

    course: str | None
    split: str | None = None
    stage: str | None = None
    scored_bytes: int | None = None


def kind_of(record: RunRecord) -> ScoreKind:
    official = record.official
    return ScoreKind(record.course, record.split, official.stage if official else None, scored_bytes(record))


def alike(a: ScoreKind, b: ScoreKind) -> bool:
    """Whether `mismatch` has nothing to say of two records of these kinds."""
    return not (a.stage and b.stage and a.stage != b.stage) and text_difference(a, b) is None


def text_difference(a: ScoreKind, b: ScoreKind) -> Literal["course", "split", "scored_bytes"] | None:
    """Return the first way in which the texts differ that were scored. What is not known is no difference."""
    if a.course != b.course:
        return "course"
    if a.split and b.split and a.split != b.split:
        return "split"
    nameless = a.split in (SUSPECT, UNKNOWN) or b.split in (SUSPECT, UNKNOWN)
    if nameless and not (a.split == b.split and a.scored_bytes and b.scored_bytes):
        return "split"  # of a text that nobody knows, only the count of its bytes shows that it is the same
    if a.scored_bytes and b.scored_bytes and abs(a.scored_bytes / b.scored_bytes - 1) > SPLIT_TOLERANCE:
        return "scored_bytes"
    return None


def mismatch(
    a: Sequence[RunRecord], b: Sequence[RunRecord], names: tuple[str, str] = ("one", "the other")
) -> str:
    """Say why two scores are not of one kind, each the mean of its records; empty when they are.

    What is not known is no mismatch.
    """
    return other_text(a[-1], b[-1], names) or other_stages(a, b, names)


def other_text(a: RunRecord, b: RunRecord, names: tuple[str, str]) -> str:
    """Say why two records did not score the same text; empty when they did, or when that is not known."""
    one, other = kind_of(a), kind_of(b)
    match text_difference(one, other):
        case "course":
            return f"different courses: {names[0]} was played on {one.course}, {names[1]} on {other.course}"
        case "split":
            if one.split == other.split or UNKNOWN in (one.split, other.split):
                return f"nothing shows that {names[0]} and {names[1]} scored the same text"
            return (
                f"different validation splits: {names[0]} {one.split or 'unknown'}, "
                f"{names[1]} {other.split or 'unknown'}"
            )
        case "scored_bytes":
            return (
                f"not the same validation text: {names[0]} scored {one.scored_bytes:,} bytes, "
                f"{names[1]} {other.scored_bytes:,}; one of them is incomplete or another split"
            )
    return ""


def other_stages(a: Sequence[RunRecord], b: Sequence[RunRecord], names: tuple[str, str]) -> str:
    """Name the stages that count where they differ, with the scores of the last stage that both measured."""
    counting = [records[-1].official.stage for records in (a, b) if records and records[-1].official]
    if len(counting) < 2 or counting[0] == counting[1]:
        return ""
    ours, theirs = (stage.replace("_", " ") for stage in counting)
    text = f"different stages count: {names[0]} {ours}, {names[1]} {theirs}"
    for stage in ("round_trip", "pre_quantization"):
        x, y = mean_stage_bpb(a, stage), mean_stage_bpb(b, stage)
        if x is not None and y is not None:
            return f"{text}; at the {stage.replace('_', ' ')} stage they stand at {x:.4f} and {y:.4f}"
    return text
