"""Validation text in the training data is found; what is not looked at is said."""

import json

import numpy as np
import pytest

from harness.courses import overlap as overlap_module
from harness.courses import shards
from harness.courses.overlap import WINDOW, find_overlap, overlap_findings, quick_overlap
from harness.courses.shards import check_seals, read_folder
from trainer.data import write_shard


@pytest.fixture
def texts():
    random = np.random.default_rng(1)
    return random.integers(0, 1024, 200_000), random.integers(0, 1024, 20_000)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "data" / "datasets" / "fineweb10B_sp1024"
    made.mkdir(parents=True)
    return made


def put(folder, train, val):
    write_shard(folder / "fineweb_train_000000.bin", train)
    write_shard(folder / "fineweb_val_000000.bin", val)
    findings, problems = read_folder(folder)
    assert problems == []
    return findings


def test_separate_texts_do_not_overlap(folder, texts, tmp_path):
    overlap = find_overlap(put(folder, *texts), tmp_path / "cache")

    assert (overlap.repeated, overlap.windows, overlap.searched) == (0, len(texts[1]) // WINDOW, 200_000)
    assert overlap_findings(overlap) == []


@pytest.mark.parametrize(("part", "level"), [(0.02, None), (0.2, "warning"), (0.9, "error")])
@pytest.mark.parametrize("at", [0, 777])
def test_share_of_validation_text_in_training_is_counted(folder, texts, tmp_path, part, level, at):
    """Wherever it stands: the copy need not begin where a window does."""
    train, val = texts
    length = int(part * len(val))
    train[at : at + length] = val[:length]

    overlap = find_overlap(put(folder, train, val), tmp_path / "cache")

    assert overlap.share == pytest.approx(part, abs=0.005)
    assert [findings.level for findings in overlap_findings(overlap)] == ([level] if level else [])


def test_one_shard_under_two_names_is_an_error(folder, texts, tmp_path):
    findings = overlap_findings(find_overlap(put(folder, texts[1], texts[1]), tmp_path / "cache"))

    assert any("are one file" in one.what and one.level == "error" for one in findings)


def test_answer_is_kept_until_a_file_changes(folder, texts, tmp_path):
    train, val = texts
    before = find_overlap(put(folder, train, val), tmp_path / "cache")
    train[:10_000] = val[:10_000]
    after = find_overlap(put(folder, train, val), tmp_path / "cache")

    assert (before.repeated, after.repeated > 100) == (0, True)
    assert len(list((tmp_path / "cache" / "overlap").iterdir())) == 2


def test_large_data_is_sampled_and_the_bound_is_said(folder, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(overlap_module, "PIECE", 10_000)
    monkeypatch.setattr(overlap_module, "MOST_TOKENS", 50_000)
    monkeypatch.setattr(overlap_module, "QUICK_TOKENS", 1_000)
    there = put(folder, *texts)

    assert quick_overlap(there, tmp_path / "cache") is None  # `harness run` does not wait for it
    overlap = find_overlap(there, tmp_path / "cache")
    assert overlap.searched == 50_000
    assert "0 M of 0.2 M" in overlap.bound
    assert quick_overlap(there, tmp_path / "cache") == overlap


def test_broken_shards_are_named(folder, texts):
    put(folder, *texts)
    whole = (folder / "fineweb_train_000000.bin").read_bytes()
    (folder / "fineweb_train_000001.bin").write_bytes(whole[:-2])
    (folder / "fineweb_train_000002.bin").write_bytes(b"\0" * 2000)

    there, problems = read_folder(folder)

    assert len(there.train) == 1
    assert [p.level for p in problems] == ["error", "error"]
    assert "fineweb_train_000001.bin" in problems[0].what
    assert "magic 0" in problems[1].what


def test_shard_that_is_not_what_was_pulled_is_an_error(folder, texts):
    there = put(folder, *texts)
    seals = {
        f"datasets/{folder.name}/{path.name}": {
            "bytes": path.stat().st_size,
            "fingerprint": shards.fingerprint_file(path, 64),
        }
        for path in (*there.val, *there.train)
    }
    (folder.parent.parent / "pulled.json").write_text(json.dumps({"files": seals}))
    assert check_seals(there) == ("2 of 2 shards hashed against pulled.json", [])

    with there.val[0].open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff")
    _, findings = check_seals(there)
    assert [("fineweb_val" in f.what, f.level) for f in findings] == [(True, "error")]
