"""Takes back what the last import made: `runs/.last_import.json` names it, with the state of its files.

Each hole, entry or attempt goes to the trash whole, or stays: what was changed since then is somebody's work.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.documents import FileProblem, MissingFile, read_model
from harness.errors import HarnessError, UsageError
from harness.field.importing import ImportResult
from harness.files import read_plain, write_whole
from harness.records.frozen import AwareDatetime, Frozen, PositiveInt
from harness.records.leftovers import LAST_IMPORT
from harness.records.store import Store
from harness.season import trash

_MAX_BYTES = 20_000_000
_WHOLE_BYTES = 2_000_000  # a larger file, such as a log, is told by its size


class Made(Frozen):
    """A folder that an import made. attempt: of a place that was there before. state: of its files."""

    place: str
    attempt: PositiveInt | None = None
    state: str


class LastImport(Frozen):
    schema_: Literal[1] = Field(default=1, alias="schema")
    imported_at: AwareDatetime
    made: tuple[Made, ...]


@dataclass(frozen=True)
class Undone:
    """removed: what went to the trash. kept: what stays, with the reason."""

    removed: tuple[trash.Removed, ...]
    kept: tuple[tuple[str, str], ...]


def remember_import(runs: Path, results: Iterable[ImportResult]) -> None:
    """Note what an import made, in place of the one before; one that added nothing changes nothing."""
    made = []
    for place, state, numbers in _by_place(results):
        if state == "new":
            made.append(Made(place=place, state=_state_of(runs / place)))
        else:
            folders = ((number, runs / place / f"attempt_{number:02d}") for number in numbers)
            made += [Made(place=place, attempt=n, state=_state_of(folder)) for n, folder in folders]
    if made:
        last = LastImport(imported_at=dt.datetime.now(dt.UTC), made=tuple(made))
        write_whole(runs / LAST_IMPORT, (last.model_dump_json(by_alias=True, indent=2) + "\n").encode())


def undo_import(runs: Path) -> Undone:
    """Move what the last import made to the trash, as far as nobody has changed it since.

    When one cannot be moved, those before it are put back. Raises UsageError when there is nothing to undo.
    """
    path = runs / LAST_IMPORT
    try:
        last = read_model(LastImport, path, _MAX_BYTES, "remove that file; nothing can be undone then")
    except MissingFile:
        raise UsageError(
            f"there is no import to undo in {runs}/", "`harness rm HOLE` removes a hole"
        ) from None
    foreign = next((one.place for one in last.made if not trash.is_place(one.place)), None)
    if foreign is not None:
        raise FileProblem(
            f"{path} names {foreign!r:.200}, which is neither a hole nor an entry of the field",
            "no import wrote that: remove the file; nothing was undone",
        )
    store = Store(runs)
    kept = [(_name(one), why) for one in last.made if (why := _why_kept(runs, one))]
    names = {name for name, _ in kept}
    removed: list[trash.Removed] = []
    try:
        for one in last.made:
            if _name(one) not in names:
                removed.append(trash.remove(store, one.place, one.attempt, "import undone"))
    except HarnessError:
        for item in removed:
            trash.restore(store, item)
        raise
    path.unlink(missing_ok=True)
    return Undone(tuple(removed), tuple(kept))


def _by_place(results: Iterable[ImportResult]) -> list[tuple[str, str, list[int]]]:
    """Return each place once, with the attempts added to it: several bundles may go to one hole."""
    places: dict[str, tuple[str, list[int]]] = {}
    for result in results:
        if result.state in ("new", "extended"):
            _, numbers = places.setdefault(result.place, (result.state, []))
            numbers += [record.attempt for record in result.records]
    return [(place, state, numbers) for place, (state, numbers) in places.items()]


def _why_kept(runs: Path, made: Made) -> str:
    folder = runs / _name(made)
    if not folder.is_dir():
        return "it is not there any more"
    return "" if _state_of(folder) == made.state else "it was changed since"


def _name(made: Made) -> str:
    return made.place + (f"/attempt_{made.attempt:02d}" if made.attempt else "")


def _state_of(folder: Path) -> str:
    """A fingerprint of the files in a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"):
        size = path.stat().st_size
        content = b""
        if size <= _WHOLE_BYTES:
            with contextlib.suppress(OSError):
                content = read_plain(path)
        digest.update(f"{path.relative_to(folder)} {size} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()
