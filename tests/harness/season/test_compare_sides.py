"""What two sides of a comparison have in common, from records and curves made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.courses.course import load_course
from harness.records.curve import Curve, TrainPoint, ValPoint
from harness.records.record import RunRecord, parse_record
from harness.season.compare import (
    AttemptCurve,
    Side,
    caveats,
    common_moments,
    compare,
    config_changes,
    find_whiff,
    repeated_seeds,
    series,
)
from harness.stats import Sample

FINEWEB = load_course("fineweb")


def record(**fields: Any) -> RunRecord:
    base = {"schema": 2, "hole": "round_001", "course": "fineweb", "status": "ok", "val_bpb": 1.2}
    return parse_record(base | fields, "x")


def side(name: str, *records: RunRecord) -> Side:
    scores = tuple(one.val_bpb for one in records if one.val_bpb is not None)
    return Side(name, Sample(scores) if scores else None, records)


def changed(a: RunRecord, b: RunRecord) -> list[tuple[str, str | None, str | None]]:
    return [(change.name, change.a, change.b) for change in config_changes(a, b)]


def test_settings_that_differ_are_named_and_places_are_not() -> None:
    one = record(
        config={"MATRIX_LR": "0.04", "DATA_ROOT": "/a", "OUTPUT_DIR": "/o", "my_path": "/p", "SEED": "1"}
    )
    other = record(
        config={"MATRIX_LR": "0.05", "DATA_ROOT": "/b", "OUTPUT_DIR": "/q", "my_path": "/r", "SEED": "2"}
    )

    assert changed(one, other) == [("MATRIX_LR", "0.04", "0.05")]
    assert config_changes(one, None) == ()


def test_what_one_side_did_not_record_is_no_difference_unless_it_was_set() -> None:
    full = record(config={"MATRIX_LR": "0.04", "NUM_LAYERS": "9"})
    partial = record(overrides={"MATRIX_LR": "0.05", "DATA_PATH": "/a"})

    assert changed(full, partial) == [("MATRIX_LR", "0.04", "0.05")]
    only_set = record(overrides={"EMA_DECAY": "0.99"})
    assert changed(only_set, full) == [("EMA_DECAY", "0.99", None)]


def test_a_curve_keeps_numbers_only_and_the_last_of_equal_steps() -> None:
    curve = Curve.of(
        [
            TrainPoint(1, 6.0, 100.0),
            TrainPoint(2, math.nan, 200.0),
            TrainPoint(3, 4.0),
            TrainPoint(3, 3.0, 300.0),
        ],
        [ValPoint(2, 5.0, 2.0, 250.0), ValPoint(3, 4.0, None)],
    )

    assert series(curve, "train_loss", "step") == [(1.0, 6.0), (3.0, 3.0)]
    assert series(curve, "train_loss", "training time") == [(0.1, 6.0), (0.3, 3.0)]
    assert series(curve, "val_bpb", "step") == [(2.0, 2.0)]
    assert series(curve, "val_bpb", "training time") == [(0.25, 2.0)]


def test_curves_are_compared_where_the_shorter_one_ends() -> None:
    short = Curve.of([TrainPoint(1, 6.0, 100.0), TrainPoint(3, 4.0, 300.0)])
    long = Curve.of([TrainPoint(1, 6.0, 200.0), TrainPoint(2, 5.0, 400.0), TrainPoint(4, 3.0, 800.0)])

    by_step, by_time = common_moments(short, long)

    assert (by_step.axis, by_step.at, by_step.a, by_step.b, by_step.delta) == ("step", 3.0, 4.0, 4.0, 0.0)
    assert (by_time.axis, by_time.at, by_time.a) == ("training time", pytest.approx(0.3), 4.0)
    assert by_time.b == pytest.approx(5.5)


def test_losses_are_subtracted_only_for_one_tokenizer() -> None:
    one = record(val_bpb=1.2, val_loss=2.0, seed=1)
    same = record(val_bpb=1.14, val_loss=1.9, seed=2)
    longer_tokens = record(val_bpb=1.14, val_loss=3.8)
    no_loss = record(val_bpb=1.14)

    assert compare(side("a", one), side("b", same), FINEWEB).nats_per_token == pytest.approx(0.1)
    assert compare(side("a", one), side("b", longer_tokens), FINEWEB).nats_per_token is None
    assert compare(side("a", one), side("b", no_loss), FINEWEB).nats_per_token is None
    assert compare(side("a", one, no_loss), side("b", same), FINEWEB).nats_per_token is None


def test_a_difference_is_told_per_byte_and_relative_to_the_other() -> None:
    pair = compare(side("a", record(val_bpb=1.188)), side("b", record(val_bpb=1.2)), FINEWEB)

    assert pair.relative == pytest.approx(-0.01)
    assert pair.nats_per_byte == pytest.approx(-0.012 * math.log(2))
    assert pair.noise.startswith("the course's noise figure: 0.00079 bpb of 2026-05-02")
    unknown = compare(side("a", record()), side("b", record()), None)
    assert (unknown.difference, unknown.relative, unknown.nats_per_byte) == (None, None, None)
    assert unknown.reason == 'the course "fineweb" is not known, so neither is its noise'


def test_a_side_without_a_score_says_why() -> None:
    empty = compare(Side("round_009", None), side("b", record()), FINEWEB)
    broken = compare(side("a", record()), Side("round_009", None, reason="it is unreadable"), FINEWEB)

    assert empty.reason == "round_009 has no complete attempt"
    assert broken.reason == "it is unreadable"


def test_repeats_of_a_seed_are_counted() -> None:
    several = side("round_001", record(seed=1), record(seed=2), record(seed=2))

    assert repeated_seeds(several).startswith("round_001 has 2 seeds in 3 runs")
    assert repeated_seeds(side("round_001", record(seed=1), record(seed=2), record())) == ""


def test_what_belongs_beside_a_number_is_named() -> None:
    one = record(
        split="current", train_seconds=600.0, environment={"device": "cuda"}, code={"source_sha256": "a"}
    )
    alike = record(
        split="current", train_seconds=560.0, environment={"device": "cuda"}, code={"source_sha256": "a"}
    )
    other = record(
        status="over_cap",
        artifact_bytes=9,
        cap_bytes=9,
        train_seconds=300.0,
        environment={"device": "cpu"},
        code={"source_sha256": "b"},
    )

    assert caveats(one, alike) == []
    assert caveats(one, None) == []
    assert caveats(one, record(split="current")) == []  # what is not known is no difference
    assert caveats(one, other) == [
        "different device: cuda against cpu",
        "the validation split is not known on both sides",
        "different training time: 600 s against 300 s",
        "round_001 is over the cap",
        "the code differs",
    ]


CURVE = Curve.of([TrainPoint(1, 6.0, 100.0), TrainPoint(2, 5.0, 200.0)])
ROUND_TRIP = {"stage": "round_trip", "label": "x"}


@pytest.mark.parametrize(
    ("theirs", "kind", "why"),
    [
        ({}, "whiff", "all 2 logged training losses are equal, bit for bit: MATRIX_LR did nothing"),
        ({"model_bytes": 19}, "export only", "training is the same; the artifact's size differs"),
        (
            {"code_bytes": 9, "artifact_bytes": 29},
            "whiff",
            "MATRIX_LR did nothing",
        ),  # the code is not the model
        (
            {"scores": [ROUND_TRIP | {"val_bpb": 1.21}]},
            "export only",
            "training is the same; the round-trip score differs",
        ),
        ({"val_bpb": 1.19}, "export only", "training is the same; the score differs"),
        ({"status": "stopped"}, None, ""),
        ({"seed": 2}, None, ""),
        ({"config": {"MATRIX_LR": "0.04"}}, None, ""),
    ],
)
def test_an_override_that_changed_nothing_is_a_whiff(
    theirs: dict[str, Any], kind: str | None, why: str
) -> None:
    ours = {"seed": 1, "model_bytes": 20, "scores": [ROUND_TRIP | {"val_bpb": 1.2}]}

    whiff = find_whiff(
        [AttemptCurve(record(**ours, config={"MATRIX_LR": "0.04"}), CURVE)],
        [AttemptCurve(record(**ours | {"config": {"MATRIX_LR": "0.05"}} | theirs), CURVE)],
    )

    assert (whiff.kind if whiff else None) == kind
    assert whiff is None or why in whiff.why


def test_one_equal_point_or_none_known_of_the_artifact_is_no_whiff() -> None:
    one, other = record(config={"FP16_EMBED": "0"}), record(config={"FP16_EMBED": "1"})
    point = Curve.of([TrainPoint(1, 6.0, 100.0)])
    swings = [AttemptCurve(record(config={"MATRIX_LR": value}), point) for value in ("0.04", "0.05")]

    assert find_whiff([swings[0]], [swings[1]]) is None
    assert (
        find_whiff([AttemptCurve(one, CURVE)], [AttemptCurve(other, CURVE)]) is None
    )  # packing was not measured
