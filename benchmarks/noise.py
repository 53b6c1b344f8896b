"""What a trainer that prints without end costs the harness: memory, and how late it is stopped.

    python -m benchmarks.noise [--size 1GB] [--shape NAME] [--seconds 5]

Plays scripts that print so much and then a score, one a shape, as fast as the system takes it, and prints of
each the peak memory of the harness's own process, the seconds from the script's end to that of the harness,
and whether the log is whole and the score was found. Then plays scripts that print for ever, once with
--timeout and once until Ctrl-C, and prints how much later the harness had ended, and what they had printed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.logs import ROOT, read_size

STEP = "step:1/20 train_loss:5.0000 train_time:1ms step_avg:1.00ms"
SCORE = "final_int8_zlib_roundtrip_exact val_loss:2.07270000 val_bpb:1.22760000"
SHAPES = {
    "lines": b"UserWarning: this loop prints for ever\n" * 1000,
    "steps": b"".join(b"epoch %d batch %d loss %d.%d\n" % (n, n * 7, n % 5, n * n) for n in range(1000)),
    "empty": b"\n" * 40_000,
    "endless": b"no newline " * 4000,
    "bars": b"".join(b"\r%3d%%|###   | %d/1000 [00:01<00:02, 9.1it/s]" % (n // 10, n) for n in range(1000)),
    "not_text": b"\xff\xfe\x00\x9b \r\n" * 5000,
    "python": b"import os\nif x:\n  '''\n" * 2000,
}
AIM = 100_000_000  # bytes of memory
SCRIPT = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
print({step!r}, flush=True)
block, size, n = {block!r}, {size!r}, 0
while not size or n < size:
    n += os.write(1, block)
print()
print({score!r}, flush=True)
open("ended", "w").write(repr(time.time()))
"""
# The peak is asked of the process itself: what its children and its parent took is not in it.
HARNESS = """
import sys
from harness.cli import main
try:
    main()
finally:
    print(open("/proc/self/status").read())
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1GB", help="that each script prints, e.g. 50MB")
    parser.add_argument("--shape", choices=SHAPES, help="only this one")
    parser.add_argument("--seconds", type=float, default=5.0, help="--timeout of a script that never ends")
    args = parser.parse_args()
    shapes = [args.shape] if args.shape else list(SHAPES)

    misses = 0
    print("shape      peak MB  later s  log    score   --timeout: later s  Ctrl-C: later s  printed MB")
    for shape in shapes:
        with tempfile.TemporaryDirectory() as folder:
            whole, missed = play_whole(Path(folder), shape, read_size(args.size))
            endless = play_endless(Path(folder), shape, args.seconds)
        print(f"{shape:10s} {whole}   {endless}", flush=True)
        misses += missed
    print(f"{misses} misses")
    return 1 if misses else 0


def start(folder: Path, shape: str, size: int, *words: str) -> subprocess.Popen[str]:
    """Start a run of a script that prints `size` bytes; for ever, if it is 0."""
    script = folder / "train.py"
    script.write_text(SCRIPT.format(step=STEP, score=SCORE, block=SHAPES[shape], size=size))
    command = ("run", "1", "--script", str(script), "--course", "fineweb", "--repeat", "--reopen", *words)
    return subprocess.Popen(
        (sys.executable, "-c", HARNESS, *command),
        cwd=folder,
        env=os.environ | {"HARNESS_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def play_whole(folder: Path, shape: str, size: int) -> tuple[str, int]:
    """Return a line of figures, and how many of them miss."""
    out, _ = start(folder, shape, size).communicate()
    ended = time.time()
    attempt = folder / "runs" / "round_001" / "attempt_01"
    record = json.loads((attempt / "record.json").read_text())
    peak = int(out.rpartition("VmHWM:")[2].split()[0]) * 1024
    later = ended - float((attempt / "work" / "ended").read_text())
    whole = (attempt / "train.log").stat().st_size > size
    found = record.get("val_bpb") == 1.2276
    (attempt / "train.log").unlink()
    line = f"{peak / 1e6:7.0f} {later:8.1f}  {'whole' if whole else 'CUT  '}  {'found' if found else 'LOST '}"
    return line, (not whole) + (not found) + (peak > AIM)


def play_endless(folder: Path, shape: str, seconds: float) -> str:
    """Return a line of figures."""
    attempts = folder / "runs" / "round_001"
    process = start(folder, shape, 0, "--timeout", str(seconds))
    log = attempts / "attempt_02" / "train.log"
    wait_for_noise(process, log, 1)
    began = time.time()
    process.communicate()
    by_timeout = time.time() - began - seconds
    size = log.stat().st_size
    log.unlink()
    process = start(folder, shape, 0)
    wait_for_noise(process, attempts / "attempt_03" / "train.log", size // 4)
    process.send_signal(signal.SIGINT)
    began = time.time()
    process.communicate()
    return f"{by_timeout:18.1f} {time.time() - began:16.1f} {size / 1e6:11.0f}"


def wait_for_noise(process: subprocess.Popen[str], log: Path, size: int) -> None:
    while process.poll() is None and not (log.exists() and log.stat().st_size >= size):
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
