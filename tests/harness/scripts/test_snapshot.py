"""A run works from its snapshot: the script and every local module it imports, and nothing else."""

import pytest

from harness.errors import UsageError
from harness.scripts.snapshot import load_snapshot, take_snapshot


@pytest.fixture
def folder(tmp_path):
    files = {
        "train_gpt.py": "import os, torch\nfrom model import GPT\nimport tools.env\nfrom tools import muon\n",
        "model.py": "from layers.attention import A\nGPT = 1\n",
        "layers/__init__.py": "",
        "layers/attention.py": "from . import rope\nfrom .. import nothing\nA = 1\n",
        "layers/rope.py": "",
        "tools/env.py": "import json\n",
        "tools/muon.py": "",
        "unrelated.py": "x = 1\n",
        "json/notes.txt": "a folder that is no module",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_snapshot_holds_the_script_and_what_it_imports(folder):
    snapshot = take_snapshot(folder / "train_gpt.py")

    assert sorted(snapshot.files) == [
        "layers/__init__.py",
        "layers/attention.py",
        "layers/rope.py",
        "model.py",
        "tools/env.py",
        "tools/muon.py",
        "train_gpt.py",
    ]
    assert next(iter(snapshot.texts())) == "train_gpt.py"
    assert snapshot.code_bytes == sum((folder / name).stat().st_size for name in snapshot.files)


def test_edit_of_an_imported_file_changes_the_hash(folder):
    before = take_snapshot(folder / "train_gpt.py")
    (folder / "unrelated.py").write_text("x = 2\n")
    assert take_snapshot(folder / "train_gpt.py").sha256 == before.sha256

    (folder / "tools" / "muon.py").write_text("steps = 5\n")
    after = take_snapshot(folder / "train_gpt.py")

    assert after.sha256 != before.sha256
    assert load_snapshot(folder, "train_gpt.py").files.keys() >= after.files.keys()


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone.py", "does not exist"), ("layers", "is a folder"), ("json/notes.txt", "no .py file")],
)
def test_script_that_is_none_is_named(folder, name, said):
    with pytest.raises(UsageError, match=said):
        take_snapshot(folder / name)


def test_knobs_of_a_script_are_listed_with_the_line_that_reads_them(folder, harness):
    (folder / "tools" / "env.py").write_text("import os\nlr = float(os.environ.get('MATRIX_LR', 0.04))\n")

    done = harness("knobs", "--script", "train_gpt.py")
    nothing = harness("knobs", "NO_SUCH", "--script", "train_gpt.py")

    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("MATRIX_LR", "0.04", "float", "tools/env.py line 2"))
    assert nothing.returncode == 2
    assert "NO_SUCH" in nothing.stderr
