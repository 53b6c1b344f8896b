"""Every argument and option that takes a hole takes it in every spelling."""

import re
import shutil

import pytest
import typer

from harness.cli.commands import app
from tests.fake import command_line
from tests.fake.command_line import SMALL

SPELLINGS = ["1", "round_1", "ROUND_001_Base", "round_001_b", "runs/round_001_base/", "round_001_base/"]

# What else must be typed to see what a command made of a hole, without starting anything.
MORE = {
    "run": ("--dry-run", "--repeat"),
    "run --parent": ("2", "--dry-run", *SMALL),
    "run --paired": ("2", "--dry-run", *SMALL),
    "evaluate": ("--dry-run",),
    "evaluate --new": ("1", "--dry-run", "--repeat"),
    "noise": ("--dry-run",),
    "confirm": ("--dry-run",),
    "decide": ("keep", "--reason", "fast"),
    "watch": ("--once",),
    "rename": ("Another name",),
    "export": ("--out", "exported"),
    "doctor": SMALL,
    "drop-attempt": ("1",),
    "new --from": ("A title",),
    "new --parent": ("A title",),
    "run --from": ("round_002", "--dry-run"),
}


def places_of_holes(group, prefix=""):
    """Yield (command, option) for every parameter that takes a hole; the option is empty for an argument."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from places_of_holes(command, f"{prefix}{name} ")
            continue
        for one in command.params:
            metavar = str(getattr(one, "metavar", ""))
            if "HOLE" in metavar or metavar == "A [B ...]":
                yield f"{prefix}{name}", "" if one.param_type_name == "argument" else one.opts[0]


TRASH = ("restore", "")  # names what lies in the trash
PLACES = sorted(set(places_of_holes(typer.main.get_command(app))) - {TRASH})
NEW = {("evaluate", "--new"), ("run", ""), ("doctor", "")}  # may be a hole that is not there yet


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """A season with one hole, played by the fake trainer."""
    place = tmp_path_factory.mktemp("season")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        done = command_line.call("run", "round_001_base", *SMALL)
        assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def call(season, tmp_path, monkeypatch):
    """Run a command on a copy of the season, with a hole in the place where it takes one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(season / "cache"))

    def run(command, option, hole):
        shutil.rmtree("runs", ignore_errors=True)
        shutil.rmtree("exported", ignore_errors=True)
        shutil.copytree(season / "runs", "runs")
        more = MORE.get(f"{command} {option}".strip(), ())
        done = command_line.call(*command.split(), *((option, hole) if option else (hole,)), *more)
        if command == "doctor":  # what is free differs each time, and so do lines
            return done.returncode, *(re.sub(r"[\d.,\s]+", " ", text) for text in (done.stdout, done.stderr))
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(("command", "option"), PLACES)
def test_every_place_for_a_hole_takes_every_spelling(command, option, call):
    by_name = call(command, option, "round_001_base")

    for spelling in SPELLINGS:
        code, out, err = call(command, option, spelling)
        expected = [text.replace("--new round_001_base:", f"--new {spelling}:") for text in by_name[1:]]
        assert (code, out, err) == (by_name[0], *expected), spelling


@pytest.mark.parametrize(("command", "option"), PLACES)
def test_every_place_for_a_hole_refuses_one_that_is_not_there(command, option, call):
    code, out, err = call(command, option, "round_001_bsae" if (command, option) not in NEW else "nosuch")

    if command == "doctor":  # a report of its own, with what is wrong in it
        assert (code, '"nosuch" is not a name for a hole' in out) == (1, True)
        return
    assert (code, out) == (2, "")
    what = "is not a name for a hole" if (command, option) in NEW else "did you mean round_001_base?"
    assert what in err
