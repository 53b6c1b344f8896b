"""Stored files: what is wrong with one is said with its name, whatever it is, and nobody waits for it."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.documents import (
    MAX_DEPTH,
    FileProblem,
    MissingFile,
    naming,
    parse_json,
    parse_toml,
    read_file,
    read_json,
    read_model,
)
from harness.errors import UsageError
from harness.records.prediction import Seals

BAD_JSON = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe{}",
    "half a character": rb'{"a": "\ud800"}',
    "half a character in a key": rb'{"\udfff": 1}',
    "half a character beside NaN": rb'{"a": "\ud800", "b": NaN}',
    "NaN": b'{"a": NaN}',
    "infinity": b"[-Infinity]",
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "400 digits": b'{"a": ' + b"9" * 400 + b"}",
    "400 digits beside NaN": b'{"a": ' + b"9" * 400 + b', "b": [NaN ]}',
    "1e308": b'{"a": [1e308]}',
    "1e999": b"[1e999]",
    "a bit more than a float32": b"[-1e40]",
    "nested": b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
    "nested beyond any stack": b'{"a":' * 200_000,
    "nested beyond any stack, with NaN": b"[ NaN ," + b"[" * 200_000,
}
BAD_TOML = {
    "no TOML": b"a = ",
    "no text": b"a = '\xff'",
    "half a character": rb'a = "\ud800"',
    "NaN": b"a = nan",
    "infinity": b"a = [-inf]",
    "5,000 digits": b"a = " + b"9" * 5000,
    "400 digits": b"a = " + b"9" * 400,
    "1e308": b"[t]\na = 1e308",
    "year 1": b"a = 0001-01-01",
    "the last moment": b"a = 9999-12-31T23:59:59-14:00",
    "lists in lists": b"a = " + b"[" * 3000,
    "tables in tables": b"a = " + b"{a=" * 3000,
    "tables nested by their names": b"[" + b".".join([b"a"] * 60_000) + b"]",
    "a key of 120 kB": b".".join([b"a"] * 60_000) + b" = 1",
    "a key of quoted parts": b" . ".join([b'"a b"', b"'c'"] * 20_000) + b" = 1",
    "a key in a table in a line": b"a = {" + b".".join([b"b-1"] * 60_000) + b" = 1}",
    "lists nested by the structure of keys": b"\n".join(
        b"[" + b".".join([b"a"] * depth) + b"]" for depth in (30, 60)
    ),
}


@pytest.mark.parametrize("content", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_json_out_of_bounds_is_a_problem_of_its_file(content: bytes) -> None:
    with pytest.raises(FileProblem, match=r"runs/round_001/record\.json"):
        parse_json(content, Path("runs/round_001/record.json"))


@pytest.mark.parametrize("content", BAD_TOML.values(), ids=BAD_TOML.keys())
def test_toml_out_of_bounds_is_a_problem_of_its_file(content: bytes) -> None:
    with pytest.raises(FileProblem, match=r"runs/field\.toml"):
        parse_toml(content, Path("runs/field.toml"))


def test_a_value_out_of_bounds_is_named_with_its_key() -> None:
    with pytest.raises(FileProblem, match="'val_bpb': nan is no number"):
        parse_json(b'{"scores": [{"val_bpb": NaN}]}', "record.json")


def test_what_is_within_bounds_is_read_as_it_is() -> None:
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    prose = "x = '''" + "and so on ... e.g. a.b.c, 1.2.3, www.example.org. " * 500 + "'''"

    assert parse_json(b'\xef\xbb\xbf{"a": [18446744073709551615, 3.4e38, "\\ud83d\\ude00"]}', "") == {
        "a": [2**64 - 1, 3.4e38, "\N{GRINNING FACE}"]
    }
    assert parse_json(deepest, "")
    assert parse_toml(".".join(["a"] * 20).encode() + b" = 1979-05-27", "")
    assert parse_toml(b"\xef\xbb\xbf" + prose.encode(), "")


@pytest.mark.parametrize(
    "text", ["a", '"', "'", "a.", "a .", '"a".', "'a' ", "a b", ".", " ", "[", "a\n", "a.b\n"], ids=repr
)
@pytest.mark.timeout(60)  # a pattern that takes time with the square of the text needs hours
def test_a_megabyte_of_anything_is_looked_through_at_once(text: str) -> None:
    with pytest.raises(FileProblem):
        parse_toml(b"\n= " + text.encode() * (1_000_000 // len(text)), "round.toml")


# The file itself ----------------------------------------------------------------------------------


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # its path may be too long for a socket
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "it is a pipe"),
    "a socket": (_socket, "it is no file"),
    "a folder": (Path.mkdir, "it is a folder"),
    "a link": (lambda path: path.symlink_to("/etc/passwd"), "it is a link"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "it is a link"),
    "a file too large": (lambda path: path.write_bytes(b"x" * 1001), "1,001 bytes, and at most 1,000"),
}


@pytest.mark.parametrize(("make", "reason"), NO_FILES.values(), ids=NO_FILES.keys())
@pytest.mark.timeout(30)  # nothing is waited for
def test_what_is_no_file_is_refused_by_name(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    make(path)

    with pytest.raises(FileProblem, match=reason) as refused:
        read_file(path, 1000)

    assert str(path) in refused.value.message
    assert not isinstance(refused.value, MissingFile)


@pytest.mark.timeout(30)
def test_a_device_is_not_read() -> None:
    with pytest.raises(FileProblem, match="cannot read /dev/zero: it is a device"):
        read_file(Path("/dev/zero"), 1000)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)

    assert read_file(tmp_path / "a", 1000) == b"x" * 1000


def test_no_part_below_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside/in").mkdir(parents=True)
    (tmp_path / "outside/in/a.json").write_text("[1]")
    root = tmp_path / "runs"
    root.symlink_to("outside")  # where the season lies is its owner's to say
    (tmp_path / "outside/link").symlink_to("in")

    assert read_json(root / "in/a.json", 100, root=root) == [1]
    with pytest.raises(FileProblem, match="it is a link"):
        read_json(root / "link/a.json", 100, root=root)
    with pytest.raises(FileProblem, match="leads out"):
        read_json(root / "in/../../outside/in/a.json", 100, root=root)
    with pytest.raises(MissingFile):
        read_json(root / "in/a.json/b.json", 100, root=root)


def test_a_missing_file_is_told_from_a_broken_one(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "none/none"):
        with pytest.raises(MissingFile):
            read_file(path, 1000)


def test_a_model_that_does_not_fit_names_the_parts(tmp_path: Path) -> None:
    path = tmp_path / "prediction.json"
    unknown = {f"x{n}": 0 for n in range(11)}
    path.write_text(json.dumps({"schema": 7, "history": [1]} | unknown))

    with pytest.raises(FileProblem, match=r"history\.0.*\(found 1\).*and 8 more$") as refused:
        read_model(Seals, path, 1000)

    assert refused.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "error", [KeyError("a"), RecursionError(), MemoryError(), OverflowError(34, "too large")]
)
def test_any_failure_becomes_a_problem_of_the_file(error: Exception) -> None:
    with pytest.raises(FileProblem, match=r"^field\.toml: "), naming("field.toml"):
        raise error


def test_an_error_that_is_named_already_stays_as_it_is() -> None:
    with pytest.raises(UsageError, match=r"^mine$"), naming("field.toml"):
        raise UsageError("mine")
