"""What every command keeps to, whatever was typed."""

import json
import re

import pytest


@pytest.mark.parametrize(
    "words", [["nosuch"], ["compare"], ["ls", "--bogus"], ["decide", "1", "keep"], ["show", "99"]]
)
def test_usage_errors_are_one_json_object_when_a_program_listens(harness, words):
    done = harness(*words, "--json")

    told = json.loads(done.stdout)
    assert (told["command"], told["exit_code"], done.returncode) == ("error", 2, 2)
    assert told["error"] in done.stderr.replace("\n", " ")


@pytest.mark.parametrize("command", [["ls"], ["brief"], ["show", "1"], ["doctor"], ["publish"]])
def test_a_season_that_is_named_and_missing_is_refused(harness, command):
    done = harness(*command, "--runs", "nowhere", "--json")

    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert "nowhere" in done.stderr


DATA_COMMANDS = [["data", "pull"], ["data", "prepare"], ["data", "check"]]


@pytest.mark.parametrize("words", [[], ["data"]])
def test_no_summary_of_a_command_is_cut(harness, words):
    shown = harness(*words, "--help", env={"COLUMNS": "60"}).stdout

    commands = shown.partition("Show this message and exit.")[2]
    assert ("run" in commands) or ("prepare" in commands)
    assert [line for line in commands.splitlines() if "..." in line or "…" in line] == []


def test_help_shows_no_python_types_and_no_raw_ranges(harness):
    for words in [["run"], ["watch"], ["compare"], ["import"], ["preview"], *DATA_COMMANDS]:
        shown = harness(*words, "--help").stdout

        assert "Usage: " in shown
        assert not re.search(r"<\w+|list\[|x[<>]=|\{", shown), words


def test_a_missing_argument_is_an_error_with_a_hint(harness):
    done = harness("run")

    assert done.returncode == 2
    assert done.stderr == "error: missing argument 'HOLE'\nhint: `harness run --help` lists what it takes\n"


def test_a_hole_that_is_not_there_is_not_said_to_be_resumed(harness):
    done = harness("resume", "99")

    assert done.returncode == 2
    assert done.stdout + done.stderr == (
        'error: no hole matches "99" in runs/\nhint: `harness run round_001` plays the first\n'
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("noise", "1", "--seeds", "1"), "--seeds 1 is not at least 2"),
        (("noise", "1", "--seeds=-3"), "--seeds -3 is not at least 2"),
        (("confirm", "1", "--seeds", "x"), "--seeds x is not a whole number"),
        (("run", "1", "--timeout", "0"), "--timeout 0 is not at least 1"),
        (("run", "1", "--max-cost", "abc"), "--max-cost abc is not a valid number"),
    ],
)
def test_a_value_out_of_range_is_named(harness, words, error):
    done = harness(*words)

    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"error: {error}")
    assert f"`harness {words[0]} --help`" in done.stderr
