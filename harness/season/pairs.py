"""What a hole is compared with: other holes, or par, the SOTA, our best, the previous hole, the parent.

Reads the curves that `harness.season.compare` needs; never writes.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UsageError
from harness.field.entries import StoredEntry, find_entry
from harness.field.reference import entries_beginning, find_public
from harness.records.curve import Curve, load_curve
from harness.records.references import clean_reference, is_public
from harness.records.store import Store
from harness.season.compare import AttemptCurve, Pair, Side, Whiff, compare, config_changes, find_whiff
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.season.standing import KINDS, Comparison, ComparisonKind, Standing
from harness.stats import Sample

WORDS: dict[str, ComparisonKind] = {
    "par": "par",
    "baseline": "par",
    "sota": "sota",
    "best": "best",
    "prev": "previous",
    "previous": "previous",
    "parent": "parent",
}


def parse_kinds(text: str) -> tuple[ComparisonKind, ...]:
    """Read `par,sota,best`. Raises UsageError naming what is known."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in WORDS:
            raise UsageError(
                f'--to "{word}" is not known', "use par, sota, best, prev or parent, with commas"
            )
    if not words:
        raise UsageError("--to names nothing", "use par, sota, best, prev or parent, with commas")
    return tuple(dict.fromkeys(WORDS[word] for word in words))


def find_other(season: Season, reference: str) -> PlayedHole | StoredEntry:
    """Return the hole, or the entry of the field, that a reference means (`harness.records.references`).

    An entry is named by `field:NAME`, `pr:NUMBER`, its path, or its bare name where no hole has it.
    Raises UsageError for what is neither.
    """
    cleaned = clean_reference(reference, season.runs)
    if is_public(cleaned):
        return find_public(season.public_entries(), season.courses(), None, cleaned)
    hole = Store(season.runs).find(reference)
    entries = entries_beginning(season.public_entries(), cleaned) if cleaned else []
    if len(entries) == 1 and (hole is None or entries[0].slug.lower() == cleaned.lower()):
        return entries[0]
    if len(entries) > 1 and hole is None:
        names = ", ".join(entry.slug for entry in entries[:3])
        raise UsageError(
            f'"{reference}" fits {len(entries)} entries of the field: {names}', "type more of the name"
        )
    folder = (hole or Store(season.runs).get(reference)).name.folder
    return next(hole for hole in season.holes if hole.name.folder == folder)


def pairs_of(
    season: Season,
    played: PlayedHole,
    others: list[PlayedHole | StoredEntry],
    kinds: tuple[ComparisonKind, ...],
    across_stages: bool = False,
) -> list[Pair]:
    """Compare a hole with `others` and with references of `kinds`; without both, with every reference.

    Raises UsageError when a hole is to be compared with itself.
    """
    if any(other is played for other in others):
        raise UsageError(f"{played.name.folder} is compared with itself", "name another hole")
    pairs = [
        pair_holes(season, played, other, across_stages)
        if isinstance(other, PlayedHole)
        else pair_entry(season, played, other, across_stages)
        for other in others
    ]
    standing = season.standing(played)
    references = [pair_reference(season, standing, kind) for kind in kinds or (() if others else KINDS)]
    if not kinds and not others:  # what was typed must exist; of all references, those that do
        references = [pair for pair in references if pair.difference] or references[:1]
    merged: dict[str, Pair] = {}
    for pair in references:  # par and parent are often one hole
        known = merged.get(pair.b.name)
        merged[pair.b.name] = pair if known is None else replace(known, label=f"{known.label}, {pair.label}")
    return pairs + list(merged.values())


def pair_holes(season: Season, a: PlayedHole, b: PlayedHole, across_stages: bool = False) -> Pair:
    """Compare two holes."""
    course = season.course(a.course)
    seed = _seed_of_both(a, b)
    ours, theirs = side_of(a, seed), side_of(b, seed)
    difference = None
    if course and (exact := season.evidence.on_equal_weights(a, b, course)):
        difference, shared = exact
        theirs = replace(theirs, sample=shared)
        across_stages = True  # of the same weights, another way to score them is the change that was made
    elif course:
        difference = season.evidence.difference(a, b, course)
    pair = compare(ours, theirs, course, b.title, hole_whiff(a, b), across_stages, difference)
    plans = (f"{one.name.folder}: {one.summary.no_verdict}" for one in (a, b) if one.summary.no_verdict)
    if pair.obstacle == "invalid":
        return replace(pair, artifact=None, whiff=None)
    evidence = season.evidence
    return replace(
        pair,
        tempo=evidence.tempo(a, b),
        artifact=evidence.artifact(a, b),
        caveats=(*pair.caveats, *plans),
    )


def pair_entry(season: Season, a: PlayedHole, b: StoredEntry, across_stages: bool = False) -> Pair:
    """Compare a hole with an imported public run."""
    curve = load_curve(b.curve_path) if b.curve_path else Curve()
    reason = "" if b.sample else f"{b.slug}: no log of it shows a score"
    side = Side(b.slug, b.sample, b.complete, curve, reason)
    course = season.course(a.course)
    difference = None
    if course and a.sample and b.sample:
        ours = season.evidence.sample(a) or a.sample
        difference = season.evidence.against(ours, b.sample, course, a.split)
    return compare(side_of(a), side, course, b.entry.name, None, across_stages, difference)


def pair_reference(season: Season, standing: Standing, kind: ComparisonKind) -> Pair:
    """Compare a hole with one reference of its day; where there is none, the pair says why."""
    played, comparison = standing.played, standing.comparisons[kind]
    if comparison.hole is not None:
        pair = pair_holes(season, played, comparison.hole, across_stages=kind == "par")
        if pair.difference is not None and comparison.difference is not None:
            pair = replace(pair, difference=comparison.difference)
        return replace(pair, label=kind)
    if comparison.entry is not None:
        pair = pair_entry(season, played, comparison.entry, across_stages=True)
        return replace(pair, label=kind)
    other = _published(season, played.course, kind, comparison)
    pair = compare(side_of(played), other, standing.course, kind, difference=comparison.difference)
    caveats = (comparison.caveat, *pair.caveats) if comparison.caveat else pair.caveats
    return replace(pair, label=kind, caveats=caveats)


def _seed_of_both(a: PlayedHole, b: PlayedHole) -> int | None:
    """Return the newest seed that both played: curves of one seed differ by less luck."""
    seeds = {record.seed for record in b.group}
    return next((record.seed for record in reversed(a.group) if record.seed in seeds), None)


def side_of(played: PlayedHole, seed: int | None = None) -> Side:
    """Return a hole as a side: its group of attempts and the curve of the one that is shown.

    seed: whose attempt is shown instead.
    """
    records = played.group or ((played.record,) if played.record else ())
    attempt = played.attempt
    for entry in played.entries if seed is not None else ():
        if entry.record in played.group and entry.record.seed == seed:
            attempt = entry.attempt
            records = (*(one for one in records if one != entry.record), entry.record)
    reason = ""
    if played.sample is None:
        problem = f": {played.problems[0]}" if played.problems and not played.records else ""
        attempts = {0: "no attempt"}.get(len(played.entries), "no complete attempt")
        reason = f"{played.name.folder} has {attempts}{problem}"
    curve = load_curve(attempt.curve_path) if attempt else Curve()
    return Side(
        played.name.folder,
        played.sample,
        records,
        curve,
        reason,
        played.why_invalid,
        played.summary.failed_seeds,
    )


def hole_whiff(a: PlayedHole, b: PlayedHole) -> Whiff | None:
    """Look for an override of `a` that did nothing, next to every attempt of `b` with the same seed."""
    if a is b:
        return None
    seeds = {record.seed for record in b.records}
    if not any(
        record.seed in seeds and config_changes(record, other) for record in a.records for other in b.records
    ):
        return None  # no curve needs to be read
    return find_whiff(_attempt_curves(a), _attempt_curves(b))


def parent_whiff(season: Season, played: PlayedHole) -> Whiff | None:
    """Look for an override that did nothing next to the parent, else next to the previous hole."""
    other = season.parent(played) or season.neighbours(played)[0]
    if other is None or other.invalid or not _scores_meet(played, other):
        return None  # no curve needs to be read
    whiff = hole_whiff(played, other)
    return replace(whiff, other_title=other.title) if whiff and whiff.kind == "whiff" else None


def describe_whiff(whiff: Whiff) -> str:
    """Return the line below a card."""
    return f"WHIFF: {whiff.why} (seed {whiff.seed}, beside {whiff.other_title})"


def _scores_meet(a: PlayedHole, b: PlayedHole) -> bool:
    """Whether some attempt of each has the same official score, as those of a whiff have."""
    return bool(_scores(a) & _scores(b))


def _scores(played: PlayedHole) -> set[float]:
    return {record.val_bpb for record in played.records if record.val_bpb is not None}


def _attempt_curves(played: PlayedHole) -> list[AttemptCurve]:
    return [
        AttemptCurve(entry.record, load_curve(entry.attempt.curve_path))
        for entry in played.entries
        if entry.record is not None and entry.record.complete
    ]


def _published(season: Season, course: str | None, kind: ComparisonKind, comparison: Comparison) -> Side:
    """A published score; with its imported run, where we have it, come its curve and its circumstances."""
    if comparison.val_bpb is None:
        return Side(kind, None, reason=comparison.reason)
    name = comparison.label or kind
    sample = Sample((comparison.val_bpb,))
    entry = _imported(season, course, kind, comparison)
    if entry is None or not entry.complete:
        return Side(name, sample)
    curve = load_curve(entry.curve_path) if entry.curve_path else Curve()
    return Side(name, sample, (), curve, imported=entry.complete[-1])


def _imported(
    season: Season, name: str | None, kind: ComparisonKind, comparison: Comparison
) -> StoredEntry | None:
    """Return the imported entry of the published row that a comparison was made with."""
    course = season.course(name)
    if course is None:
        return None
    if kind == "par" and course.par is not None and course.par.record is not None:
        rows = [row for row in course.field if row.record == course.par.record]
    else:
        rows = [
            row
            for row in course.field
            if (row.name, row.source, row.date) == (comparison.label, comparison.source, comparison.date)
        ]
    return find_entry(season.public_entries(), course, rows[0]) if len(rows) == 1 else None
