"""A machine whose torch is missing, broken or made for another: processes in an environment of their own."""

from __future__ import annotations

import json
import shutil
import site
import subprocess
import venv
from pathlib import Path

import pytest

from harness.run import torch_install
from harness.run.torch_install import explain_torch, install_command, probe_torch
from tests.paths import ROOT

MISSING = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
BROKEN = "raise OSError('libcudart.so.12: cannot open shared object file')\n"
LOG = "step:1/1 train_loss:1.5 train_time:10ms\nfinal_int8_zlib_roundtrip val_loss:2.1 val_bpb:1.25\n"
SCRIPT = "import os\nprint('seed', os.environ.get('SEED', '1'))\nprint('''" + LOG + "''')\n"


def environment(folder: Path, torch: str) -> Path:
    """An environment with all packages of this one, but for torch, which is as its source says."""
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "torch").mkdir()
    (packages / "torch" / "__init__.py").write_text(torch)
    (packages / "borrowed.pth").write_text("\n".join([str(ROOT), *site.getsitepackages()]) + "\n")
    for line in (Path(folder) for folder in site.getsitepackages()):
        for path in line.glob("*.pth"):  # what is borrowed itself borrows, such as a shared environment
            with (packages / "borrowed.pth").open("a") as file:
                file.writelines(
                    f"{one}\n" for one in path.read_text().split("\n") if Path(one).is_dir() and one
                )
    return folder / "bin" / "python"


@pytest.fixture(scope="module", params=[MISSING, BROKEN], ids=["missing", "broken"])
def without_torch(request, tmp_path_factory):
    """Call the command line in a folder with a season, where torch cannot be imported."""
    home = tmp_path_factory.mktemp("bare")
    python = environment(home / "venv", request.param)
    shutil.copytree(ROOT / "tests" / "data" / "season", home / "runs")
    (home / "train.py").write_text(SCRIPT)
    (home / "train.log").write_text(LOG)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", "harness", *words],
            cwd=home,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "HARNESS_CACHE": str(home / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )

    assert call("--version").returncode == 0
    return call


@pytest.mark.parametrize(
    "words",
    [
        "ls",
        "show 1",
        "compare 1 6",
        "brief",
        "knobs",
        "check 6",
        "decide 5 drop --reason slow",
        "notes check",
        "notes values 1",
        "knobs --script train.py",
        "run 40 --script train.py --course fineweb",
        "watch 40 --once",
        "import train.log --as hole --dry-run",
        "data prepare mine --text {text} --vocab 400",
        "data check --course mine",
        "publish --no-pictures",
    ],
)
def test_what_trains_nothing_works_without_torch(without_torch, words):
    done = without_torch(*words.format(text=ROOT / "harness" / "season").split())

    assert done.returncode in (
        (0, 13) if words.startswith("check") else (0, 1) if "notes" in words else (0,)
    ), done.stderr
    assert "torch" not in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("run", "41"), ("noise", "1"), ("doctor", "41")])
def test_what_needs_torch_names_what_to_type(without_torch, words):
    done = without_torch(*words)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "pip install torch" in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_doctor_of_a_script_plans_it_without_torch(without_torch):
    done = without_torch("doctor", "42", "--script", "train.py", "--course", "fineweb", "--json")

    groups = {group["group"]: group for group in json.loads(done.stdout)["groups"]}
    assert groups["run"]["summary"] == "round_042: train.py"
    assert groups["machine"]["findings"][0]["why"].startswith("nothing can be trained")


def answer(**parts):
    known = {"version": "2.9", "cuda": None, "hip": None, "cuda_error": "", "gpus": [], "mps": False}
    return {**known, "works": True, **parts}


@pytest.mark.parametrize(
    ("torch", "gpu", "level", "expected"),
    [
        (answer(), False, None, ""),
        (answer(cuda="12.8", gpus=[{"name": "H100"}]), True, None, ""),
        (answer(mps=True), False, None, ""),
        (answer(), True, "warning", "is a build for the CPU, and this machine shows a GPU"),
        (answer(cuda="12.8"), False, "note", "is a build for CUDA, and this machine shows no GPU"),
        (answer(cuda="12.8", cuda_error="driver too old"), True, "warning", "shows one: driver too old"),
    ],
)
def test_torch_is_held_against_the_machine(torch, gpu, level, expected, monkeypatch, tmp_path):
    (tmp_path / "answer.json").write_text(json.dumps(torch))
    command = (("cat", str(tmp_path / "answer.json")), {"PATH": "/usr/bin:/bin"})
    monkeypatch.setattr(torch_install, "isolated_python", lambda *words: command)
    monkeypatch.setattr(torch_install, "shows_gpu", lambda: gpu)
    monkeypatch.setattr(torch_install, "shows_nvidia", lambda: gpu)
    monkeypatch.setattr(torch_install, "_DRIVER", tmp_path / "none")

    found, findings = probe_torch()

    assert found == torch
    assert [finding.level for finding in findings] == ([level] if level else [])
    assert all(expected in finding.what and "pip install torch" in finding.todo for finding in findings)


def test_each_kind_of_machine_has_its_command():
    cpu, cuda = "download.pytorch.org/whl/cpu", "download.pytorch.org/whl/cu"

    assert install_command("darwin", False) == install_command("linux", True) == "pip install torch"
    assert cpu in install_command("linux", False)
    assert cuda in install_command("win32", True)


def test_other_errors_are_not_blamed_on_torch():
    assert explain_torch("Traceback\nValueError: no\n") is None
    assert "not installed" in explain_torch("ModuleNotFoundError: No module named 'torch'").message


def test_the_readme_says_what_to_type_on_each_kind_of_machine():
    readme = (ROOT / "README.md").read_text()

    assert install_command("linux", False) in readme
    assert install_command("win32", True) in readme
    assert "pip install torch " in readme
