"""The table of `harness ls`: one hole a line, in order, whatever its title holds."""

import csv
import json

import pytest

from harness.cli.views import holes_table
from harness.season.season import load_season

RED = "a\x1b[31mb"


def table(runs, width=None, sort="hole"):
    season = load_season(runs)
    rows = holes_table.rows_of([season.standing(hole, holes_table.KINDS) for hole in season.holes])
    return holes_table.holes_table(holes_table.sort_rows(rows, sort), width).splitlines()


def test_scores_sort_by_all_their_decimals_with_the_missing_last(runs, put_record):
    put_record("round_001", val_bpb=1.30000002)
    put_record("round_002", status="failed", failure={"kind": "nan", "message": "m"})
    put_record("round_003", val_bpb=1.30000001)

    assert [line.split()[0] for line in table(runs, sort="val_bpb")[2:]] == ["003", "001", "002"]


def test_columns_stand_under_their_heads_when_titles_are_wide(runs, put_record):
    """Chinese characters take two places of a terminal."""
    for number, title in ((1, "plain"), (2, "長い鉄")):
        put_record(f"round_{number:03d}", val_bpb=1.3)
        (runs / f"round_{number:03d}" / "round.toml").write_text(f'title = "{title}"\n', encoding="utf-8")

    _, _, plain, wide = table(runs)

    assert plain.index("fineweb") == wide.index("fineweb") + 3


def test_title_cannot_move_the_cursor(runs, put_record):
    put_record("round_001", val_bpb=1.3)
    (runs / "round_001" / "round.toml").write_text(f"title = {json.dumps(RED)}\n")

    assert "\x1b" not in "\n".join(table(runs))


def test_long_title_is_folded_to_the_terminal_and_whole_elsewhere(runs, put_record):
    put_record("round_001", val_bpb=1.3)
    title = " ".join(["word"] * 40)
    (runs / "round_001" / "round.toml").write_text(f'title = "{title}"\n')

    folded = table(runs, width=150)

    assert max(map(len, folded)) <= 150
    assert " ".join(" ".join(folded[2:]).split()).count("word") == 40
    assert title in table(runs)[2]


@pytest.mark.parametrize("flags", [(), ("--json",), ("--tree",)])
def test_mistyped_course_is_not_an_empty_season(harness, put_record, flags):
    put_record("round_001", val_bpb=1.2)

    mistyped = harness("ls", "--course", "finweb", *flags)
    other = harness("ls", "--course", "practice", *flags)

    assert (mistyped.returncode, "did you mean fineweb?" in mistyped.stderr) == (2, True)
    assert other.returncode == 0
    assert "round_001" not in other.stdout


def test_a_doubtful_gain_is_marked_beside_par_and_beside_the_parent_that_set_it(runs, put_record, harness):
    """It is one comparison in two columns."""
    for number in range(1, 31):
        put_record(f"round_{number:03d}", course="practice", seed=1, val_bpb=2.07 + 0.0001 * number)
    put_record("round_031", course="practice", seed=1, val_bpb=2.0701 - 0.0254)
    (runs / "round_031" / "round.toml").write_text('parent = "round_001"\n')

    rows = harness("ls").stdout.splitlines()

    assert next(row for row in rows if row.startswith("031")).count("?-0.0254") == 2


@pytest.mark.parametrize("width", [60, 80, 100, 155])
def test_table_fits_the_terminal_and_names_what_was_left_out(runs, put_record, width):
    put_record(
        "round_001",
        val_bpb=1.3,
    )
    put_record("round_002_with_a_long_title_of_many_words", val_bpb=1.2, steps=20000, step_ms=43.5)

    lines = table(runs, width=width)
    whole = table(runs, width=400)

    assert max(map(len, lines)) <= width
    shown = " ".join(lines)
    assert all(head.strip() in shown for head in whole[0].split("  "))
    assert "left out" not in "\n".join(whole)


WHERE = {
    "val_bpb<1.25": ["002", "004"],
    "val_bpb<1.25 and status==ok": ["002"],
    "1.25 <= val_bpb <= 1.35": ["001"],
    "not val_bpb<1.25": ["001", "003"],
    "status in (failed, over_cap)": ["003", "004"],
    "val_bpb is None": ["003"],
    "val_bpb != None and 'SECOND' in title": ["002"],
    "title==SECOND or status==failed": ["002", "003"],
    "MATRIX_LR>0.03": ["002"],
    "MATRIX_LR is None": ["001", "003", "004"],
    "date >= '2026-01-01' and hole == round_001": [],
}


@pytest.fixture
def four(put_record, runs):
    put_record("round_001", val_bpb=1.3, started_at="2025-05-01T10:00:00Z")
    put_record(
        "round_002_second", val_bpb=1.2, overrides={"MATRIX_LR": "0.04"}, started_at="2025-05-02T10:00:00Z"
    )
    put_record("round_003", status="failed", failure={"kind": "nan", "message": "m"})
    put_record("round_004", status="over_cap", val_bpb=1.21, artifact_bytes=16_000_001, code_bytes=1)
    return runs


@pytest.mark.parametrize("condition", WHERE)
def test_condition_chooses_the_holes_that_it_says(harness, four, condition):
    done = harness("ls", "--where", condition, "--csv", "--columns", "hole")

    assert done.returncode == 0, done.stderr
    assert [hole.split("_")[1] for hole in done.stdout.split()[1:]] == WHERE[condition]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--where", "val_bp<1"], "did you mean val_bpb?"),
        (["--where", "val_bpb<abc"], "val_bpb is a number, 'abc' is not"),
        (["--where", "val_bpb=1"], "two equal signs compare"),
        (["--where", "date>2026-01-02"], "a date stands in quotes"),
        (["--where", "__import__('os').system('true')"], "is no comparison"),
        (["--where", "status==f()"], "is no value"),
        (["--where", ""], "is no condition"),
        (["--where", "(" * 1000], "is no condition"),
        (["--where", "9" * 5000], "5,000 characters"),
        (["--sort", "val_bp"], "did you mean val_bpb?"),
        (["--columns", "hole,valbpb"], "did you mean val_bpb?"),
        (["--since", "yesterday"], "is no day"),
        (["--csv", "--json"], "--csv and --json do not go together"),
        (["--full"], "--full is for --json"),
        (["--limit", "0"], "0"),
    ],
)
def test_what_ls_cannot_mean_is_refused_with_the_next_thing_to_type(harness, four, words, answer):
    done = harness("ls", *words)

    assert done.returncode == 2
    assert "round_00" not in done.stdout
    assert answer in done.stderr


def test_csv_and_json_hold_the_same_numbers_in_full(harness, four):
    table = list(csv.DictReader(harness("ls", "--csv").stdout.splitlines()))
    listed = json.loads(harness("ls", "--json").stdout)["holes"]

    assert [row["hole"] for row in table] == [hole["hole"] for hole in listed]
    for row, hole in zip(table, listed, strict=True):
        assert {name: row[name] for name in row} == {
            name: "" if hole[name] in (None, []) else str(hole[name]) for name in row
        }


def test_limit_keeps_the_first_after_sorting_and_since_the_newer_ones(harness, four):
    best = harness("ls", "--sort", "val_bpb", "--limit", "2", "--csv", "--columns", "hole").stdout.split()[1:]
    late = harness("ls", "--since", "2025-05-02", "--csv", "--columns", "hole").stdout.split()[1:]

    assert best == ["round_002_second", "round_004"]
    assert late == ["round_002_second"]


def test_tag_chooses_holes(harness, four):
    assert harness("tag", "2", "wide").returncode == 0

    for words in (["--tag", "wide"], ["--where", "tags==wide"], ["--where", "'wid' in tags"]):
        assert harness("ls", *words, "--csv", "--columns", "hole").stdout.split()[1:] == ["round_002_second"]
