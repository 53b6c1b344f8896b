"""What an earlier publish made from what, so that the next one makes only what would come out differently.

Kept in the cache (`harness.cache`). Inputs are known by size, inode and times or, where there are few, by content; a page of the old site is believed only while its file is the one that was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cache import SETTLED_NS, Entry, load_entries, mark_files, save_entries
from harness.publish.folder import Seen, list_files
from harness.records.names import HoleName, attempt_names
from harness.resources import shared_dir

if TYPE_CHECKING:  # whoever has them at hand has loaded them
    from harness.season.hole import PlayedHole
    from harness.season.season import Season, Standing
    from harness.stats import Difference

_LIBRARIES = ("jinja2", "markupsafe", "markdown-it-py", "nh3", "pydantic")


@dataclass(frozen=True)
class Kept:
    """One hole as it was published last. key: what its files follow from; empty when that could not be told."""

    key: str
    files: tuple[str, ...]
    line: dict[str, Any]
    example: bool


@dataclass(frozen=True)
class Manifest:
    """inputs: what the whole site follows from. rounds: page -> what it follows from. files: every file of the site."""

    inputs: str
    problems: tuple[str, ...]
    holes: dict[str, Kept]
    rounds: dict[str, str]
    files: dict[str, Seen]


NOTHING = Manifest("", (), {}, {}, {})


def load_manifest(out: Path) -> Manifest:
    """Return what is known of the site in a folder; nothing when there is any doubt."""
    entry = load_entries(_owner(out)).get("")
    if entry is None:
        return NOTHING
    known = json.loads(entry.text)
    holes = {
        name: Kept(key, tuple(files), line, example) for name, key, files, line, example in known["holes"]
    }
    files = {name: Seen(*seen) for name, *seen in known["files"]}
    return Manifest(known["inputs"], tuple(known["problems"]), holes, known["rounds"], files)


def save_manifest(out: Path, manifest: Manifest) -> None:
    holes = [(name, *(getattr(one, field) for field in _KEPT)) for name, one in manifest.holes.items()]
    files = [(name, *seen) for name, seen in manifest.files.items()]
    content = {
        "inputs": manifest.inputs,
        "problems": manifest.problems,
        "holes": holes,
        "rounds": manifest.rounds,
        "files": files,
    }
    save_entries(_owner(out), {"": Entry("", json.dumps(content, separators=(",", ":")))})


_KEPT = ("key", "files", "line", "example")


def _owner(out: Path) -> str:
    return f"site {out.resolve()}"


# What a site is made from --------------------------------------------------------------------------


@dataclass(frozen=True)
class Marks:
    """What the file system says of the holes. words: round.toml, notes, decision; play: what attempts left behind.

    loose: holes of which it cannot tell, or whose files changed a moment ago.
    """

    words: dict[str, str]
    play: dict[str, str]
    loose: frozenset[str]


def mark_holes(runs: Path, holes: Iterable[HoleName], live: bool) -> Marks:
    """Look at all files that pages are made from, without reading them.

    live: attempts without a record are shown as they are at this moment, so nothing of them can be kept.
    """
    settled = time.time_ns() - SETTLED_NS
    words: dict[str, str] = {}
    play: dict[str, str] = {}
    loose = set()
    for hole in holes:
        name, folder = hole.folder, f"{runs}/{hole.folder}"
        try:
            names, attempts = attempt_names(folder)
            own = [one for one in ("round.toml", "notes.md", "decision.json") if one in names]
            words[name], late = mark_files(folder, own)
            told, touched = _mark_attempts(folder, attempts)
        except OSError:
            words[name], play[name] = "", ""
            loose.add(name)
            continue
        play[name] = told
        if max(late, touched) > settled or (live and "record.json -" in told):
            loose.add(name)
    return Marks(words, play, frozenset(loose))


def _mark_attempts(folder: str, attempts: Sequence[str]) -> tuple[str, int]:
    names = [f"{attempt}/{file}" for attempt in attempts for file in ("record.json", "curve.jsonl")]
    told, touched = mark_files(folder, names)
    if "record.json -" in told:  # then its page tells how far it came
        more = [f"{attempt}/{file}" for attempt in attempts for file in ("launch.json", "train.log")]
        also, late = mark_files(folder, more)
        return f"{told}|{also}", max(touched, late)
    return told, touched


def hash_world(runs: Path, options: object) -> str:
    """A fingerprint of what all pages share: words, templates, courses, libraries, options."""
    theme = getattr(options, "theme", None)
    shared = {
        "options": repr(options),
        "templates": _hash_tree(shared_dir("templates")),
        "site": _hash_tree(shared_dir("site")),
        "theme": _hash_tree(theme) if theme else "",
        "courses": _hash_tree(runs / "courses"),
        "additions": [_hash_file(runs / "field.toml"), _hash_file(runs / "field" / "leaderboard.json")],
        "libraries": [platform.python_version(), *(f"{name} {version(name)}" for name in _LIBRARIES)],
    }
    return digest(shared)


def mark_field(runs: Path) -> tuple[str, bool]:
    """Return what the file system says of the imported field, and whether none of it changed a moment ago."""
    seen = {name: one for name, one in list_files(str(runs / "field")).items() if name.endswith(".json")}
    settled = time.time_ns() - SETTLED_NS
    return digest(sorted(seen.items())), all(one.mtime_ns < settled for one in seen.values())


def hash_inputs(world: str, field: tuple[str, bool], marks: Marks) -> str:
    """A fingerprint of everything; empty when something changed a moment ago."""
    if marks.loose or not field[1]:
        return ""
    return digest([world, field[0], list(marks.words.items()), list(marks.play.items())])


def key_of(world: str, marks: Marks, season: Season, standing: Standing, baseline: PlayedHole | None) -> str:
    """A fingerprint of what a hole's files follow from; empty when that cannot be told.

    Its own files; of the holes that it is compared with, what they came to and what their attempts left; of the
    next one, its name. Which holes those are and what the comparisons come to is computed anew each time.
    """
    played = standing.played
    before, after = season.neighbours(played)
    compared = standing.comparisons
    others = [
        before,
        season.parent(played),
        baseline,
        *(compared[kind].hole for kind in ("par", "previous", "parent")),
    ]
    beside = {other.name.folder: other for other in others if other is not None}
    if marks.loose & {played.name.folder, *beside}:
        return ""
    told = [
        world,
        played.name.folder,
        played.summary,
        marks.words[played.name.folder],
        marks.play[played.name.folder],
        [before.name.folder, before.title] if before else None,
        [after.name.folder, after.title] if after else None,
        baseline.name.folder if baseline else None,
        [(name, other.summary, marks.play[name]) for name, other in sorted(beside.items())],
        repr(standing.verdict),
        standing.sets_par,
        standing.course_record,
        [
            (
                kind,
                one.label,
                one.val_bpb,
                str(one.date),
                one.source,
                one.hole.name.folder if one.hole else None,
                _told(one.difference),
                one.reason,
                one.caveat,
            )
            for kind, one in compared.items()
        ],
    ]
    return digest(told)


def _told(difference: Difference | None) -> tuple[object, ...]:
    if difference is None:
        return ()
    d = difference
    return (d.delta, d.outcome, d.n, d.p_value, d.basis, d.error, d.freedom)


def digest(told: object) -> str:
    """A fingerprint of plain values: numbers with all their digits, nothing that differs between processes."""
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _hash_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return type(error).__name__


def _hash_tree(folder: Path) -> str:
    """A fingerprint of all files below a folder, by name and content; links to folders are not followed."""
    summed = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            with contextlib.suppress(OSError):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                summed.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode("utf-8", "replace"))
    return summed.hexdigest()
