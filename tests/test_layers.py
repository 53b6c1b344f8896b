"""Imports point one way, and what must feel instant stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Lower layers know nothing of higher ones. A new module must be placed here.
LAYERS = [
    {
        "__init__",
        "errors",
        "stats",
        "forked",
        "figures",
        "resources",
        "fold",
        "braille",
        "findings",
        "packed",
        "plain",
        "bundle_start",
        "sealed",
        "names",
        "listed",
        "network",
        "family",
    },
    {"schedules", "machine"},
    {"uses", "reads", "script", "snapshot"},
    {"record", "overrides", "stray", "grammar", "logged_run", "logs", "submission", "source", "flatten"},
    {"rounds", "notes", "store", "course", "curve", "field", "decision", "policy", "train_script"},
    {
        "guard",
        "launch",
        "shards",
        "capture",
        "played",
        "limits",
        "unfinished",
        "registry",
        "index",
        "exchange",
        "hub",
        "exhibit",
        "own_course",
        "export",
        "leaderboard",
        "verdict",
        "compare",
        "opponents",
        "lineage",
        "brief",
    },
    {"salvage", "commentary", "progress", "projection", "request", "check", "rules"},
    {"result", "builtin", "external", "submit"},
    {"planning"},
    {
        "runner",
        "live",
        "scorecard",
        "listing",
        "compare_report",
        "doctor",
        "ailments",
        "watch",
        "watch_view",
        "bundle",
        "pull",
    },
    {"publish"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


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


@pytest.mark.parametrize("path", module_files("harness"), ids=lambda path: path.stem)
def test_harness_imports_point_one_way(path):
    own = path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "harness" and len(parts) > 1 and parts[1] in LEVEL and parts[1] != own:
            assert LEVEL[parts[1]] <= LEVEL[own], f"{own} must not import {parts[1]}"


def test_every_module_has_its_layer():
    names = {
        path.relative_to(ROOT / "harness").parts[0].removesuffix(".py") for path in module_files("harness")
    }

    assert names <= set(LEVEL)


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
