"""How a script is started: options, module, Python; in a run, for each seed, again, and in a bundle."""

import json
import subprocess
import sys

import pytest

SCRIPT = """\
import os, sys
print("argv", sys.argv[1:], "python", os.environ.get("WHICH"))
print("step:2/2 train_loss:3.0000 train_time:200ms step_avg:100.00ms")
open("final_model.int8.ptz", "wb").write(b"x" * 1000)
print("final_int8_zlib_roundtrip_exact val_loss:1.70000000 val_bpb:1.30000000")
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "s.py").write_text(SCRIPT)
    package = tmp_path / "pkg/inner"
    package.mkdir(parents=True)
    (tmp_path / "pkg/__init__.py").touch()
    (package / "__init__.py").touch()
    (tmp_path / "pkg/util.py").write_text("X = 'from util'\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/thing.py").write_text("Y = 'from lib'\n")
    (package / "sizes.json").write_text("{}\n")
    relative = "from ..util import X\nfrom lib.thing import Y\n"
    used = 'print(__name__, __package__, X, Y, open("pkg/inner/sizes.json").read())\n'
    (package / "train.py").write_text(f"{relative}{used}{SCRIPT}")
    return tmp_path


def record_of(folder, hole="round_001", attempt=1):
    return json.loads((folder / f"runs/{hole}/attempt_{attempt:02d}/record.json").read_text())


def log_of(folder, hole="round_001", attempt=1):
    return (folder / f"runs/{hole}/attempt_{attempt:02d}/train.log").read_text()


def test_options_are_handed_over_kept_and_compared(here, harness):
    words = ("--script", "s.py", "--", "shards", "--depth", "12", "--lr=0.1", "--fp16")
    plan = json.loads(harness("run", "1", "--dry-run", "--json", *words).stdout)
    done = harness("run", "1", *words)

    options = {"--depth": "12", "--lr": "0.1", "--fp16": "true", "arguments": "shards"}
    assert (plan["arguments"], plan["options"]) == (list(words[3:]), options)
    assert done.returncode == 0, done.stderr
    record = record_of(here)
    assert record["arguments"] == list(words[3:])
    assert record["config"] == record["overrides"] == options
    assert "argv ['shards', '--depth', '12', '--lr=0.1', '--fp16']" in log_of(here)
    assert record["command"][-5:] == list(words[2:])[-5:]

    assert harness("run", "1").returncode == 15  # round.toml has the options, so it is the same run
    assert harness("run", "2", "--script", "s.py", "--", "--depth", "4").returncode == 0
    compared = harness("compare", "1", "2").stdout
    assert "--depth: 12 against 4" in compared
    assert "--lr: 0.1 against not set" in compared
    assert harness("publish", "--out", "site", "--no-pictures").returncode == 0
    page = (here / "site/holes/round_002.html").read_text()
    assert "harness run round_002 --script s.py -- --depth 4" in page
    assert "--depth=4" in page


def test_seeds_go_where_the_options_say(here, harness):
    refused = harness("run", "1", "--script", "s.py", "--seeds", "1,2")
    assert (refused.returncode, "-- --seed {seed}" in refused.stderr) == (2, True)

    done = harness("run", "1", "--script", "s.py", "--seeds", "1,2", "--", "--rng-seed", "{seed}")

    assert done.returncode == 0, done.stderr
    assert [record_of(here, attempt=n)["seed"] for n in (1, 2)] == [1, 2]
    assert "argv ['--rng-seed', '2']" in log_of(here, attempt=2)
    assert record_of(here)["config_hash"] == record_of(here, attempt=2)["config_hash"]
    again = harness("noise", "1", "--seeds", "3")
    assert again.returncode == 0, again.stderr
    third = record_of(here, attempt=3)
    assert third["arguments"] == ["--rng-seed", str(third["seed"])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seed", "2", "--", "--seed", "3"), "the seed is given twice: --seed 2 and -- --seed 3"),
        (("--", "--seed", "x"), "--seed x is not a whole number"),
        (("--python", "nosuch"), "--python nosuch does not exist"),
        (("--python", ""), "--python names nothing"),
        (("--python", "pkg"), "--python pkg is a folder, not an interpreter"),
        (("--python", "s.py"), "--python s.py is not executable"),
        (("--python", "ls"), "--python ls is no Python 3"),
        (("--module", "pkg.inner.train"), "both name what to run"),
    ],
)
def test_what_cannot_be_started_is_refused_with_its_value(words, message, here, harness):
    done = harness("run", "1", "--script", "s.py", *words)

    assert (done.returncode, (here / "runs").exists()) == (2, False)
    assert message in done.stderr


def test_option_of_a_script_before_the_dashes_is_told_its_place(here, harness):
    done = harness("run", "1", "--script", "s.py", "--depth", "12")

    assert (done.returncode, "behind `--`: -- --depth 12" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-m", "pkg.inner.trian"), "has no pkg/inner/trian.py"),
        (("-m", "pkg"), "is a package without `__main__.py`"),
        (("-m", "pkg/inner/train.py"), "name the file with --script pkg/inner/train.py"),
        (("--python", "python3"), "--python python3 is for a script of your own"),
        (("--", "--depth", "4"), "-- --depth 4 is for a script of your own"),
        (("--resume", "--", "--depth", "4"), "-- --depth 4 cannot be given"),
    ],
)
def test_what_names_no_script_is_refused(words, message, here, harness):
    done = harness("run", "1", *words)

    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("words", [("-m", "pkg.inner.train"), ("--script", "pkg/inner/train.py")])
def test_module_runs_as_the_user_would_with_all_that_it_imports(words, here, harness):
    done = harness("run", "1", *words, "--", "--seed", "{seed}")

    assert done.returncode == 0, done.stderr
    assert "__main__ pkg.inner from util from lib {}" in log_of(here)
    code = record_of(here)["code"]
    assert (code["trainer"], code["module"]) == ("pkg/inner/train.py", "pkg.inner.train")
    kept = {
        path.relative_to(here / "runs/round_001/attempt_01/source").as_posix()
        for path in (here / "runs/round_001/attempt_01/source").rglob("*")
        if path.is_file()
    }
    assert {"pkg/inner/train.py", "pkg/inner/sizes.json", "pkg/util.py", "lib/thing.py"} <= kept

    for path in (here / "pkg/util.py", here / "lib/thing.py"):
        path.unlink()  # the snapshot is enough to play it again
    again = harness("noise", "1", "--seeds", "2")
    assert again.returncode == 0, again.stderr
    assert "from util from lib" in log_of(here, attempt=2)

    assert harness("submit", "1", "--write", "out", "--track", "non-record").returncode == 0
    command = (sys.executable, "train_gpt.py")
    handed_in = subprocess.run(command, cwd=here / "out", capture_output=True, text=True, check=False)
    assert "__main__ pkg.inner from util from lib {}" in handed_in.stdout, handed_in.stderr


def test_own_python_runs_every_attempt_and_stands_in_the_record(here, harness):
    mine = here / "mine"
    mine.write_text(f'#!/bin/sh\nWHICH=mine exec {sys.executable} "$@"\n')
    mine.chmod(0o755)

    words = ("--script", "s.py", "--python", "./mine", "--seeds", "1,2", "--", "--seed", "{seed}")
    plan = json.loads(harness("run", "1", "--dry-run", "--json", *words).stdout)
    done = harness("run", "1", *words)

    assert done.returncode == 0, done.stderr
    version = ".".join(map(str, sys.version_info[:3]))
    assert (plan["python"]["named"], plan["python"]["version"]) == ("./mine", version)
    for attempt in (1, 2):
        assert "python mine" in log_of(here, attempt=attempt)
        environment = record_of(here, attempt=attempt)["environment"]
        assert (environment["interpreter"], environment["python"]) == ("./mine", version)
    assert harness("noise", "1", "--seeds", "3").returncode == 0
    assert "python mine" in log_of(here, attempt=3)
    mine.unlink()
    lost = harness("noise", "1", "--seeds", "4")
    assert (lost.returncode, "its interpreter ./mine does not exist" in lost.stderr) == (2, True)
    assert "`harness run round_001 --python PATH`" in lost.stderr


def test_python_that_cannot_read_the_script_is_refused_before_it_costs(here, harness):
    """An interpreter that knows an older grammar, here one that takes no `match` at all."""
    old = here / "old"
    old.write_text(
        f"#!{sys.executable}\nimport json, sys\nasked = json.load(sys.stdin)\n"
        'problem = ["s.py", 1, "invalid syntax"]\n'
        'print(json.dumps({"python": "3.8.1", "versions": {}, "missing": ["torch"],'
        ' "problems": [problem]}))\n'
    )
    old.chmod(0o755)

    done = harness("run", "1", "--script", "s.py", "--python", "./old", "--dry-run")

    assert (done.returncode, (here / "runs").exists()) == (1, False)
    assert "Python 3.8.1 cannot read s.py line 1: invalid syntax" in done.stderr
    forced = harness("run", "1", "--script", "s.py", "--python", "./old", "--dry-run", "--allow-missing")
    assert forced.returncode == 0
    assert "has no torch" in forced.stderr


def test_bundle_starts_a_module_with_its_options_and_files(here, harness):
    words = (
        "-m",
        "pkg.inner.train",
        "--seeds",
        "5,6",
        "--emit",
        "bundle",
        "--",
        "--seed",
        "{seed}",
        "--fp16",
    )
    emitted = harness("run", "1", *words)
    assert emitted.returncode == 0, emitted.stderr

    done = subprocess.run(
        ["bash", "run.sh"],
        cwd=here / "bundle",
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert done.returncode == 0, done.stderr
    pulled = harness("import", "--pull", "bundle")
    assert pulled.returncode == 0, pulled.stderr
    record = record_of(here, attempt=2)
    assert (record["seed"], record["arguments"]) == (6, ["--seed", "6", "--fp16"])
    assert record["environment"]["numpy"]  # of the Python that ran it
    assert "from util from lib {}" in log_of(here, attempt=2)


def test_a_variable_that_stands_for_an_option_sets_it(here, harness):
    options = (
        "import click\n@click.command()\n@click.option('--depth', default=4, envvar='DEPTH')\n"
        "@click.option('--seed', default=1, envvar='SEED')\n"
        "def main(depth, seed): print('depth', depth, 'seed', seed)\nmain(standalone_mode=False)\n"
    )
    (here / "s.py").write_text(options + SCRIPT)

    done = harness("run", "1", "--script", "s.py", "-o", "DEPTH=6", "--seed", "7")

    assert done.returncode == 0, done.stderr
    assert "depth 6 seed 7" in log_of(here)
    record = record_of(here)
    assert (record["config"]["--depth"], record["overrides"], record["seed"]) == ("6", {"DEPTH": "6"}, 7)
    assert "--seed" not in record["config"]


def test_words_that_nothing_is_seen_to_take_are_said_to_be_unchecked(here, harness):
    (here / "s.py").write_text("print('no options')\n")

    plan = harness("run", "1", "--dry-run", "--script", "s.py", "--", "--depth", "4")

    assert plan.returncode == 0
    assert "options are unchecked: nothing in s.py is seen to take --depth" in plan.stderr


def test_a_hole_is_played_again_from_another_folder(here, harness):
    assert harness("run", "1", "--script", "s.py").returncode == 0
    (here / "elsewhere").mkdir()

    plan = harness("run", "1", "--repeat", "--dry-run", "--runs", "../runs", cwd=here / "elsewhere")

    assert plan.returncode == 0, plan.stderr


def test_a_script_of_a_round_toml_is_looked_for_from_its_hole_then_from_its_season(here, harness):
    """From whatever folder the command comes; another script of the same name there is not taken."""
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "s.py").write_text("raise SystemExit('the wrong one')\n")
    for hole, name in (
        ("round_001_own", "own.py"),
        ("round_002_shared", "s.py"),
        ("round_003_old", "elsewhere/old.py"),
    ):
        (here / "runs" / hole).mkdir(parents=True)
        (here / "runs" / hole / "round.toml").write_text(f'script = "{name}"\n')
    (here / "runs" / "round_001_own" / "own.py").write_text("print('of the hole')\n" + SCRIPT)
    (elsewhere / "elsewhere").mkdir()
    (elsewhere / "elsewhere" / "old.py").write_text(SCRIPT)  # only from the current folder, as once stored

    words = ("--dry-run", "--trust", "--runs", "../runs")
    plans = [harness("run", number, *words, cwd=elsewhere) for number in "123"]

    assert [plan.returncode for plan in plans] == [0, 0, 0], [plan.stderr for plan in plans]
    sizes = [plan.stdout.partition("(1 file, ")[2].partition(" bytes")[0] for plan in plans]
    assert sizes == [str(len("print('of the hole')\n" + SCRIPT)), str(len(SCRIPT)), str(len(SCRIPT))]


def test_a_script_named_from_another_folder_is_kept_from_the_seasons(here, harness):
    (here / "elsewhere").mkdir()

    played = harness("run", "1", "--script", "../s.py", "--runs", "../runs", cwd=here / "elsewhere")

    assert played.returncode == 0, played.stderr
    assert 'script = "s.py"' in (here / "runs/round_001/round.toml").read_text()
    assert harness("run", "1", "--repeat", "--dry-run").returncode == 0
