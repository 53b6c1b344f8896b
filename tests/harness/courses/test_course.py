"""The bytes behind a score: one check, asked by the record, the page and the referee."""

from __future__ import annotations

import json
import math

import pytest

from harness.cli.app import open_season
from harness.courses.course import check_bytes, load_course
from harness.publish.views.tables import byte_check
from harness.publish.words.wording import load_wording
from harness.stats import Sample, pool_spread
from tests.paths import DATA

TOKENS, VAL_BYTES = 62_021_632, 151_080_000
LOSS = 2.0727

# relative error of the byte count, what the record keeps as its split, the page's word, the referee's outcome
AGREEMENT = [
    (0.0, "current", "verified", "pass"),
    (6.5e-5, "current", "verified", "pass"),  # the largest of 82 public logs
    (-1.2e-4, "current", "verified", "pass"),
    (4e-4, "suspect", "suspect", "fail"),
    (-7e-4, "suspect", "suspect", "fail"),
    (2e-3, "suspect", "suspect", "fail"),
    (155_770_000 / VAL_BYTES - 1, "first export", "other split", "pass"),
]


@pytest.mark.parametrize(("error", "split", "word", "outcome"), AGREEMENT)
def test_record_page_and_referee_agree_on_the_bytes_of_a_score(
    error, split, word, outcome, harness, runs, tmp_path
):
    bpb = TOKENS * LOSS / (math.log(2) * VAL_BYTES * (1 + error))
    log = tmp_path / "train.log"
    log.write_text(
        f"val_loader:shards pattern=fineweb_val_*.bin tokens:{TOKENS}\nseed:1337\n"
        "step:1/1 train_loss:6.9 train_time:100ms step_avg:100.00ms\n"
        f"final_int8_zlib_roundtrip_exact val_loss:{LOSS:.8f} val_bpb:{bpb:.8f}\n"
    )
    imported = harness("import", str(log), "--as", "hole", "--runs", str(runs))
    assert imported.returncode == 0, imported.stderr

    season = open_season(runs)
    played = season.holes[0]
    [row] = byte_check(season.standing(played), load_wording(None))
    report = json.loads(harness("check", played.name.folder, "--runs", str(runs), "--json").stdout)
    outcomes = {finding["rule"]: finding["outcome"] for finding in report["findings"]}

    assert played.record is not None
    assert (played.record.split, row.value, outcomes["byte count"]) == (split, word, outcome)


@pytest.mark.parametrize(
    ("counted", "kind"),
    [(222_185, "verified"), (222_195, "verified"), (222_310, "suspect"), (None, "unchecked")],
)
def test_a_course_without_splits_is_checked_against_what_the_run_counted(counted, kind):
    bpb = 91_136 * 5.0 / (math.log(2) * 222_185)

    assert check_bytes(load_course("practice"), 91_136, 5.0, bpb, counted).kind == kind


def test_the_unscored_end_of_a_short_text_is_no_other_text():
    course = load_course("fineweb").model_copy(
        update={"splits": (load_course("fineweb").splits[0].model_copy(update={"val_bytes": 75_000}),)}
    )
    tokens, scored_bytes, loss = 29 * 1024, 73_900, 2.5  # of 30,400 tokens

    bpb = tokens * loss / (math.log(2) * scored_bytes)

    assert check_bytes(course, tokens, loss, bpb, scored_bytes).kind == "verified"
    assert check_bytes(course, tokens, loss, bpb * 1.02, scored_bytes).kind == "suspect"


def test_noise_of_the_challenge_is_pooled_from_the_public_records():
    """Single scores as the submission lists them, else those of the logs with different seeds."""
    groups = []
    for record in json.loads((DATA / "field" / "expected.json").read_text())["records"].values():
        listed = record["submission"]["per_seed_val_bpb"] or {}
        logs = {log["seed"]: log["final_val_bpb"] for log in record["logs"].values() if log["final_val_bpb"]}
        scores = Sample(tuple((listed if len(listed) > 1 else logs).values()))
        if scores.std:
            groups.append((scores.std, scores.n - 1))
    noise = load_course("fineweb").noise

    pooled = pool_spread(groups, "")
    assert (len(groups), sum(freedom for _, freedom in groups)) == (22, 45)
    assert noise.std_bpb == pytest.approx(pooled.std, abs=5e-6)
    assert noise.freedom == pytest.approx(pooled.freedom, abs=0.5)
    assert "22 public records" in noise.source
