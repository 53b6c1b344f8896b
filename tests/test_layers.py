"""Imports point one way, and what must feel instant stays light."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT


def test_imports_point_one_way():
    """The contracts in pyproject.toml: floors of rooms, no circles, a trainer that stands on its own."""
    checked = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout[-3000:]


def test_site_and_templates_hold_no_python():
    assert not [path for folder in ("site", "templates") for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["ls", "--runs", "."], ["knobs"]])
def test_light_commands_import_nothing_heavy(words, tmp_path):
    """Torch takes seconds, matplotlib half of one: neither may be loaded to answer these."""
    script = (
        "import sys; from harness.cli.commands import app\n"
        f"try: app({words!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'scipy', 'numpy', 'sentencepiece'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )

    assert done.returncode == 0, done.stderr[-500:]
