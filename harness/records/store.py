"""The only owner of paths under `runs/`: names of holes and attempts, places of their files, changes.

Reads no file, except `round.toml` for the former names of holes: what stands in them belongs to `intent`,
`record`, `curve` and `notes`. A file appears complete or not at all; names cannot leave the folder. Imports
little, since a listing whose rows the cache knows waits for it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.cache import mark_files
from harness.errors import HarnessError, UsageError
from harness.files import move_new, write_error, write_whole
from harness.records.references import HoleIndex, clean_reference, close_holes, is_meant
from harness.temporary import locked_folder, temporary_folder

HOLES_PER_ROUND = 18

MAX_NAME = 80

TRASH = ".trash"  # in a season: what was removed (`harness.season.trash`)

_INTENT_BYTES = 256_000  # of round.toml

LOCK_SECONDS = 60.0  # that a command waits for others that add holes; each has the lock for a moment

# ASCII: \d is any script's digit, and a folder with others would be a second hole of the same number.
_HOLE = re.compile(r"round_(\d{3,6})(?:_([a-z0-9][a-z0-9_]*))?", re.ASCII)

_ATTEMPT = re.compile(r"attempt_\d{2,6}", re.ASCII)


class HoleName(NamedTuple):
    """`round_006_fp16embed`: number 6 in the season, slug `fp16embed`."""

    folder: str
    number: int
    slug: str

    @property
    def round(self) -> int:
        """Which round of 18 the hole belongs to, from 1."""
        return (self.number - 1) // HOLES_PER_ROUND + 1

    @property
    def hole(self) -> int:
        """Its place in that round, 1 to 18."""
        return (self.number - 1) % HOLES_PER_ROUND + 1

    @property
    def position(self) -> str:
        return f"Round {self.round}, Hole {self.hole}"


def parse_hole_name(text: str) -> HoleName | None:
    """Read a hole's folder name, or return None when it is not one."""
    match = _HOLE.fullmatch(text)
    if match is None or len(text) > MAX_NAME or int(match[1]) == 0:
        return None
    return HoleName(text, int(match[1]), match[2] or "")


def require_hole_name(text: str) -> HoleName:
    """Read a name for a new hole. Raises UsageError with the form that is expected."""
    name = parse_hole_name(text)
    if name is None:
        raise UsageError(
            f'"{text}" is not a name for a hole',
            "a hole is called round_NNN or round_NNN_what_it_tries, such as round_006_fp16embed",
        )
    return name


def slugify(title: str) -> str:
    """Turn a title into the tail of a folder name: lower case, digits, underscores, at most 40 characters.

    Letters of other scripts are spelled in Latin ones; a title without any letter or digit gives "". What
    must not leave this machine is no part of it: the name stands in every record and address.
    """
    from slugify import slugify as latin  # few commands name a hole

    from harness.privacy import mask_text

    return latin(mask_text(title), separator="_", max_length=40)


@dataclass(frozen=True)
class Attempt:
    """One attempt's folder and the files in it."""

    path: Path
    number: int

    @property
    def record_path(self) -> Path:
        return self.path / "record.json"

    @property
    def curve_path(self) -> Path:
        return self.path / "curve.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "train.log"

    @property
    def result_path(self) -> Path:
        """What the built-in trainer says of itself; becomes part of the record."""
        return self.path / "result.json"

    @property
    def source_dir(self) -> Path:
        return self.path / "source"

    @property
    def work_dir(self) -> Path:
        """Where a script runs; what it leaves there is its own."""
        return self.path / "work"

    @property
    def end_path(self) -> Path:
        """How it ended, kept while its record cannot be written; of no use once there is one."""
        return self.path / ".end"

    @property
    def launch_path(self) -> Path:
        """What was started, written before it is: a killed run is recognised and resumed by it."""
        return self.path / "launch.json"

    def refuse_links(self) -> None:
        """Raise HarnessError when something that will be written is neither a file nor a folder.

        A link may lead out of `runs/`, and a pipe is waited for.
        """
        for path in (self.path, *self.path.iterdir()):
            if path.is_symlink():
                what = f"a link to {path.readlink()}"
            elif not (path.is_file() or path.is_dir()):
                what = "a pipe or a device"
            else:
                continue
            raise HarnessError(
                f"{path} is {what}; nothing is written through it",
                "put the file itself there, or play a new attempt",
            )


def find_attempts(folder: Path) -> list[Attempt]:
    """Return the attempts of a hole, or of an entry of the field, in order; links are not followed."""
    with contextlib.suppress(FileNotFoundError):
        return [Attempt(folder / name, int(name[8:])) for name in attempt_names(str(folder))[1]]
    return []


@contextlib.contextmanager
def add_attempt(parent: Path) -> Iterator[Attempt]:
    """Make the next attempt of a hole or an entry next to its place; it is moved there whole at the end.

    Raises NumberTaken when another process took its number meanwhile: then it must be made once more.
    """
    number = max((attempt.number for attempt in find_attempts(parent)), default=0) + 1
    place = parent / f"attempt_{number:02d}"
    try:
        with temporary_folder(place) as folder:
            yield Attempt(folder, number)
            move_new(folder, place)
    except FileExistsError as error:
        raise NumberTaken from error
    except OSError as error:
        raise write_error(place, error) from error


class NumberTaken(Exception):
    """Another process made an attempt of this number first."""


@dataclass(frozen=True)
class Hole:
    """One hole's folder."""

    path: Path
    name: HoleName

    @property
    def attempts(self) -> list[Attempt]:
        """All attempts in order, whether or not they left a record."""
        return find_attempts(self.path)

    @property
    def intent_path(self) -> Path:
        return self.path / "round.toml"

    @property
    def notes_path(self) -> Path:
        return self.path / "notes.md"

    @property
    def decision_path(self) -> Path:
        return self.path / "decision.json"

    @property
    def prediction_path(self) -> Path:
        """What was predicted when the first attempt started, with its date and hash."""
        return self.path / "prediction.json"


class HoleExists(HarnessError):
    """Something is where a hole was to be made."""


class Store:
    """The holes of one `runs/` folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from adding holes meanwhile. A season without any hole is made for it.

        Raises HarnessError when it cannot be made, or when another command has the lock for a minute.
        """
        is_new = not self.root.exists()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with locked_folder(self.root, LOCK_SECONDS):
                yield
        except TimeoutError as error:
            raise HarnessError(
                f"another command adds to {self.root} and does not come to an end", "see what it waits for"
            ) from error
        except OSError as error:
            raise write_error(self.root, error) from error
        finally:
            if is_new:
                with contextlib.suppress(OSError):  # only while it is empty
                    self.root.rmdir()

    def holes(self) -> list[Hole]:
        """All holes in the order of play. A missing folder is an empty season."""
        return [Hole(self.root / name.folder, name) for name in hole_names(self.root)]

    def find(self, reference: str) -> Hole | None:
        """Return the hole meant (see `harness.records.references`); None when there is none.

        A name or number that no hole has may be one that a hole had before it was renamed.
        Raises UsageError when several fit, and for a path out of the season.
        """
        cleaned = clean_reference(reference, self.root)
        holes = {hole.name.folder: hole for hole in self.holes()}
        matches = HoleIndex(holes).matches(cleaned)
        if len(matches) > 1:
            names = ", ".join(matches[:5])
            raise UsageError(f'"{reference}" fits {len(matches)} holes: {names}', "type more of the name")
        return holes[matches[0]] if matches else self._find_former(cleaned, holes.values())

    def _find_former(self, reference: str, holes: Iterable[Hole]) -> Hole | None:
        """Return the one hole that had this name or number before."""
        matches = [hole for hole in holes if any(is_meant(name, reference) for name in former_names(hole))]
        return matches[0] if len(matches) == 1 else None

    def get(self, reference: str) -> Hole:
        """Return the hole meant. Raises UsageError naming the nearest ones when there is none."""
        hole = self.find(reference)
        if hole is None:
            names = [hole.name.folder for hole in self.holes()]
            close = close_holes(reference, names)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            listing = "`harness ls` lists the holes" if names else "`harness run round_001` plays the first"
            raise UsageError(f'no hole matches "{reference}" in {self.root}/', hint + listing)
        return hole

    def create(self, reference: str, intent_text: str) -> Hole:
        """Make a hole's folder with its `round.toml`; a file that exists stays.

        Raises UsageError for a text that is no hole's name, and for a number that another hole has.
        """
        name = require_hole_name(reference)
        hole = Hole(self.root / name.folder, name)
        if hole.path.is_symlink():
            raise HarnessError(
                f"{hole.path} is a link to {hole.path.readlink()}; nothing is written through it",
                "name another hole, or put the folder itself there",
            )
        if not hole.path.exists():
            with self.locked():  # another command may be adding a hole of this number
                others = [one for one in hole_names(self.root) if one.number == name.number]
                if others and name not in others:
                    raise UsageError(
                        f"number {name.number} is taken by {others[0].folder}", "choose a free number"
                    )
                with contextlib.suppress(HoleExists), self.add_hole(reference, intent_text):
                    pass
        elif not hole.intent_path.exists():
            write_whole(hole.intent_path, intent_text.encode())
        return hole

    @contextlib.contextmanager
    def add_hole(self, reference: str, intent_text: str) -> Iterator[Hole]:
        """Make a hole next to its place; it is moved there whole when the context is left.

        Raises UsageError for a text that is no hole's name, HoleExists when something is there.
        """
        name = require_hole_name(reference)
        place = self.root / name.folder
        try:
            with temporary_folder(place) as folder:
                hole = Hole(folder, name)
                write_whole(hole.intent_path, intent_text.encode())
                yield hole
                move_new(folder, place)
        except FileExistsError as error:
            raise HoleExists(f"{place} is there already", "name another hole") from error
        except OSError as error:
            raise write_error(place, error) from error

    def load_all(self) -> Iterator[tuple[Hole, list[Attempt]]]:
        for hole in self.holes():
            yield hole, hole.attempts


def former_names(hole: Hole) -> list[str]:
    """Return the folders that a hole had before it was renamed; none where round.toml cannot be read."""
    from harness.documents import read_toml  # a listing does not wait for it

    try:
        names = read_toml(hole.intent_path, _INTENT_BYTES).get("former_names", [])
    except HarnessError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


# What lies in the folders ----------------------------------------------------------------------------


def hole_names(root: Path) -> list[HoleName]:
    """Return the names of all holes in the order of play, none for a missing folder. Follows no links."""
    names = []
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            name = parse_hole_name(entry.name)
            if name and entry.is_dir(follow_symlinks=False):
                names.append(name)
    return sorted(names, key=lambda name: (name.number, name.folder))


def last_number(root: Path) -> int:
    """Return the highest number that a hole has, here or in the trash; 0 for none."""
    names = (*hole_names(root), *hole_names(root / TRASH))
    return max((name.number for name in names), default=0)


def misnamed(root: Path) -> list[str]:
    """Return a sentence on every folder that was surely meant as a hole and is none, in name order."""
    problems = []
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if (
                entry.name.casefold().startswith("round")
                and parse_hole_name(entry.name) is None
                and entry.is_dir()
            ):
                name = entry.name if entry.name.isprintable() else ascii(entry.name)
                expected = "a hole is called round_006 or round_006_fp16embed, in a to z, 0 to 9 and _"
                problems.append(f"{root}/{name} is passed over: {expected}")
    return sorted(problems)


def attempt_names(folder: str) -> tuple[set[str], list[str]]:
    """Return the names of everything in a hole's folder, and those of its attempts in order."""
    names, attempts = set(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.add(entry.name)
            if (
                entry.name[:8] == "attempt_"
                and _ATTEMPT.fullmatch(entry.name)
                and entry.is_dir(follow_symlinks=False)
            ):
                attempts.append((int(entry.name[8:]), entry.name))
    return names, [name for _, name in sorted(attempts)]


def attempts_without_record(folder: str) -> list[str]:
    """Return the names of a hole's attempts that were launched and left no record."""
    with contextlib.suppress(FileNotFoundError):
        _, attempts = attempt_names(folder)
        return [name for name in attempts if _is_half(f"{folder}/{name}")]
    return []


def _is_half(attempt: str) -> bool:
    launched = os.path.isfile(f"{attempt}/launch.json")  # noqa: PTH113
    return launched and not os.path.lexists(f"{attempt}/record.json")


def mark_hole(folder: str) -> tuple[str, int]:
    """Return the mark of the files behind a hole's summary, and when the latest was touched, in ns.

    The folder itself is one of them, so that a new file in it changes the mark. Empty when it cannot tell.
    """
    try:
        names, attempts = attempt_names(folder)
        own = [name for name in ("round.toml", "decision.json") if name in names]
        return mark_files(folder, [".", *own, *(f"{name}/record.json" for name in attempts)])
    except OSError:
        return "", 0
