"""The Python API, which `import harness` offers: read a season, compare its holes, publish it.

    import harness
    season = harness.load_season("runs")

docs/python.md has an example. What is returned is what `--json` prints, as typed models: docs/schema.md
explains each field. Every error is a HarnessError.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, UsageError
from harness.season.differences import hole_data
from harness.season.own_season import find_season
from harness.season.pair_data import pair_data
from harness.season.pairs import find_other, pairs_of
from harness.season.schema import DifferenceData, HoleData, PairData
from harness.season.season import Season as _Season
from harness.season.season import load_season as _load_season

if TYPE_CHECKING:  # templates and all: reading a season does without
    from harness.publish.build import PublishReport

__all__ = ["DifferenceData", "HarnessError", "HoleData", "PairData", "Season", "load_season"]


def load_season(runs: str | os.PathLike[str] | None = None) -> Season:
    """Read a season.

    runs: its folder, the one that holds the holes. None: `runs` here, else in a folder above, as commands do.
    A file that cannot be read is one of `Season.problems`; the rest is read all the same.
    Raises HarnessError where there is no such folder.
    """
    folder = Path(runs) if runs is not None else find_season(Path())
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "name the folder that holds the holes of the season")
    return Season(_load_season(folder, shown=True))


class Season:
    """The holes of a season as they were when it was read; made by `load_season`."""

    def __init__(self, season: _Season) -> None:
        self._season = season

    @property
    def runs(self) -> Path:
        """The folder that was read."""
        return self._season.runs

    @cached_property
    def holes(self) -> tuple[HoleData, ...]:
        """Every hole in the order of play, with its score and its comparisons with par, the best published
        score of its day, our best before it, the previous hole and its parent."""
        return tuple(hole_data(self._season, self._season.standing(hole)) for hole in self._season.holes)

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read so far, a sentence each; courses and the field are read when needed."""
        return self._season.problems

    def hole(self, reference: str) -> HoleData:
        """Return the hole that a name, the beginning of one, or a number means.

        Raises HarnessError where that is none, or several.
        """
        folder = self._folder(reference)
        return next(hole for hole in self.holes if hole.hole == folder)

    def compare(self, a: str, b: str) -> PairData:
        """Compare a hole with another one, or with a public run: `pr:1493`, `field:NAME`.

        `.difference` is a minus b in bits per byte; where they cannot be compared, its `reason` says why and
        its figures are None. Raises HarnessError for a reference to nothing.
        """
        folder = self._folder(a)
        played = next(hole for hole in self._season.holes if hole.name.folder == folder)
        (pair,) = pairs_of(self._season, played, [find_other(self._season, b)], ())
        return pair_data(self._season, self._season.standing(played), pair)

    def publish(
        self,
        out: str | os.PathLike[str],
        *,
        base_url: str = "",
        theme: str | os.PathLike[str] | None = None,
        pictures: bool = True,
    ) -> PublishReport:
        """Make the website of the season as it lies on disk now, in a folder that is swapped in whole.

        base_url, theme, pictures: as the options of `harness publish`.
        Raises HarnessError when the folder holds something else or cannot be written.
        """
        from harness.publish.build import PublishOptions, publish

        options = PublishOptions(base_url=base_url, theme=Path(theme) if theme else None, pictures=pictures)
        return publish(self.runs, Path(out), options)

    def _folder(self, reference: str) -> str:
        from harness.records.store import Store

        return Store(self.runs).get(reference).name.folder
