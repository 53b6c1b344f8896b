"""`harness export`: what its submission.json claims."""

from __future__ import annotations

import json


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
