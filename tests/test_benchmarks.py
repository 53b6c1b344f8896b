"""Every benchmark starts, at its smallest size, in the one way that is documented."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import benchmarks
from tests.paths import ROOT

SMOKE = {
    "startup": ("1",),
    "registry": ("--holes", "5", "--attempts", "1", "--rounds", "1"),
    "logs": ("--size", "1MB", "--rounds", "1"),
    "kills": ("2", "--command", "run", "--command", "import", "--command", "publish"),
    "faults": ("import", "--error", "EIO", "--most", "1"),
    "knobs": ("MUON_WD", "--rounds", "1"),
    "overhead": ("1", "1"),
    "publish": ("--holes", "5", "--points", "20", "--rounds", "1"),
    "events": ("200",),
    "trainer": ("--steps", "1", "--rounds", "1"),
    "verdicts": ("--pairs", "3", "--seasons", "2"),
    "referee": ("--track", "unlimited"),
    "scripts": ("--scripts", "2", "--lines", "200"),
    "noise": ("--size", "1MB", "--shape", "bars", "--seconds", "1"),
    "season": ("FOLDER", "--holes", "2", "--points", "5"),
}
PRINTS = {
    "kills": "2 kills: ",
    "faults": "0 half-written files",
    "knobs": "MUON_WD=0.1 ",
    "overhead": "memory over the child",
    "verdicts": "does nothing",
    "referee": "0 false fails",
    "scripts": "processor time",
    "noise": "0 misses",
    "season": "",
}


def test_every_benchmark_is_described_and_has_a_smoke_run():
    modules = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}

    assert modules == set(SMOKE)
    assert modules <= set(re.findall(r"\w+", benchmarks.__doc__))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOKE)
def test_benchmark_starts_and_prints_its_figures(name, tmp_path):
    """How fast it is matters to nobody here: `logs` ends with 1 when its aim is missed."""
    words = [str(tmp_path / "season") if word == "FOLDER" else word for word in SMOKE[name]]

    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in ((0, 1) if name == "logs" else (0,)), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert PRINTS.get(name, "ratio") in done.stdout
    if name == "season":
        assert len(list((tmp_path / "season").glob("round_*"))) == 2


@pytest.mark.slow
def test_benchmark_of_a_folder_of_logs_prints_both_ratios():
    command = [sys.executable, "-m", "benchmarks.logs", "--folder", "3", "--rounds", "1"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert re.search(r"import .* ratio +\d+\nnothing is new .* ratio +\d+", done.stdout)


@pytest.mark.slow
def test_benchmark_of_many_processes_on_one_season_counts_no_collision():
    command = [sys.executable, "-m", "benchmarks.kills", "--crowd", "1"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["0 collisions"]), done.stdout + done.stderr
