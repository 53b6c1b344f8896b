"""Real processes, real signals: nothing printed is lost, nothing is left running."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.run import processes
from harness.run.capture import MAX_LINE_BYTES, RunCallbacks, StopReason, run_captured
from harness.run.command import Command
from tests.waiting import wait_for


def python(tmp_path, script):
    return Command((sys.executable, "-u", "-c", textwrap.dedent(script)), dict(os.environ), tmp_path)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").read_text().split(")")[1].startswith(" Z")


def test_output_and_errors_reach_log_and_listener_in_order(tmp_path):
    lines = []
    script = """
        import sys
        for i in range(3):
            print("out", i); sys.stderr.write(f"err {i}\\n")
        sys.stdout.write("no newline at the end")
    """

    outcome = run_captured(python(tmp_path, script), tmp_path / "train.log", RunCallbacks(lines.extend))

    expected = ["out 0", "err 0", "out 1", "err 1", "out 2", "err 2", "no newline at the end"]
    assert lines == expected
    assert (tmp_path / "train.log").read_text() == "\n".join(expected)
    assert outcome.exit_code == 0


def test_log_is_kept_untouched_where_the_listener_gets_clean_lines(tmp_path):
    lines = []
    script = f"import os; os.write(1, b'a\\r\\n\\xff\\xfe\\n' + b'x' * {MAX_LINE_BYTES * 3} + b'\\nend\\n')"

    run_captured(python(tmp_path, script), tmp_path / "train.log", RunCallbacks(lines.extend))

    assert (tmp_path / "train.log").stat().st_size == 3 + 3 + MAX_LINE_BYTES * 3 + 1 + 4
    assert lines[0] == "a"
    assert len(lines[2]) == MAX_LINE_BYTES
    assert lines[3] == "end"


def test_a_later_attempt_appends_and_hears_only_its_own_lines(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("earlier\n")
    lines = []

    run_captured(python(tmp_path, "print('later')"), log, RunCallbacks(lines.extend))

    assert lines == ["later"]
    assert log.read_text() == "earlier\nlater\n"


def test_timeout_asks_first_and_says_so(tmp_path):
    script = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("saving"), sys.exit(3)))
        print("up"); time.sleep(600)
    """
    lines = []
    stop = StopReason("timeout", "too long")

    outcome = run_captured(
        python(tmp_path, script),
        tmp_path / "train.log",
        RunCallbacks(lines.extend, stop_reason=lambda: stop if lines else None),
    )

    assert outcome.timed_out
    assert lines == ["up", "saving"]
    assert outcome.exit_code == 3  # it ended itself: it was not killed


def test_grandchildren_do_not_outlive_the_run(tmp_path):
    script = """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(child.pid)
    """
    lines = []

    run_captured(python(tmp_path, script), tmp_path / "train.log", RunCallbacks(lines.extend))

    wait_for(lambda: not alive(int(lines[0])), "the end of the grandchild")


def start_harness(tmp_path, trainer, patience=30.0):
    """Start a harness that runs a trainer given as code; return it and the trainer's first line."""
    harness = (
        "import os, sys; from pathlib import Path\n"
        "from harness.run import capture\n"
        "from harness.run.command import Command\n"
        f"capture.GRACE_SECONDS = {patience}\n"
        f"capture.run_captured(Command((sys.executable, '-c', {trainer!r}), dict(os.environ), Path('.')),"
        " Path('train.log'), capture.RunCallbacks(lambda lines: print(*lines, sep=chr(10))))"
    )
    parent = subprocess.Popen([sys.executable, "-c", harness], cwd=tmp_path, stdout=subprocess.PIPE)
    return parent, int(parent.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_child_is_asked_to_stop_when_the_harness_is_killed(tmp_path):
    trainer = (
        "import signal, sys, time, os\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(3)))\n"
        "print(os.getpid(), flush=True)\ntime.sleep(600)"
    )
    parent, pid = start_harness(tmp_path, trainer)

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    wait_for(lambda: not alive(pid), "the end of the child")
    assert (tmp_path / "train.log").read_text().endswith("saved\n")


def test_watchdog_kills_what_does_not_stop_when_the_harness_is_killed(tmp_path):
    """The worker is in a session of its own and the child ignores the signal: only the mark leads to them."""
    trainer = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "worker = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "print(subprocess.Popen(worker, start_new_session=True).pid, flush=True)\ntime.sleep(600)"
    )
    parent, pid = start_harness(tmp_path, trainer, patience=0.3)

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    wait_for(lambda: not alive(pid), "the end of the worker")


def test_command_that_cannot_start_is_named(tmp_path):
    with pytest.raises(HarnessError, match="no-such-program"):
        run_captured(Command(("no-such-program",), {}, tmp_path), tmp_path / "train.log", RunCallbacks())


def test_worker_in_a_session_of_its_own_does_not_outlive_the_run(tmp_path):
    """torchrun starts its workers so: a signal to the group does not reach them."""
    script = """
        import subprocess, sys
        code = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        print(child.pid)
    """
    command = python(tmp_path, script)
    command.env[processes.MARK] = str(tmp_path)
    lines = []

    run_captured(command, tmp_path / "train.log", RunCallbacks(lines.extend))

    assert not alive(int(lines[0]))
    assert processes.members(str(tmp_path)) == []


def test_screen_that_is_gone_does_not_end_the_run(tmp_path):
    def broken(*_):
        raise OSError(5, "Input/output error")

    outcome = run_captured(
        python(tmp_path, "print('a'); print('b')"), tmp_path / "train.log", RunCallbacks(broken, broken)
    )

    assert outcome.exit_code == 0
    assert (tmp_path / "train.log").read_text() == "a\nb\n"
