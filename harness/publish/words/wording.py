"""The standing words of the site: reads `site/copy/*.toml`, a theme's own first. Holds no words itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files import read_toml
from harness.publish.words.commentary import Script, read_script
from harness.publish.words.facts import Facts
from harness.resources import shared_dir

TOOLTIPS = (
    "bpb",
    "loss",
    "params",
    "artifact",
    "wall",
    "steps",
    "step-avg",
)  # the scorecard's figures, in order


@dataclass(frozen=True)
class Speaker:
    """A member of the cast."""

    key: str
    name: str
    role: str
    initials: str


@dataclass(frozen=True)
class Wording:
    """club: the tables of club.toml. terms: the glossary in order. results: the published table of results."""

    club: Mapping[str, Mapping[str, str]]
    terms: Sequence[Mapping[str, str]]
    results: Sequence[Mapping[str, Any]]
    cast: Mapping[str, Speaker]
    script: Script

    def say(self, table: str, key: str) -> str:
        """Return one phrase of club.toml, or the key itself when a theme dropped it."""
        return self.club.get(table, {}).get(key, key)

    def fill(self, table: str, key: str, **values: str) -> str:
        """Return a phrase with its {names} filled in; empty when it names one that is not given."""
        return Facts("", frozenset(), values).fill(self.say(table, key)) or ""


def load_wording(theme: Path | None) -> Wording:
    """Read all copy. What a theme's `copy/NAME.toml` says wins, table by table; the rest is ours.

    Raises HarnessError with the place of a mistake.
    """
    if theme is not None and not theme.is_dir():
        raise HarnessError(
            f"there is no theme in {theme}", "a theme is a folder with templates/, assets/ or copy/"
        )
    club = _read("club.toml", theme)
    voices = _read("voices.toml", theme)
    cast = {
        key: Speaker(key, person["name"], person["role"], person["initials"])
        for key, person in voices.pop("cast").items()
    }
    results = _read("results.toml", theme)["result"]
    for number, row in enumerate(results, start=1):
        if missing := {"label", "when", "rule", "headlines"} - row.keys():
            raise HarnessError(
                f"results.toml: result {number} lacks {', '.join(sorted(missing))}",
                "see site/copy/results.toml",
            )
    return Wording(club, _read_terms(theme), results, cast, read_script(voices, "voices.toml"))


def _read_terms(theme: Path | None) -> list[dict[str, str]]:
    """The glossary, with nothing missing that a tooltip needs."""
    terms: list[dict[str, str]] = _read("glossary.toml", theme)["term"]
    for number, term in enumerate(terms, start=1):
        if missing := {"id", "name", "long_name", "text", "here"} - term.keys():
            raise HarnessError(
                f"glossary.toml: term {number} lacks {', '.join(sorted(missing))}",
                "see site/copy/glossary.toml",
            )
    if missing := set(TOOLTIPS) - {term["id"] for term in terms}:
        raise HarnessError(
            f"glossary.toml lacks the terms {', '.join(sorted(missing))}", "tooltips need them"
        )
    return terms


def _read(name: str, theme: Path | None) -> dict[str, Any]:
    ours = read_toml(shared_dir("site") / "copy" / name)
    own = theme / "copy" / name if theme else None
    return _overlay(ours, read_toml(own)) if own is not None and own.is_file() else ours


def _overlay(ours: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables key by key; lists and values of the theme replace ours."""
    merged = dict(ours)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
