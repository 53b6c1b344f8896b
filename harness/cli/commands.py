"""All commands, one module each.

Importing a module adds its command to `app`, in the order of `harness --help`.
"""

# ruff: noqa: F401, I001
from harness.cli import season, new, run, evaluate, resume, salvage, noise, confirm, doctor, watch, background
from harness.cli import ls, show, compare, brief, decide, knobs, presets, check
from harness.cli import rm, rename, tag
from harness.cli import import_, export, submit, notes, publish, preview, data
from harness.cli.app import app

__all__ = ["app"]
