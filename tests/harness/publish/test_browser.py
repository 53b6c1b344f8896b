"""What a visitor does, in Debian's Chromium with the pages' own policy on: files from disk, no server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.publish.build import PublishOptions, publish
from tests.paths import DATA

SEASON = DATA / "season"

pytestmark = pytest.mark.slow


HOSTILE = ("round_004_longer_irons", "round_005_more_swings")
HOSTILE_TITLE = "\u202e\"><script>alert(1)</script> \u2067עברית\u2069 🏌 it's " + "W" * 10_000
HOSTILE_NOTES = (
    "## The Shot: </h2><script>alert(2)</script>\n\n<script>alert(3)</script> [press](javascript:alert(4)) "
    "[data](data:text/html,<script>alert(5)</script>) ![spy](https://tracker.example/p.png) "
    "<a href='javascript:alert(6)'>raw</a> \u202edesrever\u202c 🏌️‍♀️🏌️\n\n"
    + "x" * 10_000
    + "\n\n| a | b |\n| --- | --- |\n| "
    + "y" * 3_000
    + " | 2 |\n\n```\n"
    + "z" * 3_000
    + "\n```\n\n"
    "## The Booth Reacts\n\n**<img src=x onerror=alert(7)>:** \"quotes\" & 'more' 🏌️\n\n"
    "## Post-Round Lesson\n\n<style>body{display:none}</style>" + "V" * 10_000 + "\n"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = Path(shutil.copytree(SEASON, tmp_path_factory.mktemp("season") / "runs"))
    for name in HOSTILE:  # one without a score, one that stands on every page there is
        title = json.dumps(HOSTILE_TITLE, ensure_ascii=False)
        toml = f"title = {title}\nhypothesis = '</p><svg onload=alert(9)>'\n"
        (runs / name / "round.toml").write_text(toml, encoding="utf-8")
        (runs / name / "notes.md").write_text(HOSTILE_NOTES, encoding="utf-8")
    out = tmp_path_factory.mktemp("site") / "site"
    publish(runs, out, PublishOptions(pictures=False))
    return out


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that notes every message and every request beyond the disk."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.said = []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("dialog", lambda dialog: (opened.said.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: request.url.startswith("file:") or opened.said.append(request.url))
    yield opened
    context.close()


def test_a_visitor_finds_a_hole_and_walks_on(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_label("within noise").check()
    assert page.locator("table.sortable tbody tr:visible").count() == 1
    page.get_by_role("link", name="Full Ink for the Names").first.click()
    assert page.locator("h1").inner_text() == "Full Ink for the Names"
    assert page.locator("[data-el=headline-score]").inner_text() == "1.4141"
    page.locator("[data-el=next-link]").click()
    assert page.locator("h1").inner_text() == "Traveling Light"
    page.locator("[data-el=prev-link]").click()
    page.get_by_role("link", name="The Field").click()
    assert "Leaderboard" in page.locator("main").inner_text()
    assert page.said == []


def test_a_tooltip_opens_and_closes_by_keyboard_without_script(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "holes" / "round_006_fp16embed.html").as_uri())
    tip = page.locator("#tip-bpb")
    assert not tip.is_visible()
    page.get_by_role("button", name="What is val bpb?").focus()
    page.keyboard.press("Enter")
    assert tip.is_visible()
    assert "one byte of text" in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    context.close()


def test_day_and_night_by_preference_and_by_choice(page: Any, site: Path) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.goto((site / "index.html").as_uri())
    day = paper()
    page.emulate_media(color_scheme="dark")
    night = paper()
    assert day != night
    page.get_by_label("Day").check()
    assert paper() == day
    page.reload()
    assert paper() == day  # remembered
    assert page.said == []


def test_a_scorecard_sorts(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    card = page.locator("table.sortable").last
    card.get_by_role("button", name="Score").click()
    first = card.locator("tbody tr").first
    assert "The Naive Baseline" in first.inner_text()
    card.get_by_role("button", name="Score").click()
    assert "The Naive Baseline" not in card.locator("tbody tr").first.inner_text()


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_overflows_or_speaks_out_of_turn(page: Any, site: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, (path.name, width)
    assert page.said == []


def test_a_card_prints_on_two_sheets(page: Any, site: Path) -> None:
    page.goto((site / "holes" / "round_006_fp16embed.html").as_uri())
    printed: bytes = page.pdf(format="A4")
    assert 1 <= printed.count(b"/Type /Page\n") <= 2


def test_a_curve_is_read_by_pointer_and_by_keys(page: Any, site: Path) -> None:
    page.goto((site / "holes" / "round_006_fp16embed.html").as_uri())
    figure = page.locator("figure[data-read]")
    drawing = figure.locator("svg")
    before = figure.inner_text()
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60)
    assert "step ≈" in figure.inner_text()
    slider = page.get_by_role("slider", name="Read the curve")
    slider.focus()
    page.keyboard.press("End")
    said = slider.get_attribute("aria-valuetext")
    assert "step ≈ 1,300" in said
    assert "This hole 2.37" in said  # the record's last loss is 2.3685; the drawing shows two places of it
    page.keyboard.press("Home")
    assert "step ≈ 1," in slider.get_attribute("aria-valuetext")
    assert "This hole 6.40" in slider.get_attribute("aria-valuetext")  # 6.3942, far above the drawing
    assert before.splitlines()[0] in figure.inner_text()
    assert page.said == []


def test_a_curve_opens_at_full_size_and_closes_by_key(page: Any, site: Path) -> None:
    page.goto((site / "holes" / "round_006_fp16embed.html").as_uri())
    drawing = page.locator("figure[data-read] svg")
    small = drawing.bounding_box()["width"]
    page.get_by_role("button", name="Full size").focus()
    page.keyboard.press("Enter")
    assert drawing.bounding_box()["width"] > 1.3 * small
    page.keyboard.press("Escape")
    page.locator("figure[popover]").wait_for(state="detached")
    assert drawing.bounding_box()["width"] == small
    assert page.said == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_stay_words(page: Any, site: Path, name: str) -> None:
    page.goto((site / "index.html").as_uri())
    usual = page.locator(".masthead").bounding_box()["height"]
    page.goto((site / "holes" / f"{name}.html").as_uri())
    assert "<script>alert(1)</script>" in page.locator("h1").inner_text()  # shown, not run
    assert set(page.evaluate("[...document.links].map(link => link.protocol)")) <= {"file:", "https:"}
    assert page.locator("main img, main style, main script, main iframe").count() == 0
    assert page.locator(".masthead").bounding_box()["height"] == usual  # what stands around is as ever
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert page.said == []
