"""The table of features: a run loads what its configuration uses, nothing else, and says what that is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import trainer
from trainer.config import PRESETS, load_config
from trainer.features import FEATURES, needed

FOLDER = Path(trainer.__file__).parent
USES = {
    "attention": {"ROPE_DIMS": "8"},
    "blocks": {"ACTIVATION": "gelu"},
    "loops": {"NUM_LOOPS": "1"},
    "tokens": {"SMEAR_GATE_ENABLED": "1"},
    "muon": {"MUON_WD": "0.1"},
    "average": {"SWA_ENABLED": "1"},
    "qat": {"QAT_ENABLED": "1"},
    "gptq": {"GPTQ_ENABLED": "1"},
    "sliding": {"EVAL_STRIDE": "64"},
    "adapt": {"TTT_ENABLED": "1"},
}


def test_every_feature_is_needed_when_its_knob_is_set_and_only_then():
    assert FEATURES.keys() == USES.keys()
    for name, knobs in USES.items():
        imports = (name, *FEATURES[name].imports)
        assert needed(load_config(knobs)) == tuple(sorted(f"trainer.features.{one}" for one in imports))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_need_no_feature(preset):
    assert needed(load_config(PRESETS[preset])) == ()


def imported(path: Path) -> set[str]:
    """Modules of `trainer.features` that a file imports by statement."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainer"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = {f"trainer.features.{one.stem}" for one in (FOLDER / "features").glob("[!_]*.py")}
    return names & modules


def test_no_module_outside_imports_a_feature_by_statement():
    outside = [*FOLDER.glob("*.py"), FOLDER / "features" / "__init__.py"]

    assert {path.name: imported(path) for path in outside if imported(path)} == {}


def test_the_table_names_what_features_import_of_each_other():
    for name, feature in FEATURES.items():
        found = imported(FOLDER / "features" / f"{name}.py")
        assert found == {f"trainer.features.{one}" for one in feature.imports}, name


def test_the_table_is_read_without_torch():
    script = "import sys, trainer.features; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=FOLDER.parent).returncode == 0
