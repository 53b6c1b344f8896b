"""The installed wheel, not the checkout: builds, installs into a clean environment, plays and publishes
elsewhere."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_wheel_plays_and_publishes_from_any_folder(tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(tmp_path / "dist"),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    wheel = next((tmp_path / "dist").glob("*.whl"))
    assert "harness/py.typed" in zipfile.ZipFile(wheel).namelist()
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True
    )
    # Torch and the other dependencies are borrowed: a .pth line adds their folder,
    # but not the editable install in it.
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(site.getsitepackages()[0] + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["HARNESS_CACHE"] = str(tmp_path / "cache")

    def call(*words: str) -> str:
        done = subprocess.run([*words], cwd=elsewhere, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = call(str(python), "-c", "import harness, trainer; print(harness.__file__, trainer.__file__)")
    assert str(ROOT) not in where
    harness = str(home / "bin" / "harness")
    assert "Sets Par" in call(harness, "run", "round_001", "--preset", "tiny", "-o", "THREADS=1")
    call(harness, "publish")
    assert "Round 1" in (elsewhere / "_site" / "index.html").read_text()
    assert "round_001" in call(harness, "show", "1", "--json")
