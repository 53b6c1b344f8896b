"""Log lines as the field prints them; a curve that loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from trainer import events


def test_lines_are_the_fields():
    assert events.train_line(20, 700, 5.12345, 1234.5) == (
        "step:20/700 train_loss:5.1235 train_time:1234ms step_avg:61.73ms"
    )
    assert events.val_line(0, 700, 6.9, 4.1, 0.2) == (
        "step:0/700 val_loss:6.9000 val_bpb:4.1000 train_time:0ms step_avg:0.20ms"
    )
    assert events.result_lines("final_int8_zlib_roundtrip", 1.23456789, 2.0, 0.5) == [
        "final_int8_zlib_roundtrip val_loss:1.2346 val_bpb:2.0000 eval_time:500ms",
        "final_int8_zlib_roundtrip_exact val_loss:1.23456789 val_bpb:2.00000000",
    ]


def test_a_curve_keeps_full_precision(tmp_path):
    curve = events.CurveLog(tmp_path / "curve.jsonl")
    point = {"step": 1, "train_loss": 0.1 + 0.2, "train_time_ms": 1 / 3}
    curve.log(point)

    assert json.loads((tmp_path / "curve.jsonl").read_text()) == point


def test_a_cut_curve_keeps_its_first_points(tmp_path):
    path = tmp_path / "curve.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3')
    events.cut_curve(path, 2)

    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_nothing_logged_is_lost_by_kill_9(tmp_path):
    """The process says on stdout what it has logged; whatever it said must be in the file."""
    script = (
        "from pathlib import Path; from trainer import events\n"
        "curve = events.CurveLog(Path('curve.jsonl'))\n"
        "for step in range(10**9):\n    curve.log({'step': step}); events.say(str(step))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read().splitlines()
    process.wait()

    steps = [json.loads(line)["step"] for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    whole = said[:-1] if len(said) > 1 else said  # the last word may be torn
    assert steps == list(range(len(steps)))
    assert len(steps) > int(whole[-1])


@pytest.mark.slow
def test_a_point_costs_at_most_one_and_a_half_flushed_lines(tmp_path):
    point = {"step": 12345, "train_loss": 2.345678901234, "train_time_ms": 98765.4321}

    def plain(count: int) -> float:
        with (tmp_path / "plain.jsonl").open("w") as file:
            began = time.perf_counter()
            for _ in range(count):
                file.write(json.dumps(point) + "\n")
                file.flush()
            return time.perf_counter() - began

    def ours(count: int) -> float:
        curve = events.CurveLog(tmp_path / "curve.jsonl")
        began = time.perf_counter()
        for _ in range(count):
            curve.log(point)
        took = time.perf_counter() - began
        curve.close()
        return took

    ratio = min(ours(5000) / plain(5000) for _ in range(5))

    assert ratio <= 1.5
