"""The voices: they know only what the record knows, and say the same thing every time, never twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.publish.views.card import build_card
from harness.publish.views.curve import CurveCache
from harness.publish.words.commentary import Facts, Lines, Narrator, expand, tidy
from harness.publish.words.facts import FACTS, read_facts
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
    unknown, known = (Facts("hole", frozenset(), values) for values in ({}, {"gap": "0.0100"}))

    assert Narrator(script, unknown).speak("part") == "Nothing to say of it."
    assert Narrator(script, known).speak("part") == "0.0100 was lost."


def test_a_sentence_is_spoken_once_in_a_round_and_a_group_that_ran_out_hands_on() -> None:
    first = Lines(frozenset({"scored"}), ("One. Two.", "Two! Three.", "Three. Four."))
    script = {"part": (first, Lines(frozenset(), ("Five.",)))}
    heard, used = [], set[str]()
    for number in range(5):
        narrator = Narrator(script, Facts(f"hole_{number}", frozenset({"scored"}), {}), used)
        heard.append(narrator.speak("part"))
        used |= set(narrator.choice.own)

    sentences = [one for line in heard for one in re.split(r"(?<=[.!]) ", line) if one]
    assert len(sentences) == len(set(sentences))
    assert heard[-1] == ""
    assert "Five." in heard


def test_a_later_hole_changes_no_earlier_one_and_depends_on_those_before_it(wording: Wording) -> None:
    def speak(name: str, used: set[str]) -> str:
        narrator = Narrator(wording.script, Facts(name, frozenset(), {}), used)
        line = narrator.speak("booth_close")
        used |= set(narrator.choice.own)
        return line

    names = [f"round_{number:03d}_same" for number in range(1, 15)]
    used: set[str] = set()
    all_of_them = [speak(name, used) for name in names]
    used = set()
    only_some = [speak(name, used) for name in names[:7]]

    assert only_some == all_of_them[:7]
    assert len(set(all_of_them)) == len(names)


def test_a_silent_group_ends_the_search() -> None:
    script = {"part": (Lines(frozenset({"failed"}), (), silent=True), Lines(frozenset(), ("Said.",)))}

    assert Narrator(script, Facts("hole", frozenset({"failed"}), {})).speak("part") == ""


def test_choices_of_a_line_are_written_out() -> None:
    assert list(expand("[A|B] c[ d|].")) == ["A c d.", "A c.", "B c d.", "B c."]
    assert list(expand("[no choice] {name}.")) == ["[no choice] {name}."]


def test_every_fate_gets_every_needed_part(facts: dict[str, Facts], wording: Wording) -> None:
    for known in facts.values():
        narrator = Narrator(wording.script, known)
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
            assert narrator.speak(part), (known.seed, part)
        assert narrator.name_result(wording.results).headline


def test_every_number_spoken_is_known(facts: dict[str, Facts], wording: Wording) -> None:
    for known in facts.values():
        values, narrator = " ".join(known.values.values()), Narrator(wording.script, known)
        for part in wording.script:
            line = narrator.speak(part)
            for figure in re.findall(r"\d[\d,.]*\d|\d", line):
                assert figure in values, (known.seed, part, line)


def test_the_same_hole_hears_the_same_words(facts: dict[str, Facts], wording: Wording) -> None:
    known = facts["round_006_fp16embed"]
    assert len({Narrator(wording.script, known).speak("booth_open") for _ in range(5)}) == 1


def test_no_win_inside_the_noise(facts: dict[str, Facts], wording: Wording) -> None:
    known = facts["round_006_fp16embed"]
    tags = known.tags - {"behind_story"} | {"ahead_story"}
    narrator = Narrator(wording.script, Facts("x", tags, known.values))

    assert narrator.name_result(wording.results).label == "Lipped Out"
    assert "inside the noise" in narrator.speak("summary")


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
