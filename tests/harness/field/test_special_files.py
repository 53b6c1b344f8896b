"""What is no plain file is refused by whatever reads logs, ledgers and scripts, without waiting for it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.courses.shards import fingerprint_file
from harness.errors import HarnessError
from harness.field.closest_line import find_closest_line
from harness.field.evaluation_time import measure_calibration, stated_evaluation
from harness.field.gpu_names import gpu_in_log, gpu_in_readme
from harness.field.ledger import is_ledger, read_ledger
from harness.field.log_parser import parse_log
from harness.field.printed_scores import read_printed_scores
from harness.field.record_files import copy_log, hash_log, is_other_text, read_log
from harness.field.submission_file import read_submission, read_values
from harness.scripts.snapshot import take_snapshot


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}
# Those that answer with nothing where there is no file, and those that raise.
QUIET = {is_ledger: False, gpu_in_log: None, read_values: None, stated_evaluation: None}
LOUD: list[Callable[[Path], Any]] = [
    read_ledger,
    find_closest_line,
    parse_log,
    lambda path: read_printed_scores(path, "it"),
    lambda path: measure_calibration(path, None),
    read_log,
    hash_log,
    lambda path: copy_log(path, path.with_name("copy")),
    read_submission,
    fingerprint_file,
    take_snapshot,
]


@pytest.mark.parametrize("kind", KINDS)
def test_readers_wait_for_nothing(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    for name in ("a.txt", "a.py", "a.log.gz"):
        KINDS[kind](Path(name))
        for reader, nothing in QUIET.items():
            assert reader(Path(name)) == nothing
        assert gpu_in_readme(Path(name), None) is None
        assert is_other_text(Path(name)) == (name == "a.txt")
        for read in LOUD:
            with pytest.raises((HarnessError, OSError)):
                read(Path(name))


def test_a_link_that_a_user_names_is_followed(tmp_path):
    (tmp_path / "real.log").write_text("step:1/1 val_loss:1.0 val_bpb:1.0\n")
    (tmp_path / "link.log").symlink_to("real.log")

    assert read_log(tmp_path / "link.log").status == read_log(tmp_path / "real.log").status != "not_a_run"


@pytest.mark.parametrize("name", ["train.log", "README.md", "submission.json", "train_gpt.py", "results.tsv"])
@pytest.mark.parametrize("command", ["check", "import"])
def test_a_folder_with_a_pipe_is_read_without_it(harness, tmp_path, command, name):
    folder = tmp_path / "record"
    folder.mkdir()
    (folder / "train_seed1.log").write_text("step:1/1 val_loss:1.0 val_bpb:1.0\n")
    with contextlib.suppress(FileExistsError):
        os.mkfifo(folder / name)

    done = harness(command, str(folder), timeout=100)

    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 2, 13), done.stderr
