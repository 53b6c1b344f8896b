"""What goes wrong around a run: folders that cannot be written, disks without rename or locks, links,
foreign pickles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.files import write_whole
from harness.records.store import Store
from tests.paths import DATA, ROOT

SCRIPT = DATA / "script"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    for path in SCRIPT.glob("*.py"):
        shutil.copy(path, tmp_path)
    return tmp_path / "train_gpt.py"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody can write to, root included where root may mount."""
    folder = tmp_path / "runs"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def broken_system(tmp_path: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a system where something is missing; `code` takes it away."""
    start = f"from harness.cli import main\nsys.argv = ['harness', *{list(words)!r}]\nmain()\n"
    program = f"import sys\n{code}\n{start}"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
    )


NO_RENAME = """
import errno, pathlib
rename = pathlib.Path.replace
def refuse(self, target):
    if pathlib.Path(target).name == {name!r}:
        raise OSError(errno.EPERM, "Operation not permitted")
    return rename(self, target)
pathlib.Path.replace = refuse
"""
NO_LOCKS = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""


@pytest.mark.slow
def test_a_read_only_season_is_a_clear_error(script: Path, read_only: Path, harness: Run) -> None:
    done = harness("run", "1", "--script", "train_gpt.py")

    assert done.returncode == 1
    assert "error: cannot write runs/.playing" in done.stderr
    assert "--runs DIR" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_without_locks_nothing_is_played_and_nothing_left(script: Path, tmp_path: Path) -> None:
    done = broken_system(tmp_path, NO_LOCKS, "run", "1", "--script", "train_gpt.py")

    assert done.returncode == 1
    assert "error: cannot lock runs/round_001/attempt_01" in done.stderr
    assert "put the season on a disk that knows locks" in done.stderr
    assert not list(tmp_path.glob("runs/*/attempt_*"))


@pytest.mark.slow
def test_without_rename_nothing_is_played_and_nothing_left(script: Path, tmp_path: Path) -> None:
    done = broken_system(
        tmp_path, NO_RENAME.format(name="launch.json"), "run", "1", "--script", "train_gpt.py"
    )

    assert done.returncode == 1
    assert "launch.json: Operation not permitted" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/*/attempt_*"))


@pytest.mark.slow
def test_a_record_that_could_not_be_written_is_written_later(
    script: Path, tmp_path: Path, harness: Run
) -> None:
    done = broken_system(
        tmp_path, NO_RENAME.format(name="record.json"), "run", "1", "--script", "train_gpt.py"
    )
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"

    assert done.returncode == 1
    assert "record.json: Operation not permitted" in done.stderr
    assert "step:40/40" in (attempt / "train.log").read_text()
    assert not list(attempt.glob(".*.tmp"))

    resumed = harness("resume", "1")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((attempt / "record.json").read_text())["status"] == "ok"


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "record.json").write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HarnessError, match=r"record\.json: No space left on device"):
        write_whole(tmp_path / "record.json", b"after")

    assert (tmp_path / "record.json").read_text() == "before"
    assert os.listdir(tmp_path) == ["record.json"]  # noqa: PTH208


@pytest.mark.parametrize(
    "name",
    ["../out", "round_001/../../out", "/tmp/round_001", "round_001/x", "..", "round_001\n", "round_001\0"],
)
def test_a_name_cannot_leave_the_season(name: str, tmp_path: Path, runs: Path) -> None:

    with pytest.raises(HarnessError):
        Store(runs).create(name, "")
    with pytest.raises(HarnessError):
        Store(runs).get(name)

    assert os.listdir(runs) == []  # noqa: PTH208
    assert os.listdir(tmp_path) == ["runs"]  # noqa: PTH208


@pytest.mark.slow
def test_a_link_out_of_the_season_is_not_written_through(script: Path, tmp_path: Path, harness: Run) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs" / "round_001").symlink_to(tmp_path / "outside")

    done = harness("run", "round_001", "--script", "train_gpt.py")

    assert done.returncode == 1
    assert "runs/round_001 is a link" in done.stderr
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.slow
def test_links_in_the_season_are_named_and_nothing_behind_them_is_shown(
    tmp_path: Path, runs: Path, put_record: Callable[..., Path], harness: Run
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("# Lesson\nthe password\n")
    put_record("round_001_fine", val_bpb=1.3)
    linked = put_record("round_002_linked", val_bpb=1.2)
    shutil.move(linked, tmp_path / "elsewhere.json")
    linked.symlink_to(tmp_path / "elsewhere.json")
    (runs / "round_001_fine" / "notes.md").symlink_to(secret)
    (runs / "round_001_fine" / "attempt_01" / "curve.jsonl").symlink_to(secret)

    listed = harness("ls")
    strict = harness("ls", "--strict")
    published = harness("publish", "--out", "_site")

    assert listed.returncode == 0
    assert "record.json: it is a link, and links are not followed" in listed.stderr
    assert "1.2000" not in listed.stdout
    assert strict.returncode == 1
    assert published.returncode == 0, published.stderr
    pages = b"".join(path.read_bytes() for path in (tmp_path / "_site").rglob("*") if path.is_file())
    assert b"the password" not in pages


class Bomb:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))


@pytest.mark.slow
def test_a_pickle_in_a_run_folder_is_never_loaded(tmp_path: Path, harness: Run) -> None:
    import pickle

    mark = tmp_path / "loaded"
    knobs = ("THREADS=1", "ITERATIONS=2", "VAL_LOSS_EVERY=0")
    done = harness("run", "1", "--preset", "tiny", *(word for knob in knobs for word in ("-o", knob)))
    assert done.returncode == 0, done.stderr
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    bomb = pickle.dumps(Bomb(mark))
    for name in ("checkpoint.safetensors", "model.zlib", "checkpoint.pt", "final_model.pt"):
        (attempt / name).write_bytes(bomb)
    (attempt / "record.json").unlink()
    (attempt / "result.json").unlink()

    resumed = harness("resume", "1")
    for words in (["ls"], ["show", "1"], ["watch", "1"], ["publish", "--out", "_site"]):
        harness(*words)

    assert resumed.returncode == 10
    assert "checkpoint" in resumed.stdout + resumed.stderr
    assert not mark.exists()


@pytest.mark.slow
def test_the_harness_stays_small_beside_the_run(tmp_path: Path) -> None:
    """What the checks before a run import is gone when it starts: 20 MB that a long run would hold for
    nothing."""
    code = "import atexit\natexit.register(lambda: print('numpy' in sys.modules))"

    done = broken_system(tmp_path, code, "run", "1", "--preset", "tiny", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
