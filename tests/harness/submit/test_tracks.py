"""`harness check` judges a folder by the rules of its track, which its place, its file or --track names."""

from __future__ import annotations

import json

import pytest

from tests.harness.submit.conftest import log_text

FOUR_HOURS = {"train_seed1.log": log_text(1.2400, 1, train_ms=14_400_000, world_size=1)}
RECORD_ONLY = {"training time", "evaluation time", "machine", "significance"}


@pytest.mark.parametrize(
    ("place", "stated", "record_rules", "source"),
    [
        ("own", "10min_16mb", True, "as submission.json says"),
        ("own", None, True, "nothing names another"),
        ("own", "my notes", True, 'nothing names another, "my notes" of submission.json is none'),
        ("own", "non_record_16mb", False, "as submission.json says"),
        ("own", "Non-Record Unlimited Compute", False, "as submission.json says"),
        ("records/track_non_record_16mb/own", None, False, "as its folder's place says"),
        (
            "records/track_non_record_16mb/own",
            "10min_16mb",
            False,
            "as its folder's place says; submission.json says 10min_16mb",
        ),
        ("records/track_10min_16mb/own", "non-record-16mb", True, "as its folder's place says; submission"),
        ("2026-03-30_ByteJEPA", None, False, "as the table says"),
    ],
)
def test_track_is_told_by_place_then_file_then_table(
    place, stated, record_rules, source, write_folder, harness
):
    folder = write_folder(FOUR_HOURS, place, track=stated, val_bpb=1.24)

    done = json.loads(harness("check", folder, "--json").stdout)

    assert done["track"]["source"].startswith(source)
    rules = {finding["rule"] for finding in done["findings"]}
    assert rules & RECORD_ONLY == (RECORD_ONLY if record_rules else set())
    assert "artifact size" in rules
    assert (done["compliant"] is False) == record_rules


def test_track_can_be_named_and_an_unknown_one_lists_the_known(write_folder, harness):
    folder = write_folder(FOUR_HOURS, val_bpb=1.24)

    named = harness("check", folder, "--track", "non-record")
    unknown = harness("check", folder, "--track", "nonrecord")

    assert named.returncode == 0
    assert "non-record track, as --track says: time, machine and gain do not bind it" in named.stdout
    assert unknown.returncode == 2
    assert 'no track is called "nonrecord"' in unknown.stderr
    assert "known tracks: 10min, non-record, unlimited" in unknown.stderr


def test_kind_of_a_submission_stands_for_its_track(write_folder, harness):
    folder = write_folder(FOUR_HOURS, track=None, submission_kind="non-record", val_bpb=1.24)

    assert json.loads(harness("check", folder, "--json").stdout)["track"]["name"] == "non-record-16mb"
