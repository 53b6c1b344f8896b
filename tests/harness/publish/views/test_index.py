"""A round's page: its card, its walk, its curves, its lessons."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.publish.build import PublishOptions, publish
from tests.paths import DATA

SEASON = DATA / "season"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("rounds") / "site"
    publish(SEASON, out, PublishOptions(pictures=False))
    return (out / "round-1.html").read_text()


def test_the_card_has_nine_holes_and_adds_up_its_marks(page: str) -> None:
    card = page[page.index('class="nine"') : page.index("</table>")]
    marks = re.findall(r'<span class="mark ([a-z ]+) num">([^<]*)</span>', card)
    assert ("square two", "+.190") in marks  # the sixth: 1.4141 to a par of 1.2244
    assert ("plain", "E") in marks  # the baseline itself
    assert len(marks) == 9
    assert card.count('<th scope="col">') == 11
    assert card.rstrip().endswith('<td class="num">+6</td></tr></tbody>')  # three double squares
    assert "Round 1, In" not in page  # nobody has begun the second nine


def test_every_curve_and_every_lesson_is_there(page: str) -> None:
    sparks = page[page.index('class="sparks"') :]
    assert sparks.count("<svg") == 8  # nine holes, one of them not played
    assert "2.3685" in sparks
    lessons = page[page.index('class="lessons"') :]
    assert "Measure the ground before you measure the jump." in lessons


def test_the_index_leads_to_each_round(tmp_path: Path) -> None:
    shutil.copytree(SEASON, tmp_path / "runs")
    publish(tmp_path / "runs", tmp_path / "site", PublishOptions(pictures=False))
    index = (tmp_path / "site" / "index.html").read_text()
    assert 'href="round-1.html"' in index
    assert 'href="round-2.html"' in index
    assert "Round Two, First Tee" in (tmp_path / "site" / "round-2.html").read_text()
