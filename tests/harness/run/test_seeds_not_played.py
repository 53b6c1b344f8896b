"""Every seed that a command was asked for and did not play is named: at the end, in JSON, in the record."""

import json
import os
import signal

from harness.run import processes
from tests.fake.command_line import SMALL
from tests.waiting import wait_for

RUN = ("run", "round_002", *SMALL)


def missing(done) -> dict[int, str]:
    return {one["seed"]: one["reason"] for one in json.loads(done.stdout)["seeds_not_played"]}


def test_a_seed_that_was_played_in_another_hole_is_named_at_the_end(play, record_of):
    play("run", "round_001", *SMALL, "--seed", "7")

    done = play(*RUN, "--seeds", "42,7,1337")

    assert done.returncode == 0, done.stderr
    last = record_of("round_002", 2)
    assert [record_of("round_002", n)["seed"] for n in (1, 2)] == [42, 1337]
    (one,) = last["not_played"]
    assert (one["seed"], "round_001" in one["reason"]) == (7, True)
    assert f"seed 7 was not played: {one['reason']}" in done.stdout
    assert last["planned_seeds"] == [42, 1337]  # a verdict does not wait for another hole's seed
    assert "no verdict" not in done.stdout


def test_seeds_behind_a_rule_that_ended_the_series_are_named(play, record_of):
    done = play(*RUN, "--seeds", "1,2,3", "--abort", "train_loss@2>1.0", "--json", fate="wait")

    assert done.returncode == 16, done.stderr
    assert missing(done).keys() == {2, 3}
    assert all("aborted" in reason for reason in missing(done).values())
    assert [one["seed"] for one in record_of("round_002")["not_played"]] == [2, 3]


def test_a_run_is_told_of_its_twin_that_plays_already(start, play, tmp_path, record_of):
    first = start(*RUN, "--seed", "5", fate="wait")
    log = tmp_path / "runs" / "round_002" / "attempt_01" / "train.log"
    wait_for(lambda: log.exists() and "step:3/5" in log.read_text())

    second = play(*RUN, "--seed", "5")
    other = play("run", "round_003", *SMALL, "--seeds", "5,6", "--json")

    assert second.returncode == 15
    assert f"is being played now in round_002 by process {first.pid}" in second.stderr
    assert not (tmp_path / "runs" / "round_002" / "attempt_02").exists()
    assert other.returncode == 0, other.stderr
    assert missing(other).keys() == {5}
    assert record_of("round_003")["seed"] == 6
    first.send_signal(signal.SIGINT)
    first.communicate()


def test_after_kill_9_a_rerun_is_told_of_the_attempt_and_plays(start, play, tmp_path, record_of):
    first = start(*RUN, "--seed", "5", fate="wait")
    log = tmp_path / "runs" / "round_002" / "attempt_01" / "train.log"
    wait_for(lambda: log.exists() and "step:3/5" in log.read_text())
    first.kill()
    first.communicate()

    done = play(*RUN, "--seed", "5")

    assert done.returncode == 0, done.stderr
    assert "round_002 attempt 1 (seed 5) ended" in done.stderr
    assert record_of("round_002", 2)["seed"] == 5
    assert not (tmp_path / "runs" / ".playing").exists()


def test_a_trainer_that_outlives_its_command_still_plays(start, play, tmp_path):
    first = start(*RUN, "--seed", "5", "--outlive", fate="wait")
    attempt = tmp_path / "runs" / "round_002" / "attempt_01"
    log = attempt / "train.log"
    wait_for(lambda: log.exists() and "step:3/5" in log.read_text())
    first.kill()
    first.communicate()
    (trainer,) = processes.members(str(attempt.resolve()))

    try:
        same, other = play(*RUN, "--seed", "5"), play(*RUN, "--seed", "6", "--dry-run")
    finally:
        os.kill(trainer, signal.SIGKILL)

    assert same.returncode == 15
    assert f"is being played now in round_002 by process {trainer}" in same.stderr
    assert other.returncode == 0, other.stderr
    wait_for(lambda: not processes.members(str(attempt.resolve())))
    assert play(*RUN, "--seed", "5").returncode == 0


def test_what_a_killed_command_held_is_swept_by_the_next_one_that_writes(start, play, tmp_path):
    first = start(*RUN, "--seed", "5", fate="wait")
    attempt = tmp_path / "runs" / "round_002" / "attempt_01"
    wait_for(lambda: (attempt / "train.log").exists())
    held = tmp_path / "runs" / ".playing"
    assert len(list(held.iterdir())) == 1
    first.kill()
    first.communicate()

    play("salvage", "2")

    assert not held.exists()


def test_of_three_equal_runs_at_once_one_plays_and_the_others_are_told(start, tmp_path):
    started = [start(*RUN, "--seed", "5", fate="wait") for _ in range(3)]
    log = tmp_path / "runs" / "round_002" / "attempt_01" / "train.log"
    wait_for(lambda: sum(process.poll() is not None for process in started) == 2)
    wait_for(lambda: log.exists() and "step:3/5" in log.read_text())
    next(process for process in started if process.poll() is None).send_signal(signal.SIGINT)

    messages = [process.communicate()[1] for process in started]

    assert sorted(process.returncode for process in started) == [15, 15, 130]
    assert sum("is played already" in text for text in messages) == 2
    assert [path.name for path in (tmp_path / "runs" / "round_002").glob("attempt_*")] == ["attempt_01"]


def test_nothing_is_written_or_removed_through_a_link(play, tmp_path, runs):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letters.json").write_text("{}")
    (runs / ".playing").symlink_to(tmp_path / "mine")

    done = play(*RUN, "--seed", "5")

    assert done.returncode == 1
    assert "nothing is written through it" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letters.json"]
