"""A megabyte of anything in a log is read in seconds, in one line or in many, and by each pattern alone."""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.field.log_parser import parse_log
from harness.field.submission_file import read_submission
from harness.scripts.data_places import read_data_places

pytestmark = pytest.mark.timeout(120)  # far above what it takes; a pattern that is not linear takes hours

STEPS = "".join(f"step:{i}/3 train_loss:5.0000 train_time:{i}ms step_avg:1.00ms\n" for i in (1, 2, 3))
END = "final_int8_zlib_roundtrip_exact val_loss:2.07270000 val_bpb:1.22760000\n"
PIECES = [
    "1",
    "1.",
    "1,",
    ":",
    "a: ",
    "a=1 ",
    "[",
    "(",
    "[a]",
    "{",
    "|",
    " ",
    "_",
    "val_bpb:",
    "loss ",
    "1/1 ",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_line_of_a_megabyte(piece: str) -> None:
    line = piece * (1_000_000 // len(piece))
    log = parse_log(io.BytesIO(f"{STEPS}{line}\n{STEPS[:5]}{line}\n{line}!\n{END}".encode()))

    assert log.runs[-1].final_val_bpb == 1.2276


@pytest.mark.parametrize("piece", ["1", ":", "["])
def test_ten_megabytes_without_a_newline(piece: str) -> None:
    log = parse_log(io.BytesIO((STEPS + piece * 10_000_000).encode()))

    assert log.runs[-1].train.count == 3


@pytest.mark.parametrize("piece", ["a.", "token", "a/", "fineweb_", "train_", "1", "{"])
def test_a_path_in_a_script(piece: str) -> None:
    path = piece * (1_000_000 // len(piece))

    assert not list(read_data_places(f"import os\nDATA = open(os.environ.get('DATA_PATH', {path!r}))\n"))


@pytest.mark.parametrize("end", ["\n", "!"])
def test_the_address_of_a_pull_request(end: str, tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    path.write_text(json.dumps({"name": "a", "val_bpb": 1.2, "pr": "/pull/1" * 100_000 + end + "a"}))

    assert read_submission(path).pr is None


def find_methods(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the methods of compiled patterns, such as `.match`, that a module holds under a name."""
    if isinstance(value, types.BuiltinMethodType) and isinstance(value.__self__, re.Pattern):
        yield name, value
    elif isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from find_methods(name, one)
    elif isinstance(value, dict):
        for one in (*value.keys(), *value.values()):
            yield from find_methods(name, one)


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["1", "1.", "a", "a ", "a=1 ", "a: ", " ", "loss ", "step:1/1 "])
def test_each_pattern(piece: str) -> None:
    """Every pattern that a module of harness uses by one of its methods."""
    modules = [
        m.name for m in pkgutil.walk_packages(harness.__path__, "harness.") if "__main__" not in m.name
    ]
    members = [(n, v) for m in modules for n, v in vars(importlib.import_module(m)).items()]
    methods = [found for name, value in members for found in find_methods(name, value)]
    assert len(methods) > 50

    text = piece * (1_000_000 // len(piece)) + "!"
    for _, method in methods:
        subject = text.encode() if isinstance(method.__self__.pattern, bytes) else text
        found = method(subject[:0], subject) if method.__name__ in ("sub", "subn") else method(subject)
        if method.__name__ == "finditer":
            assert sum(1 for _ in found) <= len(subject)
