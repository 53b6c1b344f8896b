"""`harness noise` and `harness confirm` from the outside, with the fake trainer."""

from __future__ import annotations

import json
import signal
import statistics

import pytest

from tests.fake.command_line import SMALL
from tests.waiting import wait_for

WIDE = (*SMALL, "-o", "MATRIX_LR=0.05")


def attempts_of(tmp_path, hole="round_001"):
    return len(list((tmp_path / "runs" / hole).glob("attempt_*")))


def test_noise_plays_until_enough_seeds_have_finished_and_then_only_reports(play, record_of, tmp_path):
    play("run", "round_001", *SMALL, "--seeds", "1337,5")

    dry = play("noise", "1", "--dry-run", "--json")
    done = play("noise", "1", "--json")
    again = play("noise", "round_001")

    assert [turn["seed"] for turn in json.loads(dry.stdout)["to_play"]] == [1338, 1339, 1340]
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    scores = [record_of("round_001", number)["val_bpb"] for number in range(1, 6)]
    floor = data["floor"]
    assert (floor["n"], floor["seeds"]) == (5, [1337, 5, 1338, 1339, 1340])
    assert floor["mean"] == pytest.approx(statistics.mean(scores))
    assert floor["std"] == pytest.approx(statistics.stdev(scores))
    low, high = (round(edge / floor["std"], 3) for edge in floor["std_interval"])
    assert (low, high) == (0.599, 2.874)  # chi-square with 4 degrees of freedom, 95 %
    assert floor["smallest_difference"]["1 against 1"] > floor["smallest_difference"]["3 against 3"] > 0
    assert floor["course"]["std_bpb"] == 0.00079
    assert floor["to_course"].startswith("below the interval")
    assert len({record_of("round_001", number)["config_hash"] for number in range(1, 6)}) == 1
    assert again.returncode == 0, again.stderr
    assert "5 of 5 seeds finished on this machine" in again.stdout
    assert attempts_of(tmp_path) == 5


def test_seeds_of_another_machine_are_no_floor_of_this_one(play, runs):
    play("run", "round_001", *SMALL, "--seeds", "1,2")
    path = runs / "round_001" / "attempt_02" / "record.json"
    record = json.loads(path.read_text())
    record["environment"]["device_name"] = "Another Processor"
    path.write_text(json.dumps(record))

    done = play("noise", "1", "--seeds", "2", "--json")

    data = json.loads(done.stdout)
    assert data["floor"]["seeds"] == [1, 1337]
    assert [one["seed"] for one in data["played"]] == [1337]


def test_a_failed_seed_of_the_floor_is_missing_and_replaced_by_the_next_call(play, tmp_path):
    play("run", "round_001", *SMALL)

    failed = play("noise", "1", "--seeds", "4", fate="nan@1339")
    mended = play("noise", "1", "--seeds", "4", "--json")

    assert failed.returncode == 10
    assert "3 of 4 seeds finished on this machine" in failed.stdout
    assert json.loads(mended.stdout)["floor"]["seeds"] == [1337, 1338, 1340, 1341]


def test_noise_of_a_configuration_that_was_never_played_comes_from_round_toml(play, runs):
    (runs / "round_001").mkdir()
    settings = 'course = "fineweb"\npreset = "tiny"\n[overrides]\n'
    pairs = (word.split("=") for word in SMALL if "=" in word)
    settings += "".join(f'{name} = "{value}"\n' for name, value in pairs)
    (runs / "round_001" / "round.toml").write_text(settings)

    done = play("noise", "1", "--seeds", "2", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["floor"]["seeds"] == [1337, 1338]


@pytest.mark.parametrize("command", ["noise", "confirm"])
def test_money_that_is_not_enough_ends_it_before_the_first_seed(command, play, tmp_path):
    play("run", "round_001", *SMALL, "-o", "MAX_WALLCLOCK_SECONDS=100")

    done = play(command, "1", "--seeds", "3", "--rate", "36", "--max-cost", "1")

    assert done.returncode == 14
    assert "x 100 s of training cost" in done.stderr
    assert attempts_of(tmp_path) == 1


def test_confirm_plays_seeds_that_the_hole_has_not_seen_and_judges_by_them_alone(play, record_of, tmp_path):
    play("run", "round_001", *WIDE)
    play("run", "round_002", *SMALL, "--seeds", "1337,1339")

    dry = play("confirm", "2", "--dry-run")
    done = play("confirm", "2", "--json")
    again = play("confirm", "2")

    assert "fresh seeds to play: 1338, 1340, 1341" in dry.stdout
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    fresh = [record_of("round_002", number) for number in (3, 4, 5)]
    assert {record["purpose"] for record in fresh} == {"confirm"}
    assert "purpose" not in record_of("round_002", 1)
    assert data["fresh"]["seeds"] == [1338, 1340, 1341]
    assert data["fresh"]["val_bpb"] == pytest.approx(statistics.mean(record["val_bpb"] for record in fresh))
    assert data["claim"]["seeds"] == [1337, 1339]
    assert data["to_reference"]["reference"]["hole"] == "round_001"
    assert again.returncode == 0, again.stderr
    assert "3 of 3 fresh seeds finished" in again.stdout
    assert data["outcome"] in again.stdout
    assert attempts_of(tmp_path, "round_002") == 5


def test_an_interrupted_confirmation_tells_nothing_yet(start, play, tmp_path):
    play("run", "round_001", *SMALL)
    process = start("confirm", "1", "--json", fate="wait@1339")
    log = tmp_path / "runs" / "round_001" / "attempt_03" / "train.log"
    wait_for(lambda: log.exists() and "step:3/5" in log.read_text())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()

    data = json.loads(out)
    assert (process.returncode, data["outcome"], data["to_reference"]) == (130, None, None)
    assert data["outcome_why"] == "1 of 3 planned seeds finished: no verdict yet"
    rest = json.loads(play("confirm", "1", "--json").stdout)
    assert rest["fresh"]["seeds"] == [1338, 1340, 1341]
    assert rest["outcome"] is not None


def test_a_hole_without_a_score_claims_nothing(play, put_record):
    put_record("round_001", status="failed", failure={"kind": "nan", "message": "nan"}, seed=1)

    done = play("confirm", "1")

    assert done.returncode == 2
    assert "round_001 has no score that could be confirmed" in done.stderr
    assert "harness run round_001" in done.stderr


def test_more_seeds_than_asked_for_are_not_so_many_of_fewer(play):
    play("run", "round_001", *SMALL, "--seeds", "1,2,3")

    done = play("noise", "1", "--seeds", "2")

    assert done.stdout.endswith("  3 seeds finished on this machine, 2 were asked for\n")


def test_a_hole_that_was_not_chosen_has_no_shrinkage_to_expect(play):
    play("run", "round_001", *SMALL, "--seed", "1")

    data = json.loads(play("confirm", "1", "--dry-run", "--json").stdout)

    assert str(data["claim"]["expected_shrinkage_bpb"]) == "0.0"
