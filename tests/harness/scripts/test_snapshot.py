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
    "line",
    [
        "exec(open(__file__.replace('train.py', 'real.py')).read())",
        "exec(compile(Path(__file__).with_name('real.py').read_text(), 'real.py', 'exec'))",
        "runpy.run_path('real.py', run_name='__main__')",
        "subprocess.run([sys.executable, 'real.py', '--fast'], check=True)",
        "os.system('python real.py --fast')",
        "exec((Path(__file__).parent / 'real.py').read_bytes())",
    ],
)
def test_file_that_is_executed_goes_along(tmp_path, harness, line):
    """From its own folder or from where it runs: the run finds the file, and an override reaches it."""
    start = "import os, runpy, subprocess, sys\nfrom pathlib import Path\n"
    (tmp_path / "train.py").write_text(start + line)
    (tmp_path / "real.py").write_text("import os\nprint('depth', int(os.environ.get('DEPTH', '8')))\n")
    (tmp_path / "other.py").write_text("")

    snapshot = take_snapshot(tmp_path / "train.py")
    harness("run", "round_001", "--script", "train.py", "-o", "DEPTH=4", "--runs", "runs")
    misspelt = harness(
        "run", "round_002", "--script", "train.py", "-o", "DEPHT=4", "--dry-run", "--runs", "runs"
    )

    assert set(snapshot.files) == {"train.py", "real.py"}
    assert "depth 4" in (tmp_path / "runs/round_001/attempt_01/train.log").read_text()
    assert (tmp_path / "runs/round_001/attempt_01/source/real.py").is_file()
    assert misspelt.returncode == 2, misspelt.stderr


def test_settings_file_is_kept_but_data_and_what_is_written_are_not(tmp_path):
    (tmp_path / "train.py").write_text(
        "import json\nc = json.load(open('config.json'))\nd = open('val.bin', 'rb').read()\n"
        "with open('log.txt', 'w') as f: f.write('x')\ng = open('../secret.txt').read()\n"
    )
    for name in ("config.json", "val.bin", "log.txt"):
        (tmp_path / name).write_text("{}")

    snapshot = take_snapshot(tmp_path / "train.py")

    assert set(snapshot.files) == {"train.py", "config.json"}
    assert set(snapshot.texts()) == {"train.py"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("x = np.load('init.npy')", "init.npy"),
        ("x = torch.load(Path(__file__).with_name('init.pt'))", "init.pt"),
        ("x = pickle.load(open('table.pkl', 'rb'))", "table.pkl"),
        ("x = np.fromfile(Path(__file__).parent / 'codebook.bin')", "codebook.bin"),
        ("x = json.loads(Path(__file__).with_suffix('.json').read_text())", "train.json"),
        ("exec(open(__file__.replace('.py', '_real.py')).read())", "train_real.py"),
        ("here = os.path.dirname(__file__)\nx = open(f'{here}/settings.json').read()", "settings.json"),
        ("subprocess.run([sys.executable, '-m', 'parts.model'])", "parts/model.py"),
        (
            "for part in sorted(Path(__file__).parent.glob('parts/*.py')): exec(part.read_text())",
            "parts/a.py",
        ),
    ],
)
def test_data_and_parts_beside_a_script_go_along(tmp_path, line, name):
    (tmp_path / "train.py").write_text(f"import os, subprocess, sys\nfrom pathlib import Path\n{line}\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x = 1\n")

    snapshot = take_snapshot(tmp_path / "train.py")

    assert name in snapshot.files
    assert snapshot.code_bytes == sum(map(len, snapshot.files.values()))


def test_result_that_a_script_writes_and_loads_again_is_no_part_of_it(tmp_path):
    (tmp_path / "train.py").write_text(
        "import torch\ntorch.save(x, 'final_model.pt')\ny = torch.load('final_model.pt')\n"
        "z = torch.load('data/tokens.pt')\n"
    )
    (tmp_path / "data").mkdir()
    for name in ("final_model.pt", "data/tokens.pt"):
        (tmp_path / name).write_text("x")

    assert set(take_snapshot(tmp_path / "train.py").files) == {"train.py"}


def test_package_one_folder_up_goes_along(tmp_path):
    files = {
        "scripts/train.py": "import json, pytest\n"
        "from pack.model import GPT\nimport scripts.tools\nimport near\n",
        "scripts/tools.py": "",
        "scripts/near.py": "from pack import rope\n",
        "pack/__init__.py": "",
        "pack/model.py": "from .layers import A\nGPT = 1\n",
        "pack/layers.py": "A = 1\n",
        "pack/rope.py": "",
        "near.py": "wrong",
        "json.py": "wrong",
        "pytest.py": "wrong",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    snapshot = take_snapshot(tmp_path / "scripts" / "train.py")

    kept = [
        "near.py",
        "pack/__init__.py",
        "pack/layers.py",
        "pack/model.py",
        "pack/rope.py",
        "scripts/tools.py",
    ]
    assert sorted(snapshot.files) == [*kept, "train.py"]
    assert snapshot.files["near.py"] == b"from pack import rope\n"
    assert snapshot.places["pack/model.py"] == "../pack/model.py"


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


def test_data_folder_that_does_not_exist_is_refused(tmp_path, harness):
    (tmp_path / "train.py").write_text(
        "import os\nd = os.path.join(os.environ.get('DATA_DIR', 'data'), 'x')\n"
    )
    words = ("run", "round_001", "--script", "train.py", "--dry-run", "--runs", "runs")

    wrong = harness(*words, "-o", "DATA_DIR=no/such/place")
    (tmp_path / "here").mkdir()
    right = harness(*words, "-o", "DATA_DIR=here")

    assert wrong.returncode == 1
    assert "DATA_DIR=no/such/place does not exist" in wrong.stderr
    assert right.returncode == 0, right.stderr


CERTAIN = {
    "imported first": ("import real", True),
    "imported by its text": ("m = importlib.import_module('real')", True),
    "imported in a try": ("try:\n    from real import x\nexcept ImportError:\n    x = 1", True),
    "imported when started": ("if __name__ == '__main__':\n    import real", True),
    "executed in a function": ("def main():\n    exec(open('real.py').read())", True),
    "executed by a name": (
        "path = Path(__file__).parent / 'real.py'\nsource = path.read_text()\nexec(source)",
        True,
    ),
    "executed from a with": ("with open('real.py') as file:\n    exec(file.read())", True),
    "loaded by its place": ("spec = importlib.util.spec_from_file_location('r', 'real.py')", True),
    "imported in a function": ("def main():\n    import real", False),
    "imported in a branch": ("if FAST:\n    import real", False),
    "only named": ("print('data is made by', 'real.py')", False),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_file_that_surely_takes_part_is_told_from_one_that_may(tmp_path, case):
    line, certain = CERTAIN[case]
    (tmp_path / "train.py").write_text(line)
    (tmp_path / "real.py").write_text("x = 1\n")

    snapshot = take_snapshot(tmp_path / "train.py")

    assert sorted(snapshot.files) == ["real.py", "train.py"]
    assert ("real.py" in snapshot.certain) is certain


@pytest.mark.parametrize(
    "line",
    [
        "sys.path.insert(0, 'lib')",
        "sys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))",
        "sys.path.insert(0, str(Path(__file__).parent / 'lib'))",
    ],
)
def test_module_in_a_folder_that_the_script_puts_into_its_path_goes_along(tmp_path, line):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "real.py").write_text("import other\n")
    (tmp_path / "lib" / "other.py").write_text("x = 1\n")
    (tmp_path / "lib" / "unused.py").write_text("x = 1\n")
    (tmp_path / "train.py").write_text(f"import os, sys\nfrom pathlib import Path\n{line}\nimport real\n")

    snapshot = take_snapshot(tmp_path / "train.py")

    assert snapshot.certain == {"train.py", "lib/real.py", "lib/other.py"} == set(snapshot.files)


def test_executed_file_goes_along_whatever_its_place_and_ending(tmp_path):
    (tmp_path / "train.py").write_text(
        "exec(lzma.decompress(open(os.path.join(HERE, 'packed', 'code.bin'), 'rb').read()))\n"
        "load(name='k', sources=['kernel.cu'])\n"
    )
    (tmp_path / "packed").mkdir()
    for name in ("packed/code.bin", "kernel.cu", "unused.cu"):
        (tmp_path / name).write_text("x")

    snapshot = take_snapshot(tmp_path / "train.py")

    assert snapshot.certain == {"train.py", "packed/code.bin", "kernel.cu"} == set(snapshot.files)


def test_package_two_folders_up_goes_along(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").touch()
    (tmp_path / "pack/model.py").write_text("SIZE = 1\n")
    script = tmp_path / "jobs/small/train.py"
    script.parent.mkdir(parents=True)
    script.write_text("from pack.model import SIZE\n")

    snapshot = take_snapshot(script)

    assert set(snapshot.files) == {"train.py", "pack/__init__.py", "pack/model.py"}
    assert snapshot.places["pack/model.py"] == "../../pack/model.py"


def test_search_for_packages_above_ends_with_the_repository(tmp_path):
    (tmp_path / "pack.py").write_text("SIZE = 1\n")
    script = tmp_path / "repository/jobs/train.py"
    script.parent.mkdir(parents=True)
    (tmp_path / "repository/.git").mkdir()
    script.write_text("from pack import SIZE\n")

    assert set(take_snapshot(script).files) == {"train.py"}


def test_script_that_imports_relatively_is_a_module_with_its_packages(tmp_path):
    package = tmp_path / "pack/inner"
    package.mkdir(parents=True)
    (tmp_path / "pack/__init__.py").touch()
    (tmp_path / "pack/sizes.json").write_text("{}")
    (tmp_path / "pack/model.py").write_text("SIZE = 1\n")
    read = 'open(Path(__file__).parent.parent / "sizes.json")\n'
    (package / "train.py").write_text(f"from pathlib import Path\nfrom ..model import SIZE\n{read}")

    snapshot = take_snapshot(package / "train.py")

    assert (snapshot.module, snapshot.main) == ("pack.inner.train", "pack/inner/train.py")
    files = {"pack/__init__.py", "pack/model.py", "pack/sizes.json", "pack/inner/train.py"}
    assert set(snapshot.files) == files
