"""What logging a point costs, beside writing the same line to a file and flushing it, alternating in one run.

    python -m benchmarks.events [points]

The aim is at most 1.5 times a flushed JSONL line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from trainer.events import CurveLog

ROUNDS = 9


def points(count: int) -> list[dict[str, float]]:
    return [{"step": n, "train_loss": 2.0 + 1 / (n + 1), "train_time_ms": 231.17 * n} for n in range(count)]


def plain(path: Path, count: int) -> float:
    made = points(count)
    began = time.perf_counter()
    with path.open("a", encoding="utf-8") as file:
        for point in made:
            file.write(json.dumps(point) + "\n")
            file.flush()
    return time.perf_counter() - began


def ours(path: Path, count: int) -> float:
    made = points(count)
    began = time.perf_counter()
    curve = CurveLog(path)
    for point in made:
        curve.log(point)
    curve.close()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("points", nargs="?", type=int, default=20_000)
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder:
        times: dict[str, list[float]] = {"flushed line": [], "logged point": []}
        for number in range(ROUNDS):
            times["flushed line"].append(plain(Path(folder) / f"plain{number}", count))
            times["logged point"].append(ours(Path(folder) / f"ours{number}", count))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:14} {median / count * 1e6:6.2f} us")
    print(f"{'ratio':14} {medians['logged point'] / medians['flushed line']:6.2f}")


if __name__ == "__main__":
    main()
