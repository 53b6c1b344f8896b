"""When a knob acts: in training, when the artifact is packed, or when it is scored. One rule for all."""

from __future__ import annotations

from trainer.config import KNOBS
from trainer.knob import Acts

# Beginnings of names in scripts of one's own; the trainer's knobs say it themselves.
_BY_NAME: dict[Acts, tuple[str, ...]] = {
    "export": (
        "FP16_",
        "INT8_",
        "INT6_",
        "INT4_",
        "QUANT",
        "GPTQ",
        "EXPORT",
        "COMPRESS",
        "CODEC",
        "ZLIB",
        "ZSTD",
    ),
    "evaluation": ("EVAL_", "TTT_"),
}


def acts_in(knob: str) -> Acts:
    """Return what a knob changes first; imported logs write names in lower case."""
    name = knob.upper()
    if name in KNOBS:
        return KNOBS[name].acts
    return next((acts for acts, starts in _BY_NAME.items() if name.startswith(starts)), "training")
