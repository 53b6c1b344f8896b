"""What an earlier publish made each of a site's files from.

Kept in the cache (`harness.cache`): inputs are known by size, inode and times or, where there are few, by
content, and a page of the old site counts only while its file is the one that was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cache import SETTLED_NS, CacheEntry, load_entries, mark_files, save_entries
from harness.files import data_path, read_plain, shared_dir
from harness.privacy import LAW
from harness.publish.folder import FileMark, list_files
from harness.records.store import HoleName, attempt_names, hole_names

if TYPE_CHECKING:  # not needed to see that nothing changed
    from harness.season.bindings import BoundNotes
    from harness.season.hole import PlayedHole
    from harness.season.season import Season
    from harness.season.standing import Standing
    from harness.stats import Difference

_TEXTS = ("round.toml", "notes.md", "decision.json", "prediction.json")
_MAX_BYTES = 16_000_000  # of a file that is known by its content
_LIBRARIES = ("jinja2", "markupsafe", "markdown-it-py", "nh3", "pydantic")


@dataclass(frozen=True, kw_only=True)
class HoleEntry:
    """One hole as it was published last.

    key: what its files follow from; empty when that could not be told. line: its row on other pages.
    example: its card can explain what a card shows. own, passed_over: sentences, as `Choice` has them.
    """

    key: str
    files: tuple[str, ...]
    line: dict[str, Any]
    example: bool
    own: tuple[str, ...]
    passed_over: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """inputs: what the whole site follows from. rounds: page -> what it follows from.

    wrong_notes: the numbers in notes that the records do not hold, each with what to do.
    """

    inputs: str
    problems: tuple[str, ...]
    wrong_notes: tuple[tuple[str, str], ...]
    holes: dict[str, HoleEntry]
    rounds: dict[str, str]
    files: dict[str, FileMark]


EMPTY = Manifest(inputs="", problems=(), wrong_notes=(), holes={}, rounds={}, files={})


def load_manifest(out: Path) -> Manifest:
    """Return what is known of the site in a folder; nothing when there is any doubt."""
    entry = load_entries(_owner(out)).get("")
    if entry is None:
        return EMPTY
    stored = json.loads(entry.text)
    holes = {
        name: HoleEntry(
            key=key,
            files=tuple(files),
            line=line,
            example=example,
            own=tuple(own),
            passed_over=tuple(passed_over),
        )
        for name, key, files, line, example, own, passed_over in stored["holes"]
    }
    return Manifest(
        inputs=stored["inputs"],
        problems=tuple(stored["problems"]),
        wrong_notes=tuple((message, hint) for message, hint in stored["wrong_notes"]),
        holes=holes,
        rounds=stored["rounds"],
        files={name: FileMark(*mark) for name, *mark in stored["files"]},
    )


def save_manifest(out: Path, manifest: Manifest) -> None:
    content = {
        "inputs": manifest.inputs,
        "problems": manifest.problems,
        "wrong_notes": manifest.wrong_notes,
        "holes": [
            (name, one.key, one.files, one.line, one.example, one.own, one.passed_over)
            for name, one in manifest.holes.items()
        ],
        "rounds": manifest.rounds,
        "files": [(name, *mark) for name, mark in manifest.files.items()],
    }
    save_entries(_owner(out), {"": CacheEntry("", json.dumps(content, separators=(",", ":")))})


def _owner(out: Path) -> str:
    return f"site {out.resolve()}"


@dataclass(frozen=True)
class HoleMarks:
    """What the file system says of each hole.

    text_marks: round.toml, notes, decision, prediction. attempt_marks: the attempts' files.
    unsettled: holes of which it cannot tell, or whose files changed a moment ago.
    """

    text_marks: dict[str, str]
    attempt_marks: dict[str, str]
    unsettled: frozenset[str]


@dataclass(frozen=True)
class Sources:
    """Fingerprints. shared: of what all pages share. everything: of all inputs, empty if one is unsettled."""

    shared: str
    marks: HoleMarks
    everything: str


def look_at_sources(runs: Path, *, theme: Path | None, live: bool, options: str) -> Sources:
    """Look at all that a site is made from, holes without reading their files. options: as text."""
    shared = _hash_shared(runs, theme, options)
    marks = _mark_holes(runs, hole_names(runs), live)
    field, settled = _mark_field(runs)
    known = settled and not marks.unsettled
    everything = [shared, field, list(marks.text_marks.items()), list(marks.attempt_marks.items())]
    return Sources(shared, marks, digest(everything) if known else "")


def _mark_holes(runs: Path, holes: Iterable[HoleName], live: bool) -> HoleMarks:
    """Look at the holes' files that pages are made from.

    live: attempts without a record are shown as they are right now, so their pages cannot be carried over.
    """
    settled_ns = time.time_ns() - SETTLED_NS
    text_marks: dict[str, str] = {}
    attempt_marks: dict[str, str] = {}
    unsettled = set()
    for hole in holes:
        name, folder = hole.folder, f"{runs}/{hole.folder}"
        try:
            names, attempts = attempt_names(folder)
            own = [one for one in _TEXTS if one in names]
            text_marks[name], words_touched = mark_files(folder, own)
            attempt_marks[name], play_touched = _mark_attempts(folder, attempts)
        except OSError:
            text_marks[name], attempt_marks[name] = "", ""
            unsettled.add(name)
            continue
        if max(words_touched, play_touched) > settled_ns or (live and "record.json -" in attempt_marks[name]):
            unsettled.add(name)
    return HoleMarks(text_marks, attempt_marks, frozenset(unsettled))


def _mark_attempts(folder: str, attempts: Sequence[str]) -> tuple[str, int]:
    names = [f"{attempt}/{file}" for attempt in attempts for file in ("record.json", "curve.jsonl")]
    mark, touched = mark_files(folder, names)
    if "record.json -" not in mark:
        return mark, touched
    # Its page tells how far it came.
    names = [f"{attempt}/{file}" for attempt in attempts for file in ("launch.json", "train.log")]
    progress, progress_touched = mark_files(folder, names)
    return f"{mark}|{progress}", max(touched, progress_touched)


def _hash_shared(runs: Path, theme: Path | None, options: str) -> str:
    """A fingerprint of what all pages share: words, templates, courses, libraries, options."""
    shared = {
        "options": options,
        "templates": _hash_tree(shared_dir("templates")),
        "site": _hash_tree(shared_dir("site")),
        "theme": _hash_tree(theme) if theme else "",
        "courses": _hash_tree(runs / "courses"),
        "privacy": [LAW, _hash_file(data_path("secrets.tsv"))],
        "additions": [_hash_file(runs / "field.toml"), _hash_file(runs / "field" / "leaderboard.json")],
        "libraries": [platform.python_version(), *(f"{name} {version(name)}" for name in _LIBRARIES)],
    }
    return digest(shared)


def _mark_field(runs: Path) -> tuple[str, bool]:
    """Return what the file system says of the imported field, and whether it is settled."""
    marks = {name: one for name, one in list_files(str(runs / "field")).items() if name.endswith(".json")}
    settled_ns = time.time_ns() - SETTLED_NS
    return digest(sorted(marks.items())), all(one.mtime_ns < settled_ns for one in marks.values())


def key_of(
    shared: str,
    marks: HoleMarks,
    season: Season,
    standing: Standing,
    baseline: PlayedHole | None,
    notes: BoundNotes,
) -> str:
    """A fingerprint of what a hole's files follow from; empty when that cannot be told.

    Its own files; of the holes that it is compared with, what they came to and their attempts' files; of the
    next one, its name. Which holes those are and what the comparisons come to is computed anew each time, and
    so are the numbers in its notes, which may be those of any hole.
    """
    from harness.season.prediction import as_data, forecast

    played = standing.played
    before, after = season.neighbours(played)
    compared = standing.comparisons
    others = [
        before,
        season.parent(played),
        baseline,
        *(compared[kind].hole for kind in ("par", "previous", "parent")),
    ]
    by_name = {other.name.folder: other for other in others if other is not None}
    needed = {played.name.folder, *by_name}
    if marks.unsettled & needed or not needed <= marks.text_marks.keys():  # or it has just been added
        return ""
    facts = [
        shared,
        played.name.folder,
        played.summary,
        marks.text_marks[played.name.folder],
        marks.attempt_marks[played.name.folder],
        [before.name.folder, before.title] if before else None,
        [after.name.folder, after.title] if after else None,
        baseline.name.folder if baseline else None,
        [(name, other.summary, marks.attempt_marks[name]) for name, other in sorted(by_name.items())],
        repr(standing.verdict),
        [
            repr(standing.evidence.tempo(played, other))
            for other in (compared["previous"].hole, standing.story.hole)
            if other is not None
        ],
        standing.sets_par,
        standing.course_record,
        season.survives(played),
        # What it was held against may be any hole: repeats on a machine show how step times spread.
        "prediction.json" in marks.text_marks[played.name.folder] and as_data(forecast(season, standing)),
        [notes.text, [problem.message for problem in notes.problems]],
        [
            (
                kind,
                one.label,
                one.val_bpb,
                str(one.date),
                one.source,
                one.hole.name.folder if one.hole else None,
                _plain(one.difference),
                one.reason,
                one.caveat,
            )
            for kind, one in compared.items()
        ],
    ]
    return digest(facts)


def _plain(difference: Difference | None) -> tuple[object, ...]:
    if difference is None:
        return ()
    return tuple(getattr(difference, one.name) for one in fields(difference))


def digest(facts: object) -> str:
    """A fingerprint of plain values: numbers with all digits, nothing that differs between processes."""
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _hash_tree(folder: Path) -> str:
    """A fingerprint of all files below a folder, by name and content; links to folders are not followed."""
    total = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            content = _hash_file(path.resolve())  # a theme may be made of links
            total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode("utf-8", "replace"))
    return total.hexdigest()


def _hash_file(path: Path) -> str:
    """A fingerprint of a file, or of the reason why it cannot be read."""
    try:
        return hashlib.sha256(read_plain(path, _MAX_BYTES)).hexdigest()
    except OSError as error:
        return str(error)
