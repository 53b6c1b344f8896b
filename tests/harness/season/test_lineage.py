"""`harness ls --tree`: parents, and lineages that cannot be."""

import json

import pytest


@pytest.fixture
def put_hole(runs, put_record):
    def put(name, parent=None, val_bpb=1.2):
        put_record(name, val_bpb=val_bpb)
        if parent is not None:
            (runs / name / "round.toml").write_text(f'parent = "{parent}"\n')

    return put


def rows_of(done):
    assert done.returncode == 0, done.stderr
    return {row["hole"]: row for row in json.loads(done.stdout)["holes"]}


def test_children_stand_under_their_parent(harness, put_hole):
    put_hole("round_001_base")
    put_hole("round_002_other")
    put_hole("round_003_child", "round_001", val_bpb=1.1)
    put_hole("round_004_grandchild", "round_003_child")

    lines = harness("ls", "--tree").stdout.splitlines()
    rows = rows_of(harness("ls", "--tree", "--json"))

    assert [line.split("  ")[0] or line.strip().split("  ")[0] for line in lines] == list(rows)
    assert list(rows) == ["round_001_base", "round_003_child", "round_004_grandchild", "round_002_other"]
    assert [row["depth"] for row in rows.values()] == [0, 1, 2, 0]
    assert rows["round_003_child"]["difference"]["outcome"] == "better"
    assert "  round_003_child  1.1000, -0.1000 to its parent: better" in lines


def test_missing_parents_and_circles_are_named(harness, put_hole):
    put_hole("round_001", "round_777_gone")
    put_hole("round_002", "round_003")
    put_hole("round_003", "round_002")
    put_hole("round_004", "round_004")
    put_hole("round_005", "round_003")

    rows = rows_of(harness("ls", "--tree", "--json"))

    assert set(rows) == {f"round_00{n}" for n in range(1, 6)}
    assert rows["round_001"]["note"] == 'the parent "round_777_gone" is not here'
    assert rows["round_002"]["note"] == "its lineage goes in a circle: round_002 -> round_003 -> round_002"
    assert rows["round_004"]["note"] == "its lineage goes in a circle: round_004 -> round_004"
    assert rows["round_005"]["depth"] == 2


def test_long_lineage_and_empty_season_are_shown(harness, runs):
    assert "no holes" in harness("ls", "--tree").stdout

    for number in range(1, 1201):
        folder = runs / f"round_{number:04d}"
        folder.mkdir()
        (folder / "round.toml").write_text(f'parent = "round_{number - 1:04d}"\n' if number > 1 else "")

    rows = rows_of(harness("ls", "--tree", "--json"))
    assert rows["round_1200"]["depth"] == 1199


def test_a_hole_that_names_itself_as_its_parent_is_not_compared_with_itself(harness, put_hole):
    put_hole("round_001", "round_001", 1.2)

    comparison = json.loads(harness("show", "1", "--json").stdout)["comparisons"]["parent"]

    assert comparison["delta"] is None
    assert comparison["reason"] == "round.toml names the hole itself as its parent"
