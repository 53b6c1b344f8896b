"""One setting of the trainer: how it is declared, read as people write it, and written in one spelling."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trainer.errors import ConfigError

Value = bool | int | float | str
Acts = Literal["training", "export", "evaluation"]

# As people write them in shells, YAML and Python; the challenge's scripts read 1 and 0.
_YES = frozenset({"1", "true", "yes", "on", "y", "t"})
_NO = frozenset({"0", "false", "no", "off", "n", "f"})


# What settings decide, for forecasts from earlier attempts that agree in them.
STEP_TIME = "step time"
ARTIFACT_SIZE = "artifact size"


@dataclass(frozen=True)
class Unread:
    """When other settings leave a knob without effect, and why."""

    when: Callable[[Any], bool]  # of a Config
    why: str


@dataclass(frozen=True)
class Trains:
    """When a change of a knob of export or evaluation changes training as well, and why."""

    when: Callable[[Any, Any], bool]  # of the Config before and after the change
    why: str


@dataclass(frozen=True)
class Knob:
    """One setting. low and high are inclusive; choices bound a text.

    needs: the switch without which setting it is an error, if any. unread: when setting it is only pointless.
    alone: its value when the switch that it needs is set and it is not; its default if None.
    fractions: a number that is mostly whole, and then written so.
    aliases: other people's names for it.
    decides: STEP_TIME or ARTIFACT_SIZE, if it weighs in a forecast of that.
    free_on_resume: may differ between a checkpoint and the run that goes on from it.
    added: not among the challenge's own; at its default nothing of it is computed, and no hash counts it.
    acts: what it changes first: training, the packing of trained weights, or how they are scored.
    trains: when it changes training all the same.
    """

    name: str
    default: Value
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    needs: str = ""
    unread: Unread | None = None
    alone: Value | None = None
    fractions: bool = False
    aliases: tuple[str, ...] = ()
    decides: str = ""
    free_on_resume: bool = False
    added: bool = False
    acts: Acts = "training"
    trains: Trains | None = None

    @staticmethod
    def of_field(name: str, default: Any, metadata: Mapping[str, Any]) -> Knob:
        """Read a field that `knob` or `added` declared."""
        return Knob(name.upper(), default, **metadata)

    @property
    def field(self) -> str:
        """Its name in `Config`."""
        return self.name.lower()

    @property
    def unset(self) -> str:
        """Its value, as text, where it may be set and is not."""
        return self.format(self.default if self.alone is None else self.alone)

    @property
    def type_name(self) -> str:
        if self.fractions:
            return "number"
        names = {bool: "yes/no", int: "whole number", float: "number", str: "text"}
        return "one of a list" if self.choices else names[type(self.default)]

    @property
    def range_text(self) -> str:
        """`1 to 8192`, `at least 0`, `auto, on, off`."""
        if self.choices:
            return ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true, false"
        low, high = (None if bound is None else _write_bound(bound) for bound in (self.low, self.high))
        if low is not None:
            return f"{low} to {high}" if high is not None else f"at least {low}"
        return f"at most {high}" if high is not None else "any"

    def acts_in_training(self, before: Any, after: Any) -> str:
        """Say why a change of this knob between two `Config` changes training; empty if it does not."""
        if self.acts == "training":
            return f"{self.name} acts in training"
        return self.trains.why if self.trains and self.trains.when(before, after) else ""

    def parse(self, text: str) -> Value:
        """Read a value as people write it: yes/on/1/True, 3.0 or 1e3 for a whole number, .5, 1e-3.

        Raises ConfigError naming the value and what was expected.
        """
        word = text.strip()
        if isinstance(self.default, bool):
            if word.lower() in _YES | _NO:
                return word.lower() in _YES
            raise ConfigError(f"{self.name}={text} is not a yes/no value", "use true or false")
        if isinstance(self.default, int | float):
            return self._parse_number(word, text)
        if self.choices:
            if word.lower() in self.choices:
                return word.lower()
            close = difflib.get_close_matches(word.lower(), self.choices, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise ConfigError(f"{self.name}={text} is not known", f"{meant}use one of {self.range_text}")
        if not word and self.default:
            raise ConfigError(f"{self.name} is empty", f"give it a value, such as {self.default}")
        if any(ord(letter) < 32 for letter in word):
            raise ConfigError(f"{self.name}={text!r} holds a control character", "write plain text")
        return word

    def _parse_number(self, word: str, text: str) -> int | float:
        whole = isinstance(self.default, int) and not self.fractions
        kind = "a whole number" if whole else "a number"
        try:
            # int before float: 2**53 + 1 would not survive a float.
            value = int(word) if whole and word.lstrip("+-").isdigit() else float(word)
        except ValueError:
            raise ConfigError(
                f"{self.name}={text} is not {kind}", f"expected {kind}, {self.range_text}"
            ) from None
        if not math.isfinite(value):
            raise ConfigError(f"{self.name}={text} is not finite", f"expected {kind}, {self.range_text}")
        if whole:
            # 1e3 and 3.0 are whole numbers as people write them; 2.5 is none.
            if value != int(value):
                raise ConfigError(
                    f"{self.name}={text} is not a whole number", f"expected {kind}, {self.range_text}"
                )
            value = int(value)
        if self.fractions and value == int(value):
            value = int(value)
        too_low = self.low is not None and value < self.low
        too_high = self.high is not None and value > self.high
        if too_low or too_high:
            raise ConfigError(
                f"{self.name}={text} is out of range",
                f"{self.name} goes from {self.range_text}"
                if self.low is not None and self.high is not None
                else f"{self.name} is {self.range_text}",
            )
        return value

    def format(self, value: Value) -> str:
        """Return the one spelling of a value; `parse` reads it back."""
        return spell(float(value) if isinstance(self.default, float) else value)


def spell(value: Value) -> str:
    """Write a value in its one spelling: true, false, all digits of a number, a text as it is."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def knob(default: Value, meaning: str, span: tuple[float, float] | None = None, **more: Any) -> Any:
    """Declare a field of `Config`. span: least and largest value of a number; more: as in `Knob`.

    The result is a dataclass field; Any, so that the field's own annotation is its type.
    """
    low, high = span or (None, None)
    return dataclasses.field(default=default, metadata={"meaning": meaning, "low": low, "high": high, **more})


def added(default: Value, meaning: str, span: tuple[float, float] | None = None, **more: Any) -> Any:
    """Declare a knob that the challenge's script does not have."""
    return knob(default, meaning, span, added=True, **more)


def export_knob(default: Value, meaning: str, span: tuple[float, float] | None = None, **more: Any) -> Any:
    """Declare an added knob that acts when trained weights are packed."""
    return added(default, meaning, span, acts="export", **more)


def eval_knob(default: Value, meaning: str, span: tuple[float, float] | None = None, **more: Any) -> Any:
    """Declare an added knob that acts when trained weights are scored."""
    return added(default, meaning, span, acts="evaluation", **more)


def _write_bound(bound: float) -> str:
    """Write a bound in full where it is whole: 4294967295, not 4.29497e+09."""
    return str(int(bound)) if float(bound).is_integer() and abs(bound) < 1e15 else f"{bound:g}"
