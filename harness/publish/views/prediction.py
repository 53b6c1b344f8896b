"""The view model of what was predicted of a hole: the seal, the prediction, what came out."""

from __future__ import annotations

from dataclasses import dataclass

from harness.publish.words.commentary import tidy
from harness.publish.words.wording import Wording, long_day
from harness.season.prediction import Forecast, measured_text

_TONES = {"held": "better", "missed": "worse"}


@dataclass(frozen=True)
class PredictionCard:
    """seal: when it was sealed, or why it was not. outcome: a word, empty without a sealed prediction."""

    seal: str
    claim: str = ""
    outcome: str = ""
    tone: str = ""
    measured: str = ""
    change: str = ""


def prediction_card(one: Forecast, wording: Wording) -> PredictionCard | None:
    """Word a prediction; None where nothing was predicted, so that there is nothing to hold it to."""
    if one.state == "nothing predicted":
        return None
    if one.seal is None:
        return PredictionCard(wording.fill("prediction", "not_sealed", why=tidy(one.why, 300)))
    day = long_day(one.seal.sealed_at.date())
    seal = wording.fill("prediction", "sealed", day=day)
    change = tidy(one.change, 700)
    if one.prediction is None or one.outcome is None:
        return PredictionCard(seal, change=change)
    return PredictionCard(
        seal=seal,
        claim=tidy(f"{one.prediction.text} than {one.reference}", 300),
        outcome=wording.say("prediction", one.outcome.replace(" ", "_")),
        tone=_TONES.get(one.outcome, ""),
        measured=tidy(measured_text(one), 300) if one.outcome != "open" else "",
        change=change,
    )
