"""One bad file never stops a season: it is named, and the rest is shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from harness.cli import commands
from harness.cli.app import app
from harness.errors import HarnessError
from tests.harness.bad_files import BAD, FILES, OTHER, make_season

GO_ON = [
    ["ls"],
    ["ls", "--json"],
    ["ls", "--json", "--full"],
    ["ls", "--tree"],
    ["brief"],
    ["publish", "--no-pictures"],
    ["doctor", "--publish"],
]
GO_ON_OR_FAIL = [["doctor"]]  # it reports errors of this machine too
OF_A_HOLE = [["show", OTHER], ["compare", OTHER, BAD], ["check", OTHER]]
OF_THE_BAD_HOLE = [["show", BAD], ["check", BAD], ["compare", BAD, OTHER], ["notes", "check"]]


def sparse(path: Path) -> None:
    """A file of 10 GB that takes no place."""
    with path.open("wb") as file:
        file.truncate(10**10)


def nested(path: Path) -> None:
    path.write_bytes(b"a = " * path.name.endswith("toml") + b"[" * 200_000 + b"\n")


# What takes the place of a file.
WAYS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "10 GB": sparse,
    "nested": nested,
}
TEXT = ["nested"]  # good as notes


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad_files")
    make_season(folder / "season")
    return folder / "season"


@pytest.fixture
def runs(season: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(season, tmp_path / "runs")
    return tmp_path / "runs"


def call(words: list[str]) -> int:
    """Run a command here, as `harness` does it."""
    try:
        app(words, prog_name="harness", standalone_mode=False)
    except typer.Exit as end:
        return int(end.exit_code)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.timeout(120)  # nothing is waited for
def test_every_command_goes_on_beside_a_bad_file(
    kind: str, way: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "notes" and way in TEXT:
        pytest.skip("any text is good as notes")
    path = runs / FILES[kind]
    path.unlink()
    WAYS[way](path)

    for words in GO_ON:
        assert call(words) == 0, words
    for words in OF_A_HOLE:
        assert call(words) in (0, 13), words  # 13: it does not comply
    for words in GO_ON_OR_FAIL:
        assert call(words) in (0, 1), words
    for words in OF_THE_BAD_HOLE:
        with suppress(HarnessError):
            call(words)
    shown = capsys.readouterr()
    page = Path("_site/holes", f"{OTHER}.html").read_text()
    said = shown.err + "".join(page.read_text() for page in Path("_site").rglob("*.html"))

    assert OTHER in shown.out
    assert "</html>" in page
    assert path.name in said or kind == "launch", said
    assert "Traceback" not in shown.err


def test_the_season_without_a_bad_file_has_no_problem(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in [*GO_ON, *GO_ON_OR_FAIL, *OF_A_HOLE, *OF_THE_BAD_HOLE]:
        call(words)

    assert "cannot be read" not in capsys.readouterr().err
    assert commands
