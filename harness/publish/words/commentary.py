"""What may be said of a hole, and which line of the copy says it.

Facts are read off a standing as tags and finished strings; the lines are data (`site/copy/voices.toml`,
`results.toml`). A line may only name figures that are known. Which of several lines is used depends on the
hole's name alone, so a page reads the same each time. Knows nothing of pages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import figures
from harness.errors import HarnessError
from harness.records.record import RunRecord, mean_gap, mean_stage_bpb
from harness.season.artifact import artifact_change
from harness.season.compare import Whiff
from harness.season.season import Comparison, Standing
from harness.stats import Outcome

# Control characters and those that turn the direction of the text around them; lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


def tidy(text: str, limit: int | None = None) -> str:
    """Make one line of anything: no control or direction-changing characters, cut at a word when too long."""
    line = " ".join((text if text.isprintable() else _UNPRINTABLE.sub(" ", text)).split())
    if limit is None or len(line) <= limit:
        return line
    cut = line[: limit - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > limit // 2 else cut).rstrip(" ,;:.") + "…"


# Facts -------------------------------------------------------------------------------------------

_NAME = re.compile(r"\{([a-z_]+)\}")

NEAR_CAP = 0.02  # share of the cap that is free, below which the artifact is called tight
ROOMY = 0.15  # and above which it is called roomy

# What each fact means; published in the handbook beside the rules that use it.
FACTS: dict[str, str] = {
    "ok": "finished, with a score that counts",
    "over_cap": "the artifact is not under the cap",
    "failed": "the run crashed",
    "stopped": "the run was stopped early",
    "unfinished": "an attempt was begun and left no record",
    "unplayed": "no attempt was made",
    "unreadable": "there is a record that cannot be read",
    "scored": "there is a score",
    "whiff": "every logged loss equals the parent's (or the previous hole's), bit for bit: "
    "the override did nothing",
    "first_hole": "no hole lies before it",
    "sets_par": "its score becomes the course's par",
    "course_record": "better than the best published score of its day, beyond the noise",
    "new_best": "better than every earlier hole of ours on the course, beyond the noise",
    "gain_previous": "better than the previous hole, beyond the noise",
    "loss_previous": "worse than the previous hole, beyond the noise",
    "noise_previous": "no further from the previous hole than luck alone can do",
    "unclear_previous": "apart from the previous hole, with no noise figure to judge it by",
    "ahead_previous": "lower than the previous hole, noise aside",
    "behind_previous": "higher than the previous hole, noise aside",
    "one_seed": "the score is one run's",
    "several_seeds": "the score is a mean over several runs",
    "gap_large": "packing cost more than twice the noise of one seed",
    "near_cap": f"less than {NEAR_CAP:.0%} of the cap is left",
    "roomy": f"more than {ROOMY:.0%} of the cap is left",
    "slower": "a step takes longer than the previous hole's, beyond what repeats on the machine show",
    "quicker": "a step takes less time than the previous hole's, beyond what repeats on the machine show",
    "heavier": "the artifact is larger than the previous hole's",
    "lighter": "the artifact is smaller than the previous hole's",
    "has_overrides": "a setting was overridden",
    "one_override": "exactly one was",
    "has_hypothesis": "a hypothesis was written down",
    "has_failure_step": "the step of the failure is known",
}


@dataclass(frozen=True)
class Facts:
    """tags: what is the case. values: what may be quoted, ready for print; absent when it is not known."""

    seed: str
    tags: frozenset[str]
    values: Mapping[str, str]

    def fill(self, line: str) -> str | None:
        """Put values into a line, or return None when it names one that is not known."""
        try:
            return _NAME.sub(lambda match: self.values[match[1]], line) if "{" in line else line
        except KeyError:
            return None


def read_facts(standing: Standing, whiff: Whiff | None = None, opens_season: bool = False) -> Facts:
    """Read off a standing all that may be said of a hole.

    whiff: an override without effect, against the parent or previous hole. opens_season: no hole before it.
    """
    played = standing.played
    tags: set[str] = {played.status}
    values: dict[str, str] = {"title": tidy(played.title, 80), "position": played.name.position}
    tags |= {strategy.replace(" ", "_")} if (strategy := played.intent.strategy) else set()
    if played.intent.hypothesis:
        tags.add("has_hypothesis")
    scored_on_course = played.sample is not None and standing.course is not None
    if played.name.number == 1 or (opens_season and scored_on_course):
        tags.add("first_hole")
    _read_score(standing, tags, values)
    if record := played.record:
        _read_artifact(standing, record, tags, values)
        _read_failure(record, tags, values)
    for kind in ("par", "sota", "best", "previous"):
        _read_comparison(standing.comparisons[kind], tags, values)
    overrides = record.overrides if record else played.intent.overrides
    if overrides:
        tags |= {"has_overrides"} | ({"one_override"} if len(overrides) == 1 else set())
        listed = _listed(f"{name}={value}" for name, value in sorted(overrides.items()))
        if len(overrides) <= 3 and len(listed) <= 160:
            values["overrides"] = tidy(listed)
    _read_change(standing, tags, values)
    if whiff:
        tags.add("whiff")
        values["whiff_knobs"] = tidy(_listed(whiff.knobs), 160)
        values["whiff_beside"] = tidy(whiff.other_title, 80)
        values["whiff_points"] = figures.count(whiff.points)
    return Facts(played.name.folder, frozenset(tags), values)


def _read_score(standing: Standing, tags: set[str], values: dict[str, str]) -> None:
    played = standing.played
    if played.sample is None:
        return
    tags.add("scored")
    tags.add("several_seeds" if played.sample.n > 1 else "one_seed")
    tags |= {"sets_par"} if standing.sets_par else set()
    tags |= {"course_record"} if standing.course_record else set()
    values["val_bpb"] = figures.bpb(played.sample.mean)
    if played.sample.std is not None:
        values["seeds"], values["spread"] = str(played.sample.n), figures.bpb(played.sample.std)


def _read_artifact(standing: Standing, record: RunRecord, tags: set[str], values: dict[str, str]) -> None:
    """The artifact, its headroom, the tempo, the quantization gap."""
    headroom = standing.headroom_bytes
    cap = record.cap_bytes or (standing.course.caps.artifact_bytes if standing.course else None)
    if record.artifact_bytes is not None:
        values["artifact_mb"] = figures.megabytes(record.artifact_bytes)
    if cap is not None:
        values["cap_mb"] = figures.megabytes(cap).replace(".00", "")
    if headroom is not None and cap is not None:
        if headroom > 0:
            values["headroom_bytes"] = figures.count(headroom)
            values["headroom_mb"] = figures.megabytes(headroom)
            tags |= {"near_cap"} if headroom < NEAR_CAP * cap else set()
            tags |= {"roomy"} if headroom > ROOMY * cap else set()
        else:
            values["over_bytes"] = figures.count(-headroom)
    for name, value in (("steps", record.steps), ("params", record.params)):
        if value is not None:
            values[name] = figures.count(value)
    if record.step_ms is not None:
        values["step_ms"] = figures.tempo(record.step_ms)
    played = standing.played
    gap, before = mean_gap(played.measured), mean_stage_bpb(played.measured, "pre_quantization")
    if gap is not None and before is not None:
        values["gap"], values["pre_bpb"] = figures.bpb(abs(gap)), figures.bpb(before)
        noise = standing.course.noise_std if standing.course else None
        if noise is not None and gap > 2 * noise:
            tags.add("gap_large")


def _read_failure(record: RunRecord, tags: set[str], values: dict[str, str]) -> None:
    if record.failure is None:
        return
    tags.add(record.failure.kind)
    values["failure_kind"] = record.failure.kind.replace("_", " ")
    values["failure_message"] = record.failure.message
    if record.failure.step is not None:
        tags.add("has_failure_step")
        values["failure_step"] = figures.count(record.failure.step)


_OUTCOME_TAGS: dict[Outcome, str] = {
    "better": "gain_previous",
    "worse": "loss_previous",
    "within noise": "noise_previous",
    "cannot tell": "unclear_previous",
}


def _read_comparison(comparison: Comparison, tags: set[str], values: dict[str, str]) -> None:
    """`previous`: the other score; `previous_delta`: signed; `previous_size`: without its sign."""
    kind, difference = comparison.kind, comparison.difference
    if comparison.val_bpb is not None:
        values[kind], values[f"{kind}_title"] = figures.bpb(comparison.val_bpb), tidy(comparison.label, 80)
    if difference is None:
        return
    values[f"{kind}_delta"] = figures.delta(difference.delta)
    values[f"{kind}_size"] = figures.bpb(abs(difference.delta))
    if difference.threshold is not None:
        values[f"{kind}_noise"] = figures.bpb(difference.threshold)
    if kind == "best" and difference.outcome == "better":
        tags.add("new_best")
    if kind == "previous":
        values["previous_basis"] = difference.basis
        tags.add(_OUTCOME_TAGS[difference.outcome])
        rounded = round(difference.delta, 4)
        tags |= {"behind_previous"} if rounded > 0 else {"ahead_previous"} if rounded < 0 else set()


def _read_change(standing: Standing, tags: set[str], values: dict[str, str]) -> None:
    """What changed in weight and tempo against the previous hole."""
    record, other = standing.played.record, standing.comparisons["previous"].hole
    before = other.record if other else None
    if record is None or before is None:
        return
    change = artifact_change(record, before)
    if change is not None and change.bytes:
        tags.add("heavier" if change.bytes > 0 else "lighter")
        values["artifact_change"] = f"{figures.count(abs(change.bytes))} bytes"
    tempo = standing.evidence.tempo(standing.played, other) if other else None
    if tempo is not None and tempo.is_change:
        tags.add("slower" if tempo.outcome == "more" else "quicker")


def _listed(items: Iterable[str]) -> str:
    """Write `one`, `one and two`, or `one, two and three`."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last


# Lines -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
    """One group of lines. when: tags that must all hold. silent: nothing is written.

    ordered: the first line whose figures are known wins; otherwise the hole's name decides among those.
    """

    when: frozenset[str]
    lines: tuple[str, ...]
    ordered: bool = False
    silent: bool = False


@dataclass(frozen=True)
class ResultLabel:
    """The row of the results table that fits a hole. rule: when the label is given."""

    label: str
    headline: str
    rule: str


VoiceLines = Mapping[str, Sequence[Lines]]


def read_script(raw: Mapping[str, Any], place: str) -> dict[str, tuple[Lines, ...]]:
    """Read the groups of lines of a voices file. Raises HarnessError naming the part that is malformed."""
    script = {}
    for part, groups in raw.items():
        if isinstance(groups, list):
            script[part] = tuple(_read_group(group, f"{place}: {part}") for group in groups)
    return script


def _read_group(group: object, place: str) -> Lines:
    if not isinstance(group, dict):
        raise HarnessError(f"{place} is not a table", "write [[part]] with `when` and `lines`")
    when, lines = group.get("when", []), group.get("lines", [])
    strings = isinstance(when, list) and isinstance(lines, list)
    if not strings or not all(isinstance(item, str) for item in [*when, *lines]):
        raise HarnessError(
            f"{place}: `when` and `lines` must be lists of strings", "see site/copy/voices.toml"
        )
    return Lines(frozenset(when), tuple(lines), bool(group.get("ordered")), bool(group.get("silent")))


def speak(script: VoiceLines, part: str, facts: Facts) -> str:
    """Return the line for one part of a page, or an empty string when none applies."""
    for group in script.get(part, ()):
        if not group.when <= facts.tags:
            continue
        if group.silent:
            return ""
        lines = [line for line in map(facts.fill, group.lines) if line is not None]
        if lines:
            return lines[0] if group.ordered else lines[_choose(f"{facts.seed}/{part}", len(lines))]
    return ""


def name_result(table: Sequence[Mapping[str, Any]], facts: Facts) -> ResultLabel:
    """Return the first row of the published results table that fits."""
    for row in table:
        if facts.tags.issuperset(row["when"]):
            lines = [line for line in map(facts.fill, row["headlines"]) if line is not None]
            headline = lines[_choose(f"{facts.seed}/{row['label']}", len(lines))] if lines else ""
            return ResultLabel(row["label"], headline, row["rule"])
    return ResultLabel("", "", "")


def _choose(key: str, count: int) -> int:
    """Return an index below `count` that follows from `key` alone, the same in every process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % count
