"""`import harness`: what docs/python.md promises."""

import json
import re
import shutil
import subprocess
import sys

import pytest

import harness
from tests.paths import DATA, ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture
def season(tmp_path, monkeypatch):
    shutil.copytree(DATA / "season", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return harness.load_season()


@pytest.fixture
def call_harness(request):
    """The command line; its fixture has the name of the package."""
    return request.getfixturevalue("harness")


def test_example_of_the_page_runs_and_prints_the_numbers_of_the_commands(season, tmp_path, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

    exec(compile(example, "docs/python.md", "exec"), {})

    out = capsys.readouterr().out
    first = season.hole("1")
    assert f"{first.hole} {first.verdict} {first.val_bpb} " in out
    assert f"{len(season.holes)} holes in {tmp_path / '_site'}" in out
    assert (tmp_path / "_site" / "index.html").is_file()


def test_holes_and_pairs_are_those_of_the_commands(season, call_harness):
    shown = json.loads(call_harness("ls", "--json", "--full").stdout)["holes"]
    compared = json.loads(call_harness("compare", "2", "1", "--json").stdout)["pairs"][0]

    holes = [hole.model_dump(mode="json") for hole in season.holes]
    assert [{key: one[key] for key in holes[0]} for one in shown] == holes
    assert season.compare("2", "round_001").model_dump(mode="json") == compared


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda season: season.hole("99"), "99"),
        (lambda season: season.compare("1", "pr:1"), "pr:1"),
        (lambda season: season.compare("1", "1"), "itself"),
        (lambda season: season.publish("runs"), "runs"),
        (lambda season: harness.load_season("nosuch"), "nosuch"),
    ],
)
def test_what_cannot_be_meant_is_a_harness_error_that_names_it(call, words, season):
    with pytest.raises(harness.HarnessError, match=words) as caught:
        call(season)

    assert caught.value.hint


def test_page_names_everything_that_the_package_offers():
    offered = set(harness._API)

    assert offered <= set(dir(harness))
    assert {name for name in offered if f"`{name}`" not in PAGE and f"`harness.{name}(" not in PAGE} == set()
    methods = {name for name in vars(harness.Season) if not name.startswith("_")}
    assert {name for name in methods if not re.search(rf"`Season\.{name}[`(]", PAGE)} == set()


def test_import_loads_neither_torch_nor_pydantic():
    script = "import sys, harness; print(sorted({'torch', 'pydantic', 'typer', 'numpy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nosuch"):
        harness.nosuch  # noqa: B018
