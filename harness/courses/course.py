"""Courses: caps, par, noise, verdict table, splits, and the SOTA as of a date.

A course is a validation text, not a vocabulary. What is known of it is dated data in `harness/data/courses`;
the published leaderboard lies in `harness/data/field`; a user's additions stand in `runs/field.toml`.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from harness.documents import FileProblem, MissingFile, check_model, naming, read_json, read_toml
from harness.errors import UsageError, nearest
from harness.files import data_path
from harness.records.frozen import MAX_NAME, NAME, CourseName, Date, PositiveFloat, PositiveInt
from harness.records.record import Frozen, RunRecord
from harness.stats import Spread

MAX_BYTES = 2_000_000  # of a course, of the additions, of a leaderboard


class ReferenceScore(Frozen):
    """A dated score of the field. source says where it was read.

    record: the folder of its logs in the challenge's repository. pr: the pull request that added it; several
    rows can share one.
    """

    name: str
    val_bpb: PositiveFloat
    date: Date
    source: str
    author: str | None = None
    track: str | None = None
    pr: PositiveInt | None = None
    record: str | None = None


class Par(Frozen):
    """The score to beat. split: the export it was measured on; on_others: what is known of it elsewhere.

    record: the folder of its logs in the challenge's repository.
    """

    val_bpb: PositiveFloat
    name: str
    date: Date
    source: str
    split: str | None = None
    on_others: str = ""
    record: str | None = None


class Caps(Frozen):
    artifact_bytes: PositiveInt
    train_seconds: PositiveFloat
    eval_seconds: PositiveFloat


class Noise(Frozen):
    """Standard deviation of val_bpb over seeds of one configuration.

    freedom: the degrees of freedom that it was measured with, as a pooled figure has them.
    """

    std_bpb: PositiveFloat
    freedom: PositiveFloat = 10.0
    date: Date
    source: str


class Verdicts(Frozen):
    """Golf names by distance to par, in bpb. Edges are inclusive and ascend."""

    par_within: PositiveFloat
    over: tuple[tuple[PositiveFloat, str], ...]
    beyond_over: str
    under: tuple[tuple[PositiveFloat, str], ...]
    beyond_under: str


class Split(Frozen):
    """One export of the validation text, told apart by its bytes."""

    name: str
    val_bytes: PositiveInt
    val_tokens_sp1024: PositiveInt | None = None


class CourseData(Frozen):
    """Where a course's own data lies; relative paths start at the course's file."""

    path: str
    tokenizer: str
    vocab_size: PositiveInt


class Course(Frozen):
    name: CourseName
    title: str
    what: str
    caps: Caps
    verdicts: Verdicts
    noise: Noise | None = None  # None until it was measured: the luck of one seed is then unknown
    no_interest_bpb: PositiveFloat | None = None  # differences up to it are of no interest to anybody
    data: CourseData | None = None
    par: Par | None = None
    leaderboard: str | None = None
    splits: tuple[Split, ...] = ()
    field: tuple[ReferenceScore, ...] = Field(default=())

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of val_bpb over seeds, or None when it was not measured."""
        return self.noise.std_bpb if self.noise else None

    @property
    def spread(self) -> Spread | None:
        """The noise figure as statistics take it."""
        if self.noise is None:
            return None
        source = f"the course's figure of {self.noise.date}"
        return Spread(self.noise.std_bpb, self.noise.freedom, source, known=True)

    def sota(self, day: dt.date) -> ReferenceScore | None:
        """Return the best published score dated on or before `day`, or None when nothing was out yet.

        A row dated the same day counts: which hole of a day came first is not known, and a record must
        never be claimed too easily. A claim with a pull request is judged by `find_earlier_record`.
        """
        known = [row for row in self.field if row.date <= day and row.track in (None, RECORD_TRACK)]
        return min(known, key=lambda row: (row.val_bpb, row.date), default=None)


@dataclass(frozen=True)
class Badge:
    """What the byte denominator says about a score.

    verified: it was measured on the course's current split, or on all of the text that the run read where the
    course lists no splits. older split: on another known export. suspect: on no known split. unchecked: the
    numbers for the check are missing.
    split: the known split that fits. implied_bytes: what tokens, loss and score give. expected_bytes: what
    they should give: the run's own count where it has one, else the size of the split that fits.
    """

    kind: Literal["verified", "older split", "suspect", "unchecked"]
    why: str
    split: str | None = None
    implied_bytes: float | None = None
    expected_bytes: int | None = None


# Logs print losses and scores with four places, rounded or cut off: each may miss by one in the last.
LAST_PLACE = 1e-4
# Targets at a text's end that fill no sequence are not scored; 4,096 is the longest in public logs.
UNSCORED_TOKENS = 4096

SUSPECT = "suspect"  # the split of a record whose bytes fit no known one
UNKNOWN = "unknown"  # the split of a record of which nothing, and nobody, says what text was scored
# Mean bytes that a token stands for: a vocabulary of 200,000 pieces reaches 4.8 on English text.
MAX_TOKEN_BYTES = 16

SPLIT_TOLERANCE = 1e-3  # up to which two records' byte counts are of one text; two exports differ by 3 %


def check_bytes(
    course: Course | None,
    tokens: int | None,
    val_loss: float | None,
    val_bpb: float | None,
    val_bytes: int | None = None,
) -> Badge:
    """Check that bytes = tokens * val_loss / (ln 2 * val_bpb) is a split of the course.

    The only such check: records, pages and the referee ask here.
    val_loss: nats per token; val_bpb: bits per byte, both over the same `tokens` targets.
    val_bytes: what the run itself counted for those targets; all there is to check where no splits are
    listed.

    The implied bytes may miss the run's own count by what printing four places costs (relatively; 1.3e-4 at
    the challenge's scores), and those of a split by the unscored end of the text as well (6.6e-5 there, more
    for a short text). The 82 public logs that print all three numbers miss by at most 6.5e-5; the known
    exports differ by 3 %.
    """
    if not tokens or not val_loss or not val_bpb:
        if course and course.splits and tokens and not any(_may_be(tokens, s) for s in course.splits):
            return Badge("suspect", f"{tokens:,} tokens cannot be the text of a known split")
        if course and tokens and (split := _split_of_tokens(course, tokens)):
            what = f"{tokens:,} tokens, as the {split.name} split has in the challenge's vocabulary"
            return Badge("unchecked", what, split.name)
        missing = "number of validation tokens" if not tokens else "val_loss or val_bpb"
        return Badge("unchecked", f"the {missing} is not known")
    implied = tokens * val_loss / (math.log(2) * val_bpb)
    printing = LAST_PLACE / val_loss + LAST_PLACE / val_bpb
    if val_bytes and abs(implied / val_bytes - 1) > printing:
        why = f"tokens, loss and bpb imply {implied:,.0f} bytes, the run counted {val_bytes:,}"
        return Badge("suspect", why, None, implied, val_bytes)
    splits = course.splits if course else ()
    for index, split in enumerate(splits):
        if abs(implied / split.val_bytes - 1) <= printing + UNSCORED_TOKENS / tokens:
            what = f"{implied / 1e6:.2f} M bytes of text, as in the {split.name} split"
            kind: Literal["verified", "older split"] = "verified" if index == 0 else "older split"
            return Badge(kind, what, split.name, implied, val_bytes or split.val_bytes)
    if splits:
        known = ", ".join(f"{split.val_bytes / 1e6:.2f} M" for split in splits)
        why = f"tokens, loss and bpb imply {implied / 1e6:.2f} M bytes; the known splits have {known}"
        return Badge("suspect", why, None, implied)
    if val_bytes:
        return Badge("verified", f"{val_bytes:,} bytes of text, as the run counted", None, implied, val_bytes)
    return Badge("unchecked", "this course has no list of splits", None, implied)


def _may_be(tokens: int, split: Split) -> bool:
    """Whether so many tokens can stand for a split: each for a byte at least, and for not too many."""
    return split.val_bytes / MAX_TOKEN_BYTES <= tokens <= split.val_bytes + UNSCORED_TOKENS


def _split_of_tokens(course: Course, tokens: int) -> Split | None:
    """The split that has so many tokens in the challenge's own vocabulary, apart from an unscored end."""
    known = ((split, split.val_tokens_sp1024) for split in course.splits)
    return next((split for split, count in known if count and 0 <= count - tokens <= UNSCORED_TOKENS), None)


def name_split(course: Course, badge: Badge, named: bool, val_sha256: str | None = None) -> str | None:
    """Name the text that a score was taken on, for a run or a log of which only the log tells.

    Bytes and tokens tell it, else the fingerprint of the data, else the user, who names the course: its
    split is then not known (None). named: whether somebody named the course, or it is merely the default.
    """
    if badge.split is not None:
        return badge.split
    if badge.kind == "suspect":
        return SUSPECT
    if named or not course.splits:
        return None
    return f"{UNKNOWN}-{val_sha256[:12]}" if val_sha256 else UNKNOWN


def is_unknown(split: str | None) -> bool:
    """Whether a record's split says that its text is no known one, or that nothing tells which it is."""
    return split is not None and split.startswith(UNKNOWN)


class ByteEvidence(NamedTuple):
    """What `check_bytes` needs to know of a score."""

    tokens: int | None = None
    val_loss: float | None = None
    val_bpb: float | None = None
    val_bytes: int | None = None


def byte_evidence(record: RunRecord) -> ByteEvidence:
    """Return the tokens and the loss of the evaluation behind a record's official score."""
    score = record.counted_score
    loss = score.val_loss if score and score.val_loss is not None else record.val_loss
    tokens = (score.tokens if score else None) or record.data.val_tokens
    return ByteEvidence(tokens, loss, record.val_bpb, record.data.val_bytes)


def check_record_bytes(course: Course | None, record: RunRecord) -> Badge:
    """Check the bytes behind a record's official score, by the tokens and the loss of that evaluation."""
    return check_bytes(course, *byte_evidence(record))


def scored_bytes(record: RunRecord) -> int | None:
    """Return how many bytes of text the official score is of: counted, else of an unknown text implied."""
    score = record.counted_score
    known = score.bytes if score and score.bytes else record.data.val_bytes
    if known is not None or record.split != SUSPECT:
        return known
    implied = check_record_bytes(None, record).implied_bytes
    return round(implied) if implied else None


def foreign_text(course: Course | None, split: str | None, evidence: ByteEvidence) -> str:
    """Say why a score is not of the course's validation text: then it has no verdict and beats nobody.

    split: as the record names it. Empty where the text is the course's, as its bytes or somebody who named
    the course say, and on a course that lists no splits.
    """
    if course is None or not course.splits:
        return ""
    what = f"not the validation text of {course.name}"
    badge = check_bytes(course, *evidence)
    if badge.kind == "suspect":
        return f"{what}: {badge.why}"
    if split == UNKNOWN:
        return (
            f"nothing shows which text was scored: {badge.why}, and nobody named the course; "
            f"if it is {course.name}'s, say so with --course {course.name}"
        )
    if split is None or split in [known.name for known in course.splits]:
        return ""
    known = " and ".join(known.name for known in course.splits)
    return f"{what}: its split is {split}; known are {known}"


RECORD_TRACK = "10min_16mb"  # the others are not bound by the ten minutes, so they hold no record


def load_course(name: str, runs: Path | None = None, problems: list[str] | None = None) -> Course:
    """Return a course by name, with the user's additions from `runs/field.toml`.

    A file `runs/courses/NAME.toml` of the same form adds a course of one's own.
    problems: takes what is wrong with the additions, which are then left out; None: it is raised.
    Raises UsageError naming the nearest known course, or FileProblem with the place of a mistake in a file.
    """
    known = course_names(runs)
    if name not in known:  # what stands in a file may be a path
        close = nearest(name[:MAX_NAME], known)
        raise UsageError(
            f'no course is called "{name[:MAX_NAME]}"',
            (f"did you mean {close}? " if close else "") + f"known courses: {', '.join(known)}",
        )
    file = Path("courses", f"{name}.toml")
    own = runs is not None and os.path.lexists(runs / file)
    course = _read_course(runs / file, runs) if runs and own else _read_shipped(data_path(*file.parts))
    if runs is None:
        return course
    try:
        if name == "fineweb":
            with suppress(MissingFile):
                board = read_leaderboard(runs / "field" / "leaderboard.json", runs)
                course = course.model_copy(update={"field": board})
        extra = tuple(_read_additions(runs).get(name, ()))
    except FileProblem as error:
        if problems is None:
            raise
        problems.append(error.message)
        return course
    return course.model_copy(update={"field": course.field + extra}) if extra else course


def course_names(runs: Path | None = None) -> list[str]:
    """Return the names of all courses, shipped and own, in order."""
    folders = [data_path("courses")] + ([runs / "courses"] if runs else [])
    return sorted({name for folder in folders for name in find_names(folder)})


def find_names(folder: Path) -> list[str]:
    """Return the names of the TOML files in a folder: those that can be a course's or a policy's."""
    return [path.stem for path in folder.glob("*.toml") if re.fullmatch(NAME, path.stem)]


@cache
def _read_shipped(path: Path) -> Course:
    return _read_course(path)


def _read_course(path: Path, root: Path | None = None) -> Course:
    hint = "compare it with a shipped course"
    course = check_model(Course, read_toml(path, MAX_BYTES, hint, root), path, hint)
    if course.name != path.stem:
        raise FileProblem(f"{path}: its name is {course.name}", f'write name = "{path.stem}"')
    if course.data:
        here = path.parent.resolve()
        places = {"path": str(here / course.data.path), "tokenizer": str(here / course.data.tokenizer)}
        course = course.model_copy(update={"data": course.data.model_copy(update=places)})
    if course.leaderboard:
        board = read_leaderboard(data_path("field", course.leaderboard))
        course = course.model_copy(update={"field": board + course.field})
    return course


def read_leaderboard(path: Path, root: Path | None = None) -> tuple[ReferenceScore, ...]:
    """Read a leaderboard as data. root: as in `open_plain`.

    Raises MissingFile, or FileProblem when the file is not one.
    """
    hint = "refresh it with `harness import --leaderboard FILE.md`"
    board = read_json(path, MAX_BYTES, hint, root)
    with naming(f"{path} is not a leaderboard", hint):
        where = f"{board['source']['repository']} at {board['source']['commit'][:8]}"
        return tuple(
            read_leaderboard_row(row, f"{where}, {row['record'] or 'table row'}") for row in board["rows"]
        )


def read_leaderboard_row(row: Mapping[str, Any], source: str) -> ReferenceScore:
    """Turn a row of a leaderboard file into a score. Raises KeyError or ValueError when it lacks a part."""
    return ReferenceScore(
        name=row["name"],
        val_bpb=row["score"],
        date=row["date"],
        author=row["author"],
        track=row["track"],
        source=source,
        pr=row.get("pr"),
        record=row["record"],
    )


def _read_additions(runs: Path) -> dict[str, list[ReferenceScore]]:
    """Read `[[reference]]` tables of `runs/field.toml` by course."""
    path, hint = runs / "field.toml", "a [[reference]] has course, name, val_bpb, date, source"
    try:
        tables = read_toml(path, MAX_BYTES, hint, runs).get("reference", [])
    except MissingFile:
        return {}
    additions: dict[str, list[ReferenceScore]] = {}
    with naming(path, hint):
        for number, row in enumerate(tables, start=1):
            with naming(f"{path}: reference {number}", hint):
                entry = dict(row)
                course = entry.pop("course", None)
                if not isinstance(course, str):
                    raise FileProblem(f"{path}: reference {number} names no course", 'add course = "fineweb"')
                additions.setdefault(course, []).append(ReferenceScore.model_validate(entry))
    return additions
