"""How a command ends: its exit code, and what it leaves on both streams."""

import json
import signal
import subprocess
import sys

import pytest

# The real command line with one more command, which waits until it is stopped.
WAITING = """
import signal, sys
from harness.cli.app import Json, app, main

@app.command()
def wait(as_json: Json = False) -> None:
    print("waiting", file=sys.stderr, flush=True)
    signal.pause()

main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_with_130_and_one_object(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, "wait", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline() == "waiting\n"

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert json.loads(out)["exit_code"] == 130
