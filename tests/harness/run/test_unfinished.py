"""Attempts that were cut short: which one `resume` takes, and the two other ways to end one."""

from __future__ import annotations

import json

import pytest

from harness.run import processes
from tests.fake.command_line import SMALL
from tests.waiting import wait_for


@pytest.fixture
def killed(start, runs):
    """Play an attempt whose harness and trainer are killed at once: killed(1, "--seed", "7")."""

    def play_and_kill(number, *words):
        attempt = runs / "round_001" / f"attempt_{number:02d}"
        process = start("run", "1", *SMALL, *words, fate="deaf")
        wait_for(lambda: (attempt / "curve.jsonl").is_file() and _lines(attempt / "curve.jsonl") == 3)
        process.kill()
        process.communicate(timeout=120)
        mark = str(attempt.resolve())
        wait_for(lambda: not processes.members(mark))
        return attempt

    return play_and_kill


def _lines(path):
    return len(path.read_text().splitlines())


def test_resume_takes_the_unfinished_attempt_though_a_later_one_is_complete(killed, play, record_of):
    killed(1, "--seed", "7")
    assert play("run", "1", "--seed", "8").returncode == 0
    advice = play("show", "1").stderr

    done = play("resume", "1")

    assert "`harness resume round_001 --attempt 1` goes on from its checkpoint" in advice
    assert "`harness salvage round_001 --attempt 1`" in advice
    assert "`harness drop-attempt round_001 1`" in advice
    assert done.returncode == 0, done.stderr
    assert (record_of()["status"], record_of()["resumes"]) == ("ok", 1)
    assert play("show", "1").stderr == ""
    nothing = play("resume", "1")
    assert nothing.returncode == 15
    assert "attempt 2 is complete" in nothing.stderr
    assert "no other is unfinished" in nothing.stderr


def test_an_attempt_is_resumed_by_its_number(killed, play, record_of, runs):
    killed(1, "--seed", "7")
    killed(2, "--seed", "8")

    first = play("resume", "1", "--attempt", "1")
    missing = play("resume", "1", "--attempt", "5")

    assert first.returncode == 0, first.stderr
    assert record_of(attempt=1)["seed"] == 7
    assert not (runs / "round_001" / "attempt_02" / "record.json").exists()
    assert missing.returncode == 2
    assert "has no attempt 5" in missing.stderr
    assert "1, 2" in missing.stderr


def test_salvage_records_what_the_curve_tells_and_the_checkpoint_still_goes_on(killed, play, record_of):
    killed(1)

    done = play("salvage", "1", "--json")

    assert done.returncode == 0, done.stderr
    record = record_of()
    assert json.loads(done.stdout)["record"] == record
    assert (record["status"], record["failure"]["kind"], record["failure"]["step"]) == ("failed", "killed", 3)
    assert (record["steps"], record["planned_steps"], record["step_ms"]) == (3, 5, 100.0)
    assert record["last_train_loss"] == pytest.approx(3.25, abs=0.1)
    assert "val_bpb" not in record
    assert any("salvaged" in warning for warning in record["warnings"])
    assert play("show", "1").stderr == ""
    again = play("salvage", "1")
    assert again.returncode == 1
    assert "has its record" in again.stderr
    assert play("resume", "1").returncode == 0
    assert record_of()["status"] == "ok"


def test_a_dropped_attempt_lies_in_the_trash_whole(killed, play, runs):
    attempt = killed(1)
    curve = (attempt / "curve.jsonl").read_text()
    play("run", "1", "--seed", "8")

    done = play("drop-attempt", "1", "1", "--reason", "lost its machine")

    assert done.returncode == 0, done.stderr
    assert not attempt.exists()
    kept = list((runs / ".trash").rglob("curve.jsonl"))
    assert [path.read_text() for path in kept] == [curve]
    assert play("show", "1").stderr == ""


def test_an_attempt_with_a_record_is_not_dropped(play, runs):
    play("run", "1", *SMALL)
    play("run", "1", "--seed", "8", fate="nan")

    complete, failed = play("drop-attempt", "1", "1"), play("drop-attempt", "1", "2")

    assert (complete.returncode, failed.returncode) == (2, 2)
    assert "attempt 1 has its record (val_bpb" in complete.stderr
    assert "attempt 2 has its record (failed)" in failed.stderr
    assert len(list((runs / "round_001").glob("attempt_*"))) == 2
