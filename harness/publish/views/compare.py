"""A hole against others: the deltas and the table on its own page, and the view model of a compare page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from harness import figures
from harness.publish.drawings.charts import curve
from harness.publish.views.curve import CurveCache
from harness.publish.views.tables import TITLE_LENGTH, Table
from harness.publish.words.commentary import Facts, tidy
from harness.publish.words.wording import Wording, long_day
from harness.records.record import RunRecord, mean_gap
from harness.season.artifact import ArtifactChange
from harness.season.claims import is_claim
from harness.season.compare import counted_config
from harness.season.differences import seeds_to_show
from harness.season.hole import PlayedHole
from harness.season.ratios import RatioChange
from harness.season.standing import Comparison, ComparisonKind, Standing
from harness.stats import Difference, Outcome

MOST_SETTINGS = 40
COMMON_STEPS = 8
CERTAIN: tuple[Outcome, ...] = ("better", "worse", "equal")

# What an outcome is called next to some references; elsewhere it is its own word.
_WORDS: dict[tuple[ComparisonKind, Outcome], str] = {
    ("previous", "better"): "lower",
    ("previous", "worse"): "higher",
    ("best", "better"): "lowest so far",
}


@dataclass(frozen=True)
class DeltaCard:
    """A difference to one reference. value is empty when `reason` says why there is none.

    tone: better, worse, apart (and neither) or even (within noise), for the stylesheet; `word` says the same.
    href: of a public run's row on the field page, from a hole's page.
    """

    label: str
    value: str = ""
    word: str = ""
    tone: str = "even"
    reference: str = ""
    name: str = ""
    day: str = ""
    source: str = ""
    noise: str = ""
    reason: str = ""
    href: str = ""


def delta_card(label: str, comparison: Comparison, wording: Wording) -> DeltaCard:
    """Word one comparison: the signed difference, what it is worth, and against whom.

    The previous hole is a row of a scorecard: a score is higher or lower than its, no idea is better or worse
    for that.
    """
    difference, other = comparison.difference, comparison.hole
    if difference is None or comparison.val_bpb is None:
        return DeltaCard(label, reason=comparison.reason, href=_field_href(comparison))
    word = _WORDS.get((comparison.kind, difference.outcome), difference.outcome)
    tone: str = difference.outcome if difference.outcome in ("better", "worse") else "even"
    if comparison.kind == "previous" and tone != "even":
        tone = "apart"
    noise = difference.basis
    if difference.threshold is not None and not difference.exact:
        noise = wording.fill("note", "luck", noise=figures.bpb(difference.threshold), basis=difference.basis)
    notes = (noise, _interest(difference, wording), comparison.caveat)
    name = f"{other.name.position}: {comparison.label}" if other else comparison.label
    if other is not None and (ruling := ruling_of(other, wording)):
        name += f" ({ruling.lower()})"
    return DeltaCard(
        label,
        value=figures.delta(difference.delta),
        word=wording.say("outcome", word),
        tone=tone,
        reference=figures.bpb(comparison.val_bpb),
        name=tidy(name, 100),
        day=long_day(comparison.date) if comparison.date else "",
        source=tidy(comparison.source, 160),
        noise="; ".join(filter(None, notes)),
        href=_field_href(comparison),
    )


def ruling_of(played: PlayedHole, wording: Wording) -> str:
    """Say that a hole was dropped or ruled invalid; empty for any other. Every row of it has this mark."""
    if not (played.invalid or played.dropped):
        return ""
    return wording.say("decision", played.summary.decision or "")


def _interest(difference: Difference, wording: Wording) -> str:
    """Say whether a difference is of no interest to anybody, or how many more seeds would tell."""
    if difference.equivalent and difference.bound is not None and (difference.delta or not difference.exact):
        key = "too_small" if is_claim(difference) else "does_nothing"
        return wording.fill("note", key, bound=f"{difference.bound:g}")
    more = seeds_to_show(difference)
    if more is None:
        return ""
    seeds = figures.number(more.seeds, "more seed")
    return wording.fill("note", "more_seeds", seeds=seeds, size=f"{more.size:g}")


def field_file(course: str) -> str:
    """The file name of a course's field page."""
    return f"field-{course}.html"


def field_anchor(slug: str) -> str:
    """The id of a public run's row on the field page of its course."""
    return f"entry-{slug}"


def _field_href(comparison: Comparison) -> str:
    entry = comparison.entry
    return f"../{field_file(entry.entry.course)}#{field_anchor(entry.slug)}" if entry else ""


def compared_kinds(standing: Standing) -> list[ComparisonKind]:
    """Which compare pages a hole has: against the previous hole, and against another parent."""
    previous, parent = standing.comparisons["previous"], standing.comparisons["parent"]
    kinds: list[ComparisonKind] = [one.kind for one in (previous, parent) if one.difference and one.hole]
    return kinds[:1] if len(kinds) == 2 and previous.hole is parent.hole else kinds


def compare_file(name: str, kind: ComparisonKind) -> str:
    return f"{name}{'' if kind == 'previous' else f'-{kind}'}.html"


# The table of two holes ---------------------------------------------------------------------------


def compare_rows(standing: Standing, kind: ComparisonKind, wording: Wording) -> Table | None:
    """Two holes in columns; the heads name what was changed. None when there is nothing to compare with."""
    played, comparison = standing.played, standing.comparisons[kind]
    other, record = comparison.hole, played.record
    before = other.record if other else None
    if other is None or before is None or record is None or played.sample is None or other.sample is None:
        return None
    changed_here, changed_there = changed_settings(record, before)
    heads = (
        wording.say("label", "measure"),
        hole_name(other, wording) + (f": {changed_there}" if changed_there else ""),
        hole_name(played, wording) + (f": {changed_here}" if changed_here else ""),
        wording.say("label", "change"),
    )
    here, there = _measures(played, record), _measures(other, before)
    if comparison.val_bpb is not None:  # on the same weights: of the shared seeds alone
        there["val_bpb"] = figures.bpb(comparison.val_bpb)
    changes = _changes(standing, comparison, record, before, wording)
    rows = tuple((wording.say("label", key), there[key], here[key], changes[key]) for key in changes)
    caption = wording.fill("note", "pair", a=tidy(other.title, 80), b=tidy(played.title, 80))
    return Table(caption, heads, rows)


def _measures(played: PlayedHole, record: RunRecord) -> dict[str, str]:
    """One hole's column."""
    return {
        "val_bpb": figures.bpb(played.sample.mean if played.sample else None),
        "val_loss": figures.nats(played.val_loss),
        "quant_gap": figures.delta(mean_gap(played.measured)),
        "artifact": figures.megabytes(record.artifact_bytes),
        "params": figures.count(record.params),
        "steps": figures.count(record.steps),
        "step_avg": figures.tempo(record.step_ms),
    }


def _changes(
    standing: Standing, comparison: Comparison, record: RunRecord, before: RunRecord, wording: Wording
) -> dict[str, str]:
    """The last column: this hole minus the other, in the order of the rows. ~ marks what luck can do."""
    played, other, difference = standing.played, comparison.hole, comparison.difference
    assert other is not None
    gaps = mean_gap(played.measured), mean_gap(other.measured)
    tempo = standing.evidence.tempo(played, other)
    doubt = "" if difference is None or difference.outcome in CERTAIN else "~"
    slower = _change(record.step_ms, before.step_ms, 1, " ms")
    return {
        "val_bpb": doubt + figures.delta(difference.delta) if difference else figures.MISSING,
        "val_loss": _change(played.val_loss, other.val_loss, 4),
        "quant_gap": _change(*gaps, 4),
        "artifact": _artifact_change(standing.evidence.artifact(played, other), wording),
        "params": _change(record.params, before.params, 0),
        "steps": _change(record.steps, before.steps, 0),
        "step_avg": _doubted(slower, tempo),
    }


def _doubted(text: str, change: RatioChange | None) -> str:
    """Mark a change of step time that luck alone reaches, and say what else may be behind it."""
    if change is None or change.is_change or text in (figures.MISSING, "none"):
        return text
    return f"~{text}" + (f" ({tidy(change.caveat, 80)})" if change.caveat else "")


def _artifact_change(change: ArtifactChange | None, wording: Wording) -> str:
    if change is None:
        return figures.MISSING
    doubt = "~" if change.within_noise else ""
    text = doubt + figures.change(change.bytes, "byte") if change.bytes else "none"
    if change.weights_alone:
        return wording.fill("note", "weights_change", change=text)
    return f"{text} ({change.parts})" if change.parts else text


def _change(now: float | None, then: float | None, places: int, unit: str = "") -> str:
    if now is None or then is None:
        return figures.MISSING
    return f"{figures.signed(now - then, places)}{unit}" if now - then else "none"


def hole_name(played: PlayedHole, wording: Wording) -> str:
    return f"{wording.say('label', 'hole')} {played.name.number}"


def changed_settings(record: RunRecord, before: RunRecord) -> tuple[str, str]:
    """Return what each of two runs set that the other did not, as text; long lists are counted instead."""

    def listed(ours: dict[str, str], theirs: dict[str, str]) -> str:
        own = [f"{name}={value}" for name, value in sorted(ours.items()) if theirs.get(name) != value]
        text = ", ".join(own)
        return tidy(text, 100) if len(own) <= 3 else f"{len(own)} settings"

    return listed(record.overrides, before.overrides), listed(before.overrides, record.overrides)


# The compare page ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ComparePage:
    """a: the hole; b: what it is compared with."""

    path: str
    kind: str
    a_title: str
    a_ruling: str
    a_href: str
    b_title: str
    b_ruling: str
    b_href: str
    delta: DeltaCard
    sentence: str
    metrics: Table
    settings: Table | None
    environment: Table | None
    svg: Markup
    losses: Table | None


def build_compare(
    standing: Standing, kind: ComparisonKind, sentence: str, wording: Wording, curve_cache: CurveCache
) -> ComparePage | None:
    """Compare a hole with its previous one or its parent; None when they cannot be compared.

    sentence: what the hole's own page says of the comparison.
    """
    comparison, played = standing.comparisons[kind], standing.played
    other, name, parent = comparison.hole, played.name.folder, standing.comparisons["parent"]
    metrics = compare_rows(standing, kind, wording)
    if other is None or metrics is None or played.record is None or other.record is None:
        return None
    names = (hole_name(played, wording), hole_name(other, wording))
    configs = counted_config(played.record), counted_config(other.record)
    environments = _environment(played.record), _environment(other.record)
    return ComparePage(
        path=f"compare/{compare_file(name, kind)}",
        kind=kind,
        a_title=tidy(played.title, TITLE_LENGTH),
        a_ruling=ruling_of(played, wording),
        a_href=f"../holes/{name}.html",
        b_title=tidy(other.title, TITLE_LENGTH),
        b_ruling=ruling_of(other, wording),
        b_href=f"../holes/{other.name.folder}.html",
        delta=delta_card(kind, parent if other is parent.hole else comparison, wording),
        sentence=sentence,
        metrics=metrics,
        settings=_differences("settings_caption", wording, names, *configs),
        environment=_differences("environment_caption", wording, names, *environments),
        svg=_overlay(played, other, wording, curve_cache),
        losses=_losses(names, played, other, wording, curve_cache),
    )


def _environment(record: RunRecord) -> dict[str, str]:
    code, environment = record.code, record.environment
    facts = {
        "trainer": code.trainer,
        "commit": code.git_sha,
        "source": code.source_sha256,
        "Python": environment.python,
        "PyTorch": environment.torch,
        "device": environment.device,
        "machine": environment.device_name,
        "world size": environment.world_size,
        "platform": environment.platform,
    }
    return {name: str(value)[:60] for name, value in facts.items() if value is not None}


def _differences(
    caption: str, wording: Wording, names: tuple[str, str], ours: Mapping[str, str], theirs: Mapping[str, str]
) -> Table | None:
    """Only what differs, by name; None when nothing does."""
    differing = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    if not differing:
        return None
    unset = wording.say("compare", "not_set")
    rows = [
        (tidy(name, 80), tidy(theirs.get(name, unset), 120), tidy(ours.get(name, unset), 120))
        for name in differing[:MOST_SETTINGS]
    ]
    if len(differing) > MOST_SETTINGS:
        rows.append((wording.fill("compare", "more", count=str(len(differing) - MOST_SETTINGS)), "", ""))
    heads = (wording.say("label", "name"), names[1], names[0])
    return Table(wording.say("compare", caption), heads, tuple(rows))


def _overlay(played: PlayedHole, other: PlayedHole, wording: Wording, curve_cache: CurveCache) -> Markup:
    """Both curves on one scale, as far as the hole's own goes."""
    ours, theirs = curve_cache.line(played), curve_cache.line(other)
    if not ours or not theirs:
        return Markup("")
    title = tidy(played.title, TITLE_LENGTH)
    values = {
        "title": title,
        "start": f"{ours[0][1]:.4f}",
        "end": f"{ours[-1][1]:.4f}",
        "steps": figures.number(int(ours[-1][0]), "step"),
        "previous": tidy(other.title, 60),
        "previous_end": f"{theirs[-1][1]:.4f}",
    }
    facts = Facts("", frozenset(), values)
    description = "".join(
        facts.fill(wording.say("charts", part)) or "" for part in ("curve_desc", "curve_previous")
    )
    return curve(
        [curve_cache.series(played, "this"), curve_cache.series(other, "previous", last=ours[-1][0])],
        val=[],
        end_label=f"{ours[-1][1]:.4f}",
        axis=(wording.say("charts", "axis_loss"), wording.say("charts", "read_at")),
        name=(facts.fill(wording.say("charts", "curve_title")) or title, description),
    )


def _losses(
    names: tuple[str, str], played: PlayedHole, other: PlayedHole, wording: Wording, curve_cache: CurveCache
) -> Table | None:
    """Both losses and their difference at some steps that both logged."""
    ours, theirs = curve_cache.get(played).by_step, curve_cache.get(other).by_step
    common = [step for step in ours if step in theirs]
    if not common:
        return None
    count = min(COMMON_STEPS, len(common))
    steps = sorted({common[round(n * (len(common) - 1) / max(count - 1, 1))] for n in range(count)})
    rows = tuple(
        (
            figures.count(step),
            f"{theirs[step]:.4f}",
            f"{ours[step]:.4f}",
            figures.delta(ours[step] - theirs[step]),
        )
        for step in steps
    )
    heads = (wording.say("charts", "read_at"), names[1], names[0], wording.say("label", "difference"))
    return Table(wording.say("compare", "losses_caption"), heads, rows)
