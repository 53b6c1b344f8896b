"""`harness run` from the plan to the record: every way an attempt can end. No torch: a fake trainer."""

from __future__ import annotations

import json
import re
import shlex
import signal

import pytest

from tests.compare_bytes import assert_same
from tests.fake.command_line import CODE_BYTES, SMALL
from tests.fake.fake_trainer import BIG_BYTES, MODEL_BYTES
from tests.waiting import wait_for


def test_first_run_makes_a_hole_with_its_record_curve_log_and_card(play, record_of, tmp_path):
    done = play("run", "round_006", *SMALL, "--override", "FP16_EMBED=yes", "--title", "Half a Byte")

    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "round_006_half_a_byte"
    attempt = folder / "attempt_01"
    record = record_of("round_006_half_a_byte")
    assert (record["status"], record["seed"], record["steps"], record["params"]) == ("ok", 1337, 5, 123)
    assert record["overrides"]["FP16_EMBED"] == record["config"]["FP16_EMBED"] == "true"
    assert (record["code_bytes"], record["model_bytes"]) == (CODE_BYTES, MODEL_BYTES)
    assert record["code_rule"] == "packed"
    assert record["artifact_bytes"] == CODE_BYTES + MODEL_BYTES
    assert (attempt / record["model_file"]).stat().st_size == MODEL_BYTES
    assert record["official"]["stage"] == "round_trip"
    assert record["val_bpb"] == record["scores"][1]["val_bpb"] > record["scores"][0]["val_bpb"]
    assert record["data"]["val_bytes"] == 2500
    assert record["command"][:3] == ["harness", "run", "round_006_half_a_byte"]
    assert "final_int8_zlib_roundtrip_exact" in (attempt / "train.log").read_text()
    points = [json.loads(line) for line in (attempt / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [1, 2, 3, 4, 5]
    assert 'title = "Half a Byte"' in (folder / "round.toml").read_text()
    assert "step:5/5" in done.stderr
    assert "Half a Byte" in done.stdout
    assert f"{record['val_bpb']:.4f}" in done.stdout


def test_what_is_shown_afterwards_is_what_was_recorded(play, record_of):
    play("run", "round_001", *SMALL)

    shown = json.loads(play("show", "1", "--json").stdout)
    listed = json.loads(play("ls", "--json").stdout)["holes"]

    assert shown["val_bpb"] == record_of()["val_bpb"]
    assert [(hole["hole"], hole["status"]) for hole in listed] == [("round_001", "ok")]


def test_the_command_of_a_record_plays_it_again(play, record_of):
    play("run", "round_001", *SMALL, "-o", "MATRIX_LR=0.05", "--seed", "7")
    program, *words = record_of()["command"]

    done = play(*words)

    assert (program, done.returncode) == ("harness", 0)
    first, second = record_of(attempt=1), record_of(attempt=2)
    assert first["config_hash"] == second["config_hash"]
    assert (first["seed"], first["val_bpb"]) == (second["seed"], second["val_bpb"])


def test_same_run_again_is_a_duplicate_unless_repeated(play, tmp_path):
    play("run", "round_001", *SMALL)

    again = play("run", "round_002", *SMALL)
    repeated = play("run", "round_003", *SMALL, "--repeat", "--json")
    changed = play("run", "round_004", *SMALL, "-o", "MATRIX_LR=0.05")

    assert (again.returncode, repeated.returncode, changed.returncode) == (15, 0, 0)
    assert "equals round_001 attempt 1 (seed 1337" in again.stderr
    assert not (tmp_path / "runs" / "round_002").exists()
    assert json.loads(repeated.stdout)["comparisons"]["previous"]["delta"] == 0


def test_several_seeds_are_one_group_and_known_ones_are_left_out(play):
    first = json.loads(play("run", "round_001", *SMALL, "--seeds", "42,7", "--json").stdout)
    more = play("run", "round_001", *SMALL, "--seeds", "42,8", "--json")

    assert (first["seeds"], first["std"] > 0) == ([42, 7], True)
    assert "seed 42 was not played: it was played before: round_001 attempt 1" in more.stderr
    assert json.loads(more.stdout)["seeds"] == [42, 7, 8]


@pytest.mark.parametrize(
    ("name", "value", "kept"), [("MATRIX_LR", "0.5", "0.02"), ("QK_GAIN_INIT", "3.0", "1.5")]
)
def test_variables_of_the_shell_do_not_reach_the_trainer(name, value, kept, play, record_of, monkeypatch):
    """Neither one that the preset sets nor one that it leaves at its default."""
    monkeypatch.setenv(name, value)

    done = play("run", "round_001", *SMALL)

    assert done.returncode == 0, done.stderr
    assert record_of()["config"][name] == kept


@pytest.mark.parametrize(
    ("fate", "kind", "message"),
    [
        ("nan", "nan", "the loss is nan at step 3"),
        ("memory", "out_of_memory", "out of memory"),
        ("crash", "error", "RuntimeError: the fake trainer was asked to crash"),
        ("silent", "no_result", "the trainer ended with exit code 0 and left no result"),
        ("torn", "no_result", "the trainer ended with exit code 0 and left no result"),
        ("kill", "killed", "the trainer was killed by SIGKILL"),
    ],
)
def test_a_failure_is_recorded_with_its_kind_and_last_lines(fate, kind, message, play, record_of):
    done = play("run", "round_001", *SMALL, fate=fate)

    assert done.returncode == 10, done.stderr
    record = record_of()
    assert (record["status"], record["failure"]["kind"]) == ("failed", kind)
    assert record["failure"]["message"] == message
    assert any(line.startswith("step:3/5 ") for line in record["failure"]["last_lines"])
    assert "val_bpb" not in record
    assert "Did Not Finish" in done.stdout
    why = play("show", "1", "--why").stdout
    assert "step:3/5" in why


def test_artifact_over_the_cap_is_recorded_with_its_own_exit_code(play, record_of):
    done = play("run", "round_001", *SMALL, fate="big")

    assert (done.returncode, record_of()["status"]) == (12, "over_cap")
    assert record_of()["artifact_bytes"] == BIG_BYTES + CODE_BYTES
    assert "OVER THE CAP" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (["--timeout", "1"], 11, "timeout"),
        (["--max-cost", "0.001", "--rate", "3.6"], 14, "budget"),
        (["--abort", "train_loss@2>1.0"], 16, "aborted"),
        (["--stall", "1"], 16, "stalled"),
    ],
)
def test_a_limit_ends_the_run_and_is_named(words, code, kind, play, record_of):
    """The fake trainer waits after its third step; on a busy machine it may not have come so far."""
    done = play("run", "round_001", *SMALL, "-o", "MAX_WALLCLOCK_SECONDS=0", *words, fate="wait")

    assert done.returncode == code, done.stderr
    record = record_of()
    assert (record["status"], record["failure"]["kind"]) == (
        "stopped" if kind == "aborted" else "failed",
        kind,
    )
    assert record.get("steps", 0) <= 3


def test_a_trainer_that_does_not_heed_is_killed_after_its_grace(play, record_of, monkeypatch):
    monkeypatch.setattr("harness.run.capture.GRACE_SECONDS", 0.1)

    done = play("run", "round_001", *SMALL, "--timeout", "1", fate="deaf")

    assert (done.returncode, record_of()["failure"]["kind"]) == (11, "timeout")


def test_a_stopped_run_goes_on_and_gives_the_same_record(play, record_of, tmp_path):
    play("run", "round_001", *SMALL)
    stopped = play("run", "round_002", *SMALL, "--repeat", "--abort", "train_loss@3>1.0", fate="wait")
    assert (stopped.returncode, record_of("round_002")["steps"]) == (16, 3)

    resumed = play("resume", "round_002")

    assert resumed.returncode == 0, resumed.stderr
    whole, pieced = record_of("round_001"), record_of("round_002")
    assert pieced["resumes"] == 1
    for name in ("val_bpb", "steps", "config_hash", "artifact_bytes", "overrides", "seed", "status"):
        assert pieced[name] == whole[name], name
    curves = [
        (tmp_path / "runs" / hole / "attempt_01" / "curve.jsonl").read_text()
        for hole in ("round_001", "round_002")
    ]
    assert_same(*curves)


def test_a_complete_run_is_not_resumed(play):
    play("run", "round_001", *SMALL)

    done = play("resume", "round_001")

    assert done.returncode == 15
    assert "round_001 attempt 1 is complete" in done.stderr
    (advice,) = re.findall("`harness (.+)`", done.stderr)
    assert play(*shlex.split(advice)).returncode == 0


def test_another_trainer_does_not_go_on_with_a_run(play, tmp_path):
    play("run", "round_001", *SMALL, "--abort", "train_loss@3>1.0", fate="wait")
    launch = tmp_path / "runs" / "round_001" / "attempt_01" / "launch.json"
    kept = json.loads(launch.read_text())
    kept["code"]["source_sha256"] = "0" * 64
    launch.write_text(json.dumps(kept))

    done = play("resume", "round_001")

    assert done.returncode == 1
    assert "the trainer's code has changed since attempt_01 was started" in done.stderr


def test_a_result_that_nobody_recorded_is_only_recorded(play, record_of, tmp_path):
    play("run", "round_001", *SMALL)
    before = record_of()
    (tmp_path / "runs" / "round_001" / "attempt_01" / "record.json").unlink()
    listed = json.loads(play("ls", "--json").stdout)["holes"]

    done = play("resume", "round_001", fate="crash")

    assert listed[0]["status"] == "unfinished"
    assert done.returncode == 0, done.stderr
    assert record_of()["val_bpb"] == before["val_bpb"]


@pytest.mark.parametrize("damage", ['{"status": "ok"}', '{"status": "ok", "environment": {}, "steps": -1}'])
def test_a_result_that_does_not_add_up_is_a_failed_record(damage, play, record_of, tmp_path):
    play("run", "round_001", *SMALL)
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    (attempt / "record.json").unlink()
    (attempt / "result.json").write_text(damage)

    done = play("resume", "round_001")

    assert done.returncode == 10, done.stderr
    failure = record_of()["failure"]
    assert (failure["kind"], "result.json does not add up" in failure["message"]) == ("no_result", True)


def test_an_interrupt_leaves_a_record_that_can_be_resumed(start, play, record_of, tmp_path):
    process = start("run", "round_001", *SMALL, fate="wait")
    wait_for(steps_logged(tmp_path, 3))

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    assert (record_of()["status"], record_of()["failure"]["kind"]) == ("stopped", "interrupted")
    assert "`harness resume round_001 --attempt 1`" in out
    assert play("resume", "round_001").returncode == 0


def test_a_killed_harness_stops_the_trainer_and_leaves_a_trail(start, play, record_of, tmp_path):
    process = start("run", "round_001", *SMALL, fate="wait")
    wait_for(steps_logged(tmp_path, 3))

    process.kill()
    process.communicate(timeout=120)
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    wait_for((attempt / "result.json").exists)  # the trainer was asked to stop

    assert not (attempt / "record.json").exists()
    assert json.loads(play("ls", "--json").stdout)["holes"][0]["status"] == "unfinished"
    resumed = play("resume", "round_001")
    assert resumed.returncode == 0, resumed.stderr
    assert (record_of()["status"], record_of()["resumes"]) == ("ok", 1)


def test_a_running_attempt_is_not_resumed(start, play, tmp_path):
    process = start("run", "round_001", *SMALL, fate="wait")
    wait_for(steps_logged(tmp_path, 3))

    refused = play("resume", "round_001")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)

    assert refused.returncode == 1
    assert "round_001 attempt 1 is being played by another process" in refused.stderr


def steps_logged(tmp_path, count):
    curve = tmp_path / "runs" / "round_001" / "attempt_01" / "curve.jsonl"
    return lambda: curve.exists() and curve.read_bytes().count(b"\n") >= count
