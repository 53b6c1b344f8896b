"""Kill the harness, its child or both at random moments: what is lost, what is broken, what is left over.

    python -m benchmarks.kills [TIMES] [SEED] [--command run --command publish ...]
    python -m benchmarks.kills --crowd SECONDS

A run plays a script that keeps a journal of its own beside what it prints. After the kill the next command
writes the missing record, and then must hold: the record can be read, every point that the journal has from
more than a second before the kill is in curve.jsonl, and no process of the run is left. A command that writes
a season or a site (and the sweep of what killed ones left) must leave the old state or the new one; the next
command comes to the new one and leaves nothing beside it, and who reads the site meanwhile sees one of both.

--crowd lets ten processes run, import, decide, list and publish on one season at once: no record, decision or
number may be lost or there twice.
"""

from __future__ import annotations

import argparse
import contextlib
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
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import LOG, SCENARIOS, Player, Scenario, leftovers, visible
from harness.errors import HarnessError
from harness.records.intent import load_decisions
from harness.records.leftovers import sweep
from harness.records.record import load_record
from harness.records.store import Store
from harness.run import processes
from harness.season.progress import is_locked

WORKERS = 10
DID = ("run", "new hole", "import", "decide")
FINE = ("harness", "child", "all", "early", "killed", "ended")  # who was killed, or when
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


TINY = f"import os\nos.environ.get('ITERATIONS')\nprint({LOG!r}, end='')\n"


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
    victim = rng.choice(("harness", "child", "all"))
    pids = [process.pid] if victim != "child" else []
    pids += processes.members(str(attempt)) if victim == "all" else []
    pids += processes.members(str(attempt))[:1] if victim == "child" else []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # its parent's end has ended it
            os.kill(pid, signal.SIGKILL)
    process.wait()
    if not attempt.is_dir():
        return ["early"]  # killed before anything was started
    problems = []
    if not wait_for(lambda: not processes.members(str(attempt)), 60):
        problems.append("orphan")
    record = attempt / "record.json"
    if not record.exists():
        subprocess.run([*words[:3], "resume", words[4]], **quiet, check=False)  # type: ignore[call-overload]
        if not record.exists():
            problems.append("no record")
        hidden = [
            path.name for path in attempt.parent.rglob(".*") if not path.name.endswith((".lock", ".json"))
        ]
        problems += [f"leftover {name}" for name in hidden]
    if record.exists():
        try:
            load_record(record)
        except HarnessError:
            problems.append("unreadable record")
        problems += ["lost point"] * len(_due(attempt, killed_at) - _kept(attempt))
    return problems or [victim]


def kill_once(player: Player, name: str, folder: Path, seconds: float, states: States) -> list[str]:
    """Kill a command after some seconds, play the next one; return what went wrong."""
    scenario = SCENARIOS.get(name) or SWEEP
    case = folder / "case"
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(folder / "start", case)
    problems = []
    pid, _ = player.start(case, scenario.words)
    until = time.monotonic() + seconds
    while time.monotonic() < until:  # what a reader of the site sees meanwhile
        if name == "publish" and (case / "site" / "index.html").read_bytes() not in states.index:
            problems.append("half a site")
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    ended = "ended" if os.WIFEXITED(status) else "killed"
    if name == "decide":
        decisions = load_decisions(case / "runs" / "round_001_first" / "decision.json")
        problems += [] if len(decisions.history) <= 1 else ["half a state"]
    elif visible(case) not in (states.old, states.new):
        problems.append("half a state")
    again = player.play(case, scenario.words)
    if again.exit_code or (
        scenario.is_new(case, states.new) if scenario.is_new else visible(case) != states.new
    ):
        problems.append("not done by the next command")
    problems += ["leftover"] * len(leftovers(case))
    return problems or [ended]


@dataclass(frozen=True)
class States:
    """The visible files before a command and after it, and the first page of the site in both."""

    old: dict[str, bytes]
    new: dict[str, bytes]
    seconds: float

    @property
    def index(self) -> list[bytes]:
        return [state["site/index.html"] for state in (self.old, self.new)]


def kill_command(player: Player, name: str, folder: Path, times: int, rng: random.Random) -> Counter[str]:
    """Kill a command many times, at random moments of its whole length."""
    scenario = SCENARIOS.get(name) or SWEEP
    start, whole = folder / "start", folder / "whole"
    start.mkdir(parents=True)
    scenario.prepare(player, start)
    shutil.copytree(start, whole)
    began = time.monotonic()
    played = player.play(whole, scenario.words)
    if played.exit_code:
        raise RuntimeError(played.stderr)
    states = States(visible(start), visible(whole), time.monotonic() - began)
    seen: Counter[str] = Counter()
    for _ in range(times):
        seen.update(kill_once(player, name, folder, rng.uniform(0, 1.1 * states.seconds), states))
    return seen


def _leave_leftovers(player: Player, folder: Path) -> None:
    """Write what killed commands leave: unfinished holes, attempts and files of a process that is gone."""
    SCENARIOS["decide"].prepare(player, folder)
    hole = folder / "runs" / "round_001_first"
    for number in range(20):
        unfinished = folder / "runs" / f".round_{number + 2:03d}_x.999999999.tmp" / "attempt_01"
        unfinished.mkdir(parents=True)
        (unfinished / "record.json").write_text("{")
    (hole / ".attempt_02.999999999.tmp").mkdir()
    (hole / "attempt_01" / ".model.ptz.999999999.tmp").write_text("half")


SWEEP = Scenario(lambda: sweep(Path("runs")), _leave_leftovers, lambda folder, played, old, new: [])
COMMANDS = ("import", "import-folder", "import-record", "decide", "pull", "publish", "sweep")


def _due(attempt: Path, killed_at: float) -> set[int]:
    journal = attempt / "work" / "journal.txt"
    rows = [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []
    return {int(row[0]) for row in rows if len(row) == 2 and float(row[1]) < killed_at - 1.0}


def _kept(attempt: Path) -> set[int]:
    curve = attempt / "curve.jsonl"
    lines = curve.read_text().splitlines() if curve.exists() else []
    return {json.loads(line)["step"] for line in lines}


# Ten processes on one season -----------------------------------------------------------------------


def crowd(player: Player, folder: Path, workers: int, seconds: float) -> Counter[str]:
    """Let processes work on one season at once; return what they did and what is wrong afterwards."""
    (folder / "short.py").write_text(TINY)
    prepare = SCENARIOS["decide"].prepare
    prepare(player, folder)
    until = time.monotonic() + seconds
    pids = {
        player.start(_own(folder, one), lambda one=one: _work(folder, one, until))[0]
        for one in range(workers)
    }
    for pid in pids:
        os.waitpid(pid, 0)
    done = Counter[str]()
    for path in sorted(folder.glob("worker_*.done")):
        done.update(path.read_text().splitlines())
    return done + Counter(_wrong_after(player, folder, done))


def _own(folder: Path, worker: int) -> Path:
    place = folder / f"worker_{worker}"
    place.mkdir()
    return place


def _work(folder: Path, worker: int, until: float) -> None:
    """Play one command after the other, each in a process of its own; note those that were done."""
    rng, count = random.Random(worker), 0
    player = Player()
    with (folder / f"worker_{worker}.done").open("w", buffering=1) as notes:
        while time.monotonic() < until or count == 0:
            count += 1
            place = folder / f"worker_{worker}" / str(count)
            place.mkdir()
            log = place / "a.log"
            seed = 1000 * (worker + 1) + count
            log.write_text(LOG.replace("seed:7", f"seed:{seed}").replace("2.07269931", f"2.{seed:08d}"))
            name, words = rng.choice(
                (
                    ("run", ("run", "round_900", "--script", str(folder / "short.py"), "--repeat")),
                    ("import", ("import", str(log))),
                    ("new hole", ("run", f"{rng.randint(2, 99)}", "--script", str(folder / "short.py"))),
                    ("decide", ("decide", "1", "keep", "--reason", f"{worker} {count}")),
                    ("ls", ("ls",)),
                    ("publish", ("publish", "--no-pictures", "--out", str(folder / f"site_{worker % 2}"))),
                )
            )
            played = player.play(place, (*words, "--runs", str(folder / "runs")))
            if name == "new hole" and ("is taken by" in played.stderr or "--repeat" in played.stderr):
                continue  # another process was first
            why = " ".join(played.stderr.split())[-500:]
            print(name if played.exit_code == 0 else f"{name} failed: {why}", file=notes)


def _wrong_after(player: Player, folder: Path, done: Counter[str]) -> list[str]:
    store = Store(folder / "runs")
    holes = store.holes()
    numbers = [hole.name.number for hole in holes]
    problems = ["one number twice"] * (len(numbers) - len(set(numbers)))
    records = []
    for hole in holes:
        for attempt in hole.attempts:
            try:
                records.append(load_record(attempt.record_path))
            except HarnessError:
                problems.append("no readable record")
    played = [record for record in records if record.hole == "round_900"]
    if sorted(record.attempt for record in played) != list(range(1, done["run"] + 1)):
        problems.append("a run is lost or twice")
    if len(records) - len(played) != done["import"] + done["new hole"] + 1:
        problems.append("an import or a new hole is lost or twice")
    decisions = load_decisions(store.get("1").decision_path)
    problems += ["a decision is lost or twice"] * (len(decisions.history) != done["decide"])
    problems += ["lock"] * sum(is_locked(path) for path in store.root.rglob(".*lock"))
    for site in folder.glob("site_*"):
        words = ("publish", "--no-pictures", "--out", str(site), "--runs", "runs")
        problems += ["no site"] * (player.play(folder, words).exit_code != 0)
    return problems + ["leftover"] * sum(".tmp" in path.name for path in folder.rglob(".*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("times", nargs="?", type=int, default=100)
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--command", action="append", choices=("run", *COMMANDS), help="what is killed")
    parser.add_argument("--crowd", type=float, metavar="SECONDS", help="ten processes on one season instead")
    words = parser.parse_args()
    rng = random.Random(words.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        if words.crowd is not None:
            sys.exit(_print_crowd(crowd(Player(), folder, WORKERS, words.crowd)))
        bad = 0
        for command in words.command or ["run", *COMMANDS]:
            place = folder / command
            place.mkdir()
            if command == "run":
                (place / "short.py").write_text(SCRIPT)
                seen = Counter[str]()
                for hole in range(1, words.times + 1):
                    seen.update(play_once(place, hole, rng))
            else:
                seen = kill_command(Player(), command, place, words.times, rng)
            bad += _print_kills(command, words.times, seen)
    sys.exit(1 if bad else 0)


def _print_kills(command: str, times: int, seen: Counter[str]) -> int:
    """Print what became of the kills of a command; return how many things went wrong."""
    fine = {name: seen.pop(name, 0) for name in FINE}
    wrong = ", ".join(f"{count} {what}" for what, count in seen.items()) or "0 problems"
    text = ", ".join(f"{count} {name}" for name, count in fine.items() if count)
    print(f"{command:14} {times} kills: {text}; {wrong}", flush=True)
    return sum(seen.values())


def _print_crowd(seen: Counter[str]) -> int:
    done = {name: seen.pop(name, 0) for name in (*DID, "ls", "publish")}
    print(f"{WORKERS} processes: " + ", ".join(f"{count} {name}" for name, count in done.items()))
    print(", ".join(f"{count} {what}" for what, count in seen.items()) or "0 collisions")
    return 1 if seen else 0


if __name__ == "__main__":
    main()
