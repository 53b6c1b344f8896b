"""Where logs lie in other people's checkouts, and what may be wrong with one folder of many."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from harness.errors import UsageError
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


# Logs that belong to no submission -----------------------------------------------------------------


def scored(seed: int, bpb: str, log: str = LOG) -> str:
    """A log with a seed and a score of its own, and a curve to match."""
    return log.replace("seed:11", f"seed:{seed}").replace("1.2260", bpb).replace("1.2142", bpb)


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def test_logs_in_nested_folders_are_put_together_by_what_ran(tmp_path, runs):
    other = LOG.replace("20123456", "30123456")
    folder = write(
        tmp_path / "checkout",
        {
            "logs/2026-03-20/a/1f2e.txt": scored(1, "1.2230"),
            "logs/2026-03-21/b/3c4d.txt": scored(2, "1.2240"),
            "logs/2026-03-21/c/5e6f.txt": scored(3, "1.2250", other),
            "data/prompt.txt": "a note",
            "wandb/run-1/files/output.log": scored(1, "1.2230"),
        },
    )

    report = import_paths([folder], runs)

    assert sorted([r.seed for r in bundle.records] for bundle in report.bundles) == [[1, 2], [3]]
    assert {bundle.state for bundle in import_paths([folder], runs).bundles} == {"unchanged"}


def test_a_run_printed_to_two_files_is_one_attempt(tmp_path, runs):
    noisy = "nohup: ignoring input\n" + scored(1, "1.2230")
    folder = write(tmp_path / "job", {"nohup.out": noisy, "logs/1f2e.txt": scored(1, "1.2230")})

    [bundle] = import_paths([folder], runs).bundles

    assert len(bundle.records) == 1
    assert "holds the same run as" in " ".join(bundle.warnings)


def test_a_new_log_of_a_folder_joins_the_hole_of_its_experiment(tmp_path, runs):
    folder = write(tmp_path / "logs", {"a.txt": scored(1, "1.2230")})
    [first] = import_paths([folder], runs).bundles
    write(folder, {"b.txt": scored(2, "1.2240")})

    known, second = import_paths([folder], runs).bundles

    assert (known.state, second.state, second.place) == ("unchanged", "extended", first.place)
    assert [record.attempt for record in second.records] == [2]


def test_a_run_that_broke_off_joins_the_experiment_that_it_fits(tmp_path, runs):
    broken = scored(5, "1.3000", SETUP + STEPS)
    folder = write(tmp_path / "logs", {"a.txt": scored(1, "1.2230"), "b.txt": broken})

    [bundle] = import_paths([folder], runs).bundles

    assert [record.status for record in bundle.records] == ["ok", "failed"]


def test_logs_that_say_nothing_of_what_ran_are_not_put_together(tmp_path, runs):
    bare = "step:200/5000 train_loss:3.4 train_time:20000ms step_avg:100.00ms\n" + ROUND_TRIP
    folder = write(tmp_path / "exps", {"a/log.txt": bare, "b/log.txt": bare.replace("3.4", "3.5")})

    assert len(import_paths([folder], runs).bundles) == 2


def test_more_than_a_thousand_experiments_are_as_many_holes(tmp_path, runs):
    logs = {
        f"{n:04}.txt": scored(1, f"1.3{n:04}", SETUP.replace("20123456", f"2{n:07}") + ROUND_TRIP)
        for n in range(1001)
    }

    report = import_paths([write(tmp_path / "logs", logs)], runs, dry_run=True)

    assert report.added == 1001


def test_packed_logs_are_read(tmp_path, runs):
    folder = write(
        tmp_path / "logs",
        {"a.log.gz": gzip.compress(LOG.encode()), "b.log.gz": gzip.compress(scored(2, "1.3").encode())[:-40]},
    )

    report = import_paths([folder], runs)

    assert [record.val_bpb for bundle in report.bundles for record in bundle.records] == [1.226]
    assert "b.log.gz" in " ".join(report.bundles[0].warnings)
    assert report.failed
    assert next(runs.rglob("train.log")).read_text() == LOG


# Several runs in one file --------------------------------------------------------------------------


def test_complete_runs_of_one_file_are_attempts(tmp_path, runs):
    log = tmp_path / "sweep.log"
    log.write_text(scored(1, "1.2230") + scored(2, "1.2240") + scored(2, "1.2250"))

    [bundle] = import_paths([log], runs).bundles

    assert [(r.seed, r.val_bpb) for r in bundle.records] == [(1, 1.223), (2, 1.224), (2, 1.225)]
    assert import_paths([log], runs).added == 0


def test_runs_of_one_file_with_other_settings_are_holes_of_their_own(tmp_path, runs):
    log = tmp_path / "sweep.log"
    text = "".join(f"matrix_lr:0.0{n}\n" + scored(1, f"1.22{n}0") for n in (3, 4, 5))
    log.write_text(text)

    report = import_paths([log], runs)

    assert [[r.val_bpb for r in bundle.records] for bundle in report.bundles] == [[1.223], [1.224], [1.225]]
    log.write_text(text + "matrix_lr:0.06\n" + scored(1, "1.2260"))
    assert [bundle.state for bundle in import_paths([log], runs).bundles] == ["unchanged"] * 3 + ["new"]


def test_a_crashed_start_is_no_attempt_beside_its_repetition(tmp_path, runs):
    crashed = SETUP + STEPS.replace("1.2142", "1.3") + "Traceback (most recent call last):\nKeyError: 'x'\n"
    log = tmp_path / "run.log"

    log.write_text(crashed + scored(11, "1.2230"))
    [repeated] = import_paths([log], runs, dry_run=True).bundles
    log.write_text(crashed + scored(12, "1.2230"))
    [other_seed] = import_paths([log], runs, dry_run=True).bundles

    assert [record.status for record in repeated.records] == ["ok"]
    assert "a run without a score" in " ".join(repeated.warnings)
    assert [record.status for record in other_seed.records] == ["failed", "ok"]


def test_of_a_submission_the_last_run_of_each_seed_in_a_file_counts(tmp_path, runs):
    text = scored(1, "1.2230") + scored(1, "1.2240") + scored(2, "1.2250")
    folder = write_record(tmp_path / "rec", text)

    [bundle] = import_paths([folder], runs).bundles

    assert [(r.seed, r.val_bpb) for r in bundle.records] == [(1, 1.224), (2, 1.225)]


def test_of_a_log_that_has_grown_only_the_new_runs_are_imported(tmp_path, runs):
    log = tmp_path / "sweep.log"
    bare = [scored(1, f"1.22{n}0", STEPS + ROUND_TRIP).replace("3.4120", f"3.41{n}") for n in (3, 4, 5)]
    log.write_text("".join(bare[:2]))
    import_paths([log], runs)
    log.write_text("".join(bare))

    [bundle] = import_paths([log], runs).bundles

    assert [record.val_bpb for record in bundle.records] == [1.225]


# What cannot be read -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[1]", "{nope", '{"val_bpb": NaN}', '"x"'])
def test_a_broken_submission_file_stops_no_other_folder(tmp_path, runs, text):
    broken = write_record(tmp_path / "field/a")
    (broken / "submission.json").write_text(text)
    write_record(tmp_path / "field/b", scored(12, "1.2240"))

    first, second = import_paths([tmp_path / "field"], runs).bundles

    assert "submission.json" in " ".join(first.warnings) or "val_bpb" in " ".join(first.warnings)
    assert [record.val_bpb for record in (*first.records, *second.records)] == [1.226, 1.224]
    assert (first.place, second.place) == ("field/a", "field/b")


def test_a_folder_of_which_nothing_can_be_read_is_named_and_the_exit_code_says_so(tmp_path, harness):
    write(tmp_path / "field", {"a/submission.json": "{nope", "b/train.log": LOG})

    done = harness("import", str(tmp_path / "field"), "--json")

    states = {bundle["name"]: bundle["state"] for bundle in json.loads(done.stdout)["bundles"]}
    assert states == {"a": "failed", "field": "new"}
    assert done.returncode == 1


def test_nothing_is_imported_when_a_path_is_missing(tmp_path, runs):
    folder = write(tmp_path / "logs", {"a.txt": LOG})

    with pytest.raises(UsageError, match="there is no"):
        import_paths([folder, tmp_path / "none"], runs)
    assert list(runs.iterdir()) == []


def test_known_logs_are_not_parsed_again(tmp_path, runs, monkeypatch):
    pool = write(tmp_path / "logs", {"a.txt": scored(1, "1.2230"), "b.txt": scored(2, "1.2240")})
    record = write_record(tmp_path / "rec", scored(3, "1.2250"))
    import_paths([pool, record], runs)

    def parsed(path: Path) -> None:
        raise AssertionError(f"{path} was parsed again")

    monkeypatch.setattr("harness.field.record_folders.read_log", parsed)

    assert {bundle.state for bundle in import_paths([pool, record], runs).bundles} == {"unchanged"}


def test_an_experiment_is_named_after_its_file_and_after_a_run_only_where_it_holds_one(tmp_path, runs):
    two = LOG.replace("20123456", "30000000") + LOG.replace("20123456", "31000000").replace("3.4", "3.5")
    files = {
        "a.log.gz": gzip.compress(LOG.replace("20123456", "26993788").encode()),
        "night.out": LOG + scored(12, "1.2300"),
        "b.log": two,
    }
    logs = write(tmp_path / "lab", files)

    names = {bundle.name for bundle in import_paths([logs], runs).bundles}

    assert names == {"lab a", "lab night", "lab b run 1", "lab b run 2"}


def test_the_card_of_a_row_without_times_says_once_that_they_were_not_measured(tmp_path, harness):
    ledger = tmp_path / "results.tsv"
    ledger.write_text("commit\tval_bpb\tstatus\tdescription\nabc1234\t1.30\tkeep\tbaseline\n")
    harness("import", str(ledger))

    card = harness("show", "1").stdout

    assert "not measured a step" not in card
    assert [line.split("│")[1].split() for line in card.splitlines() if "tempo " in line] == [
        ["tempo", "not", "measured"]
    ]
