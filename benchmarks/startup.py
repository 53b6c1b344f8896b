"""How long `harness --help` takes, beside importing typer and pydantic alone, alternating in one run.

    python -m benchmarks.startup [repeats]

The aim is a ratio of at most 2.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "import typer, pydantic": [sys.executable, "-c", "import typer, pydantic; pydantic.BaseModel"],
    "harness --help": [sys.executable, "-m", "harness", "--help"],
}


def measure(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repeats", nargs="?", type=int, default=15)
    repeats = parser.parse_args().repeats
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats + 1):
        for name, argv in COMMANDS.items():
            times[name].append(measure(argv))
    medians = {
        name: statistics.median(values[1:]) for name, values in times.items()
    }  # the first one warms the disk
    for name, median in medians.items():
        print(f"{name:24} {median * 1000:7.1f} ms")
    floor, ours = medians.values()
    print(f"{'ratio':24} {ours / floor:7.2f}")


if __name__ == "__main__":
    main()
