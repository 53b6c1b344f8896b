"""`harness check`: by which rule of which day a gain is judged, and when nobody can tell."""

from __future__ import annotations

import json

import pytest

from tests.harness.submit.conftest import log_text


def logs_of(bpb: float) -> dict[str, str]:
    return {f"train_seed{seed}.log": log_text(bpb + seed / 10_000, seed) for seed in (1, 2, 3)}


@pytest.mark.parametrize(
    ("day", "pr", "policy"),
    [
        ("2026-03-25", None, "challenge"),
        ("2026-04-08", None, "challenge"),
        ("2026-04-09", 1493, "challenge"),
        ("2026-04-09", 1500, "progression"),
        ("2026-04-12", 1450, "challenge"),  # the number counts before the day
        ("2026-04-20", None, "progression"),
    ],
)
def test_policy_is_the_one_that_was_applied_to_a_pull_request(day, pr, policy, write_folder, harness):
    folder = write_folder(logs_of(1.3), date=day, pr=pr, val_bpb=1.3002)

    assert json.loads(harness("check", folder, "--json").stdout)["policy"]["name"] == policy


@pytest.mark.parametrize(
    ("day", "bpb", "outcome", "what"),
    [
        # 1.2060 stood on the day before; 0.005 nats a token are 0.0030 bpb.
        ("2026-03-19", 1.2020, "cannot tell", "the table has rows of that time with less"),
        ("2026-03-19", 1.2070, "fail", "1.2072 against 1.2060"),
        # 1.0655 stood; p < 0.25 was applied.
        ("2026-04-20", 1.0630, "pass", "1.0632 against 1.0655"),
        ("2026-04-20", 1.0652, "fail", "1.0654 against 1.0655"),
    ],
)
def test_gain_is_judged_as_the_maintainers_of_its_day_did(day, bpb, outcome, what, write_folder, judge):
    result = judge(write_folder(logs_of(bpb), date=day, val_bpb=round(bpb + 0.0002, 4)))["significance"]

    assert result[0] == outcome
    assert what in result[1]


def test_row_of_the_table_never_fails_for_its_gain(write_folder, judge):
    """Its logs here are of another evaluation than the row's score; the row was accepted all the same."""
    listed = write_folder(logs_of(1.25), "2026-03-19_SlidingWindowEval", val_bpb=1.2502)
    other = write_folder(logs_of(1.25), "2026-03-19_SlidingWindowEval2", val_bpb=1.2502)

    outcome, measured = judge(listed)["significance"]

    assert (outcome, "the table lists it all the same" in measured) == ("cannot tell", True)
    assert judge(other)["significance"][0] == "fail"


def test_par_itself_has_nothing_to_beat(write_folder, judge):
    folder = write_folder(
        {"train.log": log_text(1.2244, 1)}, "2026-03-17_NaiveBaseline", val_bpb=1.2244, date="2026-03-18"
    )

    assert judge(folder)["significance"] == (
        "pass",
        "it is the course's par: nothing was published before",
    )
