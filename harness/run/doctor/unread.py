"""Settings that nobody reads: variables of the shell that look like knobs, and overrides that others make idle.

Names of the field's scripts that our trainer does not know are data (`harness/data/field/knobs.tsv`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from harness.findings import Finding
from harness.run.request import field_knobs
from harness.scripts.knobs import is_system
from trainer.config import ALIASES, KNOBS, load_config

# How alike two names must be: ITERATION and ITERATIONS are (0.95), SEED and SPEED (0.89) not; short names never.
ALIKE = 0.9
SHORTEST = 6
# Read by the harness or set by everybody's system; close to a knob's name or the same by chance.
_NOT_MEANT = ("HARNESS_", "PYTEST_", "PYTHON", "PIP_", "GIT_", "SSH_", "LC_", "VSCODE_")


def stray_variables(environ: Mapping[str, str]) -> list[Finding]:
    """Name the variables of a shell that look like knobs: none of them reaches the trainer."""
    found = []
    for name, text in sorted(environ.items()):
        if is_system(name) or name.startswith(_NOT_MEANT):
            continue
        shown = f"{name}={text:.60}"
        if name in KNOBS or name in ALIASES:
            found.append(
                Finding(
                    "warning",
                    f"{shown} stands in the environment and does not reach the trainer",
                    "a run has the preset, round.toml and the command line, nothing else",
                    f"write `-o {name}={text:.60}` where it is meant, or `unset {name}`",
                )
            )
        elif name in field_knobs():
            found.append(
                Finding(
                    "note",
                    f"{shown} stands in the environment: a knob of other scripts, not of this trainer",
                    f"there it means: {field_knobs()[name]}",
                    f"`unset {name}`, or `harness knobs`",
                )
            )
        elif close := _alike(name):
            found.append(
                Finding(
                    "warning",
                    f"{shown} stands in the environment and is read by nothing",
                    f"it looks like {close}, which must be given as an override anyway",
                    f"`-o {close}={text:.60}`",
                )
            )
    return found


def _alike(name: str) -> str | None:
    if len(name) < SHORTEST or name != name.upper():
        return None
    close = difflib.get_close_matches(name, KNOBS, n=1, cutoff=ALIKE)
    return close[0] if close else None


def idle_overrides(
    overrides: Mapping[str, str], config: Mapping[str, str], preset: Mapping[str, str]
) -> list[Finding]:
    """Name the overrides that change nothing: idle beside other settings, or what the preset has already."""
    effective = load_config(config)
    found = [
        Finding(
            "warning",
            f"override {name}={overrides[name]} is read by nothing here",
            knob.unread.why,
            f"leave {name} out, or change what makes it idle",
        )
        for name, knob in KNOBS.items()
        if name in overrides and knob.unread and knob.unread.when(effective)
    ]
    before = load_config(preset)
    for name, text in overrides.items():
        knob = KNOBS.get(name)
        if knob and knob.parse(text) == getattr(before, knob.field):
            found.append(
                Finding(
                    "note",
                    f"override {name}={text} is what the preset has already",
                    "it changes nothing",
                    f"leave {name} out",
                )
            )
    return found
