"""Seasons of all kinds are drawn, written, and told; every claim of the text is held against the records."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.publish.views.card import HoleCard
from harness.season.hole import PlayedHole
from harness.season.season import Season, load_season
from tests.harness.publish.words.test_claims import assert_no_sentence_twice, built, spoken, texts

CAP = 16_000_000
SCORES = [round(2.0 + 0.002 * step, 4) for step in range(-60, 61)]

attempts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["ok", "ok", "ok", "ok", "failed", "stopped"]),
        "seed": st.sampled_from([1, 2, 3]),
        "val_bpb": st.sampled_from(SCORES),
        "step_ms": st.sampled_from([50.0, 80.0, 231.0]),
    }
)
holes = st.fixed_dictionaries(
    {
        "course": st.sampled_from(["practice", "practice", "practice", "fineweb"]),
        "parent": st.one_of(st.none(), st.integers(1, 5)),
        "artifact_bytes": st.sampled_from(
            [None, 600_000, CAP - 1, CAP - 1000, CAP, CAP + 1, CAP + 2_000_000]
        ),
        "overrides": st.sampled_from([{}, {"MATRIX_LR": "0.03"}, {"MATRIX_LR": "0.03", "QAT_ENABLED": "1"}]),
        "strategy": st.sampled_from([None, "reference", "long shot", "export"]),
        "hypothesis": st.sampled_from(["", "It should help."]),
        "gap": st.sampled_from([None, 0.0, 0.001, 0.2]),
        "shared_training": st.booleans(),
        "planned_seeds": st.sampled_from([(), (), (), (1, 2, 3)]),
        "attempts": st.lists(attempts, max_size=4),
    }
)


def write(runs: Path, drawn: list[dict[str, Any]]) -> None:
    for number, hole in enumerate(drawn, start=1):
        folder = runs / f"round_{number:03d}_drawn"
        folder.mkdir(parents=True)
        intent = {key: hole[key] for key in ("strategy", "hypothesis", "course") if hole[key]}
        if hole["parent"] and hole["parent"] < number:
            intent["parent"] = f"round_{hole['parent']:03d}_drawn"
        (folder / "round.toml").write_text("".join(f"{key} = {json.dumps(v)}\n" for key, v in intent.items()))
        for attempt, one in enumerate(hole["attempts"], start=1):
            record = record_of(folder.name, attempt, hole, one)
            (folder / f"attempt_{attempt:02d}").mkdir()
            (folder / f"attempt_{attempt:02d}" / "record.json").write_text(json.dumps(record))
            if hole["shared_training"]:
                points = [
                    {"step": step, "train_loss": 5.0 - step - 0.001 * one["seed"]} for step in (1, 2, 3)
                ]
                text = "".join(json.dumps(point) + "\n" for point in points)
                (folder / f"attempt_{attempt:02d}" / "curve.jsonl").write_text(text)


def record_of(name: str, attempt: int, hole: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    size = hole["artifact_bytes"]
    record = {
        "schema": 2,
        "hole": name,
        "attempt": attempt,
        "course": hole["course"],
        "status": one["status"],
        "seed": one["seed"],
        "overrides": hole["overrides"],
        "config_hash": name,
        "code": {"source_sha256": "a" * 64},
        "step_ms": one["step_ms"],
        "cap_bytes": CAP,
        "planned_seeds": hole["planned_seeds"],
    }
    if one["status"] == "failed":
        return record | {"failure": {"kind": "nan", "message": "the loss is nan", "step": 7}}
    if one["status"] == "stopped":
        return record | {"stop_reason": "signal"}
    record |= {"val_bpb": one["val_bpb"], "status": "over_cap" if size and size >= CAP else "ok"}
    if size:
        record["artifact_bytes"] = size
    if hole["gap"] is not None:
        trained = 1.9 + 0.001 * one["seed"] if hole["shared_training"] else one["val_bpb"] - hole["gap"]
        before = {"stage": "pre_quantization", "label": "p", "val_bpb": trained}
        after = {"stage": "round_trip", "label": "r", "val_bpb": one["val_bpb"]}
        record["scores"] = [before, after]
        record["official"] = {"stage": "round_trip", "label": "r", "why": "the artifact read back"}
    return record


@given(drawn=st.lists(holes, min_size=1, max_size=6))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_claim_is_true_of_the_records(
    drawn: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    runs = tmp_path_factory.mktemp("drawn")
    write(runs, drawn)
    season, cards = load_season(runs), built(runs)

    assert_no_sentence_twice(cards)
    for card, played in zip(cards, season.holes, strict=True):
        assert card.summary
        check_shape(card)
        check_seeds(card, played, season)
        check_cap(card, played)
        check_story(card, played, season)
        check_lowest(card, played, season)


def mean_of(played: PlayedHole, seeds: Collection[int] | None = None) -> float | None:
    by_seed: dict[int | None, list[float]] = {}
    for record in played.group:
        if seeds is not None and record.seed not in seeds:
            continue
        by_seed.setdefault(record.seed, []).append(record.val_bpb or 0.0)
    return fmean(fmean(values) for values in by_seed.values()) if by_seed else None


def check_shape(card: HoleCard) -> None:
    said = spoken(card)
    assert not re.search(r"-0\.0+\b|\b0 bytes|\b1 (bytes|seeds)\b|[{}\[\]|]|not measured", said), said
    assert not re.search(r"slower|quicker|tempo has|default", said), said  # one run a hole shows no tempo
    assert "egal" not in said or card.record_badge, said


def check_seeds(card: HoleCard, played: PlayedHole, season: Season) -> None:
    said = " ".join(texts(card))
    finished = {record.seed for record in played.group}
    failed = {record.seed for record in played.records if not record.complete} - finished
    for count, total in re.findall(r"(\d+) of (\d+) seeds", said):
        assert (int(count), int(total)) == (len(finished), len(finished | failed)), said
    for count in re.findall(r"(?<!of )\b(\d+) seeds", said):
        assert int(count) == len(finished) > 1, said
    if re.search(r"\bheld over|[Kk]eep the club|none of them argued|Every one of \d", said):
        story = season.standing(played).story.val_bpb
        assert story is not None
        assert not failed, said
        assert all((record.val_bpb or 0.0) < story for record in played.group), said
    if re.search(r"\b[Oo]ne seed\b", said):
        assert len(finished) == 1, said


def check_cap(card: HoleCard, played: PlayedHole) -> None:
    said, record = spoken(card), played.record
    size = record.artifact_bytes if record else None
    for count, noun in re.findall(r"([\d,]+) (bytes?) too many", said):
        assert size is not None
        assert int(count.replace(",", "")) == size - CAP + 1 >= 1, said
        assert (noun == "byte") == (size == CAP), said
    for count in re.findall(r"([\d,]+) bytes? (?:of headroom|to spare|under the cap|left under)", said):
        assert size is not None
        assert int(count.replace(",", "")) == CAP - size > 0, said


def check_story(card: HoleCard, played: PlayedHole, season: Season) -> None:
    """Gains, losses and noise in label, summary and verdict agree with parent, else par, as recomputed."""
    ours, comparisons = mean_of(played), season.standing(played).comparisons
    parent, par = comparisons["parent"], comparisons["par"]
    story = parent if parent.difference else par
    said = f"{card.summary} {card.comparison_verdict}"
    low = re.search(r"Gained|Took|Won|Picked up|better|lower|ahead|a gain|improvement", said, re.I)
    high = re.search(r"\bLost\b|Gave up|Dropped|Conceded|worse|higher|behind|a loss|step back", said, re.I)
    if played.summary.no_verdict:
        assert story.difference is None
    if played.status == "over_cap" or ours is None or story.difference is None:
        assert not low, said
        assert not high, said
        return
    shared = played.summary.seeds if story.difference.exact else None
    theirs = mean_of(story.hole, shared) if story.hole else story.val_bpb
    assert theirs is not None
    delta, outcome = ours - theirs, story.difference.outcome
    assert math.isclose(delta, story.difference.delta, abs_tol=1e-9)
    assert not low or delta < 0, said
    assert not high or delta > 0, said
    for size in re.findall(r"(?<![\d.])([+-]\d\.\d{4})(?= bpb)", said):
        assert abs(float(size) - delta) < 6e-5, said
    beyond = r"beyond the noise|past the noise|luck does not explain|no luck to blame|more than luck"
    everything = spoken(card)
    if re.search(r"\bexactly\b|same weights", everything, re.I):
        assert story.difference.exact, everything
        assert not re.search(r"inside the noise|luck alone|beyond the noise", everything), everything
    if re.search(beyond, everything):
        assert outcome in ("better", "worse"), everything
    if re.search(r"inside the noise|within the noise", everything):
        assert outcome == "within noise", everything
    nothing = re.search(r"does nothing|no difference|negligible|no effect", everything)
    if nothing and not card.whiff and not story.difference.exact:
        interval, bound = story.difference.interval, story.difference.bound
        assert interval is not None
        assert bound is not None
        assert -bound <= interval[0] <= interval[1] <= bound, everything


def check_lowest(card: HoleCard, played: PlayedHole, season: Season) -> None:
    # What a score is compared with may be the lowest of some, too; the basis of its difference says so.
    said = re.sub(r"the other is the lowest of \d+", "", spoken(card))
    counts = re.findall(r"lowest(?: number)? of (\d+)", said, re.I)
    if not counts and not re.search(r"\blowest\b", said):
        return
    before = [
        hole
        for hole in season.before(played)
        if (hole.course, hole.status, hole.summary.no_verdict) == (played.course, "ok", "")
    ]
    ours = mean_of(played)
    assert ours is not None
    assert all(ours < (mean_of(hole) or math.inf) for hole in before), said
    assert {int(count) for count in counts} <= {len(before) + 1}, said
