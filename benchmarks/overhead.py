"""What `harness run` costs a run that prints 10,000 lines a minute: wall time, processor time, memory.

    python -m benchmarks.overhead [seconds] [repeats]

The same script runs alone and under the harness, in turn. Its steps take their time, so that both print at
the same pace; what the harness adds is the longer wall time of the steps, and, once, its start and its
record. Memory is what the harness and its watchdog hold at most (resident), the data check
included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness.run import processes

LINES_A_MINUTE = 10_000
DATA = Path(__file__).parents[1] / "tests" / "data" / "parity"
SCRIPT = f'''
import os, sys, time
steps = int(os.environ.get("ITERATIONS", 100))
data = os.environ.get("DATA_PATH", "{DATA}")
tokenizer = os.environ.get("TOKENIZER_PATH", "{DATA / "stdlib_1024_bpe.model"}")
pace = 60 / {LINES_A_MINUTE}
began = time.perf_counter()
for step in range(1, steps + 1):
    ms = (time.perf_counter() - began) * 1000
    loss, mean = 2 + 5 / step, ms / step
    print(f"step:{{step}}/{{steps}} train_loss:{{loss:.4f}} train_time:{{ms:.0f}}ms step_avg:{{mean:.2f}}ms")
    x = 0
    until = began + step * pace - 0.002
    while time.perf_counter() < until: time.sleep(0.0005)
    for i in range(20_000): x += i
wall = time.perf_counter() - began
print(f"Serialized model int8+zlib: 5000 bytes")
print(f"final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570")
print(f"took {{wall:.4f}} cpu {{time.process_time():.4f}}", flush=True)
'''


def took(text: str) -> tuple[float, float]:
    """Return the wall and processor seconds that the script says it took."""
    found = re.search(r"took ([\d.]+) cpu ([\d.]+)", text)
    assert found, text[-500:]
    return float(found[1]), float(found[2])


def memory_of(pid: int, word: str) -> int:
    """Return the resident bytes of a process and of its children whose command line holds a word."""
    try:
        children = psutil.Process(pid).children()
        pids = [pid, *(child.pid for child in children if word in " ".join(child.cmdline()))]
    except psutil.Error:  # one of them has just ended
        return 0
    return processes.resident_bytes(pids) or 0


def under_harness(folder: Path, hole: int, steps: int) -> tuple[float, float, float, float, int]:
    """Return wall and processor seconds of the script, wall and processor seconds of the rest, bytes held."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "harness",
            "run",
            str(hole),
            "--script",
            "noisy.py",
            "-o",
            f"ITERATIONS={steps}",
            "--repeat",
        ],
        cwd=folder,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    most = 0
    while process.poll() is None:
        most = max(most, memory_of(process.pid, "watchdog.py"))
        time.sleep(0.1)
    whole = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    attempt = folder / "runs" / f"round_{hole:03d}" / "attempt_01"
    wall, own_cpu = took((attempt / "train.log").read_text())
    assert json.loads((attempt / "record.json").read_text())["steps"] == steps
    return wall, own_cpu, whole - wall, cpu - own_cpu, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=float, default=30.0, help="of the script alone")
    parser.add_argument("repeats", nargs="?", type=int, default=3)
    words = parser.parse_args()
    repeats, steps = words.repeats, int(words.seconds * LINES_A_MINUTE / 60)
    alone, ours = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "noisy.py").write_text(SCRIPT)
        for number in range(1, repeats + 1):
            done = subprocess.run(
                [sys.executable, "noisy.py"],
                cwd=folder,
                env=os.environ | {"ITERATIONS": str(steps)},
                capture_output=True,
                text=True,
                check=True,
            )
            alone.append(took(done.stdout)[0])
            ours.append(under_harness(folder, number, steps))
    wall, rest = statistics.median(row[0] for row in ours), statistics.median(row[2] for row in ours)
    slower = wall / statistics.median(alone) - 1
    print(
        f"{steps:,} lines in {statistics.median(alone):.2f} s alone, "
        f"{wall:.2f} s under the harness: {slower:+.2%}"
    )
    print(f"start, checks and record: {rest:.2f} s once, {rest / 600:.2%} of a run of ten minutes")
    cpu = statistics.median(row[3] for row in ours)
    print(
        f"processor time of the harness: {cpu:.2f} s, "
        f"of which about {max(0.0, cpu - rest):.2f} s while it runs"
    )
    print(f"memory over the child: {max(row[4] for row in ours) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
