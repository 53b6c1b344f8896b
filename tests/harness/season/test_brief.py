"""`harness brief`: what an agent or a person needs before the next hole."""

import json

import pytest

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
    assert [row["hole"] for row in brief["dead_ends"]] == ["round_003", "round_004"]
    assert brief["dead_ends"][0]["why"] == "worse than round_002 by 0.0500 bpb"
    assert brief["dead_ends"][1]["why"] == "invalid: trained on validation"
    assert brief["open_questions"] == [{"hole": "round_007", "hypothesis": "Longer sequences help."}]
    assert brief["noise_floor"]["std_bpb"] == 0.00079
    assert brief["budget"] == {
        "train_seconds": 200.0,
        "wall_seconds": 250.0,
        "attempts": 6,
        "unmeasured_attempts": 3,
    }
    kept = json.loads(harness("show", "5", "--json").stdout)
    assert kept["comparisons"]["best"]["hole"] == "round_002"  # an invalid score is nobody's yardstick
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
