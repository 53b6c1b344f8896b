"""The season's index only saves time: whatever happens to the files, a glance shows what they hold."""

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
from harness import index, listed
from harness.cli.views import holes_table
from harness.index import glance_season
from harness.resources import PACKAGE
from harness.season.hole import load_hole
from harness.season.season import load_season
from tests.compare_bytes import assert_same
from tests.paths import ROOT


@pytest.fixture
def season(tmp_path, monkeypatch):
    """A season that is worth an index, its files old enough to be believed."""
    monkeypatch.setattr(index, "SMALL", 1)
    monkeypatch.setattr(index, "SETTLED_NS", 0)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    write_season(tmp_path / "runs", holes=6, attempts=2, points=0)
    return tmp_path / "runs"


@pytest.fixture
def read(monkeypatch):
    """The names of the holes whose files were read."""
    names = []

    def noting(hole):
        names.append(hole.name.folder)
        return load_hole(hole)

    monkeypatch.setattr(index, "load_hole", noting)
    return names


def glances(season):
    return [(hole.name.folder, hole.glance) for hole in season.holes]


def rows(season):
    """What a table shows of every hole, comparisons and all."""
    standings = [season.standing(hole) for hole in season.holes]
    return [
        (s.verdict, s.headroom_bytes, [(c.val_bpb, c.difference) for c in s.comparisons.values()])
        for s in standings
    ]


def test_second_look_reads_no_hole(season, read, tmp_path):
    first = glance_season(season)
    assert len(read) == 6
    read.clear()

    second = glance_season(season)

    assert read == []
    assert glances(second) == glances(first) == glances(load_season(season))
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
def test_edited_season_is_seen_as_it_is(edit, season, tmp_path, read):
    glance_season(season)
    read.clear()

    edit(season)

    seen = glance_season(season)
    assert len(read) <= 1  # only the hole that was touched
    assert glances(seen) == glances(load_season(season))
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

        assert glances(glance_season(folder)) == glances(load_season(folder))


@pytest.mark.parametrize(
    "harm", [lambda b: b"", lambda b: b[:-7], lambda b: b.replace(b"10000", b"10001"), lambda b: b"\x00" * 9]
)
def test_damaged_index_is_not_believed(harm, season, tmp_path):
    glance_season(season)
    (kept,) = (tmp_path / "cache" / "seasons").iterdir()
    kept.write_bytes(harm(kept.read_bytes()))

    assert glances(glance_season(season)) == glances(load_season(season))


def test_hole_that_changed_a_moment_ago_is_read_again(season, tmp_path, read, monkeypatch):
    """Within a time stamp's grain a second change would leave no trace."""
    monkeypatch.setattr(index, "SETTLED_NS", 3 * 10**9)
    glance_season(season)
    read.clear()

    glance_season(season)

    assert len(read) == 6


def test_cache_that_cannot_be_written_costs_nothing_but_time(season, tmp_path):
    (tmp_path / "cache").write_text("a file stands where the folder should be")

    assert glances(glance_season(season)) == glances(load_season(season))
    assert sorted(season.rglob("*.json")) == sorted(season.glob("round_*/**/*.json"))


def listing_of(runs, made=None):
    """What `ls` would show; made: noted when it is made anew."""

    def make(marks):
        if made is not None:
            made.append(len(marks))
        season = glance_season(runs, marks)
        return listed.Listing(
            tuple(holes_table.row_of(season.standing(h, holes_table.KINDS)) for h in season.holes),
            season.problems,
        )

    return listed.list_season(runs, make)


@pytest.mark.parametrize("edit", EDITS)
def test_kept_rows_are_those_of_the_files(edit, season, monkeypatch):
    monkeypatch.setattr(listed, "SETTLED_NS", 0)
    first, made = listing_of(season), []
    assert listing_of(season, made) == first
    assert made == []

    edit(season)

    plain = load_season(season)
    rows = tuple(holes_table.row_of(plain.standing(hole, holes_table.KINDS)) for hole in plain.holes)
    assert listing_of(season) == (rows, plain.problems)


def test_another_field_makes_other_rows(season, monkeypatch):
    monkeypatch.setattr(listed, "SETTLED_NS", 0)
    listing_of(season)
    (season / "courses").mkdir()
    shipped = PACKAGE / "data" / "courses" / "fineweb.toml"
    (season / "courses" / "fineweb.toml").write_text(
        shipped.read_text().replace("val_bpb = 1.2244", "val_bpb = 1.3")
    )

    made = []
    listing_of(season, made)

    assert made


def test_ls_is_the_same_with_and_without_an_index(harness, tmp_path):
    write_season(tmp_path / "runs", holes=index.SMALL, attempts=1, points=0)
    env = {"HARNESS_CACHE": str(tmp_path / "cache")}

    plain = harness("ls", "--sort", "val_bpb", env={"HARNESS_CACHE": "/dev/null/none"})
    cold, warm = (harness("ls", "--sort", "val_bpb", env=env) for _ in range(2))

    assert plain.returncode == 0, plain.stderr
    assert_same(plain.stdout, cold.stdout)
    assert_same(plain.stdout, warm.stdout)
    assert len(plain.stdout.splitlines()) == index.SMALL + 2


KEPT = """
import sys
from harness import cli, listed
listed.SETTLED_NS = 0
sys.argv[1:] = ["ls", "--sort", "val_bpb"]
cli.main()
print(*sys.modules)
"""


def test_kept_rows_are_printed_without_loading_what_made_them(season, tmp_path):
    def loaded():
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", KEPT], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        return set(done.stdout.splitlines()[-1].split())

    slow = {"typer", "pydantic", "rich", "shutil", "harness.records.record"}
    first, second = loaded(), loaded()

    assert "harness.records.record" in first
    assert "typer" not in first
    assert not slow & second
