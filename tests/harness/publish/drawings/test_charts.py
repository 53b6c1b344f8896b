"""Small SVG: bounded size, spikes that cannot ruin an axis, odd curves, labels that never meet."""

from __future__ import annotations

import math
import random
import re
import xml.etree.ElementTree as ET

import pytest

from harness.publish.drawings.charts import (
    Mark,
    Series,
    artifact_bar,
    curve,
    loss_range,
    number_line,
    thin,
    trend,
)

NAME = ("title", "description")
AXIS = ("train_loss", "step")


def falling(count: int, seed: int = 1) -> list[tuple[float, float]]:
    luck = random.Random(seed)
    return [
        (n, 2.3 + 4.6 * math.exp(-8 * (n / count) ** 0.5) + luck.gauss(0, 0.03)) for n in range(1, count + 1)
    ]


def well_formed(svg: str) -> ET.Element:
    assert "style=" not in svg
    return ET.fromstring(svg)


@pytest.mark.parametrize("count", [2, 20, 300, 20_000])
def test_a_curve_stays_under_5_kb(count: int) -> None:
    series = [
        Series("this", falling(count)),
        Series("par", falling(count, 2)),
        Series("previous", falling(count, 3)),
    ]
    svg = curve(series, falling(count)[-4:], "2.3012", AXIS, NAME)
    well_formed(svg)
    assert len(svg.encode()) <= 5_000


def test_thinning_keeps_lowest_highest_and_last() -> None:
    points = falling(5_000)
    points[2_500] = (2_501, 9.0)
    points[4_100] = (4_101, 0.5)
    kept = thin(points, 100)
    assert len(kept) <= 202
    assert {points[0], points[-1], points[2_500], points[4_100]} <= set(kept)
    assert kept == sorted(kept)


def test_a_spike_at_step_2_does_not_set_the_axis() -> None:
    calm, spiked = falling(1_000), falling(1_000)
    spiked[1] = (2, 400.0)
    assert loss_range([Series("this", spiked)]) == loss_range([Series("this", calm)])


def test_a_spike_in_the_middle_does_not_either() -> None:
    points = falling(1_000)
    points[500] = (501, 90.0)
    ranged = loss_range([Series("this", points)])
    assert ranged is not None
    assert ranged[1] < 6


@pytest.mark.parametrize(
    "points",
    [[], [(1, math.nan)], [(5, 3.0)], [(1, 3.0), (2, 3.0)], [(1, 3.0), (2, math.inf), (3, 2.0)], [(0, 1.0)]],
)
def test_odd_curves_are_drawn_or_left_out(points: list[tuple[float, float]]) -> None:
    svg = curve([Series("this", points)], [], "3.0", AXIS, NAME)
    if any(math.isfinite(y) for _, y in points):
        well_formed(svg)
        assert "nan" not in svg
        assert "inf" not in svg
    else:
        assert svg == ""


def test_titles_are_escaped() -> None:
    svg = curve([Series("this", falling(5))], [], "<b>", AXIS, ("<script>", 'a "quote" & more'))
    assert "<script>" not in svg
    well_formed(svg)


@pytest.mark.parametrize(
    "values", [(1.2197, 1.2244, 1.2244, 1.4141), (1.0, 1.0, 1.0, 1.0), (1.4141, 1.4142, 1.4143, 1.4144)]
)
def test_number_line_labels_never_share_a_row(values: tuple[float, ...]) -> None:
    roles = ("pin", "par", "best", "ball")
    marks = [Mark(value, f"{role} {value}", role) for value, role in zip(values, roles, strict=True)]
    root = well_formed(number_line(marks, "better", NAME))
    rows = [node.get("y") for node in root.iter() if node.tag == "text" and node.get("class") in roles]
    assert len(rows) == len(set(rows)) == 4


def test_number_line_places_in_proportion() -> None:
    marks = [Mark(1.0, "a", "pin"), Mark(1.5, "b", "par"), Mark(2.0, "c", "ball")]
    places = [
        int(x)
        for x in re.findall(r'<circle class="(?:par|ball)" cx="(\d+)"', number_line(marks, "better", NAME))
    ]
    assert places == [600, 1140]


def test_the_bag_spills_over_its_limit() -> None:
    assert "spill" not in artifact_bar(15_999_999, 40_000, 16_000_000, NAME)
    assert "spill" in artifact_bar(16_000_000, None, 16_000_000, NAME)
    well_formed(artifact_bar(90_000_000, 10, 16_000_000, NAME))


def test_a_long_season_keeps_its_trend_small() -> None:
    scored = [(float(n), 1.4 - n * 1e-5 + (n % 7) * 0.01) for n in range(1, 5_001)]
    best = [
        point
        for at, point in enumerate(scored)
        if at == 0 or point[1] < min(y for _, y in scored[max(0, at - 50) : at])
    ]
    svg = trend(scored, best, 1.2244, [(1.0, 1.21), (900.0, 1.1)], AXIS, NAME)
    well_formed(svg)
    assert len(svg) < 12_000
    assert trend([], [], None, [], AXIS, NAME) == ""
