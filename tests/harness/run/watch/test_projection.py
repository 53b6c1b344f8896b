"""Where a run will probably end: what is said, what it rests on, and when nothing is said."""

from __future__ import annotations

import pytest

from harness.records.curve import Curve, TrainPoint, ValPoint
from harness.run.watch.projection import FinishedRun, Projection, project


def curve(*, val: dict[int, float] | None = None, train: dict[int, float] | None = None) -> Curve:
    return Curve.of(
        (TrainPoint(step, loss) for step, loss in (train or {}).items()),
        (ValPoint(step, None, bpb) for step, bpb in (val or {}).items()),
    )


def reference(steps: int = 100, **points: dict[int, float]) -> FinishedRun:
    return FinishedRun("round_001", 1.20, curve(**points), steps, val_loss=2.40)


def test_what_the_other_run_still_gained_is_what_ours_still_gains() -> None:
    ours = curve(val={0: 4.0, 50: 1.40})

    told = project(ours, 100, [reference(val={0: 4.1, 50: 1.45, 100: 1.19})])

    assert isinstance(told, Projection)
    assert told.val_bpb == pytest.approx(1.40 - (1.45 - 1.20))
    assert (told.step, told.basis, told.against) == (50, "val", "round_001")
    assert "step 50" in told.why


def test_the_other_run_is_read_at_the_same_share_when_it_was_a_bit_longer() -> None:
    told = project(curve(val={50: 1.40}), 100, [reference(120, val={30: 1.60, 90: 1.30})])

    assert isinstance(told, Projection)
    assert told.val_bpb == pytest.approx(1.40 - (1.45 - 1.20))
    assert "50% of its 120 steps" in told.why


def test_training_losses_serve_where_nobody_validates_on_the_way() -> None:
    steps = range(1, 51)
    ours = curve(train={step: 3.0 - 0.01 * step for step in steps})
    theirs = reference(train={step: 3.1 - 0.01 * step for step in range(1, 101)})

    told = project(ours, 100, [theirs])

    assert isinstance(told, Projection)
    assert told.basis == "train"
    assert told.val_bpb == pytest.approx(1.20 - 0.1 * 1.20 / 2.40)


@pytest.mark.parametrize(
    ("ours", "steps", "others", "why"),
    [
        (curve(val={50: 1.4}), 100, [], "no finished hole"),
        (curve(val={50: 1.4}), None, [reference(val={50: 1.3})], "the number of steps is unknown"),
        (curve(val={50: 1.4}), 100, [reference(400, val={50: 1.3})], "too unlike"),
        (curve(val={2: 3.9}), 100, [reference(val={2: 3.8, 50: 1.3})], "needs 5% of the training"),
        (curve(val={50: 1.4}), 100, [reference(val={60: 1.3})], "has points too"),
        (curve(val={50: float("nan")}), 100, [reference(val={40: 1.3, 60: float("nan")})], "has points too"),
    ],
)
def test_nothing_is_said_where_nothing_is_known(
    ours: Curve, steps: int | None, others: list[FinishedRun], why: str
) -> None:
    told = project(ours, steps, others)

    assert isinstance(told, str)
    assert why in told
