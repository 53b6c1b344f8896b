"""The curve of a hole's page and its download."""

from __future__ import annotations

import math

from harness.publish.views.curve import curve_csv
from harness.records.curve import Curve, TrainPoint, ValPoint


def test_the_csv_holds_every_point_as_it_was_logged() -> None:
    train = (
        TrainPoint(1, 6.9, 200.0),
        TrainPoint(2, math.nan, None),
        TrainPoint(4, 1e-7, 3e20),
        TrainPoint(10**20, 5.5, 7.5),
    )
    val = (ValPoint(0, 6.95, 4.1, 1.0), ValPoint(2, 6.5, None, 400.5), ValPoint(9, None, 3.25))

    rows = curve_csv(Curve.of(train, val)).decode().splitlines()

    assert rows == [
        "step,train_loss,val_loss,val_bpb,train_time_ms",
        "1,6.9,,,200",
        "2,nan,6.5,,",
        "4,1e-7,,,3e+20",
        f"{10**20},5.5,,,7.5",
        "0,,6.95,4.1,1",
        "9,,,3.25,",
    ]
