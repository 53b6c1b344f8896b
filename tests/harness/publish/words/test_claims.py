"""What a line of the copy claims, its `when` proves; what a page claims, its records prove."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.publish.views.card import HoleCard, build_card
from harness.publish.views.curve import CurveCache
from harness.publish.words.commentary import split_sentences
from harness.publish.words.facts import FACTS
from harness.publish.words.wording import Wording, load_wording
from harness.season.season import load_season
from tests.paths import DATA, ROOT

LEFT = {"gain_story", "loss_story", "doubtful_story"}  # a difference that luck does not explain
JUDGED = LEFT | {"noise_story", "equivalent_story", "slight_story", "unclear_story"}
EXACT = {"exact_gain", "exact_loss", "exact_same"}
LOW = {"gain_story", "exact_gain", "ahead_story", "new_best", "course_record"}
HIGH = {"loss_story", "exact_loss", "behind_story"}
NO_EFFECT = {"equivalent_story", "exact_same", "whiff"}
BEYOND_CAP = {"over_cap"}

# A pattern in a line, and the tags of which its group must require one.
CLAIMS: dict[str, set[str]] = {
    r"\bseeds?\b": {
        "one_seed",
        "several_seeds",
        "some_seeds_failed",
        "held",
        "unclear_story",
        "seeds_missing",
    },
    r"\{seeds\}|\{spread\}": {"several_seeds", "held"},
    r"\{seeds_finished\}": {"some_seeds_failed"},
    r"\bheld\b(?! the)": {"held"},
    r"\bplainly\b|\bproven?\b(?<!nothing proven)": {"gain_story", "loss_story", "equivalent_story"},
    r"\bluck\b|\bnoise\b": JUDGED | EXACT | {"new_best", "sets_par", "seeds_missing"},
    r"beyond (the )?(noise|luck|what luck|anything that luck)|past the noise|more than luck|no luck to blame|"
    r"that luck does not explain": LEFT,
    r"(inside|within) (the |a )?(noise|luck)": {"noise_story"},
    r"\blegal\b|\brecord\b": {"course_record"},
    r"\bdefault": set(),
    r"\bslow(er|ed)\b": {"slower"},
    r"\bquicker\b": {"quicker"},
    r"\blighter\b": {"lighter"},
    r"\bheavier\b|\bbought with\b": {"heavier"},
    r"(?<!\{)\bbest\b": {"course_record"},
    r"\blowest\b|\{lowest_of\}|\{best\}": {"new_best"},
    r"\bexactly\b|\bsame weights\b": EXACT,
    r"(does|did) nothing|no effect|no difference|negligible|too small to": NO_EFFECT,
    r"\b(gain|gained|better|improvement|won|took|picked up)\b(?=.*\{)": LOW,
    r"\b(gained|won|took|picked up|lost|conceded|gave up|dropped)\b(?=.*\{story_(size|delta)\})": LEFT
    | EXACT,
    r"\blower by\b|right side of|to the good": LOW,
    r"\b(worse|conceded|gave up|dropped|higher by|step back)\b(?=.*\{)|\blost \{|is a loss": HIGH,
    r"\bahead of\b": {"ahead_story"},
    r"\bbehind \{": {"behind_story"},
    r"\{excess\}|\bunder \{cap|too many": BEYOND_CAP,
    r"\{gap\}|\{pre_bpb\}": {"gap_large"},
    r"\{whiff_\w+\}": {"whiff"},
    r"\{story\w*\}": JUDGED | EXACT | {"held", "heavier", "lighter"},
    r"\{artifact_(change|size|parts)\}": {"heavier", "lighter"},
    r"\{one_change\}": {"one_change"},
    r"\{sota\}": {"course_record"},
    r"\bnothing to compare|nothing here compares|nothing of its kind": {"no_story"},
}
# Words that are said of something else.
INNOCENT = (
    "no small win",
    "bad luck",
    "Bad luck",
    "luck's got a lawyer",
    "room for a question",
    "with a heavy heart",
    "took both hands",
    "took {seeds}",
)


def groups(wording: Wording) -> Iterator[tuple[str, frozenset[str], str]]:
    """Every line with the facts that must hold before it is spoken."""
    for part, script in wording.script.items():
        for group in script:
            yield from ((part, group.when, line) for line in group.lines)
    for row in wording.results:
        yield from ((row["label"], frozenset(row["when"]), line) for line in row["headlines"])


@pytest.fixture(scope="module")
def wording() -> Wording:
    return load_wording(None)


@pytest.mark.parametrize("pattern", CLAIMS)
def test_a_line_claims_only_what_its_facts_prove(pattern: str, wording: Wording) -> None:
    unproven = []
    for part, when, line in groups(wording):
        text = line
        for innocent in INNOCENT:
            text = text.replace(innocent, "")
        if re.search(pattern, text, re.I) and not when & CLAIMS[pattern]:
            unproven.append((part, sorted(when), line))

    assert not unproven


def test_every_claim_is_made_of_facts_that_exist() -> None:
    assert set().union(*CLAIMS.values()) <= FACTS.keys()


def test_no_sentence_stands_in_two_lines(wording: Wording) -> None:
    """A round would then hear it less often than there are lines."""
    known: dict[str, str] = {}
    for _, _, line in groups(wording):
        for sentence in split_sentences(line):
            assert known.setdefault(sentence, line) == line


# Published seasons ------------------------------------------------------------------------------------


def built(runs: Path) -> list[HoleCard]:
    """The cards of a season, words and all, as they are published."""
    season, wording, curve_cache = load_season(runs), load_wording(None), CurveCache()
    cards: list[HoleCard] = []
    used: dict[int, set[str]] = {}
    for played in season.holes:
        heard = used.setdefault(played.name.round, set())
        card = build_card(season, season.standing(played), wording, curve_cache, used=heard)
        heard.update(card.choice.own)
        cards.append(card)
    return cards


def texts(card: HoleCard) -> list[str]:
    """What the page says in sentences, by rule or from notes."""
    voices = [str(voice.html) for voice in (card.caddie, card.announcer)]
    booth = [str(turn.html) for turn in card.booth]
    said = [*voices, card.announcer.direction, *booth, card.result.headline, card.summary, str(card.lesson)]
    return [text for text in (re.sub(r"<[^>]+>", " ", one).strip() for one in said) if text]


def assert_no_sentence_twice(cards: list[HoleCard]) -> None:
    heard: dict[tuple[int, str], str] = {}
    for card in cards:
        sentences = {one for text in texts(card) for one in split_sentences(text) if len(one) > 3}
        for sentence in sentences:
            assert heard.setdefault((card.round, sentence), card.name) == card.name, sentence


def test_no_sentence_is_heard_twice_in_a_round_of_the_shipped_season() -> None:
    assert_no_sentence_twice(built(ROOT / "runs"))


# What a label may be given for: the outcomes of the story.
OUTCOMES = {
    "Low Card So Far": {"better"},
    "Clean Strike": {"better"},
    "Holed the Putt": {"better"},
    "Found the Bunker": {"worse"},
    "Three Putts": {"worse"},
    "Encouraging Miss": {"within noise"},
    "Lipped Out": {"within noise"},
    "All Square": {"within noise"},
    "Much of a Muchness": {"within noise"},
    "No Decision": {"cannot tell"},
    "Course Record": {"better"},
}


@pytest.mark.parametrize("runs", [ROOT / "runs", DATA / "season"], ids=["shipped", "small"])
def test_no_label_contradicts_the_verdict_against_the_parent(runs: Path) -> None:
    season = load_season(runs)
    compared = 0
    for card, played in zip(built(runs), season.holes, strict=True):
        parent = season.standing(played).comparisons["parent"].difference
        if parent is None or card.result.label not in OUTCOMES:
            continue
        compared += 1
        assert parent.outcome in OUTCOMES[card.result.label], (card.name, card.result.label)

    assert compared


def put_seeds(
    put_record: Callable[..., Path], hole: str, scores: dict[int, float | None], **fields: object
) -> None:
    """A hole with an attempt for each seed; None: it failed. fields: of each record, or `parent`."""
    parent = fields.pop("parent", None)
    for attempt, (seed, score) in enumerate(scores.items(), start=1):
        own: dict[str, object] = {"course": "practice", "seed": seed, "config_hash": hole} | fields
        if score is None:
            own |= {"status": "failed", "failure": {"kind": "nan", "message": "the loss is nan"}}
        else:
            own["val_bpb"] = score
        path = put_record(hole, attempt, **own)
    if parent:
        (path.parent.parent / "round.toml").write_text(f'parent = "{parent}"\n')


def spoken(card: HoleCard) -> str:
    return " ".join([card.result.label, *texts(card), card.comparison_verdict])


def test_a_hole_is_told_by_its_parent_not_by_the_hole_before_it(
    runs: Path, put_record: Callable[..., Path]
) -> None:
    put_seeds(put_record, "round_001_base", {1: 2.100, 2: 2.103, 3: 2.097})
    put_seeds(put_record, "round_002_great", {1: 1.900, 2: 1.903, 3: 1.897}, parent="round_001_base")
    put_seeds(put_record, "round_003_good", {1: 2.040, 2: 2.043, 3: 2.037}, parent="round_001_base")

    card = built(runs)[2]

    assert card.result.label == "Clean Strike"
    assert "0.0600" in card.summary
    assert not re.search(r"Bunker|Lost 0|no luck to blame|worse|0\.14", spoken(card))
    assert (card.previous_delta.value, card.previous_delta.word, card.previous_delta.tone) == (
        "+0.1400",
        "higher",
        "apart",
    )


def test_a_wide_interval_says_nothing_plainly(runs: Path, put_record: Callable[..., Path]) -> None:
    put_seeds(put_record, "round_001_base", {1: 2.00, 2: 2.03, 3: 1.97})
    put_seeds(put_record, "round_002_wide", {1: 2.02, 2: 2.07, 3: 1.99}, parent="round_001_base")

    said = spoken(built(runs)[1])

    assert not re.search(r"plainly|does nothing|no difference|negligible|too little", said)


def test_one_seed_nine_times_is_one_seed(runs: Path, put_record: Callable[..., Path]) -> None:
    for hole, score in (("round_001_a", 2.1), ("round_002_b", 2.0)):
        for attempt in range(1, 10):
            put_record(hole, attempt, course="practice", seed=7, config_hash=hole, val_bpb=score)
    (runs / "round_002_b" / "round.toml").write_text('parent = "round_001_a"\n')

    said = " ".join(texts(built(runs)[1]))

    assert not re.search(r"\b9\b|held over|[Kk]eep the club|[2-9] seeds", said)


def test_survivors_do_not_hold(runs: Path, put_record: Callable[..., Path]) -> None:
    put_seeds(put_record, "round_001_base", {1: 2.100, 2: 2.103, 3: 2.097})
    fragile = {1: 1.900, 2: 1.903, 3: 1.897, 4: None, 5: None}
    put_seeds(put_record, "round_002_fragile", fragile, parent="round_001_base")

    said = spoken(built(runs)[1])

    assert "3 of 5 seeds" in said
    assert not re.search(r"held|[Kk]eep the club|none of them argued", said)


def test_what_held_is_told_as_held(runs: Path, put_record: Callable[..., Path]) -> None:
    put_seeds(put_record, "round_001_base", {1: 2.100, 2: 2.103, 3: 2.097})
    put_seeds(put_record, "round_002_good", {1: 1.900, 2: 1.903, 3: 1.897}, parent="round_001_base")

    assert "3 seeds" in str(built(runs)[1].lesson)


@pytest.mark.parametrize(("excess", "text"), [(0, "1 byte too many"), (1, "2 bytes too many")])
def test_as_large_as_the_cap_is_a_byte_too_many(
    excess: int, text: str, runs: Path, put_record: Callable[..., Path]
) -> None:
    cap = 16_000_000
    size = {"artifact_bytes": cap + excess, "cap_bytes": cap}
    put_record("round_001_full", status="over_cap", val_bpb=1.3, seed=1, **size)

    card = built(runs)[0]

    assert text.removesuffix(" too many") in card.summary
    assert text in card.headroom_note
    assert not re.search(r"\b0 bytes|\b1 bytes", spoken(card) + card.headroom_note + card.headroom)


def test_a_load_on_the_machine_is_no_tempo(runs: Path, put_record: Callable[..., Path]) -> None:
    for number, step_ms in enumerate((80.0, 231.0, 50.0, 120.0), start=1):
        parent = {"parent": "round_001_same"} if number > 1 else {}
        put_seeds(put_record, f"round_{number:03d}_same", {1: 2.07}, step_ms=step_ms, **parent)

    said = " ".join(spoken(card) for card in built(runs))

    assert not re.search(r"slow|quick|tempo", said, re.I)


# Rounds of equal holes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"val_bpb": 2.07, "artifact_bytes": 600_000, "cap_bytes": 16_000_000},
        {"val_bpb": 2.07},
        {"val_bpb": 2.07, "artifact_bytes": 16_000_000, "cap_bytes": 16_000_000, "status": "over_cap"},
        {"status": "failed", "failure": {"kind": "nan", "message": "the loss is nan", "step": 4}},
        {"status": "stopped", "stop_reason": "signal"},
    ],
    ids=["noise", "no artifact", "over the cap", "failed", "stopped"],
)
@pytest.mark.parametrize("overrides", [{}, {"MATRIX_LR": "0.03"}], ids=["plain", "override"])
def test_eighteen_equal_holes_hear_no_sentence_twice(
    fields: dict[str, object], overrides: dict[str, str], runs: Path, put_record: Callable[..., Path]
) -> None:
    for number in range(1, 19):
        put_record(f"round_{number:03d}_same", course="practice", seed=1, overrides=overrides, **fields)

    cards = built(runs)

    assert_no_sentence_twice(cards)
    assert all(card.summary for card in cards)


@pytest.mark.parametrize("step", [0.05, -0.05], ids=["worse each time", "better each time"])
def test_eighteen_holes_of_one_outcome_hear_no_sentence_twice(
    step: float, runs: Path, put_record: Callable[..., Path]
) -> None:
    size = {"artifact_bytes": 600_000, "cap_bytes": 16_000_000}
    for number in range(1, 19):
        parent = {"parent": f"round_{number - 1:03d}_step"} if number > 1 else {}
        put_seeds(put_record, f"round_{number:03d}_step", {1: 2.5 + step * number}, **size, **parent)

    cards = built(runs)

    assert_no_sentence_twice(cards)
    assert all(card.summary for card in cards)


def test_unplayed_holes_hear_no_sentence_twice(runs: Path) -> None:
    for number in range(1, 19):
        (runs / f"round_{number:03d}_idea").mkdir()

    cards = built(runs)

    assert_no_sentence_twice(cards)
    assert all(card.summary for card in cards)


def test_a_hole_that_is_added_changes_no_earlier_page(runs: Path, put_record: Callable[..., Path]) -> None:
    for number in range(1, 6):
        put_record(f"round_{number:03d}_same", course="practice", seed=1, val_bpb=2.07)
    before = [texts(card) for card in built(runs)]
    put_record("round_006_same", course="practice", seed=1, val_bpb=2.07)

    assert [texts(card) for card in built(runs)[:5]] == before
