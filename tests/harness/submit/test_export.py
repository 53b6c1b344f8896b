"""`harness export`: what its submission.json claims."""

from __future__ import annotations

import json

import pytest


def test_the_largest_artifact_and_only_runs_with_a_seed_are_claimed(put_record, harness, runs):
    for attempt, (seed, size) in enumerate(((42, 5_000), (7, 5_300), (None, 5_100)), start=1):
        record = {"val_bpb": 1.2, "val_loss": 2.0, "artifact_bytes": size, "seed": seed}
        put_record("round_001_try", attempt, **{k: v for k, v in record.items() if v is not None})

    done = harness("export", "1", "--out", "out", "--author", "Ann")

    assert done.returncode == 0, done.stderr
    claims = json.loads((runs.parent / "out" / "submission.json").read_text())
    assert claims["bytes_total"] == 5_300  # the one that must be under the cap
    assert claims["seed_results"].keys() == {"42", "7"}
    assert (claims["author"], "github_id" in claims, "date" in claims) == ("Ann", False, False)


@pytest.mark.parametrize(("word", "warned"), [("invalid", True), ("drop", True), ("keep", False)])
def test_a_hole_that_was_ruled_out_is_handed_over_with_a_warning(put_record, harness, word, warned):
    put_record("round_001", seed=1, val_bpb=1.2, artifact_bytes=9, code_bytes=4, model_bytes=5)
    assert harness("decide", "1", word, "--reason", "the split was wrong").returncode == 0

    done = harness("export", "1", "--out", "handed")

    assert (done.returncode, "the split was wrong" in done.stderr) == (0, warned)
