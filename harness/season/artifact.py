"""Artifacts compared: how much heavier one is than another, and whether their code is counted alike. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from harness.records.record import CodeRule, RunRecord

RULE_WORDS: dict[CodeRule, str] = {
    "package": "the whole package",
    "script": "one plain script",
    "packed": "one packed script",
}

SCRIPT_SINCE = dt.datetime(2026, 11, 23, 6, 0, 1, tzinfo=dt.UTC)  # until then the package was counted


def code_rule(record: RunRecord) -> CodeRule | None:
    """Return the rule that a record names, for an older one of our trainer that of its date; None if unknown.

    A script of one's own has no rule: its bytes are its files'.
    """
    if record.code_rule is not None or record.code_bytes is None or record.started_at is None:
        return record.code_rule
    if record.code.trainer != "builtin" or record.provenance is not None:
        return None
    return "package" if record.started_at < SCRIPT_SINCE else "script"


@dataclass(frozen=True)
class ArtifactChange:
    """How many bytes one artifact has more than another. weights_alone: the code is left out.

    weights, code: the parts of it; None where they are not known. within_noise: all of it lies in the
    weights, and those of one configuration differ as much from seed to seed.
    """

    bytes: int
    weights_alone: bool = False
    weights: int | None = None
    code: int | None = None
    within_noise: bool = False

    @property
    def parts(self) -> str:
        """Name what the bytes come from; empty where that is not known or there are none."""
        if self.weights_alone or self.weights is None or self.code is None or not self.bytes:
            return ""
        if not self.weights or not self.code:
            return "all of the weights" if self.weights else "all of the code"
        return f"weights {self.weights:+,}, code {self.code:+,}"


def artifact_change(record: RunRecord | None, before: RunRecord | None) -> ArtifactChange | None:
    """Return how much heavier an artifact is than another; None when that is not known.

    Where their code was counted by different rules, that difference is no change of the artifact: the weights
    alone are compared.
    """
    if record is None or before is None:
        return None
    rules = {code_rule(record), code_rule(before)} - {None}
    if len(rules) == 2:
        sizes = (record.model_bytes, before.model_bytes)
    else:
        sizes = (record.artifact_bytes, before.artifact_bytes)
    if sizes[0] is None or sizes[1] is None:
        return None
    return ArtifactChange(
        sizes[0] - sizes[1],
        weights_alone=len(rules) == 2,
        weights=_minus(record.model_bytes, before.model_bytes),
        code=_minus(record.code_bytes, before.code_bytes),
    )


def _minus(now: int | None, then: int | None) -> int | None:
    return None if now is None or then is None else now - then


def rules_caveat(record: RunRecord, before: RunRecord) -> str:
    """Say that two records count their code by different rules; empty when they do not, or when unknown."""
    ours, theirs = code_rule(record), code_rule(before)
    if ours is None or theirs is None or ours == theirs:
        return ""
    return (
        f"code is counted by different rules: {RULE_WORDS[ours]}, {record.code_bytes:,} bytes, against "
        f"{RULE_WORDS[theirs]}, {before.code_bytes:,}; bytes are compared without it"
    )
