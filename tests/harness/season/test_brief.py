"""`harness brief`: what an agent or a person needs before the next hole."""

import json
import random

import pytest

from harness.season.brief import brief_season
from harness.season.season import load_season

PRACTICE = {"course": "practice", "split": "one"}
DAY = "2026-03-25T12:00:00Z"


def brief_of(harness, *words):
    done = harness("brief", "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_brief_sums_up_the_season(harness, runs, put_record):
    put_record("round_001", val_bpb=1.30, train_seconds=100.0, wall_seconds=120.0, started_at=DAY)
    put_record("round_002", val_bpb=1.20, train_seconds=100.0, started_at=DAY)
    put_record("round_003", val_bpb=1.25, started_at=DAY)
    put_record("round_004", val_bpb=1.10, started_at=DAY)
    put_record("round_005", val_bpb=1.24, started_at=DAY)
    put_record("round_006", status="failed", failure={"kind": "nan", "message": "m"}, wall_seconds=30.0)
    (runs / "round_007").mkdir()
    (runs / "round_007" / "round.toml").write_text('hypothesis = "Longer sequences help."\n')
    harness("decide", "4", "invalid", "--reason", "trained on validation", "--by", "Ann")
    harness("decide", "5", "keep", "--reason", "try with more steps", "--by", "Ann")

    brief = brief_of(harness)

    assert brief["best"]["hole"] == "round_002"
    assert [row["hole"] for row in brief["last"]] == [f"round_00{n}" for n in (6, 5, 4, 3, 2)]
    assert [row["hole"] for row in brief["dead_ends"]] == ["round_001", "round_003", "round_004"]
    assert brief["dead_ends"][1]["why"] == "worse than Naive Baseline by 0.0256 bpb"
    assert brief["dead_ends"][1]["difference"]["survives"] is True
    assert brief["dead_ends"][2]["why"] == "invalid: trained on validation"
    assert brief["open_questions"] == [{"hole": "round_007", "hypothesis": "Longer sequences help."}]
    assert brief["noise_floor"]["std_bpb"] == 0.00079
    assert brief["budget"] == {
        "train_seconds": 200.0,
        "wall_seconds": 250.0,
        "attempts": 6,
        "unmeasured_attempts": 3,
        "cost": None,
    }
    kept = json.loads(harness("show", "5", "--json").stdout)
    assert (
        kept["comparisons"]["best"]["reference"]["hole"] == "round_002"
    )  # an invalid score is nobody's yardstick
    text = harness("brief").stdout
    assert "best        round_002" in text
    assert "Longer sequences help." in text


def test_courses_are_never_mixed(harness, put_record):
    put_record("round_001", val_bpb=1.2)
    put_record("round_002", val_bpb=2.0, course="practice", split="a")
    put_record("round_003", val_bpb=2.1, course="practice", split="b")

    assert brief_of(harness)["best"]["hole"] == "round_003"
    assert brief_of(harness, "--course", "fineweb")["best"]["hole"] == "round_001"
    refused = harness("brief", "--course", "finweb")
    assert (refused.returncode, "fineweb" in refused.stderr) == (2, True)


@pytest.mark.parametrize("content", [None, '{"schema": 2, "val_bpb": NaN}'])
def test_empty_or_broken_season_has_no_best(harness, runs, content):
    if content:
        (runs / "round_001" / "attempt_01").mkdir(parents=True)
        (runs / "round_001" / "attempt_01" / "record.json").write_text(content)

    brief = brief_of(harness)

    assert (brief["best"], brief["dead_ends"], brief["last"]) == (None, [], [])
    assert "no complete hole yet" in harness("brief").stdout


@pytest.mark.parametrize("luck", range(6))
def test_forty_equal_holes_are_no_dead_ends_and_their_lowest_is_told_as_that(put_record, runs, luck):
    """Nine of forty were called worse than our best, which is the luckiest of them."""
    draw = random.Random(luck)
    for number in range(1, 41):
        put_record(f"round_{number:03d}", val_bpb=draw.gauss(2.08, 0.0091), seed=number, **PRACTICE)

    brief = brief_season(load_season(runs))

    assert brief.dead_ends == ()
    assert brief.selection.count == 40
    assert brief.selection.sigmas == pytest.approx(2.16, abs=0.01)  # expected lowest of 40 normal values
    assert brief.selection.shrinkage == pytest.approx(2.16 * 0.0091, abs=1e-4)


def test_lowest_of_many_is_told_with_how_much_of_its_lead_is_selection(harness, put_record):
    for number in range(1, 41):
        put_record(f"round_{number:03d}", val_bpb=2.08 + 0.0006 * number, seed=number, **PRACTICE)

    best = brief_of(harness)["best"]
    text = harness("brief").stdout
    shown = harness("show", "1").stdout

    assert (best["hole"], best["selection"]["lowest_of"]) == ("round_001", 40)
    assert best["selection"]["confirmation"] == "no fresh seeds"
    assert best["selection"]["lead"] == pytest.approx(0.0006 * 19.5)
    for told in (text, shown, best["selection"]["told_as"]):
        assert "lowest of 40, not confirmed: selection alone explains all of its lead of 0.0117" in told
        assert "(2.2 sigma = 0.0197)" in told
        assert "`harness confirm round_001`" in told


def test_fresh_seeds_make_the_lowest_our_best(harness, put_record):
    for number in range(1, 6):
        put_record(f"round_00{number}", val_bpb=2.08 + 0.0005 * number, seed=1, **PRACTICE)
    put_record("round_006", 1, val_bpb=1.9, seed=1, **PRACTICE)
    for attempt, seed in enumerate((7, 8, 9), start=2):
        put_record("round_006", attempt, val_bpb=1.9, seed=seed, purpose="confirm", **PRACTICE)

    best = brief_of(harness)["best"]

    assert best["selection"]["confirmation"] == "confirmed"
    assert "our best: confirmed by 3 fresh seeds" in harness("brief").stdout


def test_claims_that_do_not_survive_their_number_are_told_as_such(harness, put_record):
    """Of twenty comparisons one at p 0.03 is to be expected."""
    put_record("round_001", val_bpb=2.0, seed=1, **PRACTICE)
    for number in range(2, 22):
        put_record(f"round_{number:03d}", val_bpb=2.0 + 0.0001 * number, seed=number, **PRACTICE)
    put_record("round_022", val_bpb=2.0279, seed=22, **PRACTICE)
    put_record("round_023", val_bpb=2.1, seed=23, **PRACTICE)

    brief, text = brief_of(harness), harness("brief").stdout

    assert brief["claims"] == {"comparisons": 22, "claims": 2, "survivors": 1, "exact": 0}
    assert [row["hole"] for row in brief["dead_ends"]] == ["round_023"]
    assert brief["last"][1]["difference"]["survives"] is False
    assert "the season counts 22 comparisons; 2 claims, 1 survives the correction for their number" in text
    assert "+0.0279 to round_001: worse by itself, but not among 22 comparisons" in text
    for words in (("show", "22"), ("compare", "22", "1")):
        assert "worse by itself, but not among 22 comparisons" in harness(*words).stdout
    assert "not among" not in harness("show", "23").stdout
    rows = harness("ls").stdout.splitlines()
    marked = [row.split()[0] for row in rows if "?+" in row]
    assert marked == ["022"]
    assert rows[-1].startswith("? better or worse by itself, but not among all comparisons")


def test_an_interval_inside_the_bound_of_no_interest_does_nothing(harness, runs, put_record):
    """FineWeb's bound is 0.001: a wide interval around nothing says only that more seeds are needed."""
    for attempt in range(1, 13):
        put_record("round_001", attempt, val_bpb=1.2244 + (-1) ** attempt * 0.0003, seed=attempt)
        put_record("round_002", attempt, val_bpb=1.2243 + (-1) ** attempt * 0.0003, seed=attempt)
    put_record("round_003", val_bpb=1.2250, seed=1)
    (runs / "round_002" / "round.toml").write_text('parent = "round_001"\n')

    brief = brief_of(harness)
    many, one = harness("compare", "2", "1").stdout, harness("compare", "3", "1").stdout

    nothing = "does nothing: the interval lies within ±0.001"
    assert nothing in many
    assert nothing not in one
    assert "more seed" not in many
    assert "cannot tell yet: 3 more seeds a side would show 0.001" in one
    assert "cannot tell yet: 1 more seed a side would show 0.002" in harness("show", "3").stdout
    assert [row["hole"] for row in brief["dead_ends"]] == ["round_002"]
    assert brief["dead_ends"][0]["why"] == f"{nothing}, against round_001"
