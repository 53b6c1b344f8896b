"""The only owner of paths under `runs/`: finds holes and attempts, writes their files whole.

Reading never writes. A file appears complete or not at all; names cannot leave the folder.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError, nearest
from harness.files import write_error, write_whole
from harness.records.intent import Intent, dump_intent, load_intent, require_hole_name
from harness.records.names import HoleName, attempt_names, hole_names, parse_hole_name
from harness.records.notes import Notes, load_notes
from harness.records.record import RunRecord, dump_record, load_record


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
    def launch_path(self) -> Path:
        """What was started, written before it is: a killed run is recognised and resumed by it."""
        return self.path / "launch.json"

    def refuse_links(self) -> None:
        """Raise HarnessError when a file that is about to be written is a link: it may lead out of `runs/`."""
        for path in (self.path, *self.path.iterdir()):
            if path.is_symlink():
                raise HarnessError(
                    f"{path} is a link to {path.readlink()}; nothing is written through it",
                    "put the file itself there, or play a new attempt",
                )

    def load_record(self) -> RunRecord | None:
        """Return the record, or None while there is none. Raises HarnessError when it cannot be trusted."""
        try:
            return load_record(self.record_path)
        except HarnessError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return None
            raise

    def write_record(self, record: RunRecord) -> None:
        write_whole(self.record_path, dump_record(record).encode())


def find_attempts(folder: Path) -> list[Attempt]:
    """Return the attempts in a folder in order, a hole's or an entry's of the field; links are not followed."""
    with contextlib.suppress(FileNotFoundError):
        return [Attempt(folder / name, int(name[8:])) for name in attempt_names(str(folder))[1]]
    return []


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

    def load_intent(self) -> Intent:
        return load_intent(self.intent_path)

    def load_notes(self) -> Notes:
        return load_notes(self.notes_path)

    def new_attempt(self) -> Attempt:
        """Make the next attempt's folder. Safe when two processes ask at once: each gets its own."""
        number = max((attempt.number for attempt in self.attempts), default=0)
        while True:
            number += 1
            path = self.path / f"attempt_{number:02d}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise write_error(path, error) from error
            return Attempt(path, number)


class Store:
    """The holes of one `runs/` folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def holes(self) -> list[Hole]:
        """All holes in the order of play. A missing folder is an empty season."""
        return [Hole(self.root / name.folder, name) for name in hole_names(self.root)]

    def find(self, reference: str) -> Hole | None:
        """Return the hole meant by a folder name, a prefix of one, or a number; None when there is none.

        Raises UsageError when several fit.
        """
        holes = self.holes()
        exact = [hole for hole in holes if hole.name.folder == reference]
        if exact:
            return exact[0]
        if reference.isdecimal():
            fitting = [hole for hole in holes if hole.name.number == int(reference)]
        elif re.fullmatch(r"round_\d+", reference):  # a whole number: round_01 is not a prefix of round_010
            name = parse_hole_name(reference)
            fitting = [hole for hole in holes if name and hole.name.number == name.number]
        else:
            fitting = [hole for hole in holes if reference and hole.name.folder.startswith(reference)]
        if len(fitting) > 1:
            names = ", ".join(hole.name.folder for hole in fitting[:5])
            raise UsageError(f'"{reference}" fits {len(fitting)} holes: {names}', "type more of the name")
        return fitting[0] if fitting else None

    def get(self, reference: str) -> Hole:
        """Return the hole meant. Raises UsageError naming the nearest one when there is none."""
        hole = self.find(reference)
        if hole is None:
            names = [hole.name.folder for hole in self.holes()]
            by_number = re.search(r"\d+", reference)
            close = nearest(reference, names)
            if by_number:
                same = [name for name in names if int(name.split("_")[1]) == int(by_number[0])]
                close = same[0] if same else close
            hint = f"did you mean {close}? " if close else ""
            listing = (
                f"`harness ls` shows all {len(names)}" if names else "`harness run round_001` plays the first"
            )
            raise UsageError(f'no hole matches "{reference}" in {self.root}/', hint + listing)
        return hole

    def create(self, reference: str, intent: Intent) -> Hole:
        """Make a hole's folder with its `round.toml`. Raises UsageError for a name that is none."""
        name = require_hole_name(reference)
        hole = Hole(self.root / name.folder, name)
        if hole.path.is_symlink():
            raise HarnessError(
                f"{hole.path} is a link to {hole.path.readlink()}; nothing is written through it",
                "name another hole, or put the folder itself there",
            )
        try:
            hole.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(hole.path, error) from error
        if not hole.intent_path.exists():
            write_whole(hole.intent_path, dump_intent(intent).encode())
        return hole

    def load_all(self) -> Iterator[tuple[Hole, list[Attempt]]]:
        for hole in self.holes():
            yield hole, hole.attempts
