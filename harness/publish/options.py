"""What a publishing pass is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # records, templates and all: not needed to see that nothing changed
    pass


@dataclass(frozen=True)
class PublishOptions:
    """base_url: where the site will be served, for canonical addresses, feeds and the sitemap.

    theme: a folder whose templates/, assets/ and copy/ win over ours, file by file.
    pictures: draw a social picture for each hole (matplotlib, cached by what it shows).
    live: say whether an attempt without a record is being played at this moment, which only a preview can know.
    fresh: make every page again, whatever an earlier publish made.
    """

    base_url: str = ""
    theme: Path | None = None
    pictures: bool = True
    live: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class PublishReport:
    """written, unchanged: files. problems: what could not be read and was passed over."""

    out: Path
    holes: int
    written: int
    unchanged: int
    problems: tuple[str, ...]
    changed: tuple[str, ...] = ()
