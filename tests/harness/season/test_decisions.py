"""What `harness decide` means: an invalid score is evidence of nothing, a dropped one is not our best."""

import json

import pytest

from harness.season.season import load_season

DAYS = [f"2026-03-{day}T12:00:00Z" for day in range(20, 30)]


@pytest.fixture
def season(harness, put_record):
    """Three holes on FineWeb, the second with by far the lowest score; the third goes on from it."""
    for number, score in ((1, 1.23), (2, 1.05), (3, 1.22)):
        put_record(f"round_{number:03d}", val_bpb=score, started_at=DAYS[number])
    return harness


def standing(runs, number):
    season = load_season(runs)
    return season.standing(next(hole for hole in season.holes if hole.name.number == number))


def decide(harness, number, word):
    done = harness("decide", str(number), word, "--reason", "trained on validation", "--by", "Ann")
    assert done.returncode == 0, done.stderr


def numbers_of(harness, *words):
    return [int(row["hole"].split("_")[1]) for row in json.loads(harness(*words, "--json").stdout)["holes"]]


def test_invalid_hole_is_in_no_comparison_until_it_is_kept_again(season, runs):
    (runs / "round_003" / "round.toml").write_text('parent = "round_002"\n')
    before = {kind: one.difference for kind, one in standing(runs, 3).comparisons.items()}
    decide(season, 2, "invalid")

    third, second = standing(runs, 3).comparisons, standing(runs, 2)

    assert third["best"].hole.name.number == third["previous"].hole.name.number == 1
    assert third["parent"].difference is None
    assert third["parent"].reason == "the parent round_002 was decided to be invalid"
    assert standing(runs, 3).story.kind == "par"
    assert second.verdict.name == "Ruled Invalid"
    assert {one.reason for one in second.comparisons.values()} == {"round_002 was decided to be invalid"}

    decide(season, 2, "keep")
    assert {kind: one.difference for kind, one in standing(runs, 3).comparisons.items()} == before


def test_invalid_hole_does_not_lead_the_list(season):
    decide(season, 2, "invalid")

    listed = season("ls", "--sort", "val_bpb")
    brief = json.loads(season("brief", "--json").stdout)
    compared = season("compare", "3", "2")

    assert numbers_of(season, "ls", "--sort", "val_bpb") == [3, 1, 2]
    assert "Ruled Invalid" in listed.stdout.splitlines()[-1]
    assert brief["best"]["hole"] == "round_003"
    assert compared.returncode == 13
    assert "not comparable: round_002 was decided to be invalid" in compared.stdout
    confirmed = season("confirm", "2", "--dry-run")
    assert confirmed.returncode == 2
    assert "nothing to confirm" in confirmed.stderr


def test_dropped_hole_is_compared_with_and_is_not_our_best(season, runs):
    decide(season, 2, "drop")

    third = standing(runs, 3).comparisons

    assert third["previous"].hole.name.number == 2
    assert third["best"].hole.name.number == 1
    assert json.loads(season("brief", "--json").stdout)["best"]["hole"] == "round_003"


def test_dropped_hole_was_in_the_choice_of_the_lowest(harness, put_record):
    for number in range(1, 6):
        put_record(f"round_{number:03d}", val_bpb=1.20 + number / 100, started_at=DAYS[number])
    decide(harness, 4, "drop")
    decide(harness, 5, "invalid")

    best = json.loads(harness("brief", "--json").stdout)["best"]

    assert best["hole"] == "round_001"
    assert best["selection"]["lowest_of"] == 4


def test_invalid_seeds_say_nothing_of_noise(harness, runs, put_record):
    for number in range(1, 8):
        for seed in (1, 2, 3):
            wild = seed / 4 if number == 7 else seed / 100
            put_record(f"round_{number:03d}", seed, val_bpb=1.2 + wild, seed=seed)

    def spread():
        loaded = load_season(runs)
        return loaded.evidence.spread(loaded.course("fineweb"), None)

    before = spread()
    decide(harness, 7, "invalid")

    assert (before.source, spread().source) == (
        "the spread of 7 holes of this season",
        "the spread of 6 holes of this season",
    )
    assert spread().std < before.std


def test_invalid_hole_sets_no_par(harness, runs, put_record):
    for number, score in ((1, 2.0), (2, 2.2), (3, 2.1)):
        put_record(f"round_{number:03d}", course="practice", split="a", val_bpb=score)
    decide(harness, 1, "invalid")

    assert standing(runs, 2).sets_par
    assert standing(runs, 3).comparisons["par"].hole.name.number == 2


def test_site_marks_what_was_decided_and_leads_with_what_counts(season, runs, tmp_path):
    decide(season, 2, "invalid")
    decide(season, 1, "drop")
    done = season("publish", "--runs", str(runs), "--out", str(tmp_path / "site"), "--no-pictures")
    assert done.returncode == 0, done.stderr
    pages = {name: (tmp_path / "site" / name).read_text() for name in ("index.html", "field-fineweb.html")}
    holes = json.loads((tmp_path / "site" / "holes.json").read_text())["holes"]
    feed = (tmp_path / "site" / "feed.xml").read_text()

    assert [(hole["decision"], hole["counts"]) for hole in holes] == [
        ("drop", False),
        ("invalid", False),
        (None, True),
    ]
    assert (
        'href="holes/round_003.html"'
        in pages["index.html"].split('<dl class="deltas three">')[1].split("</dd>")[0]
    )
    assert pages["index.html"].count('<span class="ruling">') == 2
    board, cut = pages["field-fineweb.html"].split('id="cut"')
    assert "round_003" in board
    assert "round_002" not in board
    assert "round_001" not in board
    assert "Ruled invalid" in cut
    assert "Dropped" in cut
    assert "1.0500" not in feed
    assert "(dropped)" in feed


def test_notes_that_are_older_than_the_decision_are_marked(season, runs, tmp_path):
    """A decision must not keep the site from being built."""
    (runs / "round_003" / "round.toml").write_text('parent = "round_002"\n')
    (runs / "round_003" / "notes.md").write_text(
        "## Technical read\n\nWorse by {{ delta.parent = +0.1700 }}, {{ delta.hole:2 }} in full.\n"
    )
    words = ("publish", "--runs", str(runs), "--out", str(tmp_path / "site"), "--no-pictures")
    assert season(*words).returncode == 0
    decide(season, 2, "invalid")

    done = season(*words)

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "holes" / "round_003.html").read_text()
    assert "Worse by +0.1700 (withdrawn), (withdrawn) in full." in page
