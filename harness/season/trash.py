"""The trash of a season, `runs/.trash/`: removed holes and attempts lie there whole until they are restored.

    .trash/round_031_half_size_up/           one item
      item.json                              what it was, when and why it was removed
      content/                               the folder as it was

Both ways are one rename, so that a folder is never in two places or in none.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.documents import read_model
from harness.errors import HarnessError, UsageError
from harness.files import move_new, write_error, write_whole
from harness.privacy import mask_text
from harness.records.frozen import AwareDatetime, Frozen, PositiveInt
from harness.records.references import is_meant
from harness.records.store import TRASH, Attempt, Hole, Store, parse_hole_name
from harness.season.progress import is_playing

_ITEM, _CONTENT = "item.json", "content"
_MAX_BYTES = 16_000
_ENTRY = re.compile(r"field/[A-Za-z0-9][A-Za-z0-9._-]*")


class TrashItem(Frozen):
    """`item.json`. hole: its folder, or `field/SLUG`; attempt: where only that attempt was removed."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    hole: str
    attempt: PositiveInt | None = None
    removed_at: AwareDatetime
    reason: str = Field(default="", max_length=2000)


@dataclass(frozen=True)
class Removed:
    """A hole or an attempt in the trash. path: of the item."""

    path: Path
    item: TrashItem

    @property
    def content(self) -> Path:
        return self.path / _CONTENT

    @property
    def name(self) -> str:
        """How it is named on the command line: `round_031_x`, or `round_031_x/attempt_02`."""
        return self.item.hole + (f"/attempt_{self.item.attempt:02d}" if self.item.attempt else "")


def remove_hole(store: Store, hole: Hole, reason: str = "") -> Removed:
    """Move a hole to the trash. Raises HarnessError while one of its attempts is being played."""
    for attempt in hole.attempts:
        _refuse_playing(hole, attempt)
    return remove(store, hole.name.folder, None, reason)


def remove_attempt(store: Store, hole: Hole, attempt: Attempt, reason: str = "") -> Removed:
    """Move one attempt of a hole to the trash. Raises HarnessError while it is being played."""
    _refuse_playing(hole, attempt)
    return remove(store, hole.name.folder, attempt.number, reason)


def remove(store: Store, place: str, attempt: int | None, reason: str = "") -> Removed:
    """Move a hole, or an entry of the field, or one attempt of it to the trash.

    place: `round_031_x` or `field/SLUG`. Raises HarnessError when it cannot be moved.
    """
    item = TrashItem(hole=place, attempt=attempt, removed_at=_now(), reason=mask_text(reason))
    if not is_place(place):
        raise HarnessError(f"{place} is neither a hole nor an entry of the field", "nothing was removed")
    folder = store.root / place
    if attempt is not None:
        folder /= f"attempt_{attempt:02d}"
    _refuse_links(store.root, folder)
    _refuse_links(store.root, store.root / TRASH)
    label = place.replace("/", ".") + (f".attempt_{attempt:02d}" if attempt else "")
    with store.locked():
        try:
            target = _new_folder(store.root / TRASH, label)
            write_whole(target / _ITEM, (item.model_dump_json(by_alias=True, indent=2) + "\n").encode())
            folder.rename(target / _CONTENT)
        except OSError as error:
            raise write_error(folder, error) from error
    return Removed(target, item)


def list_trash(runs: Path) -> list[Removed]:
    """Return what lies in the trash, what was removed last first. An item that cannot be read is left out."""
    return sorted(_items(runs), key=lambda one: (one.item.removed_at, one.name), reverse=True)


def find_removed(runs: Path, reference: str) -> Removed | None:
    """Return the newest item meant by a name, its beginning or a number.

    An attempt is meant by hole/attempt_NN, an entry of the field by field/SLUG.
    """
    place, _, attempt = reference.rstrip("/").partition("/attempt_")
    for one in list_trash(runs):
        same_attempt = _number(attempt) == one.item.attempt
        is_entry = bool(place) and one.item.hole.startswith("field/") and one.item.hole.startswith(place)
        if same_attempt and (is_entry or is_meant(one.item.hole, place.lower())):
            return one
    return None


def restore(store: Store, removed: Removed) -> Path:
    """Put a hole or an attempt back in its place and return that place.

    Raises HarnessError when its place or its number is taken by now, or its hole is gone.
    """
    item = removed.item
    place = store.root / item.hole
    _refuse_links(store.root, place)
    name = parse_hole_name(item.hole)
    with store.locked():
        if item.attempt is not None:
            if not place.is_dir():
                raise HarnessError(
                    f"{removed.name} has no hole to go back to: {place} is not there",
                    f"`harness restore {item.hole}` first, if the hole was removed as well",
                )
            place /= f"attempt_{item.attempt:02d}"
        else:
            taken = [one for one in store.holes() if name and one.name.number == name.number]
            if taken:
                raise HarnessError(
                    f"number {taken[0].name.number} is taken by {taken[0].name.folder} by now",
                    f"give that hole another number first: `harness rename {taken[0].name.folder} NUMBER`",
                )
        try:
            move_new(removed.content, place)
        except FileExistsError as error:
            raise HarnessError(
                f"{place} is there already; {removed.name} stays in the trash", "rename or remove it first"
            ) from error
        except OSError as error:
            raise write_error(place, error) from error
        shutil.rmtree(removed.path, ignore_errors=True)
    return place


def describe_removal(runs: Path, reference: str) -> str:
    """Say that a hole lies in the trash: "was removed on 2026-04-02"; empty where it does not."""
    removed = find_removed(runs, reference) if (runs / TRASH).is_dir() else None
    if removed is None or removed.item.attempt is not None:
        return ""
    why = f" ({removed.item.reason})" if removed.item.reason else ""
    return f"was removed on {removed.item.removed_at.date().isoformat()}{why}"


def _new_folder(trash: Path, label: str) -> Path:
    """Make the folder of an item; the same name may have been removed before."""
    trash.mkdir(exist_ok=True)
    number = 1
    while True:
        place = trash / (label if number == 1 else f"{label}.{number}")
        try:
            place.mkdir()
        except FileExistsError:
            number += 1
            continue
        return place


def _items(runs: Path) -> Iterator[Removed]:
    """Yield the items that have their content; one without was never filled, or was just restored."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted((runs / TRASH).iterdir()):
            with contextlib.suppress(HarnessError):
                _refuse_links(runs, path / _CONTENT)
                item = read_model(TrashItem, path / _ITEM, _MAX_BYTES, "remove that folder by hand", runs)
                if is_place(item.hole) and (path / _CONTENT).is_dir():
                    yield Removed(path, item)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,6}", text, re.ASCII) else None


def _refuse_links(root: Path, path: Path) -> None:
    """Raise HarnessError where a part of a path below the season is a link: it may lead anywhere."""
    for part in (path, *path.parents):
        if part == root:
            return
        if part.is_symlink():
            raise HarnessError(
                f"{part} is a link to {part.readlink()}; nothing is moved through it",
                "put the folder itself there",
            )


def is_place(text: str) -> bool:
    """Whether a text names a hole's folder or an entry of the field, `field/SLUG`."""
    return parse_hole_name(text) is not None or _ENTRY.fullmatch(text) is not None


def _refuse_playing(hole: Hole, attempt: Attempt) -> None:
    if is_playing(attempt):
        raise UsageError(
            f"{hole.name.folder} attempt {attempt.number} is being played",
            f"wait for its end, or stop it: `harness stop {hole.name.folder}`",
        )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
