"""The view model of a field page: published records and our own holes ranked, and the steps of the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness import figures
from harness.courses.course import (
    RECORD_TRACK,
    Course,
    ReferenceScore,
    byte_evidence,
    check_record_bytes,
    foreign_text,
)
from harness.field.entries import StoredEntry, find_entry
from harness.publish.views.compare import field_anchor
from harness.publish.views.index import Line, on_one_split
from harness.publish.words.commentary import tidy
from harness.publish.words.wording import Wording
from harness.season.evidence import Evidence
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.season.selection import selection_of
from harness.stats import Sample, subtract

OWN_ON_FIELD = 60


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A row of a leaderboard. tone: better or worse than par. seeds, p_value: empty where nobody knows.

    anchor: the id of an imported entry's row.
    """

    position: str
    name: str
    href: str
    own: bool
    leader: bool
    to_par: str
    tone: str
    val_bpb: str
    seeds: str
    p_value: str
    artifact: str
    day: str
    source: str
    anchor: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A published record: what it beat the one before by, and whether that is more than luck."""

    day: str
    name: str
    val_bpb: str
    change: str
    seeds: str
    p_value: str


@dataclass(frozen=True, kw_only=True)
class Below:
    """A run without a rank, below the cut, and the reason."""

    title: str
    href: str
    score: str
    artifact: str
    reason: str
    anchor: str = ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """cut: runs without a rank. steps: the records in order. sources: where the published table was read."""

    title: str
    what: str
    rows: tuple[Rank, ...]
    cut: tuple[Below, ...]
    steps: tuple[Step, ...]
    par: str
    left_out: int
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Score:
    """One row before it is ranked, whatever it was: a published row, an imported entry, a hole of ours.

    within_noise: of par.
    """

    value: float
    day: str
    name: str
    source: str
    sample: Sample | None = None
    seeds: str = ""
    artifact: str = ""
    href: str = ""
    may_lead: bool = True
    anchor: str = ""
    hole: PlayedHole | None = None
    within_noise: bool = False


def build_board(season: Season, name: str, lines: Sequence[Line], wording: Wording) -> Board:
    """Rank public records and our own holes of a course; those over the cap or unfinished are cut."""
    course = season.course(name)
    assert course is not None
    own = [line for line in lines if line.course == name]
    scored = [line for line in own if line.comparable]
    comparable = on_one_split(scored)
    par = course.par.val_bpb if course.par else next((line.val_bpb for line in comparable), None)
    public = [entry for entry in season.public_entries() if entry.entry.course == name]
    foreign = {entry.slug: _foreign_text(entry, course) for entry in public}
    ranked = [
        entry
        for entry in public
        if entry.sample is not None and not _over_cap(entry) and not foreign[entry.slug]
    ]
    references = [row for row in course.field if row.track in (None, RECORD_TRACK)]

    counted = sorted((line for line in comparable if line.counts), key=lambda line: line.val_bpb or 0.0)
    shown, left_out = counted[:OWN_ON_FIELD], max(0, len(counted) - OWN_ON_FIELD)
    # An imported entry says more than the published table's row for it, and replaces it.
    scores = [_published(row, wording) for row in references if find_entry(ranked, course, row) is None]
    scores += [_imported(entry, course, wording) for entry in ranked]
    holes = {hole.name.folder: hole for hole in season.holes}
    selection = selection_of(season, holes[shown[0].name]) if shown else None
    count = selection.count if selection and not selection.confirmed else 0
    scores += [_ours(line, holes[line.name], wording, 0 if at else count) for at, line in enumerate(shown)]
    if references and (best := _leading(scores)):  # who leads a published table holds its record
        leading = [line for line in shown if line.href in best]
        obstacles = {line.href: season.record_obstacles(holes[line.name]) for line in leading}
        scores = [_without_lead(score, obstacles.get(score.href, ()), wording) for score in scores]
    elsewhere = {line.name for line in scored} - {line.name for line in comparable}
    cut = [
        Below(
            title=line.title,
            href=line.href,
            score=line.score,
            artifact=line.artifact,
            reason=line.ruling
            or line.foreign_text
            or (wording.say("field", "other_split") if line.name in elsewhere else line.summary),
        )
        for line in own
        if line.status not in ("ok", "unplayed") or line.name in elsewhere or line.ruling
    ]
    cut += [_below(entry, foreign[entry.slug], wording) for entry in public if entry not in ranked]
    return Board(
        title=course.title,
        what=course.what,
        rows=tuple(_rank(scores, par, course, season.evidence)),
        cut=tuple(cut),
        steps=_record_steps(references, ranked, course, wording),
        par=figures.bpb(par) if par is not None else "",
        left_out=left_out,
        sources=tuple(dict.fromkeys(row.source.rpartition(", ")[0] or row.source for row in references)),
    )


def _leading(scores: Sequence[_Score]) -> set[str]:
    """The cards of our own holes that stand at the top."""
    top = min((figures.bpb(score.value) for score in scores), default="")
    return {score.href for score in scores if score.href and figures.bpb(score.value) == top}


def _without_lead(score: _Score, obstacles: Sequence[str], wording: Wording) -> _Score:
    """A score that is no record does not lead; its row says why."""
    if not obstacles:
        return score
    why = wording.fill("field", "no_record", source=score.source, why="; ".join(obstacles))
    return replace(score, may_lead=False, source=why)


def _rank(scores: list[_Score], par: float | None, course: Course, evidence: Evidence) -> list[Rank]:
    """Best first; equal scores, as printed, share a place and its T."""
    scores = sorted(scores, key=lambda score: (round(score.value, 4), score.day))
    levels = [figures.bpb(score.value) for score in scores]
    places = {level: levels.index(level) + 1 for level in dict.fromkeys(levels)}
    rows = []
    for at, (score, level) in enumerate(zip(scores, levels, strict=True)):
        distance = None if par is None else round(score.value - par, 4)
        below = scores[at + 1] if at + 1 < len(scores) else None
        both = (score.hole, below.hole) if below else (None, None)
        exact = both[0] is not None and both[1] is not None and evidence.equal_weights(both[0], both[1])
        to_par = "" if distance is None else "E" if distance == 0 else figures.delta(distance)
        rows.append(
            Rank(
                position=f"T{places[level]}" if levels.count(level) > 1 else str(places[level]),
                name=score.name,
                href=score.href,
                own=bool(score.href),
                leader=places[level] == 1 and score.may_lead,
                to_par=f"~{to_par}" if distance and score.within_noise else to_par,
                tone="" if not distance or score.within_noise else "worse" if distance > 0 else "better",
                val_bpb=level,
                seeds=score.seeds,
                p_value="" if exact or not below else _p_value(score.sample, below.sample, course),
                artifact=score.artifact,
                day=score.day,
                source=score.source,
                anchor=score.anchor,
            )
        )
    return rows


def _seeds(sample: Sample | None) -> str:
    """How many runs the score is the mean of, and how far they lie apart: 3 ± 0.0006."""
    if sample is None:
        return ""
    count = f"{sample.n} of {sample.n + sample.failed}" if sample.failed else str(sample.n)
    return count if sample.std is None else f"{count} ± {sample.std:.4f}"


def _logged_seeds(entry: StoredEntry | None, wording: Wording) -> str:
    """The seeds of an imported entry, and whether its logs repeat a seed, mix versions or name no seed."""
    if entry is None or entry.sample is None:
        return ""
    count = entry.seeds
    if count.one_log_a_seed:
        return _seeds(entry.sample)
    logs, versions = figures.number(count.logs, "log"), figures.number(count.versions, "version")
    if not count.seeds:
        return wording.fill("field", "seed_unknown", logs=logs)
    text = wording.fill("field", "seeds_in_logs", seeds=figures.number(len(count.seeds), "seed"), logs=logs)
    if count.versions > 1:
        text += wording.fill("field", "of_versions", versions=versions)
    if count.unknown:
        text += wording.fill("field", "logs_without_seed", logs=figures.number(count.unknown, "log"))
    return text + (f" ± {entry.sample.std:.4f}" if entry.sample.std is not None else "")


def _p_value(sample: Sample | None, other: Sample | None, course: Course) -> str:
    """The p-value against another row, where both hold several seeds of one version."""
    if sample is None or other is None or sample.n < 2 or other.n < 2:
        return ""
    difference = subtract(sample, other, course.spread)
    tests = (difference.test, *difference.others)
    p_value = next((test.p for test in tests if test and test.name == "Welch's t"), None)
    return "" if p_value is None else f"{p_value:.2g}" if p_value >= 1e-4 else "< 0.0001"


def _published(row: ReferenceScore, wording: Wording) -> _Score:
    return _Score(
        value=row.val_bpb,
        day=row.date.isoformat(),
        name=_by(row.name, row.author, wording),
        source=tidy(row.record or row.source.rpartition(", ")[2], 140),
    )


def _imported(entry: StoredEntry, course: Course, wording: Wording) -> _Score:
    record = entry.complete[-1]
    badge = check_record_bytes(course, record)
    assert entry.sample is not None
    return _Score(
        value=entry.sample.mean,
        day=entry.entry.date.isoformat() if entry.entry.date else "",
        name=_by(entry.entry.name, entry.entry.author, wording),
        source=wording.fill("field", "from_logs", badge=badge.kind),
        sample=entry.sample,
        seeds=_logged_seeds(entry, wording),
        artifact=_largest_artifact(entry),
        anchor=field_anchor(entry.slug),
    )


def _ours(line: Line, hole: PlayedHole, wording: Wording, lowest_of: int) -> _Score:
    """lowest_of: how many of ours it is the lowest of, while nothing confirmed it; 0 of the others."""
    assert line.val_bpb is not None
    return _Score(
        value=line.val_bpb,
        day=line.day_iso,
        name=line.title,
        source=wording.fill(
            "field", "our_lowest" if lowest_of else "ours", position=line.position, count=str(lowest_of)
        ),
        sample=hole.sample,
        seeds=_seeds(hole.sample),
        artifact=line.artifact,
        href=line.href,
        hole=hole,
        within_noise=bool(line.to_par.value) and line.to_par.tone == "even",
    )


def _by(name: str, author: str | None, wording: Wording) -> str:
    short = tidy(name, 90)
    return wording.fill("field", "by", name=short, author=tidy(author, 60)) if author else short


def _over_cap(entry: StoredEntry) -> bool:
    return any(record.status == "over_cap" for record in entry.complete)


def _largest_artifact(entry: StoredEntry) -> str:
    sizes = [record.artifact_bytes for record in entry.records if record.artifact_bytes is not None]
    return figures.megabytes(max(sizes)) if sizes else ""


def _foreign_text(entry: StoredEntry, course: Course) -> str:
    """Say why the score of an entry's newest log is not of the course's text."""
    if not entry.complete:
        return ""
    record = entry.complete[-1]
    return foreign_text(course, record.split, byte_evidence(record))


def _below(entry: StoredEntry, foreign: str, wording: Wording) -> Below:
    """An imported entry without a rank: over the cap, of another text, or with no score that a log shows."""
    reason = "cut_over_cap" if _over_cap(entry) else "cut_no_score" if entry.records else "cut_no_log"
    score = figures.bpb(entry.val_bpb) if entry.val_bpb is not None else ""
    return Below(
        title=tidy(entry.entry.name, 90),
        href="",
        score=score,
        artifact=_largest_artifact(entry),
        reason=foreign or wording.say("field", reason),
        anchor=field_anchor(entry.slug),
    )


def _record_steps(
    references: Sequence[ReferenceScore], ranked: Sequence[StoredEntry], course: Course, wording: Wording
) -> tuple[Step, ...]:
    """Every row that beat all before it. Seeds and p come from the imported logs, where they are here."""
    entries: dict[int, StoredEntry | None] = {id(row): find_entry(ranked, course, row) for row in references}
    steps: list[Step] = []
    before: ReferenceScore | None = None
    for row in sorted(references, key=lambda row: _order(row, course)):
        if before is not None and row.val_bpb >= before.val_bpb:
            continue
        entry, beaten = entries[id(row)], entries[id(before)] if before else None
        sample, other = (one.sample if one else None for one in (entry, beaten))
        steps.append(
            Step(
                day=row.date.isoformat(),
                name=tidy(row.name, 90),
                val_bpb=figures.bpb(row.val_bpb),
                change=figures.delta(row.val_bpb - before.val_bpb) if before else "",
                seeds=_logged_seeds(entry, wording),
                p_value=_p_value(sample, other, course),
            )
        )
        before = row
    return tuple(steps)


def _order(row: ReferenceScore, course: Course) -> tuple[object, ...]:
    """By day, then by pull request; par opens its day, and rows without a number close theirs, best first."""
    is_par = course.par is not None and row.record is not None and row.record == course.par.record
    return (row.date, not is_par, row.pr is None, row.pr or 0, row.val_bpb)
