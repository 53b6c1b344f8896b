"""How fast `harness ls --sort val_bpb` answers for 10,000 attempts, next to a plain loop over the JSON files.

    python -m benchmarks.registry [--holes 2500] [--attempts 4] [--rounds 5]

All in fresh processes, in turn, with byte code cached as an installation has it. "no cache" reads every file;
"cache" is the second look. Medians of wall and processor time (of all processes together) and the best wall
time are printed; on a machine that does other things, look at the ratios to the loop.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.season import write_season

ROOT = Path(__file__).resolve().parent.parent

LOOP = """
import json, pathlib, sys
rows = []
for path in pathlib.Path(sys.argv[1]).glob("*/attempt_*/record.json"):
    record = json.loads(path.read_bytes())
    if record.get("val_bpb") is not None:
        rows.append((record["val_bpb"], record["hole"], record["seed"]))
for row in sorted(rows):
    print(*row)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--holes", type=int, default=2500)
    parser.add_argument("--attempts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        write_season(runs, args.holes, args.attempts, points=0)
        time.sleep(3.1)  # files that changed a moment ago are not kept
        records = list(runs.glob("*/attempt_*/record.json"))
        size = sum(path.stat().st_size for path in records) / len(records)
        print(f"{args.holes} holes, {len(records)} records of {size:,.0f} bytes on average")
        measure(runs, Path(folder), args.rounds)


def measure(runs: Path, folder: Path, rounds: int) -> None:
    """Run all ways in turn, so that each meets the same machine."""
    ls = [sys.executable, "-m", "harness", "ls", "--runs", str(runs), "--sort", "val_bpb"]
    ways = {
        "loop over JSON": ([sys.executable, "-c", LOOP, str(runs)], folder / "none"),
        "ls, no cache": (ls, Path("/dev/null/none")),
        "ls, cache": (ls, folder / "cache"),
        "ls of nothing": ([*ls[:4], "--runs", str(folder), *ls[6:]], folder / "none"),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (command, cache) in ways.items():
            took = timed(command, folder, cache)
            if number:  # the first one warms the disk, the byte code and the cache
                times[name].append(took)
    floors = [statistics.median(column) for column in zip(*times["loop over JSON"], strict=True)]
    for name, pairs in times.items():
        walls, processor = zip(*pairs, strict=True)
        wall, cpu = statistics.median(walls), statistics.median(processor)
        print(
            f"{name:16} {wall * 1000:6.0f} ms, ratio {wall / floors[0]:5.2f}   best {min(walls) * 1000:5.0f}"
            f"   processor {cpu * 1000:5.0f} ms, ratio {cpu / floors[1]:5.2f}"
        )


def timed(command: list[str], folder: Path, cache: Path) -> tuple[float, float]:
    """Run a command; return its seconds on the wall and on the processors."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = inherited | {
        "HARNESS_CACHE": str(cache),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
    }
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    took, after = time.perf_counter() - began, os.times()
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return took, children


if __name__ == "__main__":
    main()
