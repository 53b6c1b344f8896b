"""A trainer that prints without end: it is stopped in time, its log stays whole, memory stays small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run import capture
from harness.run.capture import RunCallbacks, StopReason, run_captured
from harness.run.command import Command
from harness.run.limits import LimitWatcher
from harness.run.request import RunLimits, parse_abort
from tests.paths import ROOT
from tests.waiting import wait_for

STEP = "step:1/20 train_loss:5.0000 train_time:1ms step_avg:1.00ms"
SCORE = "final_int8_zlib_roundtrip_exact val_loss:2.07270000 val_bpb:1.22760000"
MORE_MEMORY = 100_000_000  # bytes that noise may cost
NOISES = {
    "lines": b"UserWarning: this loop prints for ever\n" * 1000,
    "empty": b"\n" * 40_000,
    "endless": b"no newline " * 4000,
    "bars": b"\r 42%|####      | 421/1000 [00:42<00:58,  9.99it/s]" * 1000,
    "source_code": b"import os\nif x:\n  '''\n" * 2000,
    "not_text": b"\xff\xfe\x00\x9b \r\n" * 5000,
}


def noisy(tmp_path: Path, noise: str, until: str = "True") -> Command:
    """A child that prints until it is killed, or while `until` holds; nothing else ends it."""
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"block, n = {NOISES[noise]!r}, 0\n"
        f"while {until}: n += os.write(1, block)\n"
    )
    return Command((sys.executable, "-c", script), dict(os.environ), tmp_path)


@pytest.mark.parametrize("noise", NOISES)
def test_a_child_that_never_stops_printing_is_asked_and_killed(tmp_path, noise, monkeypatch):
    """The callback is slower than the child: what is unread grows, and must hold up nothing."""
    monkeypatch.setattr(capture, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(capture, "_REST_SECONDS", 0.0)
    log, pieces = tmp_path / "train.log", []

    def slow(lines: list[str]) -> None:
        pieces.append(len(lines))
        target = (len(pieces) + 40) * len(NOISES[noise])
        target = min(target, 100 * len(NOISES[noise]))
        wait_for(lambda: log.stat().st_size >= target, "more noise")

    stop = StopReason("timeout", "too long")
    end = run_captured(
        noisy(tmp_path, noise), log, RunCallbacks(slow, stop_reason=lambda: stop if pieces else None)
    )

    assert end.timed_out
    assert end.exit_code == -9
    assert log.stat().st_size > sum(pieces)
    with log.open("rb") as file:
        assert file.read(len(NOISES[noise])) == NOISES[noise]


def test_a_limit_is_seen_behind_noise(tmp_path):
    watcher = LimitWatcher(RunLimits(aborts=(parse_abort("train_loss@1>4.5"),)))
    script = (
        f"import sys, time\nsys.stdout.write('noise\\n' * 500_000 + {STEP!r} + '\\n')\n"
        "sys.stdout.flush(); time.sleep(600)"
    )
    command = Command((sys.executable, "-c", script), dict(os.environ), tmp_path)

    end = run_captured(
        command, tmp_path / "train.log", RunCallbacks(watcher.lines, stop_reason=watcher.stop_reason)
    )

    assert end.stop is not None
    assert end.stop.kind == "aborted"


@pytest.mark.parametrize("noise", NOISES)
def test_a_score_behind_noise_is_found_in_little_memory(tmp_path, noise):
    mega_bytes = 25
    script = tmp_path / "train.py"
    script.write_text(
        f"import os\nprint({STEP!r}, flush=True)\nn = 0\nblock = {NOISES[noise]!r}\n"
        f"while n < {mega_bytes}_000_000: n += os.write(1, block)\nprint()\nprint({SCORE!r})\n"
    )
    words = ("run", "1", "--script", str(script), "--course", "fineweb", "--runs", str(tmp_path / "runs"))
    wrapped = (
        "import sys; from harness.cli import main\n"
        f"sys.argv = ['harness', *{words!r}]\n"
        "try: main()\nfinally: print(open('/proc/self/status').read())"
    )
    env = os.environ | {"HARNESS_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        (sys.executable, "-c", wrapped), cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )

    record = json.loads((tmp_path / "runs" / "round_001" / "attempt_01" / "record.json").read_text())
    assert record["val_bpb"] == 1.2276
    # VmHWM is of this program alone; ru_maxrss would begin with what the tests' process had before exec.
    peak = int(done.stdout.rpartition("VmHWM:")[2].split()[0]) * 1024
    assert peak < 80_000_000 + MORE_MEMORY
