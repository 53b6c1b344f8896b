"""Holes that another process plays: started with --detach, waited for, stopped."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.fake.command_line import SMALL
from tests.paths import ROOT
from tests.waiting import wait_for


@pytest.fixture
def call(tmp_path):
    """Run the command line with the fake trainer, in a process of its own."""

    def run(*words, fate=""):
        env = {**os.environ, "PYTHONPATH": str(ROOT), "FAKE_TRAINER": fate, "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "tests.fake.command_line", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def played_steps(log):
    return log.is_file() and b"step:2/" in log.read_bytes()


def started(tmp_path, attempt=1):
    log = tmp_path / "runs" / "round_001_base" / f"attempt_{attempt:02d}" / "train.log"
    wait_for(lambda: played_steps(log), "step 2")


def record(tmp_path, attempt=1):
    path = tmp_path / "runs" / "round_001_base" / f"attempt_{attempt:02d}" / "record.json"
    return json.loads(path.read_text())


def test_a_detached_series_can_be_waited_for_and_ends_with_its_exit_code(call, tmp_path):
    began = call("run", "1", "--title", "Base", *SMALL, "--seeds", "42,7", "--detach", "--json")

    data = json.loads(began.stdout)
    assert (data["hole"], data["detached"], began.returncode) == ("round_001_base", True, 0)
    ended = call("wait", "1", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["hole"] == "round_001_base"
    assert [record(tmp_path, number)["status"] for number in (1, 2)] == ["ok", "ok"]
    assert call("wait", "1").returncode == 0


def test_an_error_before_it_plays_is_passed_on(call):
    done = call("run", "1", *SMALL, "-o", "MODEL_DIMM=3", "--detach")

    assert done.returncode == 2
    assert "MODEL_DIM" in done.stderr


def test_a_stopped_series_says_so_and_plays_no_further_seed(call, tmp_path):
    call("run", "1", "--title", "Base", *SMALL, "--seeds", "42,7", "--detach", fate="wait")
    started(tmp_path)

    done = call("stop", "round_001", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["status"] for one in json.loads(done.stdout)["attempts"]] == ["stopped"]
    assert record(tmp_path)["failure"]["kind"] == "interrupted"
    assert not (tmp_path / "runs" / "round_001_base" / "attempt_02").exists()
    assert call("wait", "1").returncode == 130
    again = call("stop", "1")
    assert again.returncode == 1
    assert "nobody plays round_001_base" in again.stderr


def test_stop_now_ends_a_trainer_that_does_not_listen(call, tmp_path):
    call("run", "1", "--title", "Base", *SMALL, "--detach", fate="deaf")
    started(tmp_path)

    assert call("stop", "1", "--now").returncode == 0
    assert record(tmp_path)["status"] in ("stopped", "failed")


def test_wait_ends_when_the_first_hole_does(call, tmp_path):
    call("run", "1", "--title", "Base", *SMALL, "--detach", fate="wait")
    started(tmp_path)
    call("run", "2", "--title", "Quick", *SMALL, "--seed", "9", "--detach", fate="crash")

    first = call("wait", "1", "2")
    assert first.returncode == 10
    assert first.stdout.startswith("round_002_quick: ended with exit code 10")
    call("stop", "1")


def test_wait_for_a_command_that_was_killed_says_so(call, tmp_path):
    began = call("run", "1", "--title", "Base", *SMALL, "--detach", "--json", fate="wait")
    started(tmp_path)
    os.kill(json.loads(began.stdout)["pid"], signal.SIGKILL)

    done = call("wait", "1")
    assert done.returncode == 10
    assert "its command was killed" in done.stderr


def test_a_hole_that_was_never_played_is_not_waited_for(call):
    call("new", "First")
    done = call("wait", "1")

    assert done.returncode == 1
    assert "it was never played" in done.stderr
