"""Other names for a hole: it is renamed here, and the names that it had before stay valid.

The former names stand in its `round.toml`; `Store.find` and `Season.find` resolve them, so that parents,
notes and records that refer to a former name stay true.
"""

from __future__ import annotations

import re

from harness.errors import HarnessError, UsageError
from harness.files import move_new, write_error
from harness.records.intent import edit_intent, load_intent
from harness.records.references import clean_reference, is_meant
from harness.records.store import (
    Hole,
    HoleName,
    Store,
    former_names,
    last_number,
    parse_hole_name,
    require_hole_name,
    slugify,
)
from harness.season import trash
from harness.season.progress import is_playing


def next_number(store: Store) -> int:
    """Return the number of the next new hole: behind all that there are, and those in the trash."""
    return last_number(store.root) + 1


def former_name(store: Store, reference: str) -> HoleName | None:
    """Return the hole's present name where `reference` is a name that it had before, else None."""
    try:
        hole = store.find(reference)
    except UsageError:  # several fit, or none can, which the command will say
        return None
    if hole is None or is_meant(hole.name.folder, clean_reference(reference, store.root)):
        return None
    return hole.name


def new_name(hole: Hole, words: str) -> HoleName:
    """Read what a hole is to be called: a folder name, a number (its words stay), or a title.

    Raises UsageError for words that make no name.
    """
    words = words.strip()
    if words.isdecimal():
        tail = f"_{hole.name.slug}" if hole.name.slug else ""
        return require_hole_name(f"round_{int(words):03d}{tail}")
    if re.match(r"round_\d", words):
        return require_hole_name(words)
    slug = slugify(words)
    if not slug:
        raise UsageError(
            f'"{words}" gives no name for a folder',
            "write a title with letters or digits, a number, or a name such as round_006_fp16embed",
        )
    return require_hole_name(f"round_{hole.name.number:03d}_{slug}")


def rename_hole(store: Store, hole: Hole, words: str) -> Hole:
    """Give a hole another name, and another title where a title is given. Return it under its new name.

    Raises UsageError when the number or the name is taken, or an attempt of it is being played.
    """
    name = new_name(hole, words)
    title = "" if words.strip().isdecimal() or parse_hole_name(words.strip()) else words.strip()
    with store.locked():
        _refuse_taken(store, hole, name)
        intent = load_intent(hole.intent_path)
        former = [one for one in (*intent.former_names, hole.name.folder) if one != name.folder]
        changes: dict[str, object] = {"title": title} if title else {}
        if name != hole.name:
            changes["former_names"] = tuple(dict.fromkeys(former))
        edit_intent(hole, **changes)
        if name == hole.name:
            return hole
        place = store.root / name.folder
        try:
            move_new(hole.path, place)
        except OSError as error:
            raise write_error(place, error) from error
    return Hole(place, name)


def _refuse_taken(store: Store, hole: Hole, name: HoleName) -> None:
    for attempt in hole.attempts:
        if is_playing(attempt):
            raise UsageError(
                f"{hole.name.folder} attempt {attempt.number} is being played",
                f"wait for its end, or stop it: `harness stop {hole.name.folder}`",
            )
    others = [one.name for one in store.holes() if one.name != hole.name]
    number = next_number(store)
    taken = next((one.folder for one in others if one.number == name.number), "")
    if taken:
        raise UsageError(f"number {name.number} is taken by {taken}", f"the next free number is {number}")
    removed = trash.find_removed(store.root, str(name.number))
    if removed is not None and name.number != hole.name.number:
        raise UsageError(
            f"number {name.number} belongs to {removed.item.hole}, which lies in the trash",
            f"the next free number is {number}",
        )
    for one in store.holes():
        if one.name != hole.name and name.folder in former_names(one):
            raise HarnessError(
                f"{name.folder} is a former name of {one.name.folder}, and links to it lead there",
                "choose another name",
            )
