"""What is true of a hole, as tags, and what may be quoted of it, as strings ready for print.

The story of a hole is told against its parent, where one is named that it can be compared with, else against
par; the hole that was played before it is no part of the story. A tag is set only where the records prove it,
and a line of the copy may claim only what the tags of its `when` prove.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness import figures
from harness.publish.words.commentary import Facts, tidy
from harness.records.record import RunRecord, excess_bytes, mean_gap, mean_stage_bpb
from harness.season.artifact import ArtifactChange
from harness.season.compare import Whiff, config_changes
from harness.season.hole import PlayedHole
from harness.season.standing import Standing
from harness.stats import Difference, Outcome

NEAR_CAP = 0.02  # share of the cap that is free, below which the artifact is called tight
ROOMY = 0.15  # and above which it is called roomy
NAME_LENGTH = 80
LIST_LENGTH = 160  # of overrides and knobs; a longer list is not quoted

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
    "no_score": "there is none",
    "whiff": "every logged loss equals the parent's (or the previous hole's), bit for bit: "
    "the override did nothing",
    "first_hole": "no hole lies before it",
    "sets_par": "its score becomes the course's par",
    "course_record": "better than the best published score of its day, beyond the noise, by a run that may "
    "be handed in",
    "ruled_invalid": "there is a score, and it was decided that it counts for nothing",
    "seeds_missing": "there is a score, and planned seeds are not in yet: no verdict",
    "new_best": "lower than every earlier hole of ours on the course, beyond the noise; a low score that was "
    "picked from many is not confirmed by that",
    "story_parent": "the hole is compared with its parent",
    "story_par": "it has no parent that it can be compared with, and is compared with par",
    "no_story": "it is compared with neither",
    "gain_story": "better than its parent, else than par, beyond the noise",
    "loss_story": "worse than its parent, else than par, beyond the noise",
    "noise_story": "no further from its parent, else from par, than the noise threshold (95 %)",
    "unclear_story": "apart from its parent, else from par, with no noise figure to judge it by",
    "equivalent_story": "within noise, and the whole interval of the difference is too small to matter",
    "slight_story": "beyond the noise, and the whole interval of the difference is too small to matter",
    "exact_gain": "the same weights as its parent's, packed or evaluated otherwise: exactly so much lower",
    "exact_loss": "the same weights as its parent's, packed or evaluated otherwise: exactly so much higher",
    "exact_same": "the same weights as its parent's, packed or evaluated otherwise: the same score",
    "doubtful_story": "better or worse by itself, which does not stand when all comparisons of the season "
    "are counted",
    "ahead_story": "lower than its parent, else than par, noise aside",
    "behind_story": "higher than its parent, else than par, noise aside",
    "one_seed": "the score is that of one seed, however often it was played",
    "several_seeds": "the score is a mean over several different seeds",
    "every_seed_finished": "every seed of this configuration that was begun finished",
    "some_seeds_failed": "seeds of this configuration did not finish; the score is that of the others",
    "held": "every one of several seeds scored lower than what the hole is compared with, and all finished",
    "gap_large": "packing cost more than twice the noise of one seed",
    "near_cap": f"less than {NEAR_CAP:.0%} of the cap is left",
    "roomy": f"more than {ROOMY:.0%} of the cap is left",
    "slower": "a step takes longer than the parent's, beyond what repeats of one training differ by",
    "quicker": "a step takes less time than the parent's, beyond what repeats of one training differ by",
    "heavier": "the artifact is larger than the parent's, by more than seeds alone do",
    "lighter": "the artifact is smaller than the parent's, by more than seeds alone do",
    "has_overrides": "a setting was overridden",
    "one_override": "exactly one was",
    "no_overrides": "none was",
    "one_change": "exactly one setting differs from the parent's, and the code is the same",
    "has_hypothesis": "a hypothesis was written down",
    "no_hypothesis": "none was",
    "has_failure_step": "the step of the failure is known",
}


@dataclass(frozen=True)
class SeasonFacts:
    """What is known of a hole from the holes around it.

    whiff: an override without effect, against the parent or previous hole. opens: no hole lies before it.
    doubtful: its gain or loss does not survive the correction for the number of comparisons.
    """

    whiff: Whiff | None = None
    opens: bool = False
    doubtful: bool = False


def read_facts(standing: Standing, around: SeasonFacts = SeasonFacts()) -> Facts:
    """Read off a standing all that may be told of a hole."""
    played = standing.played
    tags: set[str] = {played.status}
    values: dict[str, str] = {"title": tidy(played.title, NAME_LENGTH), "position": played.name.position}
    tags |= {strategy.replace(" ", "_")} if (strategy := played.intent.strategy) else set()
    tags.add("has_hypothesis" if played.intent.hypothesis else "no_hypothesis")
    scored_on_course = played.sample is not None and standing.course is not None
    tags |= {"first_hole"} if played.name.number == 1 or (around.opens and scored_on_course) else set()
    _read_score(standing, tags, values)
    if record := played.record:
        _read_artifact(standing, record, tags, values)
        _read_failure(record, tags, values)
    for kind in ("par", "sota", "best"):
        comparison = standing.comparisons[kind]
        if comparison.val_bpb is not None:
            values[kind] = figures.bpb(comparison.val_bpb)
    _read_story(standing, tags, values)
    if around.doubtful:
        tags.add("doubtful_story")
        doubt = "among all comparisons of the season it does not stand"
        values["story_caveat"] = "; ".join(filter(None, (doubt, values.get("story_caveat"))))
    _read_settings(standing, tags, values)
    if whiff := around.whiff:
        tags.add("whiff")
        values["whiff_knobs"] = tidy(_listed(whiff.knobs), LIST_LENGTH)
        values["whiff_beside"] = tidy(whiff.other_title, NAME_LENGTH)
        values["whiff_points"] = figures.count(whiff.points)
    return Facts(played.name.folder, frozenset(tags), values)


def _read_score(standing: Standing, tags: set[str], values: dict[str, str]) -> None:
    played = standing.played
    if played.sample is None:
        tags.add("no_score")
        return
    tags.add("scored")
    values["val_bpb"] = figures.bpb(played.sample.mean)
    if played.invalid:
        tags.add("ruled_invalid")
        return
    if played.summary.no_verdict:
        tags.add("seeds_missing")
        values["missing"] = played.summary.no_verdict
        return
    tags |= {"sets_par"} if standing.sets_par else set()
    tags |= {"course_record"} if standing.course_record else set()
    seeds, failed = played.sample.n, len(played.summary.failed_seeds)
    tags.add("several_seeds" if seeds > 1 else "one_seed")
    tags.add("some_seeds_failed" if failed else "every_seed_finished")
    if seeds > 1 and played.sample.std is not None:
        values["seeds"], values["spread"] = figures.number(seeds, "seed"), figures.bpb(played.sample.std)
    if failed:
        values["seeds_finished"] = figures.share(seeds, seeds + failed, "seed")
    best = standing.comparisons["best"].difference
    if played.status == "ok" and best is not None and best.outcome == "better" and not best.exact:
        tags.add("new_best")
        values["lowest_of"] = figures.count(max(best.lowest_of, 1) + 1)  # of one, it is no choice


def _read_artifact(standing: Standing, record: RunRecord, tags: set[str], values: dict[str, str]) -> None:
    """The artifact, its headroom, the tempo, the quantization gap."""
    headroom = standing.headroom_bytes
    cap = record.cap_bytes or (standing.course.caps.artifact_bytes if standing.course else None)
    if record.artifact_bytes is not None:
        values["artifact_mb"] = figures.megabytes(record.artifact_bytes)
    if cap is not None:
        values["cap_mb"] = figures.megabytes(cap).replace(".00", "")
        values["cap_bytes"] = figures.number(cap, "byte")
    if headroom is not None and cap is not None:
        if headroom > 0:
            values["headroom"] = figures.number(headroom, "byte")
            values["headroom_mb"] = figures.megabytes(headroom)
            tags |= {"near_cap"} if headroom < NEAR_CAP * cap else set()
            tags |= {"roomy"} if headroom > ROOMY * cap else set()
        else:
            values["excess"] = figures.number(excess_bytes(-headroom, 0), "byte")
    if record.step_ms is not None:
        values["step_ms"] = figures.tempo(record.step_ms)
    played = standing.played
    gap, before = mean_gap(played.measured), mean_stage_bpb(played.measured, "pre_quantization")
    noise = standing.course.noise_std if standing.course else None
    if gap is not None and before is not None and noise is not None and gap > 2 * noise:
        tags.add("gap_large")
        values["gap"], values["pre_bpb"] = figures.bpb(gap), figures.bpb(before)


def _read_failure(record: RunRecord, tags: set[str], values: dict[str, str]) -> None:
    if record.failure is None:
        return
    tags.add(record.failure.kind)
    values["failure_kind"] = record.failure.kind.replace("_", " ")
    values["failure_message"] = record.failure.message.rstrip(" .")
    if record.failure.step is not None:
        tags.add("has_failure_step")
        values["failure_step"] = figures.count(record.failure.step)


# The story ----------------------------------------------------------------------------------------


def _read_story(standing: Standing, tags: set[str], values: dict[str, str]) -> None:
    """`story`: the other score; `story_delta`: signed; `story_size`: without its sign."""
    story = standing.story
    difference = story.difference
    if difference is None or story.val_bpb is None:
        silent = standing.played.invalid or standing.played.summary.no_verdict
        tags |= {"no_story"} if standing.played.sample and not silent else set()
        return
    tags.add("story_parent" if story.kind == "parent" else "story_par")
    values["story"] = figures.bpb(story.val_bpb)
    values["story_name"] = tidy(story.label, NAME_LENGTH) if story.kind == "parent" else "par"
    values["story_delta"] = figures.delta(difference.delta)
    values["story_size"] = figures.bpb(abs(difference.delta))
    values["story_basis"] = difference.basis
    if story.caveat:
        values["story_caveat"] = story.caveat
    rounded = round(difference.delta, 4)
    tags |= {"behind_story"} if rounded > 0 else {"ahead_story"} if rounded < 0 else set()
    tags |= _outcome_tags(difference)
    if difference.interval is not None and not difference.exact:
        values["story_noise"] = figures.bpb(difference.threshold)
        values["story_low"], values["story_high"] = map(figures.delta, difference.interval)
    if "gain_story" in tags and {"several_seeds", "every_seed_finished"} <= tags:
        worst = max(record.val_bpb or 0.0 for record in standing.played.group)
        tags |= {"held"} if worst < story.val_bpb else set()
    if story.hole is not None and story.kind == "parent":
        _read_change(standing, story.hole, tags, values)
        tempo = standing.evidence.tempo(standing.played, story.hole)
        if tempo is not None and tempo.is_change:
            tags.add("slower" if tempo.outcome == "more" else "quicker")


_OUTCOME_TAGS: dict[Outcome, str] = {
    "better": "gain_story",
    "worse": "loss_story",
    "equal": "exact_same",
    "within noise": "noise_story",
    "cannot tell": "unclear_story",
}


def _outcome_tags(difference: Difference) -> set[str]:
    if difference.exact:
        delta = difference.delta
        return {"exact_loss" if delta > 0 else "exact_gain" if delta < 0 else "exact_same"}
    tags = {_OUTCOME_TAGS[difference.outcome]}
    if difference.equivalent:
        tags.add("equivalent_story" if difference.outcome == "within noise" else "slight_story")
    return tags


def _read_change(standing: Standing, parent: PlayedHole, tags: set[str], values: dict[str, str]) -> None:
    """What changed against the parent in weight and settings."""
    record, before = standing.played.record, parent.record
    if record is None or before is None:
        return
    change = standing.evidence.artifact(standing.played, parent)
    if change is not None and change.bytes and not change.within_noise:
        tags.add("heavier" if change.bytes > 0 else "lighter")
        values["artifact_change"] = _weigh(change)
        values["artifact_size"] = figures.number(abs(change.bytes), "byte")
        if change.parts:
            values["artifact_parts"] = change.parts
    changes, code = config_changes(record, before), record.code.source_sha256
    same_code = code is not None and code == before.code.source_sha256
    if same_code and len(changes) == 1 and changes[0].a is not None:
        tags.add("one_change")
        values["one_change"] = tidy(f"{changes[0].name}={changes[0].a}", LIST_LENGTH)


def _weigh(change: ArtifactChange) -> str:
    """The change of the artifact with what it lies in: weights, code, or both."""
    size = figures.number(abs(change.bytes), "byte")
    if change.weights_alone or (change.weights and change.code == 0):
        return f"{size} of weights"
    if change.weights is None or change.code is None:
        return size
    return f"{size} of weights and code" if change.weights else f"{size} of code"


def _read_settings(standing: Standing, tags: set[str], values: dict[str, str]) -> None:
    record, intent = standing.played.record, standing.played.intent
    overrides = record.overrides if record else intent.overrides
    tags.add("has_overrides" if overrides else "no_overrides")
    tags |= {"one_override"} if len(overrides) == 1 else set()
    if overrides:
        listed = _listed(f"{name}={value}" for name, value in sorted(overrides.items()))
        if len(overrides) <= 3 and len(listed) <= LIST_LENGTH:
            values["overrides"] = tidy(listed)
    elif preset := (record.preset if record else intent.preset):
        values["preset"] = tidy(preset, 60)


def _listed(items: Iterable[str]) -> str:
    """Write `one`, `one and two`, or `one, two and three`."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last
