"""Commands that write a season leave the old state or the new one wherever they are killed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.field.entries import FieldStore
from harness.records.intent import load_decisions
from harness.records.record import load_record
from harness.records.store import Store
from harness.temporary import lock_path, unlock
from tests.compare_bytes import file_hashes
from tests.paths import DATA, ROOT

STEPS = "".join(f"step:{i}/3 train_loss:{{loss}} train_time:{i}ms step_avg:1.00ms\n" for i in (1, 2, 3))
LOG = (
    "model_params:1000\nseed:{seed}\n"
    + STEPS
    + "Code size: 5000 bytes\nfinal_int8_zlib_roundtrip_exact val_loss:{loss} val_bpb:1.22760000\n"
)
LEDGER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n0a1b2c3\t1.412000\t12.5\tkeep\tbaseline\n"
SUBMISSION = '{"name": "Second try", "author": "a", "val_bpb": 1.2276, "date": "2026-03-20"}'

Harness = Callable[..., subprocess.CompletedProcess[str]]
State = dict[str, str]


def write_log(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LOG.format(seed=seed, loss=f"2.{seed:08d}"))
    return path


def kill_everywhere(start: Path, *words: str) -> tuple[Path, list[tuple[Path, Path]]]:
    """Kill a command at each change that it makes.

    Returns the folder of the whole command, and pairs: that of a killed one, and that of the next command.
    """
    copies = start.with_name("copies")
    env = os.environ | {"HARNESS_CACHE": str(start.with_name("cache"))}
    command = (sys.executable, "-m", "tests.harness.killed_commands", str(start), str(copies), *words)
    subprocess.run(command, cwd=ROOT, env=env, check=True)
    killed = sorted((copies / "killed").iterdir(), key=lambda folder: int(folder.name))
    return copies / "whole", [(folder, copies / "again" / folder.name) for folder in killed]


def seen(folder: Path) -> State:
    """Return the hashes of what readers see of a season, by the names of the files."""
    files = file_hashes(folder / "runs") if (folder / "runs").exists() else {}
    return {name: digest for name, digest in files.items() if not re.search(r"(?:^|/)\.", name)}


def hidden(folder: Path) -> list[str]:
    """Return what lies in a season and is for no reader, but for locks and the note on the last import."""
    names = [path.name for path in (folder / "runs").rglob(".*") if path.suffix != ".lock"]
    return sorted(name for name in names if name != ".last_import.json")


@pytest.fixture
def start(tmp_path: Path) -> Path:
    folder = tmp_path / "start"
    write_log(folder / "logs" / "first.log", 7)
    return folder


def check_import(start: Path, *words: str) -> State:
    """Kill an import everywhere and import again; return the files that it makes."""
    old = seen(start)
    whole, pairs = kill_everywhere(start, "import", *words)
    new = seen(whole)
    assert new != old
    for killed, again in pairs:
        assert seen(killed) in (old, new), killed.name
        assert seen(again) == new, killed.name
        assert hidden(again) == [], killed.name
    assert any(hidden(killed) for killed, _ in pairs)  # some were killed in the middle
    return new


def test_a_log(start: Path) -> None:
    assert "round_001_first/attempt_01/record.json" in check_import(start, "logs/first.log")


def test_a_folder_of_one_experiment(start: Path) -> None:
    write_log(start / "logs" / "second.log", 8)

    new = check_import(start, "logs")

    assert {name.split("/")[1] for name in new} == {"round.toml", "attempt_01", "attempt_02"}


def test_a_ledger_with_what_was_decided(start: Path) -> None:
    (start / "results.tsv").write_text(LEDGER)

    assert "round_001_baseline/decision.json" in check_import(start, "results.tsv")


def test_a_record_of_the_field(start: Path) -> None:
    write_log(start / "rec" / "train_seed7.log", 7)
    write_log(start / "rec" / "train_seed8.log", 8)
    (start / "rec" / "submission.json").write_text(SUBMISSION)

    assert "field/rec/attempt_02/record.json" in check_import(start, "rec")


def test_a_new_log_of_a_known_record(start: Path, harness: Harness) -> None:
    write_log(start / "rec" / "train_seed7.log", 7)
    (start / "rec" / "submission.json").write_text(SUBMISSION)
    assert harness("import", "rec", cwd=start).returncode == 0
    write_log(start / "rec" / "train_seed8.log", 8)

    assert "field/rec/attempt_02/record.json" in check_import(start, "rec")


def test_a_decision(start: Path, harness: Harness) -> None:
    assert harness("import", "logs/first.log", cwd=start).returncode == 0
    _, pairs = kill_everywhere(start, "decide", "1", "keep", "--reason", "it holds")

    lengths = []
    for killed, again in pairs:
        folder = killed / "runs" / "round_001_first"
        lengths.append(len(load_decisions(folder / "decision.json").history))
        assert load_decisions(again / "runs" / folder.name / "decision.json").newest
        assert hidden(again) == []
    assert set(lengths) <= {0, 1}
    assert any(hidden(killed) for killed, _ in pairs)


@pytest.mark.slow
def test_a_bundle_taken_back(start: Path, harness: Harness) -> None:
    for path in (DATA / "script").glob("*.py"):
        shutil.copy(path, start)
    words = ("--script", "train_gpt.py", "--seeds", "7,8", "--emit", "bundle")
    assert harness("run", "round_003", *words, cwd=start).returncode == 0
    subprocess.run(
        ["bash", "bundle/run.sh"], cwd=start, env=os.environ | {"PYTHON": sys.executable}, check=True
    )

    shutil.rmtree(start / "runs")  # a season that does not know the hole
    new = check_import(start, "--pull", "bundle")

    assert sorted(name for name in new if name.endswith("record.json")) == [
        "round_003/attempt_01/record.json",
        "round_003/attempt_02/record.json",
    ]


def test_many_imports_at_once_lose_nothing_and_share_no_number(start: Path) -> None:
    env = os.environ | {"HARNESS_CACHE": str(start.with_name("cache"))}
    logs = [write_log(start / f"log_{number}.log", number) for number in range(8)]
    both = [logs[0], *logs, logs[0]]  # one of them three times

    command = (sys.executable, "-m", "harness", "import")
    imports = [subprocess.Popen([*command, log.name], cwd=start, env=env) for log in both]
    assert [process.wait() for process in imports] == [0] * len(both)

    holes = Store(start / "runs").holes()
    assert [hole.name.number for hole in holes] == list(range(1, 9))
    records = [load_record(hole.attempts[0].record_path) for hole in holes]
    assert {record.hole for record in records} == {hole.name.folder for hole in holes}
    assert {record.provenance.source for record in records if record.provenance} == {p.name for p in logs}
    assert hidden(start) == []


def test_many_imports_of_one_record_at_once(start: Path) -> None:
    env = os.environ | {"HARNESS_CACHE": str(start.with_name("cache"))}
    write_log(start / "rec" / "train_seed7.log", 7)
    (start / "rec" / "submission.json").write_text(SUBMISSION)

    command = (sys.executable, "-m", "harness", "import", "rec")
    imports = [subprocess.Popen(command, cwd=start, env=env) for _ in range(5)]
    assert [process.wait() for process in imports] == [0] * 5

    [entry] = FieldStore(start / "runs").entries()
    assert [record.attempt for record in entry.records] == [1]


def test_what_living_processes_and_people_made_stays(start: Path, harness: Harness) -> None:
    """A leftover of a dead process is known by name, place, number and lock together."""
    assert harness("import", "logs/first.log", cwd=start).returncode == 0
    hole = start / "runs" / "round_001_first"
    dead, living = 999_999_999, os.getpid()
    gone = [
        hole / f".decision.json.{dead}.tmp",
        hole / "attempt_01" / f".record.json.{dead}.tmp",
        hole / "attempt_01" / f".model.ptz.{dead}.tmp",
    ]
    stays = [
        hole / "notes.md.tmp",
        hole / f".ideas.txt.{dead}.tmp",
        hole / f".round.toml.{living}.tmp",
        hole / "attempt_01" / "work" / f".record.json.{dead}.tmp",
        start / "runs" / f".draft.{dead}.tmp",
    ]
    (hole / "attempt_01" / "work").mkdir()
    for path in (*gone, *stays):
        path.write_text("x")
    locked = start / "runs" / f".round_002_b.{dead}.tmp"
    locked.mkdir()
    lock = lock_path(locked)
    unfinished = start / "runs" / f".round_003_c.{dead}.tmp"
    unfinished.mkdir()

    assert harness("ls", cwd=start).returncode == 0
    assert all(path.exists() for path in gone)  # a reading command writes nothing
    assert harness("decide", "1", "keep", "--reason", "it holds", cwd=start).returncode == 0
    unlock(lock)

    assert [path.name for path in (*gone, unfinished) if path.exists()] == []
    assert [path.name for path in (*stays, locked) if not path.exists()] == []
