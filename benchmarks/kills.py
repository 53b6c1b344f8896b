"""Kill the harness or its child at random moments, a hundred times: what is lost, what is broken, what is
left over.

    python -m benchmarks.kills [times] [seed] [--publish]

Each run plays a script that keeps a journal of its own beside what it prints. After the kill the next
command writes the missing record, and then must hold: the record can be read, every point that the journal
has from more than a second before the kill is in curve.jsonl, and no process of the run is left.

--publish kills `harness publish` instead: the folder must then hold the old site or the new one, whole, and
nothing lies beside it after the next publish.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from harness.errors import HarnessError
from harness.records.record import load_record
from harness.run import processes

LONGEST = 2.5  # seconds between the beginning of the run and the kill
SCRIPT = """
import os, time
steps = int(os.environ.get("ITERATIONS", 100))
began = time.perf_counter()
with open("journal.txt", "w", buffering=1) as journal:
    for step in range(1, steps + 1):
        ms = (time.perf_counter() - began) * 1000
        loss, average = 2 + 5 / step, ms / step
        print(f"step:{step}/{steps} train_loss:{loss:.4f} train_time:{ms:.0f}ms step_avg:{average:.2f}ms")
        print(step, time.time(), file=journal)
        time.sleep(0.02)
print("Serialized model int8+zlib: 5000 bytes")
print("final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570")
"""


def wait_for(what: Callable[[], object], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.05)
    return False


def play_once(folder: Path, hole: int, rng: random.Random) -> list[str]:
    """Play, kill, recover; return what went wrong."""
    words = (sys.executable, "-m", "harness", "run", f"round_{hole:03d}")
    quiet = {
        "cwd": folder,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": dict(os.environ),
    }
    process = subprocess.Popen([*words, "--script", "short.py", "--repeat"], **quiet)  # type: ignore[call-overload]
    attempt = (folder / "runs" / f"round_{hole:03d}" / "attempt_01").resolve()
    if rng.random() < 0.9:  # the others fall into its start
        wait_for((attempt / "train.log").exists, 120)
    time.sleep(rng.uniform(0, LONGEST))
    killed_at = time.time()
    victim = rng.choice(("harness", "child"))
    pids = [process.pid] if victim == "harness" else processes.members(str(attempt))[:1]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    if not attempt.is_dir():
        return ["early"]  # killed before anything was started
    problems = []
    if not wait_for(lambda: not processes.members(str(attempt)), 60):
        problems.append("orphan")
    record = attempt / "record.json"
    if not record.exists() and (attempt / "launch.json").exists():
        subprocess.run([*words[:3], "resume", words[4]], **quiet, check=False)  # type: ignore[call-overload]
        if not record.exists():
            problems.append("no record")
    if record.exists():
        try:
            load_record(record)
        except HarnessError:
            problems.append("unreadable record")
        problems += ["lost point"] * len(_due(attempt, killed_at) - _kept(attempt))
    return problems or [victim]


def publish_once(folder: Path, state: int, rng: random.Random) -> list[str]:
    """Publish a changed season, kill that, publish again; return what went wrong."""
    words = (sys.executable, "-m", "harness", "publish", "--no-pictures", "--out", "site")
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    old = _site(folder)
    notes = folder / "runs" / "round_001_baseline" / "notes.md"
    notes.write_text(f"## The Shot\n\nstate {state}\n")
    process = subprocess.Popen(words, **quiet)  # type: ignore[call-overload]
    time.sleep(rng.uniform(0, LONGEST))
    process.kill()
    process.wait()
    found = _site(folder)
    subprocess.run(words, **quiet, check=True)  # type: ignore[call-overload]
    problems = [] if found in (old, _site(folder)) else ["no whole site"]
    left = {path.name for path in folder.iterdir()} - {"runs", "site", "short.py"}
    return problems + ["leftover"] * len(left) or ["old site" if found == old else "new site"]


def _site(folder: Path) -> dict[str, bytes]:
    site = folder / "site"
    return {str(path): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}


def kill_publishes(folder: Path, times: int, rng: random.Random) -> Counter[str]:
    season = Path(__file__).resolve().parent.parent / "tests" / "data" / "season"
    for name in ("round_001_baseline", "round_006_fp16embed"):
        shutil.copytree(season / name, folder / "runs" / name)
    seen: Counter[str] = Counter()
    for state in range(times):
        seen.update(publish_once(folder, state, rng))
    return seen


def _due(attempt: Path, killed_at: float) -> set[int]:
    journal = attempt / "work" / "journal.txt"
    rows = [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []
    return {int(row[0]) for row in rows if len(row) == 2 and float(row[1]) < killed_at - 1.0}


def _kept(attempt: Path) -> set[int]:
    curve = attempt / "curve.jsonl"
    lines = curve.read_text().splitlines() if curve.exists() else []
    return {json.loads(line)["step"] for line in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("times", nargs="?", type=int, default=100)
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--publish", action="store_true")
    words = parser.parse_args()
    times, rng = words.times, random.Random(words.seed)
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if words.publish:
            seen = kill_publishes(folder, times, rng)
            old, new = seen["old site"], seen["new site"]
            print(f"{times} kills of publish: {old} left the old site, {new} the new one")
            print(f"{'no whole site':20} {seen['no whole site']}\n{'leftover':20} {seen['leftover']}")
            sys.exit(1 if seen["no whole site"] or seen["leftover"] else 0)
        (folder / "short.py").write_text(SCRIPT)
        for hole in range(1, times + 1):
            seen.update(play_once(folder, hole, rng))
    print(
        f"{times} kills: {seen.pop('harness', 0)} of the harness and {seen.pop('child', 0)} of the child "
        "survived, "
        f"{seen.pop('early', 0)} before anything had started"
    )
    for what in ("lost point", "no record", "unreadable record", "orphan"):
        print(f"{what:20} {seen[what]}")
    sys.exit(1 if any(seen.values()) else 0)


if __name__ == "__main__":
    main()
