"""What every command keeps to, whatever was typed."""

import json

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
