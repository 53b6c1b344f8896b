"""Which seeds `harness run` plays, in which order, and what it shows before all of them are in."""

from __future__ import annotations

import json
import shlex
import shutil
import signal

import pytest

from harness.records.intent import load_intent
from harness.run.seeds import fresh_seeds
from tests.fake.command_line import SMALL
from tests.paths import DATA
from tests.waiting import wait_for

WIDE = (*SMALL, "-o", "MATRIX_LR=0.05")


def seeds_of(tmp_path, hole):
    """Return the seeds of a hole's attempts in the order of play."""
    paths = sorted((tmp_path / "runs" / hole).glob("attempt_*/record.json"))
    return [json.loads(path.read_text())["seed"] for path in paths]


def test_paired_plays_the_seeds_of_the_parent_that_are_missing(play, record_of, tmp_path):
    play("run", "round_001", *SMALL, "--seeds", "42,7,8")
    play("run", "round_001", *SMALL, "--seeds", "42", "--repeat")
    play("run", "round_002", *WIDE, "--seed", "7")

    done = play("run", "round_002", *WIDE, "--paired", "1", "--json")

    assert done.returncode == 0, done.stderr
    assert seeds_of(tmp_path, "round_002") == [7, 42, 8]
    assert record_of("round_002", 3)["planned_seeds"] == [42, 7, 8]
    assert json.loads(done.stdout)["comparisons"]["parent"]["reference"]["hole"] == "round_001"
    again = play("run", "round_002", *WIDE, "--paired", "1")
    assert (again.returncode, "all 3 seeds were played before" in again.stderr) == (15, True)


def test_paired_names_the_parent_in_a_round_toml_that_names_none(play, runs):
    play("run", "round_001", *SMALL)
    (runs / "round_002").mkdir()
    path = runs / "round_002" / "round.toml"
    path.write_text('# mine\ntitle = "Wide"\n[overrides]\nMATRIX_LR = 0.05\n')

    done = play("run", "2", *SMALL, "--paired", "round_001", "--json")

    assert done.returncode == 0, done.stderr
    written = path.read_text()
    assert written.startswith('# mine\ntitle = "Wide"\n')
    assert "MATRIX_LR = 0.05\n" in written
    assert load_intent(path).parent == "round_001"
    assert load_intent(path).preset == "tiny"
    assert json.loads(done.stdout)["comparisons"]["parent"]["reference"]["hole"] == "round_001"


def test_paired_with_the_parent_of_round_toml(play, tmp_path):
    play("run", "round_001", *SMALL, "--seed", "5")
    play("run", "round_002", *WIDE, "--seed", "6", "--parent", "round_001")

    done = play("run", "round_002", *WIDE, "--paired", "parent")

    assert done.returncode == 0, done.stderr
    assert seeds_of(tmp_path, "round_002") == [6, 5]


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (("round_003", "--paired", "1", "--seeds", "1,2"), "brings its own seeds", "keep one"),
        (("round_003", "--paired", "9"), 'no hole matches "9"', "harness ls"),
        (("round_003", "--paired", "parent"), "names no parent", "--paired HOLE"),
        (("round_003", "--paired", "2"), "round_002 has no complete attempt", "harness run round_002"),
        (("round_001", "--paired", "1"), "paired with itself", "that it varies"),
        (("round_003", "--paired", "1", "--parent", "2"), "--parent names 2", "--paired 2"),
        (("round_004", "--paired", "1"), "round.toml names round_002 as the parent", "--paired round_002"),
        (("round_003", "--paired", "5"), "played on the practice course", "--course practice"),
        (("round_003", "--interleave"), "round_003 has no parent", "--paired HOLE"),
        (
            ("round_003", "--parent", "2", "--interleave"),
            "round_002 has no complete attempt",
            "play it first",
        ),
        (("round_003", "--paired", "1", "--interleave", "--emit", "out"), "holds one", "one after the other"),
    ],
)
def test_what_cannot_be_paired_is_refused_before_anything_is_written(
    words, error, hint, play, runs, put_record
):
    play("run", "round_001", *SMALL)
    put_record("round_002", status="failed", failure={"kind": "nan", "message": "nan"}, seed=1)
    (runs / "round_004").mkdir()
    (runs / "round_004" / "round.toml").write_text('parent = "round_002"\n')
    put_record("round_005", val_bpb=2.0, course="practice", seed=3)

    done = play("run", *words, *WIDE)

    assert done.returncode in (1, 2), done.stdout
    message, _, advice = done.stderr.partition("hint:")
    assert error in message
    assert hint in advice
    assert not (runs / "round_003").exists()


def test_interleave_alternates_with_fresh_runs_of_the_parent(play, record_of, tmp_path):
    play("run", "round_001", *SMALL, "--seeds", "42,7")
    words = ("run", "round_002", *WIDE, "--paired", "1", "--interleave")

    dry = play(*words, "--dry-run")
    done = play(*words, "--json")

    assert "  order       42 parent, 42 hole, 7 parent, 7 hole (parent round_001)\n" in dry.stdout
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)["played"]
    assert [(record["hole"], record["attempt"], record["seed"]) for record in played] == [
        ("round_001", 3, 42),
        ("round_002", 1, 42),
        ("round_001", 4, 7),
        ("round_002", 2, 7),
    ]
    first, fresh = record_of("round_001", 1), record_of("round_001", 3)
    assert (fresh["val_bpb"], fresh["config_hash"]) == (first["val_bpb"], first["config_hash"])
    assert fresh["planned_seeds"] == []
    assert len(done.stderr.split("round_002 seed 42: val_bpb")) == 2


def test_interleave_refuses_a_parent_whose_settings_or_code_have_changed(play, runs):
    play("run", "round_001", *SMALL, "--title", "First")
    toml = runs / "round_001_first" / "round.toml"
    record = runs / "round_001_first" / "attempt_01" / "record.json"
    words = ("run", "round_002", *WIDE, "--paired", "1", "--interleave")

    before = toml.read_text()
    toml.write_text(before + 'WARMDOWN_ITERS = "9"\n')
    settings = play(*words)
    toml.write_text(before)
    raw = json.loads(record.read_text())
    record.write_text(json.dumps(raw | {"code": raw["code"] | {"source_sha256": "ab" * 32}}))
    code = play(*words)

    assert (settings.returncode, code.returncode) == (13, 13)
    assert "cannot be played again as attempt 1 was: WARMDOWN_ITERS was" in settings.stderr
    assert "the code of builtin that ran had the hash ababababab" in code.stderr
    assert "in a hole of its own: `harness run round_001_first` names the next free one" in code.stderr
    assert not (runs / "round_002").exists()


def test_interleave_plays_a_parents_script_as_it_was_from_the_copy_that_it_keeps(play, record_of, tmp_path):
    for path in (DATA / "script").glob("*.py"):
        shutil.copy(path, tmp_path)
    script = tmp_path / "train_gpt.py"
    words = ("--script", "train_gpt.py", "-o", "ITERATIONS=5", "--seed", "3")
    play("run", "round_001", *words)
    script.write_text(script.read_text() + "# another idea\n")

    done = play("run", "round_002", *words, "--parent", "1", "--interleave")

    assert done.returncode == 0, done.stderr
    first, fresh, changed = record_of("round_001", 1), record_of("round_001", 2), record_of("round_002", 1)
    assert (
        fresh["code"]["source_sha256"] == first["code"]["source_sha256"] != changed["code"]["source_sha256"]
    )
    assert fresh["config_hash"] == first["config_hash"]
    for number in (1, 2):
        shutil.rmtree(tmp_path / "runs" / "round_001" / f"attempt_{number:02d}" / "source")
    lost = play("run", "round_002", *words[:-1], "4", "--parent", "1", "--interleave")
    assert (lost.returncode, "the code of train_gpt.py that ran had the hash" in lost.stderr) == (13, True)


def test_money_is_counted_for_the_parents_runs_too(play):
    play("run", "round_001", *SMALL, "-o", "MAX_WALLCLOCK_SECONDS=100")
    words = ("run", "round_002", *WIDE, "-o", "MAX_WALLCLOCK_SECONDS=300", "--paired", "1")

    enough = play(*words, "--rate", "36", "--max-cost", "3.5", "--dry-run")
    refused = play(*words, "--interleave", "--rate", "36", "--max-cost", "3.5")

    assert enough.returncode == 0, enough.stderr
    assert refused.returncode == 14
    assert "1 x 100 + 1 x 300 s of training cost 4.00 at 36 an hour" in refused.stderr


def test_no_verdict_between_seeds(play):
    done = play("run", "round_001", *SMALL, "--seeds", "1,2,3")

    assert done.stderr.count("; verdict after 3 of 3 seeds)") == 3
    for word in ("better", "worse", "within noise"):
        assert word not in done.stderr
    assert "no verdict" not in done.stdout
    assert done.stdout.splitlines().count("  3 of 3 seeds finished") == 1


def test_a_seed_that_fails_lets_the_others_go_on_and_stays_in_the_count(play, tmp_path):
    done = play("run", "round_001", *SMALL, "--seeds", "1,2,3", fate="nan@2")

    assert done.returncode == 10
    assert seeds_of(tmp_path, "round_001") == [1, 2, 3]
    assert "round_001 seed 2: nan (run 2 of 3" in done.stderr
    assert done.stdout.splitlines().count("  2 of 3 seeds finished, 1 failed") == 1


def test_a_crash_that_every_seed_would_meet_ends_the_series(play, tmp_path):
    done = play("run", "round_001", *SMALL, "--seeds", "1,2,3", fate="crash")

    assert done.returncode == 10
    assert seeds_of(tmp_path, "round_001") == [1]


def interrupt(start, tmp_path, number, *words):
    """Start a run that waits in an attempt, interrupt it there, and return its exit code and output."""
    process = start(*words, fate=f"wait@{number}")
    log = tmp_path / "runs" / "round_001" / f"attempt_{number:02d}" / "train.log"
    wait_for(lambda: log.exists() and "step:3/5" in log.read_text())
    process.send_signal(signal.SIGINT)
    return process.communicate()[0], process.returncode


def test_a_series_that_was_interrupted_in_its_last_seed_has_no_verdict(start, play, tmp_path):
    out, code = interrupt(start, tmp_path, 3, "run", "round_001", *SMALL, "--seeds", "1,2,3", "--json")

    data = json.loads(out)
    assert (code, data["verdict"]) == (130, "Still Out")
    assert {one["outcome"] for one in data["comparisons"].values()} == {None}
    assert data["verdict_why"] == "2 of 3 planned seeds finished: no verdict yet"
    assert (data["seeds_planned"], data["seeds_failed"]) == ([1, 2, 3], [])
    assert play("resume", "round_001").stdout.splitlines().count("  3 of 3 seeds finished") == 1


def test_the_scores_of_an_interrupted_series_come_with_the_words_that_play_the_rest(start, play, tmp_path):
    out, code = interrupt(start, tmp_path, 2, "run", "round_001", *SMALL, "--seeds", "1,2,3")

    lines = out.splitlines()
    assert (code, lines[0]) == (130, "round_001: 1 of 3 planned seeds finished: no verdict yet")
    assert lines[1].split()[:2] == ["seed", "1"]
    assert "verdict" not in " ".join(lines[1:])
    (rest_line,) = (line for line in lines if line.startswith("the rest: "))
    rest = shlex.split(rest_line.removeprefix("the rest: `").removesuffix("`"))
    assert rest[0] == "harness"
    again = play(*rest[1:])
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines().count("  3 of 3 seeds finished") == 1
    assert seeds_of(tmp_path, "round_001") == [1, 2, 2, 3]


def test_fresh_seeds_leave_out_used_ones():
    assert fresh_seeds({1337, 1339, 5}, 3) == (1338, 1340, 1341)
    assert fresh_seeds((), 0) == ()


def test_interleave_leaves_what_a_new_hole_predicts_to_the_new_hole(play, runs, tmp_path):
    play("run", "round_001", *SMALL, "--seed", "42")
    words = ("--hypothesis", "wider", "--predict", "val_bpb lower 0.001", "--title", "Wide")

    done = play("run", "round_002", *WIDE, "--parent", "1", "--seeds", "42,7", "--interleave", *words)

    assert done.returncode == 0, done.stderr
    assert seeds_of(tmp_path, "round_001") == [42, 42, 7]
    assert seeds_of(tmp_path, "round_002_wide") == [42, 7]
    sealed = json.loads((runs / "round_002_wide" / "prediction.json").read_text())
    assert "wider" in json.dumps(sealed)
    assert "wider" not in (runs / "round_001" / "round.toml").read_text()


@pytest.mark.parametrize("parent", ["1", "round_001", "round_001_fi"])
def test_a_parent_may_be_named_in_every_way_that_a_hole_is(parent, play, runs):
    play("run", "round_001", *SMALL, "--title", "First")

    done = play("run", "round_002", *WIDE, "--parent", parent, "--json")

    assert done.returncode == 0, done.stderr
    assert "is not here" not in done.stderr
    assert 'parent = "round_001_first"\n' in (runs / "round_002" / "round.toml").read_text()
    assert json.loads(done.stdout)["comparisons"]["parent"]["reference"]["hole"] == "round_001_first"


def test_a_number_in_round_toml_names_a_parent_like_everywhere(play, runs):
    play("run", "round_001", *SMALL, "--title", "First")
    (runs / "round_002").mkdir()
    (runs / "round_002" / "round.toml").write_text('parent = "1"\n')

    done = play("run", "2", *WIDE, "--json")

    assert done.returncode == 0, done.stderr
    assert "is not here" not in done.stderr
    assert json.loads(done.stdout)["comparisons"]["parent"]["reference"]["hole"] == "round_001_first"


def test_a_hole_that_names_no_parent_gets_the_one_that_is_typed(play, runs):
    play("run", "round_001", *SMALL)
    play("run", "round_002", *WIDE)

    done = play("run", "2", *WIDE, "--parent", "1", "--seed", "7", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["comparisons"]["parent"]["reference"]["hole"] == "round_001"


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (("round_004", "--parent", "9"), 'no hole matches "9"', "harness ls"),
        (("round_004", "--parent", "4"), 'no hole matches "4"', "harness ls"),
        (("round_004", "--parent", "round_004"), "--parent round_004: round_004 cannot be its own", "varies"),
        (("round_001", "--parent", "1"), "--parent 1: round_001 cannot be its own parent", "varies"),
        (
            ("round_003", "--parent", "2"),
            "round.toml says otherwise: parent 'round_001' -> 'round_002'",
            "leave --parent out",
        ),
    ],
)
def test_a_parent_that_cannot_be_is_refused_before_anything_is_written(words, error, hint, play, runs):
    play("run", "round_001", *SMALL)
    play("run", "round_002", *SMALL, "-o", "MATRIX_LR=0.06")
    play("run", "round_003", *WIDE, "--parent", "1")

    done = play("run", *words, *WIDE, "--seed", "5")

    assert done.returncode == 2, done.stdout
    message, _, advice = done.stderr.partition("hint:")
    assert (error in message, hint in advice) == (True, True), done.stderr
    assert not (runs / "round_004").exists()


def test_curves_are_compared_on_a_seed_that_both_played(play):
    play("run", "round_001", *SMALL, "--seeds", "1,2")
    play("run", "round_002", *WIDE, "--seed", "1")

    lines = [line for line in play("compare", "2", "1").stdout.splitlines() if " stood at " in line]

    assert lines
    assert all("round_001 (seed 1) at " in line for line in lines), lines
