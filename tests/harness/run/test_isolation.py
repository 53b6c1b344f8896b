"""Nothing that lies in a folder runs because a run was started there, or because an attempt brought it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run.interpreter import ask_interpreter
from harness.run.torch_install import probe_torch
from harness.scripts.snapshot import take_snapshot
from tests.fake.command_line import SMALL
from tests.paths import ROOT

NAMES = ("trainer", "torch", "json", "random", "typing", "sitecustomize", "usercustomize", "queue", "typer")


def lay_traps(folder: Path) -> Path:
    """Put modules into a folder that write a file when they are imported. Returns that file's path."""
    executed = folder.absolute() / "EXECUTED"
    for name in NAMES:
        trap = f"open({str(executed)!r}, 'a').write({name + ' '!r})\nraise SystemExit(3)\n"
        (folder / f"{name}.py").write_text(trap)
    return executed


def stop_early(play) -> None:
    done = play("run", "round_001", *SMALL, "--abort", "train_loss@3>1.0", fate="wait")
    assert done.returncode == 16, done.stderr


@pytest.mark.parametrize("python_path", ["", "."])
def test_modules_in_the_users_folder_are_not_the_trainers(play, tmp_path, monkeypatch, python_path):
    executed = lay_traps(tmp_path)
    monkeypatch.setenv("PYTHONPATH", python_path)

    done = play("run", "round_001", *SMALL)

    assert done.returncode == 0, done.stderr
    assert not executed.exists(), executed.read_text()


def test_modules_among_an_attempts_files_are_not_the_trainers(play, tmp_path):
    stop_early(play)
    executed = lay_traps(tmp_path / "runs" / "round_001" / "attempt_01")

    done = play("resume", "round_001")

    assert done.returncode == 0, done.stderr
    assert not executed.exists(), executed.read_text()


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "NO_SUCH_KNOB"])
def test_an_attempts_file_hands_over_knobs_alone(play, tmp_path, name):
    stop_early(play)
    path = tmp_path / "runs" / "round_001" / "attempt_01" / "launch.json"
    launch = json.loads(path.read_text())
    launch["config"][name] = str(tmp_path)
    path.write_text(json.dumps(launch))

    done = play("resume", "round_001")

    assert done.returncode == 1
    assert f"launch.json sets {name}, which is no knob of the trainer" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_torchruns_workers_import_nothing_from_where_they_run(play, tmp_path, record_of, monkeypatch):
    executed = lay_traps(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")

    done = play("run", "round_001", *SMALL, "--launcher", "torchrun")

    assert done.returncode == 0, done.stderr
    assert record_of()["status"] == "ok"
    assert not executed.exists(), executed.read_text()


@pytest.mark.slow
def test_doctor_asks_the_torch_that_is_installed(tmp_path, monkeypatch):
    executed = lay_traps(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")

    found, problems = probe_torch()

    assert not executed.exists(), executed.read_text()
    assert found["works"]
    assert not problems


def test_an_interpreter_is_asked_without_the_folders_modules(tmp_path, monkeypatch):
    executed = lay_traps(tmp_path)
    (tmp_path / "train.py").write_text("import os\n")
    monkeypatch.chdir(tmp_path)

    found = ask_interpreter(None, take_snapshot(Path("train.py")))

    assert found.python.startswith("3.")
    assert not executed.exists(), executed.read_text()


def test_the_module_form_of_the_command_imports_nothing_from_the_folder(tmp_path):
    executed = lay_traps(tmp_path)

    command = (sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r})\nimport harness.cli")
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 3  # the traps work
    executed.unlink()
    done = subprocess.run((sys.executable, "-m", "harness", "--version"), cwd=tmp_path, check=False)

    assert done.returncode == 0
    assert not executed.exists(), executed.read_text()


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP", "PATH", "BASH_ENV", "GIT_SSH_COMMAND", "HOME"),
        *("OMP_TOOL_LIBRARIES", "CUDA_INJECTION64_PATH", "NCCL_NET_PLUGIN", "TRITON_PTXAS_PATH"),
        *("TORCHINDUCTOR_CACHE_DIR", "TORCH_HOME", "MPLBACKEND", "OPENSSL_CONF", "GCONV_PATH"),
    ],
)
def test_a_stored_file_sets_nothing_that_loads_code(play, tmp_path, name):
    """Not even where the script reads a variable of that name."""
    (tmp_path / "train.py").write_text(
        f"import os\nx = os.environ.get({name!r}, 'a')\nlr = os.environ['LR']\n"
    )
    hole = tmp_path / "runs" / "round_001"
    hole.mkdir(parents=True)
    (hole / "round.toml").write_text(f'script = "train.py"\n[overrides]\n{name} = "{tmp_path}"\n')

    done = play("run", "1", "--course", "fineweb", "--allow-unread")

    assert done.returncode == 2
    assert f"override {name}={tmp_path} decides which code is loaded" in " ".join(done.stderr.split())
    assert not (hole / "attempt_01").exists()


def test_a_compiler_of_this_machine_may_be_named_and_no_other(play, tmp_path):
    (tmp_path / "train.py").write_text("import os\nlr = os.environ['LR']\n")
    words = (
        "run",
        "1",
        "--script",
        str(tmp_path / "train.py"),
        "--course",
        "fineweb",
        "--dry-run",
        "-o",
        "LR=1",
    )

    settings = ("PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True", "OMP_NUM_THREADS=2", "TORCH_LOGS=+dynamo")
    own = play(*words, "-o", "CC=gcc-12", "-o", "CXX=/usr/bin/g++", *(w for s in settings for w in ("-o", s)))
    assert own.returncode == 0, own.stderr
    for name, value in {"CC": f"{tmp_path}/cc", "CXX": "/usr/../tmp/cc", "CUDA_HOME": "here"}.items():
        assert f"override {name}={value} decides" in " ".join(
            play(*words, "-o", f"{name}={value}").stderr.split()
        )
