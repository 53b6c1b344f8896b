"""Imports point one way, and what must feel instant stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports_of(path: Path) -> set[str]:
    """All modules a file imports, wherever in it they stand."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def module_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", module_files("trainer"), ids=lambda path: path.stem)
def test_trainer_never_imports_harness(path):
    assert not any(name.split(".")[0] == "harness" for name in imports_of(path))


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
