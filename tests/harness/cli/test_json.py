"""With --json every command prints exactly one object on standard output, whatever happens."""

import json
import shutil

import pytest
import typer

from harness.cli.commands import app
from tests.fake import command_line
from tests.fake.command_line import SMALL

WAITS = {"preview", "data pull"}  # serves until it is stopped; asks the network

GOOD = {
    "run": [
        ("1", *SMALL, "--repeat"),
        ("1", "--dry-run", "--repeat"),
        ("2", *SMALL, "--repeat", "--emit", "bundle"),
        ("3", *SMALL, "--abort", "train_loss@2>0.001"),
        ("4", *SMALL, "-o", "NOSUCH=1"),
    ],
    "evaluate": [("1", "--dry-run"), ("1", "-o", "EVAL_STRIDE=64")],
    "resume": [("1",)],
    "noise": [("1", "--dry-run")],
    "confirm": [("1", "--dry-run")],
    "doctor": [(), ("1",), ("--publish",)],
    "watch": [("1",)],
    "ls": [(), ("--tree",)],
    "show": [("1",), ("1", "--why"), ("1", "--diff")],
    "compare": [("1", "--to", "par"), ("1", "1"), ("1", "--plot", "nowhere/a.svg")],
    "brief": [()],
    "decide": [("1", "keep", "--reason", "fast"), ("1", "maybe", "--reason", "fast")],
    "knobs": [(), ("LR",)],
    "check": [("1",)],
    "import": [("one.log",), ("one.log", "--dry-run"), ("one.log", "--as", "hole"), ("bad.csv",), ("-",)],
    "export": [("1", "--out", "exported"), ("1", "--out", "runs")],
    "submit": [("1", "--track", "10min")],
    "publish": [("--out", "site"), ("--out", "runs")],
    "notes check": [(), ("1",)],
    "notes values": [("1",)],
    "data check": [(), ("--course", "nosuch")],
}


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


ALL = dict(commands(typer.main.get_command(app)))
COMMANDS = {name: one for name, one in ALL.items() if any("--json" in other.opts for other in one.params)}


def wrong_words(command):
    """Yield words that cannot be meant: nothing, an unknown option, every option with a value of no kind."""
    words = ["nosuch" for one in command.params if one.param_type_name == "argument" and one.required]
    yield ()
    yield (*words, "--nosuch-option")
    yield tuple(words)
    for one in command.params:
        if one.param_type_name == "option" and one.opts[0] != "--json":
            yield (*words, one.opts[0]) if one.is_flag else (*words, one.opts[0], "nosuch ☃")
            yield (*words, one.opts[0])


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A season with one hole, played by the fake trainer."""
    place = tmp_path_factory.mktemp("season")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        assert command_line.call("run", "round_001_base", *SMALL).returncode == 0
    return place


@pytest.fixture
def season(played, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(played / "cache"))
    shutil.copytree(played / "runs", "runs")
    (tmp_path / "one.log").write_text("step:10/20 val_loss:2.1 val_bpb:1.25 train_time:100ms\n")
    (tmp_path / "bad.csv").write_text("a,b\n1\n")
    return tmp_path


def check_one_object(words):
    done = command_line.call(*words)

    answer = json.loads(done.stdout)  # fails for none, and for two
    assert (type(answer), answer["schema"]) == (dict, 2), words
    assert answer.get("exit_code", done.returncode) == done.returncode, words
    assert "Traceback" not in done.stderr, (words, done.stderr)
    if answer["command"] == "error":
        assert done.returncode != 0, words
        assert f"error: {answer['error']}"[:60] in done.stderr, words
    return done.returncode


@pytest.mark.parametrize("name", COMMANDS)
def test_what_cannot_be_meant_is_answered_with_one_object(name, season):
    for words in wrong_words(COMMANDS[name]):
        if name not in WAITS or "--nosuch-option" in words:
            check_one_object([*name.split(), *words, "--json"])


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, many in GOOD.items() for words in many])
def test_what_can_be_meant_is_answered_with_one_object(name, words, season):
    code = check_one_object([*name.split(), *words, "--json"])

    assert code != 70


def test_help_and_version_are_answered_with_one_object_as_well(season):
    assert check_one_object(["--version", "--json"]) in (0, 2)
    for name in COMMANDS:
        assert check_one_object([*name.split(), "--help", "--json"]) == 0
