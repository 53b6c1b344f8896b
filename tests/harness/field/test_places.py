"""Where logs lie in other people's checkouts, and what may be wrong with one folder of many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.field.importing import import_paths
from tests.harness.field.test_log_kinds import ROUND_TRIP, SETUP, SIZES, STEPS

LOG = SETUP + STEPS + SIZES + ROUND_TRIP


def write_record(folder: Path, log: str = LOG, **submission: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "train.log").write_text(log)
    (folder / "submission.json").write_text(json.dumps({"author": "A", "val_bpb": 1.226} | submission))
    return folder


def test_records_below_tracks_are_records_of_their_own(tmp_path, runs):
    write_record(tmp_path / "repo/records/track_a/2026-03-20_One")
    write_record(tmp_path / "repo/records/track_a/2026-03-21_Two", LOG.replace("seed:11", "seed:12"))
    write_record(tmp_path / "repo/records/track_b/2026-03-22_Three", LOG.replace("seed:11", "seed:13"))
    (tmp_path / "repo/train.log").write_text(LOG.replace("seed:11", "seed:14"))

    by_place = {bundle.name: bundle.place for bundle in import_paths([tmp_path / "repo"], runs).bundles}

    assert by_place.pop("repo").startswith("round_")
    assert by_place == {
        name: f"field/{name}" for name in ("2026-03-20_One", "2026-03-21_Two", "2026-03-22_Three")
    }


def test_logs_of_one_folder_are_holes_by_what_ran(tmp_path, runs):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "1f2e.txt").write_text(LOG)
    (logs / "2a3b.txt").write_text(LOG.replace("seed:11", "seed:12"))
    (logs / "3c4d.txt").write_text(LOG.replace("20123456", "26993788"))
    (logs / "4d5e.txt").write_text("iterations:9000\n" + LOG)

    report = import_paths([logs], runs)

    assert sorted(len(bundle.records) for bundle in report.bundles) == [1, 1, 2]
    assert len({bundle.place for bundle in report.bundles}) == 3
    assert import_paths([logs], runs).added == 0


@pytest.mark.parametrize("name", ["slurm-123.out", "worker.stdout", "train.err", "output"])
def test_other_endings_are_logs_where_their_text_is_one(tmp_path, runs, name):
    job = tmp_path / "job"
    job.mkdir()
    (job / name).write_text(LOG)
    (job / "other.out").write_text("built in 3 s\n")
    (job / "Makefile").write_text("all:\n\techo step 1/2\n")

    [bundle] = import_paths([job], runs).bundles

    assert [record.val_bpb for record in bundle.records] == [1.226]


@pytest.mark.parametrize("value", [-1.0, 0, 1e6])
def test_a_placeholder_is_no_score_and_stops_no_other_folder(tmp_path, runs, value):
    write_record(tmp_path / "field/a", val_bpb=value, seed_results={"11": {"val_bpb": value}})
    write_record(tmp_path / "field/b", LOG.replace("seed:11", "seed:12"))

    first, second = import_paths([tmp_path / "field"], runs).bundles

    assert first.claimed is not None
    assert first.claimed.val_bpb is None
    assert "no run scores" in " ".join(first.warnings)
    assert [record.val_bpb for record in (*first.records, *second.records)] == [1.226, 1.226]


def test_a_claim_that_a_log_of_the_seed_prints_names_its_line(tmp_path, runs):
    log = LOG + "final_sliding_window_exact val_loss:2.00000000 val_bpb:1.18450000\n"
    folder = write_record(tmp_path / "rec", log, val_bpb=1.1845, seed_results={"11": {"val_bpb": 1.226}})

    [warning] = [text for text in import_paths([folder], runs).bundles[0].warnings if "seed 11" in text]

    assert warning.endswith("it is the log's final_int6_lzma_roundtrip_exact")


def test_the_second_log_of_a_seed_proves_a_claim_too(tmp_path, runs):
    folder = write_record(tmp_path / "rec", val_bpb=1.21, seed_results={"11": {"val_bpb": 1.21}})
    (folder / "rerun.log").write_text(LOG.replace("1.22600000", "1.21000000"))

    assert not [text for text in import_paths([folder], runs).bundles[0].warnings if "seed 11" in text]


def test_a_loss_in_nats_beside_its_score_is_not_doubted(tmp_path, runs):
    nats = write_record(tmp_path / "nats", val_bpb=0.585, val_loss=0.98773)
    twice = write_record(tmp_path / "twice", val_bpb=1.12, val_loss=1.12)

    assert "bits per byte" not in " ".join(import_paths([nats], runs).bundles[0].warnings)
    assert "bits per byte" in " ".join(import_paths([twice], runs).bundles[0].warnings)
