"""The view model of a compare page: two holes side by side, what differs and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from harness import figures
from harness.publish.drawings.charts import curve
from harness.publish.views.card import TITLE_LENGTH, DeltaCard, HoleCard, compare_file, delta_card
from harness.publish.views.curve import Shelf
from harness.publish.views.tables import Table, compare_rows, hole_name
from harness.publish.words.facts import Facts
from harness.publish.words.text import tidy
from harness.publish.words.wording import Wording
from harness.records.record import RunRecord
from harness.season.compare import counted_config
from harness.season.hole import PlayedHole
from harness.season.season import Kind, Standing

MOST_SETTINGS = 40
COMMON_STEPS = 8


@dataclass(frozen=True)
class ComparePage:
    """a: the hole; b: what it is compared with."""

    path: str
    kind: str
    a_title: str
    a_href: str
    b_title: str
    b_href: str
    delta: DeltaCard
    sentence: str
    metrics: Table
    settings: Table | None
    environment: Table | None
    svg: Markup
    losses: Table | None


def build_compare(
    standing: Standing, kind: Kind, card: HoleCard, wording: Wording, shelf: Shelf
) -> ComparePage | None:
    """Set a hole beside its previous one or its parent; None when they cannot be compared."""
    comparison, played = standing.comparisons[kind], standing.played
    other = comparison.hole
    metrics = card.comparison if kind == "previous" else compare_rows(played, comparison, wording)
    if other is None or metrics is None or played.record is None or other.record is None:
        return None
    names = (hole_name(played, wording), hole_name(other, wording))
    return ComparePage(
        f"compare/{compare_file(card.name, kind)}",
        kind,
        card.title,
        f"../holes/{card.file}",
        tidy(other.title, TITLE_LENGTH),
        f"../holes/{other.name.folder}.html",
        delta_card(kind, comparison, wording),
        card.comparison_verdict if kind == "previous" else "",
        metrics,
        _differences(
            "settings_caption", wording, names, counted_config(played.record), counted_config(other.record)
        ),
        _differences(
            "environment_caption", wording, names, _environment(played.record), _environment(other.record)
        ),
        _overlay(played, other, card, wording, shelf),
        _losses(names, played, other, wording, shelf),
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
    return Table(
        wording.say("compare", caption), (wording.say("label", "name"), names[1], names[0]), tuple(rows)
    )


def _overlay(played: PlayedHole, other: PlayedHole, card: HoleCard, wording: Wording, shelf: Shelf) -> Markup:
    """Both curves on one scale, as far as the hole's own goes."""
    ours, theirs = shelf.line(played), shelf.line(other)
    if not ours or not theirs:
        return Markup("")
    values = {
        "title": card.title,
        "start": f"{ours[0][1]:.4f}",
        "end": f"{ours[-1][1]:.4f}",
        "steps": figures.count(int(ours[-1][0])),
        "previous": tidy(other.title, 60),
        "previous_end": f"{theirs[-1][1]:.4f}",
    }
    facts = Facts("", frozenset(), values)
    said = [facts.fill(wording.say("charts", part)) or "" for part in ("curve_desc", "curve_previous")]
    name = (facts.fill(wording.say("charts", "curve_title")) or card.title, "".join(said))
    series = [shelf.series(played, "this"), shelf.series(other, "previous", last=ours[-1][0])]
    return curve(
        series,
        [],
        f"{ours[-1][1]:.4f}",
        (wording.say("charts", "axis_loss"), wording.say("charts", "read_at")),
        name,
    )


def _losses(
    names: tuple[str, str], played: PlayedHole, other: PlayedHole, wording: Wording, shelf: Shelf
) -> Table | None:
    """Both losses and their difference at some steps that both logged."""
    ours, theirs = shelf.get(played).by_step, shelf.get(other).by_step
    common = [step for step in ours if step in theirs]
    if not common:
        return None
    wanted = min(COMMON_STEPS, len(common))
    steps = sorted({common[round(n * (len(common) - 1) / max(wanted - 1, 1))] for n in range(wanted)})
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
