"""What is said of an attempt that has no record yet: only what it logged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from harness.publish.build import PublishOptions, publish
from harness.publish.views.tables import InPlay, read_play
from harness.publish.words.wording import load_wording
from harness.season.season import load_season
from tests.paths import DATA

SEASON = DATA / "season"
LOG = DATA / "field" / "records" / "2026-03-18_FP16Embed_WD3600" / "train.log"


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "round_008_still_walking" / "attempt_01"
    folder.mkdir(parents=True)
    return folder


def read(attempt: Path, ask_system: bool = False) -> InPlay | None:
    season = load_season(attempt.parents[1])
    return read_play(season.holes[0], load_wording(None), ask_system)


def test_a_published_page_does_not_claim_to_know_who_is_playing(tmp_path: Path) -> None:
    publish(SEASON, tmp_path / "site", PublishOptions(pictures=False))
    page = (tmp_path / "site" / "holes" / "round_008_still_walking.html").read_text()
    assert "has no record yet: it is under way, or was cut short" in page
    assert "step 590" in page
    assert page.index('id="curve"') < page.index('id="caddie"')  # what moves stands first
    assert "step 590, train_loss 2.6478" in (tmp_path / "site" / "index.html").read_text()


def test_the_log_of_a_trainer_that_keeps_no_curve_is_read(attempt: Path) -> None:
    shutil.copy(LOG, attempt / "train.log")
    told = read(attempt)
    assert told is not None
    assert "train_loss" in told.line
    assert told.share is None  # nobody wrote down how long it should be
    assert {row.label for row in told.rows} >= {"Progress", "Tempo", "Training time"}


@pytest.mark.parametrize("log", [b"", b"\x00\xff torn", b'{"step": 1, "train_loss": NaN'])
def test_nothing_is_made_up_before_the_first_step(attempt: Path, log: bytes) -> None:
    (attempt / "curve.jsonl").write_bytes(log)
    (attempt / "launch.json").write_bytes(b"{")
    told = read(attempt)
    assert told is not None
    assert told.line == "not a step logged yet"
    assert told.rows == ()


def test_the_system_knows_who_is_playing(attempt: Path) -> None:
    quiet = read(attempt, ask_system=True)
    assert quiet is not None
    assert "no process here is playing it" in quiet.lead
    with FileLock(attempt / ".lock"):
        playing = read(attempt, ask_system=True)
    assert playing is not None
    assert "being played at this moment" in playing.lead
