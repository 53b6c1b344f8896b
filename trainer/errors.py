"""What the trainer refuses, and what to do about it.

Every error has two parts: what is wrong, with the value and the place, and the next thing to try. The command
line prints them as `error:` and `hint:` and ends with code 2; nothing here is ever shown as a traceback.
"""

from __future__ import annotations


class TrainerError(Exception):
    """Something the user can put right. `message` says what is wrong, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(TrainerError, ValueError):
    """A knob has a value of the wrong type or range, or two knobs cannot go together."""


class DataError(TrainerError):
    """Shards or the tokenizer are missing, damaged, or do not fit the configuration."""


class ArtifactError(TrainerError):
    """A packed model cannot be read: damaged, of another version, or of another shape."""


class CheckpointError(TrainerError):
    """A checkpoint cannot be read, or belongs to another configuration."""
