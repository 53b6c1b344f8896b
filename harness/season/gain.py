"""Whether a gain over a record is as large as a policy asks, and more than luck. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.courses.policy import Reading, Significance
from harness.records.record import RunRecord
from harness.stats import OneSided, Sample, lower_by

BASELINE_TOKENS_A_BYTE = 0.41052  # of the challenge's 1024-piece tokenizer, as all public logs with it imply


@dataclass(frozen=True)
class Gain:
    """readings: the improvement in nats, by what they are counted. test: None where it came to none.

    why: what is missing where nobody can tell, else "".
    """

    outcome: Literal["pass", "fail", "cannot tell"]
    readings: dict[Reading, float]
    why: str = ""
    test: OneSided | None = None


def judge_gain(
    ours: Sample, other: Sample, token_bytes: float | None, rule: Significance, noise_std: float | None
) -> Gain:
    """Hold an improvement against a policy's gate, then test it one-sidedly (Welch 1947).

    token_bytes: that one of our scored tokens stands for, None if not known. noise_std: of the course, in
    bpb, for a reference of one value.
    """
    gain = other.mean - ours.mean
    readings = _read(gain, token_bytes)
    gate = readings.get(rule.reading)
    if gate is None:
        return Gain("cannot tell", readings, "val_loss is not known, so nats a token are not")
    if gate <= 0 or gate < rule.min_improvement_nats:
        return Gain("fail", readings)
    margin = rule.min_improvement_nats * gain / gate if rule.margin_in_test else 0.0  # in bpb
    test = lower_by(ours, other, margin, noise_std)
    if isinstance(test, str):
        return Gain("cannot tell", readings, test)
    return Gain("pass" if test.p < rule.p_below else "fail", readings, test=test)


def mean_token_bytes(records: Sequence[RunRecord]) -> float | None:
    """Return the mean bytes that a scored token stands for, as losses and scores imply them."""
    ratios = [
        record.val_loss / (math.log(2) * record.val_bpb)
        for record in records
        if record.val_loss and record.val_bpb
    ]
    return sum(ratios) / len(ratios) if ratios else None


def _read(gain: float, token_bytes: float | None) -> dict[Reading, float]:
    """Return an improvement in bpb in the three readings of "nats"; what is not known is left out."""
    a_byte = gain * math.log(2)
    readings: dict[Reading, float] = {}
    if token_bytes is not None:
        readings["own tokenizer"] = a_byte * token_bytes
    return readings | {"baseline tokenizer": a_byte / BASELINE_TOKENS_A_BYTE, "per byte": a_byte}
