"""The cache only saves time: whatever happens to a season's files, summaries and rows show what they hold."""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.season import write_season
from harness import cache
from harness.cli import ls
from harness.cli.views.holes_table import KINDS, rows_of
from harness.files import PACKAGE
from harness.season import hole as hole_module
from harness.season.hole import read_files
from harness.season.season import load_season, summarise_season
from tests.paths import ROOT


@pytest.fixture
def season(tmp_path, monkeypatch):
    """A season whose files are old enough to be believed, and an empty cache."""
    monkeypatch.setattr(cache, "SETTLED_NS", 0)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    write_season(tmp_path / "runs", holes=6, attempts=2, points=0)
    return tmp_path / "runs"


@pytest.fixture
def read(monkeypatch):
    """The names of the holes whose files were read."""
    names = []

    def note(hole):
        names.append(hole.name.folder)
        return read_files(hole)

    monkeypatch.setattr(hole_module, "read_files", note)
    return names


def summaries(season):
    return [(hole.name.folder, hole.summary) for hole in season.holes]


def rows(season):
    """What a table shows of every hole, comparisons and all."""
    standings = [season.standing(hole) for hole in season.holes]
    return [
        (one.verdict, one.headroom_bytes, [(c.val_bpb, c.difference) for c in one.comparisons.values()])
        for one in standings
    ]


def test_second_look_reads_no_hole(season, read):
    first = summarise_season(season)
    assert len(read) == 6
    read.clear()

    second = summarise_season(season)

    assert read == []
    assert summaries(second) == summaries(first) == summaries(load_season(season))
    assert rows(second) == rows(load_season(season))


def first_hole(runs):
    return sorted(runs.glob("round_*"))[0]


def edit_record(runs):
    path = first_hole(runs) / "attempt_02" / "record.json"
    path.write_text(path.read_text().replace('"steps": 10000', '"steps": 10001'))


def edit_record_unseen(runs):
    """The same size, and the time of last change put back."""
    path = first_hole(runs) / "attempt_02" / "record.json"
    before = path.stat()
    with path.open("r+") as file:
        text = file.read().replace('"steps": 10000', '"steps": 10009')
        file.seek(0)
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def touch_record(runs):
    os.utime(first_hole(runs) / "attempt_01" / "record.json")


def break_record(runs):
    (first_hole(runs) / "attempt_02" / "record.json").write_text("{")


def swap_record(runs):
    path = first_hole(runs) / "attempt_02" / "record.json"
    shutil.copy(sorted(runs.glob("round_*"))[1] / "attempt_01" / "record.json", path)


def delete_record(runs):
    (first_hole(runs) / "attempt_02" / "record.json").unlink(missing_ok=True)


def add_attempt(runs):
    folder = first_hole(runs)
    shutil.copytree(folder / "attempt_01", folder / f"attempt_{len(list(folder.iterdir())) + 10}")


def start_attempt(runs):
    (first_hole(runs) / f"attempt_{len(list(first_hole(runs).iterdir())) + 40}").mkdir()


def edit_intent(runs):
    path = first_hole(runs) / "round.toml"
    path.write_text('title = "Another"\n')


def delete_intent(runs):
    (first_hole(runs) / "round.toml").unlink(missing_ok=True)


def decide(runs):
    taken = {"decision": "invalid", "reason": "r", "who": "w", "when": "2026-03-18T09:00:00Z"}
    (first_hole(runs) / "decision.json").write_text(json.dumps({"schema": 1, "history": [taken]}))


def add_hole(runs):
    shutil.copytree(sorted(runs.glob("round_*"))[-1], runs / "round_900_late", dirs_exist_ok=True)


def delete_hole(runs):
    shutil.rmtree(sorted(runs.glob("round_*"))[-1])


def rename_hole(runs):
    last = sorted(runs.glob("round_*"))[-1]
    last.rename(last.with_name(last.name + "_x"))


EDITS = [
    edit_record,
    edit_record_unseen,
    touch_record,
    break_record,
    swap_record,
    delete_record,
    add_attempt,
    start_attempt,
    edit_intent,
    delete_intent,
    decide,
    add_hole,
    delete_hole,
    rename_hole,
]


@pytest.mark.parametrize("edit", EDITS)
def test_edited_season_is_seen_as_it_is(edit, season, read):
    summarise_season(season)
    read.clear()

    edit(season)

    seen = summarise_season(season)
    assert len(read) <= 1  # only the hole that was touched
    assert summaries(seen) == summaries(load_season(season))
    assert seen.problems == load_season(season).problems


@given(edits=st.lists(st.sampled_from(EDITS), max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_edits_in_any_order_are_seen(edits, season, tmp_path):
    folder = tmp_path / "edited"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(season, folder)
    for edit in edits:
        with contextlib.suppress(OSError, IndexError):  # an earlier edit was there before
            edit(folder)

        assert summaries(summarise_season(folder)) == summaries(load_season(folder))


def test_hole_that_changed_a_moment_ago_is_read_again(season, tmp_path, read, monkeypatch):
    """Within a time stamp's grain a second change would leave no trace."""
    monkeypatch.setattr(cache, "SETTLED_NS", 3 * 10**9)
    summarise_season(season)
    read.clear()

    summarise_season(season)

    assert len(read) == 6


def test_cache_that_cannot_be_written_costs_nothing_but_time(season, tmp_path):
    (tmp_path / "cache").write_text("a file stands where the folder should be")

    assert summaries(summarise_season(season)) == summaries(load_season(season))
    assert sorted(season.rglob("*.json")) == sorted(season.glob("round_*/**/*.json"))


@pytest.mark.parametrize("edit", EDITS)
def test_rows_are_those_of_the_files(edit, season, monkeypatch):
    first = ls._load_rows(season)
    with monkeypatch.context() as patched:
        patched.setattr(ls, "open_season", None)  # the second look needs no season
        assert ls._load_rows(season) == (first[0], ())

    edit(season)

    plain = load_season(season)
    rows = rows_of([plain.standing(hole, KINDS) for hole in plain.holes])
    shown = tuple(problem.replace(f"{season.parent}/", "") for problem in plain.problems)
    assert ls._load_rows(season) == (rows, shown)


def test_another_field_makes_other_rows(season):
    before, _ = ls._load_rows(season)
    (season / "courses").mkdir()
    shipped = PACKAGE / "data" / "courses" / "fineweb.toml"
    (season / "courses" / "fineweb.toml").write_text(
        shipped.read_text().replace("val_bpb = 1.2244", "val_bpb = 1.3")
    )

    after, _ = ls._load_rows(season)

    assert before[0].facts != after[0].facts


def test_many_holes_are_read_by_several_processes_in_order(season, monkeypatch):
    monkeypatch.setattr(hole_module, "PER_PROCESS", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})

    assert summaries(summarise_season(season)) == summaries(load_season(season))


LS = """
import sys
from harness import cache, cli
cache.SETTLED_NS = 0
sys.argv[1:] = ["ls", "--sort", "val_bpb"]
try:
    cli.main()
finally:
    print("season read:", "harness.season.season" in sys.modules, file=sys.stderr)
"""


def test_ls_prints_the_same_with_and_without_a_cache_and_reads_no_season_twice(season, tmp_path):
    def listed(cache_dir):
        env = os.environ | {"PYTHONPATH": str(ROOT), "HARNESS_CACHE": str(cache_dir)}
        ended = subprocess.run(
            [sys.executable, "-c", LS], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout, ended.stderr.strip()

    without = listed("/dev/null/none")
    first, second = (listed(tmp_path / "another cache") for _ in range(2))

    assert without == first == (0, first[1], "season read: True")
    assert second == (0, first[1], "season read: False")
    assert len(first[1].splitlines()) == 8
