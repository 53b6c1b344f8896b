"""What ends a run: where it lies, what it cost, what to type next. No torch: a fake trainer."""

import json
import shlex
from pathlib import Path

import pytest

from tests.fake.command_line import SMALL

HOUR = "3600"  # a second costs one


def closing(stdout: str, word: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in stdout.splitlines() if line.strip().startswith(f"{word} ")]


def test_money_is_kept_in_the_record_and_adds_up_everywhere(play, record_of, tmp_path):
    first = play("run", "round_001", *SMALL, "--rate", HOUR)
    second = play("run", "round_001", *SMALL, "--seed", "7", "--rate", HOUR, "--json")

    records = [record_of(attempt=1), record_of(attempt=2)]
    assert [record["rate_per_hour"] for record in records] == [3600, 3600]
    spent = [record["wall_seconds"] for record in records]
    assert f"{spent[0]:,.2f} at 3600 an hour" in first.stdout
    assert json.loads(second.stdout)["cost"] == pytest.approx(spent[1])
    row = json.loads(play("ls", "--json").stdout)["holes"][0]
    assert row["cost"] == pytest.approx(sum(spent))
    assert json.loads(play("brief", "--json").stdout)["budget"]["cost"] == pytest.approx(sum(spent))
    assert f"{sum(spent):,.2f} spent" in play("brief").stdout
    assert f"{sum(spent):,.2f}" in play("ls").stdout
    assert f"{sum(spent):,.2f} for 2 attempts" in play("show", "1").stdout
    assert play("publish", "--out", "_site", "--no-pictures").returncode == 0
    page = (tmp_path / "_site" / "holes" / "round_001.html").read_text()
    assert f"{sum(spent):,.2f}" in page
    assert f"{sum(spent):,.2f}" in (tmp_path / "_site" / "index.html").read_text()


def test_nothing_is_said_of_money_without_a_rate(play):
    assert " an hour" not in play("run", "round_001", *SMALL).stdout
    assert "cost" not in play("ls").stdout
    assert json.loads(play("ls", "--json").stdout)["holes"][0]["cost"] is None


@pytest.mark.parametrize("fate", ["", "nan", "big"])
def test_the_end_names_the_folder_and_two_commands_that_work(play, tmp_path, monkeypatch, fate):
    monkeypatch.setenv("FAKE_TRAINER", fate)
    done = play("run", "round_001", *SMALL)

    (where,) = closing(done.stdout, "written")
    assert Path(tmp_path, where, "record.json").is_file()
    commands = closing(done.stdout, "next")
    assert len(commands) == 2
    for command in commands:
        program, *words = shlex.split(command)
        again = play(*words)
        assert program == "harness"
        assert again.returncode != 2, again.stderr
