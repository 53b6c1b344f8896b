"""The table of `harness ls`: one hole a line, in order, whatever its title holds."""

import json

import pytest

from harness.cli import ls
from harness.season.season import load_season

RED = "a\x1b[31mb"


def table(runs, width=None, sort="number"):
    season = load_season(runs)
    rows = [ls.row_of(season.standing(hole, ls.KINDS)) for hole in season.holes]
    return ls.holes_table(ls.sort_rows(rows, sort), width).splitlines()


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
