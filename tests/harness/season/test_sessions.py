"""Sessions: which process plays a hole; a file of others never names one."""

import fcntl
import json
import os
import subprocess
import sys

import pytest

from harness.records.store import Store
from harness.season.sessions import find_sessions, identify_process, running_sessions, session


@pytest.fixture
def hole(put_record, runs):
    put_record("round_001_base", val_bpb=1.3)
    return Store(runs).get("1")


def test_a_session_runs_while_its_process_has_it(hole):
    with session(hole, [1]) as end:
        assert [one.session.pid for one in running_sessions(hole)] == [os.getpid()]
        end.exit_code = 0

    assert running_sessions(hole) == []
    assert [one.session.exit_code for one in find_sessions(hole)] == [0]


@pytest.mark.parametrize("pid", ["other", "1", "99999999999"])
def test_a_process_that_plays_nothing_is_never_that_of_a_session(hole, pid):
    """`harness stop` sends a signal to it: neither a copied file nor a number used again may name it."""
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as other:
        number = other.pid if pid == "other" else int(pid)
        one = {"schema": 1, "pid": number, "started_at": "2026-01-01T00:00:00Z", "process": "boot 1"}
        (hole.path / ".session.5.json").write_text(json.dumps(one))
        with (hole.path / ".session.5.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

            assert running_sessions(hole) == []

        other.communicate(b"\n")


def test_a_process_that_is_gone_has_no_identity():
    child = subprocess.Popen((sys.executable, "-c", ""))
    child.wait()

    assert identify_process(child.pid) == ""
    assert identify_process(os.getpid()) == identify_process(os.getpid()) != ""
