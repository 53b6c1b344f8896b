"""One hole is one configuration: another is refused with the command that plays it; `--reopen` insists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal

import pytest

from harness.records.intent import load_intent
from tests.fake.command_line import SMALL
from tests.paths import DATA
from tests.waiting import wait_for

WIDE = ("-o", "MATRIX_LR=0.05")


def offered(stderr):
    """Return the words of the command that a refusal offers."""
    return shlex.split(re.search(r"`harness (.*?)`; or insist", stderr, re.S)[1])


def test_another_override_is_refused_and_the_offered_command_plays_it(play, record_of, runs):
    first = play("run", "1", *SMALL, "--title", "First")
    assert first.returncode == 0, first.stderr
    before = (runs / "round_001_first" / "round.toml").read_text()

    done = play("run", "1", *WIDE, "--title", "Wide & wild", "--seeds", "3,4", "--timeout", "60", "--outlive")

    assert done.returncode == 2
    assert "MATRIX_LR 0.02 -> 0.05, title 'First' -> 'Wide & wild'" in done.stderr
    assert (runs / "round_001_first" / "round.toml").read_text() == before
    assert not (runs / "round_001_first" / "attempt_02").exists()
    words = offered(done.stderr)
    assert words[-3:] == ["--timeout", "60.0", "--outlive"]

    played = play(*words)

    assert played.returncode == 0, played.stderr
    intent = load_intent(runs / "round_002_wide_wild" / "round.toml")
    assert (intent.title, intent.parent, intent.seeds) == ("Wide & wild", "round_001_first", (3, 4))
    record = record_of("round_002_wide_wild")
    assert (record["config"]["MATRIX_LR"], record["config"]["ITERATIONS"]) == ("0.05", "5")


def test_a_dry_run_refuses_as_well_and_so_does_a_round_toml_that_was_edited(play, runs):
    play("run", "1", *SMALL)
    dry = play("run", "1", *WIDE, "--dry-run")
    path = runs / "round_001" / "round.toml"
    path.write_text(path.read_text() + "MATRIX_LR = 0.07\n")

    edited = play("run", "1", "--seed", "8")

    assert (dry.returncode, edited.returncode) == (2, 2)
    assert "MATRIX_LR 0.02 -> 0.07" in edited.stderr
    assert "-o MATRIX_LR=0.07" in edited.stderr


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("--title", "Other"), "title 'First' -> 'Other'"),
        (("--parent", "2"), "parent 'round_001_first' -> 'round_002'"),
        (("--hypothesis", "It helps"), "hypothesis not set -> 'It helps'"),
        (("--predict", "val_bpb lower"), "prediction not set -> 'val_bpb lower'"),
    ],
)
def test_words_that_round_toml_has_otherwise_are_never_dropped(words, difference, play, runs):
    play("run", "1", *SMALL, "--title", "First")
    play("run", "2", *SMALL, "-o", "MATRIX_LR=0.06")
    hole = "1" if words[0] != "--parent" else "3"
    play("run", "3", *SMALL, *WIDE, "--parent", "1")

    refused = play("run", hole, "--seed", "9", *words)
    insisted = play("run", hole, "--seed", "9", *words, "--reopen")

    assert refused.returncode == 2
    assert difference in refused.stderr
    assert words[0] in refused.stderr.partition("hint:")[2]
    assert insisted.returncode == 0, insisted.stderr
    toml = next(runs.glob(f"round_00{hole}*")) / "round.toml"
    value = {"--parent": "round_002", "--predict": "val_bpb"}.get(words[0], words[1])
    assert value in toml.read_text()


def test_reopen_writes_what_is_played_and_keeps_the_comments(play, record_of, runs):
    play("run", "1", *SMALL)
    path = runs / "round_001" / "round.toml"
    path.write_text(f"# why: noise\n{path.read_text()}")

    done = play("run", "1", *WIDE, "--reopen")

    assert done.returncode == 0, done.stderr
    assert "reopened with another configuration than attempt 1: MATRIX_LR 0.02 -> 0.05" in done.stderr
    assert path.read_text().startswith("# why: noise\n")
    assert load_intent(path).overrides["MATRIX_LR"] == record_of(attempt=2)["config"]["MATRIX_LR"] == "0.05"
    again = play("run", "1", "--seed", "8")
    assert again.returncode == 0, again.stderr
    assert record_of(attempt=3)["config"]["MATRIX_LR"] == "0.05"


def test_a_reopened_hole_shows_both_configurations_everywhere(play, runs, tmp_path):
    play("run", "1", *SMALL)
    played = play("run", "1", *WIDE, "--reopen", "--title", "Wide")
    assert "another configuration:" in played.stdout

    listed = json.loads(play("ls", "--json").stdout)["holes"][0]
    shown = json.loads(play("show", "1", "--json").stdout)["earlier_configurations"]
    brief = json.loads(play("brief", "--json").stdout)["last"][0]["earlier_configurations"]
    table = play("ls").stdout
    play("publish", "--out", str(tmp_path / "site"), "--no-pictures")

    assert (listed["attempts"], listed["configurations"]) == (2, 2)
    assert [(one["attempts"], one["seeds"]) for one in shown] == [([1], 1)]
    assert brief == shown
    assert "MATRIX_LR 0.02 -> 0.05" in shown[0]["differs"]
    assert "configurations" in table.splitlines()[0]
    assert (
        "MATRIX_LR 0.02 -&gt; 0.05" in next((tmp_path / "site" / "holes").glob("round_001*.html")).read_text()
    )
    assert "2 configurations" in (tmp_path / "site" / "index.html").read_text()
    holes = json.loads((tmp_path / "site" / "holes.json").read_text())["holes"]
    assert holes[0]["earlier_configurations"] == shown
    play("run", "2", *SMALL, "-o", "MATRIX_LR=0.07")
    compared = play("compare", "2", "1").stdout
    assert "  round_001 before, as another configuration: " in compared
    assert "since then MATRIX_LR 0.02 -> 0.05" in compared


def test_a_failed_attempt_binds_to_nothing_and_round_toml_says_what_is_played(play, runs):
    play("run", "1", *SMALL, fate="nan")

    done = play("run", "1", *WIDE, "--title", "Calmer")

    assert done.returncode == 0, done.stderr
    assert "attempt 1 failed with another configuration: MATRIX_LR 0.02 -> 0.05" in done.stderr
    intent = load_intent(runs / "round_001" / "round.toml")
    assert (intent.title, intent.overrides["MATRIX_LR"]) == ("Calmer", "0.05")


def test_an_attempt_that_is_being_played_binds(play, start, runs):
    running = start("run", "1", *SMALL, fate="wait")
    wait_for(lambda: (runs / "round_001" / "attempt_01" / "curve.jsonl").is_file())

    done = play("run", "1", *WIDE, "--seed", "8")

    running.send_signal(signal.SIGINT)
    running.communicate()
    assert done.returncode == 2
    assert "another configuration (attempt 1): MATRIX_LR 0.02 -> 0.05" in done.stderr


def test_an_edited_script_is_another_configuration(play, tmp_path, runs):
    for path in (DATA / "script").glob("*.py"):
        shutil.copy(path, tmp_path)
    script = tmp_path / "train_gpt.py"
    words = ("--script", "train_gpt.py", "--course", "fineweb", "-o", "ITERATIONS=3")
    first = play("run", "1", *words)
    script.write_text(script.read_text() + "\n# edited\n")

    done = play("run", "1", *words)

    assert first.returncode == 0, first.stderr
    assert done.returncode == 2, done.stderr
    assert re.search(r"code train_gpt.py \w{10} -> train_gpt.py \w{10}", done.stderr)
    played = play(*offered(done.stderr))
    assert played.returncode == 0, played.stderr
    assert (runs / "round_002" / "attempt_01" / "record.json").is_file()


def test_a_hole_made_by_hand_takes_over_what_is_typed(play, runs):
    (runs / "round_001").mkdir()
    path = runs / "round_001" / "round.toml"
    path.write_text('title = "Mine"  # keep\n\n[overrides]\nMATRIX_LR = 0.03  # as in the paper\n')

    done = play("run", "1", *SMALL, *WIDE, "--hypothesis", "It helps")

    assert done.returncode == 0, done.stderr
    intent = load_intent(path)
    assert (intent.overrides["MATRIX_LR"], intent.hypothesis) == ("0.05", "It helps")
    assert 'title = "Mine"  # keep\n' in path.read_text()
