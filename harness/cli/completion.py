"""What the shell completes: holes, knobs, presets, courses. Asked at every Tab, so it reads little."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.records.store import hole_names

_Choices = list[tuple[str, str]]

# What each preset is for, in a line.
PRESET_MEANINGS = {
    "baseline": "the challenge's own model and settings, for GPUs",
    "practice": "half a minute on a CPU that beats zlib on the practice course",
    "practice_long": "a wider model for twice as many steps, some minutes on a CPU",
    "tiny": "seconds on a CPU, to try whether everything works",
}


def complete_hole(ctx: Any, incomplete: str) -> list[str]:
    return [name.folder for name in hole_names(_runs(ctx)) if name.folder.startswith(incomplete)]


def complete_knob(ctx: Any, incomplete: str) -> _Choices:
    """Complete the name of KEY=VALUE, and the value where a knob has choices."""
    from trainer.config import KNOBS

    name, equals, value = incomplete.partition("=")
    knob = KNOBS.get(name)
    if equals and knob is not None:
        choices = knob.choices or (("true", "false") if knob.type_name == "yes/no" else ())
        return [(f"{name}={choice}", "") for choice in choices if choice.startswith(value)]
    return [(f"{one.name}=", one.meaning) for one in KNOBS.values() if one.name.startswith(name)]


def complete_knob_name(ctx: Any, incomplete: str) -> _Choices:
    from trainer.config import KNOBS

    return [(one.name, one.meaning) for one in KNOBS.values() if one.name.startswith(incomplete)]


def complete_preset(ctx: Any, incomplete: str) -> _Choices:
    from trainer.presets import PRESETS

    return [(name, PRESET_MEANINGS.get(name, "")) for name in PRESETS if name.startswith(incomplete)]


def complete_course(ctx: Any, incomplete: str) -> list[str]:
    """Complete a course by the names of the files; none is read."""
    from harness.files import data_path

    folders = (data_path("courses"), _runs(ctx) / "courses")
    names = {path.stem for folder in folders for path in folder.glob("*.toml")}
    return sorted(name for name in names if name.startswith(incomplete))


def _runs(ctx: Any) -> Path:
    from harness.season.own_season import find_season

    named = ctx.params.get("runs") or os.environ.get("HARNESS_RUNS")
    return Path(named) if named else find_season(Path())
