"""Whose weights a hole's score is of, where it was only evaluated."""

from __future__ import annotations

from harness.publish.words.wording import Wording
from harness.records.origin import trained_in
from harness.season.hole import PlayedHole


def weights_note(played: PlayedHole, wording: Wording) -> str:
    """Say which attempts trained the weights; empty where the hole was trained itself."""
    trained = trained_in([record.evaluated_from for record in played.measured])
    if trained is None:
        return ""
    return wording.fill("note", "evaluated_from", hole=str(trained[0]), attempts=trained[1])
