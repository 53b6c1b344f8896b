"""How many seeds stand behind the logs of an entry: distinct ones, of one configuration and code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.courses.course import load_course
from harness.field.entries import FieldStore, find_entry
from harness.field.importing import import_paths
from harness.field.seeds import SeedCount, count_seeds
from harness.records.record import Official, RunRecord, Score
from tests.paths import DATA

RECORDS = DATA / "field" / "records"


def log(seed: int | None, bpb: float, code_bytes: int | None = 100, **config: str) -> RunRecord:
    score = Score(stage="round_trip", label="r", val_bpb=bpb)
    official = Official(stage="round_trip", label="r", why="w")
    return RunRecord(
        hole="h",
        course="fineweb",
        status="ok",
        val_bpb=bpb,
        scores=(score,),
        official=official,
        seed=seed,
        code_bytes=code_bytes,
        config=config,
    )


@pytest.mark.parametrize(
    ("logs", "claimed", "words", "values"),
    [
        ([log(1, 1.0), log(2, 1.2)], None, "2 seeds in 2 logs", (1.0, 1.2)),
        # A repeat of a seed is no second seed: its mean counts.
        ([log(1, 1.0), log(1, 1.1), log(2, 1.2)], None, "2 seeds in 3 logs", (1.05, 1.2)),
        # Versions of the code: one value, of the claim where a log shows it, else of the last log.
        ([log(1, 1.0, 100), log(1, 1.1, 101)], None, "1 seed in 2 logs of 2 versions", (1.1,)),
        ([log(1, 1.0, 100), log(1, 1.1, 101)], 1.0, "1 seed in 2 logs of 2 versions", (1.0,)),
        ([log(1, 1.0, 100), log(2, 1.2, 101)], None, "2 seeds in 2 logs of 2 versions", (1.1,)),
        # Versions of the configuration; a path, a run's name and the seed are none.
        ([log(1, 1.0, lr="1"), log(2, 1.2, lr="2")], None, "2 seeds in 2 logs of 2 versions", (1.1,)),
        (
            [log(1, 1.0, lr="1", run_id="a", logfile="logs/a"), log(2, 1.2, lr="1", run_id="b")],
            None,
            "2 seeds in 2 logs",
            (1.0, 1.2),
        ),
        # What a log does not print does not differ.
        ([log(1, 1.0, None), log(2, 1.2, 100, lr="1")], None, "2 seeds in 2 logs", (1.0, 1.2)),
        # Logs without a seed may be one seed.
        ([log(None, 1.0), log(None, 1.2)], None, "2 logs with no seed", (1.1,)),
        ([log(1, 1.0), log(None, 1.2)], None, "1 seed in 2 logs, 1 with no seed", (1.0,)),
    ],
)
def test_seeds_are_counted_not_logs(
    logs: list[RunRecord], claimed: float | None, words: str, values: tuple[float, ...]
):
    count = count_seeds(logs, claimed)

    assert count.sample is not None
    assert (str(count), count.sample.values) == (words, pytest.approx(values))


def seeds_of(folder: str, runs: Path) -> SeedCount:
    import_paths([RECORDS / folder], runs, kind="field")
    entry = FieldStore(runs).load(folder)
    assert entry is not None
    return entry.seeds


def test_public_logs_that_repeat_a_seed_or_mix_versions_show_no_spread(tmp_path):
    versions = seeds_of("2026-03-17_LoRA_TTT", tmp_path)
    repeats = seeds_of("2026-04-30_Random_Linear_Adapter", tmp_path)
    mixed = seeds_of("2026-04-09_SP8192_3LayerRecur_ParResid_QK525_LegalTTT", tmp_path)
    clean = seeds_of("2026-04-08_SP8192_ParallelResid_ScoreFirstTTT", tmp_path)

    assert str(versions) == "1 seed in 4 logs of 4 versions"
    assert str(repeats) == "1 seed in 3 logs"
    assert str(mixed) == "3 seeds in 3 logs of 2 versions"
    assert all(count.sample and count.sample.n == 1 for count in (versions, repeats, mixed))
    assert versions.sample
    assert versions.sample.mean == 1.1929  # as claimed; the last of the four
    assert clean.one_log_a_seed
    assert clean.sample
    assert clean.sample.n == 3


def test_logs_of_a_published_row_are_those_of_its_folder_or_number(tmp_path):
    """The logs of PR 86 score 0.0164 off the table; those of PR 1412 lie next to PR 1413's score."""
    for folder in ("2026-03-19_MLP3x_QAT_Int6_SlidingWindow", "2026-04-06_SP8192_QK5_LegalTTT_1.0828"):
        import_paths([RECORDS / folder], tmp_path, kind="field")
    renamed = tmp_path / "mine"
    shutil.copytree(RECORDS / "2026-04-10_VarLenAttn", renamed)
    submission = renamed / "submission.json"
    submission.write_text(submission.read_text().replace("{", '{"pull_request": "#1530",', 1))
    import_paths([renamed], tmp_path, kind="field")
    course, entries = load_course("fineweb"), FieldStore(tmp_path).entries()
    rows = {row.pr: row for row in course.field}

    found = {pr: find_entry(entries, course, rows[pr]) for pr in (86, 1412, 1413, 1530, 65)}

    names = {pr: entry.entry.source if entry else None for pr, entry in found.items()}
    assert names == {
        86: "2026-03-19_MLP3x_QAT_Int6_SlidingWindow",
        1412: None,
        1413: "2026-04-06_SP8192_QK5_LegalTTT_1.0828",
        1530: "mine",
        65: None,
    }
