"""What the shell completes, what the help lists, and the tables of presets, courses and knobs."""

import json
import subprocess
import sys

import pytest
import typer

from harness.cli.app import GROUPS
from harness.cli.commands import app
from harness.cli.completion import PRESET_MEANINGS
from trainer.config import KNOBS
from trainer.presets import PRESETS


@pytest.fixture
def complete(harness, put_record):
    put_record("round_006_fp16embed", val_bpb=1.3)
    put_record("round_017_wide", val_bpb=1.2)

    def complete(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        done = harness(env={"_HARNESS_COMPLETE": "complete_bash", **words})
        assert done.stderr == ""
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("line", "choices"),
    [
        ("harness show round_0", ["round_006_fp16embed", "round_017_wide"]),
        ("harness rm round_006_fp16embed round_01", ["round_017_wide"]),
        ("harness run 18 --from round_01", ["round_017_wide"]),
        ("harness run 18 --preset practice_", ["practice_long"]),
        ("harness run 18 --course fine", ["fineweb"]),
        ("harness run 18 -o MATRIX_L", ["MATRIX_LR="]),
        ("harness knobs MATRIX_L", ["MATRIX_LR"]),
        ("harness prese", ["presets"]),
    ],
)
def test_the_shell_completes(complete, line, choices):
    assert complete(line) == choices


def test_completing_imports_nothing_heavy(complete, tmp_path):
    code = (
        "import os, sys\n"
        "os.environ.update(_HARNESS_COMPLETE='complete_bash', COMP_CWORD='4',"
        " COMP_WORDS='harness run 6 -o MATRIX')\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'scipy', 'rich', 'jinja2'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert "MATRIX_LR=" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_stands_in_a_group_of_the_help():
    names = set(typer.main.get_command(app).commands)

    assert names == set().union(*GROUPS.values())
    assert len(names) == sum(map(len, GROUPS.values()))


@pytest.mark.parametrize("columns", ["60", "100"])
def test_the_help_fits_the_terminal_and_cuts_no_summary(harness, columns):
    shown = harness("--help", env={"COLUMNS": columns}).stdout

    assert max(map(len, shown.splitlines())) <= int(columns)
    assert "…" not in shown
    assert "..." not in shown.replace("[ARGS]...", "")
    assert all(f"{heading}:" in shown for heading in GROUPS)


def test_presets_lists_each_with_its_meaning_and_what_one_sets(harness):
    told = json.loads(harness("presets", "--json").stdout)["presets"]

    assert [one["name"] for one in told] == list(PRESETS) == list(PRESET_MEANINGS)
    assert all(one["meaning"] for one in told)
    assert "MODEL_DIM" in harness("presets", "tiny").stdout
    refused = harness("presets", "tinny")
    assert (refused.returncode, "did you mean tiny?" in refused.stderr) == (2, True)


def test_courses_lists_those_of_the_season_with_its_holes(harness, put_record, runs):
    put_record("round_001_a", val_bpb=1.3)
    (runs / "courses").mkdir()
    (runs / "courses" / "broken.toml").write_text("title = 3")
    done = harness("courses", "--json")

    told = {one["name"]: one for one in json.loads(done.stdout)["courses"]}
    assert (told["fineweb"]["holes"], told["practice"]["holes"]) == (1, 0)
    assert "broken.toml" in done.stderr
    table = harness("courses").stdout
    assert "1.2244" in table
    assert "broken" not in table


def test_knobs_are_listed_by_group_in_the_order_of_the_configuration(harness):
    told = json.loads(harness("knobs", "--json").stdout)["knobs"]

    assert [one["name"] for one in told] == list(KNOBS)
    groups = [one["group"] for one in told]
    runs = [group for at, group in enumerate(groups) if at == 0 or groups[at - 1] != group]
    assert len(runs) == len(set(runs)) == 8
    assert {one["name"]: one["group"] for one in told}["MATRIX_LR"] == "optimizers and schedule"
    assert "optimizers and schedule" in harness("knobs", "MATRIX_LR").stdout
