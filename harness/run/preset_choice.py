"""Which preset a course of one's own is played with when nobody names one: by its text and this machine."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness.courses.course import Course
from harness.run.resources import Resources, estimate_memory, estimate_params
from trainer.config import KNOBS, PRESETS

SHIPPED = {"practice": "practice"}  # of a course that ships; the others play the challenge's baseline
# The baseline sees some 400 million tokens in ten minutes on a fast GPU; less text would be learnt by heart.
BASELINE_TOKENS = 100_000_000
BYTES_PER_PARAM = 0.92  # of 8 bits compressed, as in the trainer's forecast


class Choice(NamedTuple):
    preset: str
    why: str = ""  # "" where there was nothing to choose


def choose_preset(course: Course, gpu: bool, machine: Resources) -> Choice:
    """Return the largest preset that fits a course's vocabulary and text, its cap and the machine's memory.

    The smallest is returned where none fits: then the checks of the plan say what is too big.
    """
    if course.data is None:
        return Choice(SHIPPED.get(course.name, "baseline"))
    tokens = _training_tokens(course)
    candidates = ["practice", "tiny"]
    if gpu:
        candidates.insert(0, "practice_long")
        if tokens >= BASELINE_TOKENS:
            candidates.insert(0, "baseline")
    fitting = [name for name in candidates if _fits(name, course, gpu, machine)]
    where = "a GPU" if gpu else "no GPU"
    why = f"{tokens:,} training tokens, a vocabulary of {course.data.vocab_size:,}, {where}"
    return Choice(fitting[0] if fitting else candidates[-1], why)


def _training_tokens(course: Course) -> int:
    assert course.data is not None
    # By the files' sizes, two bytes a token; reading their headers would import numpy.
    return sum(shard.stat().st_size for shard in Path(course.data.path).glob("fineweb_train_*.bin")) // 2


def _fits(preset: str, course: Course, gpu: bool, machine: Resources) -> bool:
    assert course.data is not None
    settings = {name: str(knob.default) for name, knob in KNOBS.items()} | PRESETS[preset]
    settings |= {"VOCAB_SIZE": str(course.data.vocab_size)}
    params = estimate_params(settings)
    if params * BYTES_PER_PARAM >= course.caps.artifact_bytes:
        return False
    return gpu or estimate_memory(settings | {"DEVICE": "cpu"}, params) <= machine.free_bytes
