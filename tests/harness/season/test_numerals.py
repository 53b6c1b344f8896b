"""`harness notes check`: which typed numbers are looked at, and which of them no record holds."""

from __future__ import annotations

import json

import pytest

from harness.season.numerals import check_notes, find_numerals
from harness.season.season import load_season
from tests.paths import ROOT


@pytest.fixture
def season(runs, put_record):
    """Hole 1 sets par, hole 2 is its child, hole 3 stands apart."""
    shared = {"course": "practice", "split": "a"}
    put_record("round_001_base", val_bpb=2.0755, artifact_bytes=650_000, params=361_608, **shared)
    put_record(
        "round_002_child",
        val_bpb=2.0455,
        artifact_bytes=712_345,
        train_seconds=66.9,
        overrides={"WARMDOWN_FRAC": "0.35"},
        **shared,
    )
    put_record("round_003_apart", val_bpb=1.9254, **shared)
    (runs / "round_002_child" / "round.toml").write_text('title = "Child"\nparent = "round_001_base"\n')
    return runs


def numbers(text):
    return [one.text for one in find_numerals(text) if not one.is_small]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("two clubs, hole 7, 18, 128 wide, 700 steps, the 3rd, 2x, 4-bit", []),
        (
            "2.0455 and -0.0297, +0.0036, (1.1e-05) and 361,608.",
            ["2.0455", "-0.0297", "+0.0036", "1.1e-05", "361,608"],
        ),
        (
            "35 % of it, 4.5% of that, 66.9 s, 24 ms, 312 thousand",
            ["35 %", "4.5%", "66.9 s", "24 ms", "312 thousand"],
        ),
        ("on 2026-04-09, in 2026, at https://example.org/1.5/20000, [here](a/1.25)", []),
        ("`0.5` and {{ val_bpb = 2.0455 }} and round_006, fp16, int8, #1493, v1.2.3", []),
        ("seed 1337", ["1337"]),
    ],
)
def test_numbers_that_claim_something_are_looked_at(text, found):
    assert numbers(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "2.0455 for 66.9 s, 0.0300 below par at 2.0755.",
        "Or -0.0300; the bag has 0.71 MB, 62,345 bytes more, 9.6 % heavier.",
        "712 thousand bytes, of 361,608 parameters; the decay takes 35 % of the run.",
        "Hole 3 stands at 1.9254, which is 0.1201 lower.",
    ],
)
def test_number_of_a_record_is_no_finding(season, harness, text):
    (season / "round_002_child" / "notes.md").write_text(f"## The Shot\n\n{text}\n")

    done = harness("notes", "check")

    assert (done.returncode, done.stdout.split(",")[-1]) == (0, " 0 that no record holds\n")


def test_number_of_no_record_is_named_with_the_nearest_and_what_would_hold_it(season, harness):
    (season / "round_002_child" / "notes.md").write_text("## The Shot\n\nWhy?\n\nIt came to 2.0456.\n")

    done = harness("notes", "check", "2")

    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "runs/round_002_child/notes.md:5: 2.0456 matches no figure of the records; "
        "the nearest is 2.0455, {{ val_bpb }}"
    )
    assert "{{ cited = 2.0456 }}" in done.stdout


def test_hole_that_is_not_mentioned_does_not_count(season, harness):
    (season / "round_002_child" / "notes.md").write_text("## The Shot\n\nIt is 1.9254.\n\nHole 3.\n")

    assert harness("notes", "check").returncode == 1


def test_sign_that_was_typed_counts(season, harness):
    (season / "round_002_child" / "notes.md").write_text("## The Shot\n\nIt is +0.0300 to par.\n")

    assert harness("notes", "check").returncode == 1


def test_machine_gets_each_typed_number_with_the_binding_that_holds_it(season, harness):
    (season / "round_002_child" / "notes.md").write_text(
        "## The Shot\n\n2.0455, of {{ val_bpb = 2.9 }} and 9.9999.\n"
    )

    done = harness("notes", "check", "2", "--json")
    report = json.loads(done.stdout)

    assert (done.returncode, report["ok"]) == (1, False)
    [hole] = report["holes"]
    assert [(one["numeral"], one["matches"]) for one in hole["typed"]] == [
        ("2.0455", True),
        ("9.9999", False),
    ]
    assert hole["typed"][0]["binding"] == "{{ val_bpb }}"
    assert hole["problems"][0]["problem"] == "the records say 2.0"


def test_values_lists_what_notes_may_name(season, harness):
    done = harness("notes", "values", "round_002", "--json")

    values = {one["binding"]: one["value"] for one in json.loads(done.stdout)["values"]}
    assert values["val_bpb"] == 2.0455
    assert values["delta.parent"] == pytest.approx(-0.03)
    assert values["knob.WARMDOWN_FRAC"] == 0.35
    assert "val_bpb " in harness("notes", "values", "2").stdout


def test_shipped_notes_say_what_their_records_say():
    season = load_season(ROOT / "runs")
    reports = [check_notes(season, played) for played in season.holes]

    assert [problem.message for report in reports for problem in report.problems] == []
    assert [match.message for report in reports for match in report.unmatched] == []
    assert sum(report.bound for report in reports) > 150
