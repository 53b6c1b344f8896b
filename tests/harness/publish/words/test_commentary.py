"""The voices: they know only what the record knows, and say the same thing every time."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.publish.views.card import build_card
from harness.publish.views.curve import CurveCache
from harness.publish.words.commentary import FACTS, Facts, Lines, name_result, read_facts, speak, tidy
from harness.publish.words.wording import Wording, load_wording
from harness.season.season import load_season
from tests.paths import DATA

SEASON = DATA / "season"


@pytest.fixture(scope="module")
def wording() -> Wording:
    return load_wording(None)


@pytest.fixture(scope="module")
def facts() -> dict[str, Facts]:
    season = load_season(SEASON)
    return {played.name.folder: read_facts(season.standing(played)) for played in season.holes}


def test_a_line_that_names_an_unknown_figure_stays_silent() -> None:
    script = {
        "part": (Lines(frozenset(), ("{gap} was lost.",)), Lines(frozenset(), ("Nothing to say of it.",)))
    }
    assert speak(script, "part", Facts("hole", frozenset(), {})) == "Nothing to say of it."
    assert speak(script, "part", Facts("hole", frozenset(), {"gap": "0.0100"})) == "0.0100 was lost."


def test_every_fate_gets_every_needed_part(facts: dict[str, Facts], wording: Wording) -> None:
    for known in facts.values():
        for part in (
            "pick",
            "direction",
            "tee",
            "booth_open",
            "booth_reply",
            "booth_close",
            "summary",
            "lesson",
        ):
            assert speak(wording.script, part, known), (known.seed, part)
        assert name_result(wording.results, known).label


def test_every_number_spoken_is_known(facts: dict[str, Facts], wording: Wording) -> None:
    for known in facts.values():
        values = " ".join(known.values.values())
        for part in wording.script:
            for figure in re.findall(r"\d[\d,.]*\d|\d", speak(wording.script, part, known)):
                assert figure in values, (known.seed, part, figure)


def test_the_same_hole_hears_the_same_words(facts: dict[str, Facts], wording: Wording) -> None:
    known = facts["round_006_fp16embed"]
    assert len({speak(wording.script, "booth_open", known) for _ in range(5)}) == 1


def test_holes_of_one_fate_do_not_all_hear_the_same(facts: dict[str, Facts], wording: Wording) -> None:
    known = facts["round_006_fp16embed"]
    heard = {
        speak(wording.script, "booth_open", Facts(f"round_{n:03d}", known.tags, known.values))
        for n in range(1, 40)
    }
    assert len(heard) >= 3


def test_no_win_inside_the_noise(facts: dict[str, Facts], wording: Wording) -> None:
    known = facts["round_006_fp16embed"]
    tags = known.tags - {"behind_previous"} | {"ahead_previous"}
    ahead = Facts("x", tags, known.values)
    assert name_result(wording.results, ahead).label == "Lipped Out"
    assert "inside the noise" in speak(wording.script, "summary", ahead)


def test_rules_name_only_facts_that_exist(wording: Wording) -> None:
    kinds = {
        "nan",
        "out_of_memory",
        "reference",
        "long_shot",
        "safe_tweak",
        "architecture",
        "schedule",
        "optimizer",
        "tokenizer",
        "export",
    }
    known = set(FACTS) | kinds
    used = {tag for groups in wording.script.values() for group in groups for tag in group.when}
    used |= {tag for row in wording.results for tag in row["when"]}
    assert used <= known, used - known


def test_tidy_makes_one_harmless_line() -> None:
    assert tidy("a\n\n b\tc \u202eevil\u202c \x00d") == "a b c evil d"
    assert tidy("one two three four", 10) == "one two…"
    assert len(tidy("x" * 10_000, 80)) == 80


def test_a_theme_with_malformed_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "voices.toml").write_text('[[tee]]\nwhen = "ok"\nlines = ["x"]\n')
    with pytest.raises(HarnessError, match="lists of strings"):
        load_wording(tmp_path)


def test_a_theme_overrides_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "club.toml").write_text('[club]\nname = "Muni Links"\n')
    wording = load_wording(tmp_path)
    assert wording.say("club", "name") == "Muni Links"
    assert wording.say("club", "established") == "Est. 2026"


def test_the_first_hole_of_a_season_opens_it_whatever_its_number(tmp_path: Path) -> None:
    for name in ("round_005_more_swings", "round_006_fp16embed"):
        shutil.copytree(SEASON / name, tmp_path / name)
        (tmp_path / name / "notes.md").unlink(missing_ok=True)
    season, wording = load_season(tmp_path), load_wording(None)
    opening = wording.script["direction"][0]
    assert opening.when == {"first_hole"}

    directions = [
        build_card(season, season.standing(hole), wording, CurveCache()).announcer.direction
        for hole in season.holes
    ]

    assert [direction in opening.lines for direction in directions] == [True, False]
