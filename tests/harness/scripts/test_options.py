"""What a script takes on its command line is read off its text, and a command line is checked against it."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.scripts.arguments import check_arguments, option_defaults
from harness.scripts.knobs import read_script
from harness.scripts.options import read_options

ARGPARSE = """
import argparse, os
def yes(text):
    return text.lower() in ("yes", "true", "1")
RATE = 0.02
p = argparse.ArgumentParser()
g = p.add_argument_group("training")
p.add_argument("-d", "--depth", type=int, default=4, help="how deep")
g.add_argument("--lr", type=float, default=RATE * 2)
p.add_argument("--fp8", action="store_true")
p.add_argument("--no-save", dest="save", action="store_false")
p.add_argument("--opt", choices=["muon", "adam"], default="muon")
p.add_argument("--amp", type=yes, default=True)
p.add_argument("--layers", nargs="+", type=int, default=[1, 2])
p.add_argument("--max_len", type=lambda text: int(text), required=True)
p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1337")))
p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
p.add_argument("config", nargs="?")
for n in ("a", "b"):
    p.add_argument(f"--mult-{n}", type=float, default=1.0)
a = p.parse_args()
"""
FIELDS = """
import argparse
from dataclasses import dataclass, fields
@dataclass
class Config:
    depth: int = 3
    lr: float = 1e-3
p = argparse.ArgumentParser()
for f in fields(Config):
    p.add_argument(f"--{f.name}", type=f.type, default=f.default)
"""
CLICK = """
import click
@click.command()
@click.option("--depth", "-d", default=4)
@click.option("--lr", type=float, required=True)
@click.option("--fp8/--no-fp8", default=False)
@click.option("--opt", type=click.Choice(["muon", "adam"]), default="muon")
@click.option("--size", type=click.IntRange(1, 9), default=3)
@click.argument("data", type=click.Path())
def main(depth, lr, fp8, opt, size, data): pass
"""
TYPER = """
import typer
from typing import Annotated, Optional
app = typer.Typer()
@app.command()
def train(data: str, depth: int = 4, max_len: Annotated[int, typer.Option("--max-len", "-m")] = 7,
          lr: float = typer.Option(0.1), fp8: bool = False, name: Optional[str] = None,
          seed: int = typer.Option(...)): pass
app()
"""
TYRO = """
import tyro
from dataclasses import dataclass, field
from typing import Literal
@dataclass
class Opt:
    lr: float = 0.02
    name: Literal["muon", "adam"] = "muon"
@dataclass
class Args:
    max_len: int
    opt: Opt = field(default_factory=Opt)
    fp8: bool = False
    seed: int | None = None
args = tyro.cli(Args)
"""
GLOBALS = """
out_dir = 'out'
eval_only = False
batch_size = 12
learning_rate = 6e-4
exec(open('configurator.py').read())
tokens = batch_size * 4
"""
CONFIGURATOR = """
import sys
for arg in sys.argv[1:]:
    key, val = arg.split('=')
    globals()[key[2:]] = val
"""
BY_HAND = """
import sys
quick = "--quick" in sys.argv
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 5
seed = float(sys.argv[sys.argv.index("--seed") + 1])
for a in sys.argv[1:]:
    if a.startswith("--tag="):
        tag = a[6:]
"""
ABSL = """
from absl import flags
flags.DEFINE_integer("depth", 4, "how deep")
flags.DEFINE_bool("fp8", False, "in eight bits")
"""
# name -> type and default; names without dashes are words without a name
LISTED = {
    "argparse": (
        ARGPARSE,
        {
            "--depth": ("int", "4"),
            "--lr": ("float", "0.04"),
            "--fp8": ("flag", "false"),
            "--no-save": ("flag", "true"),
            "--opt": ("text", "muon"),
            "--amp": ("flag", "true"),
            "--layers": ("int", "1 2"),
            "--max_len": ("int", None),
            "--seed": ("int", "1337"),
            "--compile": ("flag", "true"),
            "--mult-a": ("float", "1.0"),
            "--mult-b": ("float", "1.0"),
            "config": ("text", None),
        },
    ),
    "fields of a class": (FIELDS, {"--depth": ("int", "3"), "--lr": ("float", "0.001")}),
    "click": (
        CLICK,
        {
            "--depth": ("int", "4"),
            "--lr": ("float", None),
            "--fp8": ("flag", "false"),
            "--opt": ("text", "muon"),
            "--size": ("int", "3"),
            "data": ("text", None),
        },
    ),
    "typer": (
        TYPER,
        {
            "--depth": ("int", "4"),
            "--max-len": ("int", "7"),
            "--lr": ("float", "0.1"),
            "--fp8": ("flag", "false"),
            "--name": ("text", None),
            "--seed": ("int", None),
            "data": ("text", None),
        },
    ),
    "tyro": (
        TYRO,
        {
            "--max-len": ("int", None),
            "--opt.lr": ("float", "0.02"),
            "--opt.name": ("text", "muon"),
            "--fp8": ("flag", "false"),
            "--seed": ("int", None),
        },
    ),
    "by hand": (
        BY_HAND,
        {
            "--quick": ("flag", "false"),
            "--seed": ("float", None),
            "--tag": ("text", None),
            "argument_1": ("int", None),
        },
    ),
    "absl": (ABSL, {"--depth": ("int", "4"), "--fp8": ("flag", "false")}),
}


@pytest.mark.parametrize("name", LISTED)
def test_options_are_listed_with_type_and_default(name: str) -> None:
    text, expected = LISTED[name]
    options = read_options(text)

    found = {
        option.name: (option.kind, option.default) for option in (*options.options.values(), *options.bare)
    }
    assert found == expected
    assert options.unclear == ()


def test_globals_that_the_command_line_sets_are_options() -> None:
    options = read_options({"train.py": GLOBALS, "configurator.py": CONFIGURATOR})

    assert option_defaults(options) == {
        "--out_dir": "out",
        "--eval_only": "false",
        "--batch_size": "12",
        "--learning_rate": "0.0006",
    }
    assert check_arguments(options, ["config/small.py", "--batch_size=4"]) == {
        "--batch_size": "4",
        "config": "config/small.py",
    }
    with pytest.raises(UsageError, match="takes --batch_size=VALUE, not --batch_size alone"):
        check_arguments(options, ["--batch_size", "4"])


@pytest.mark.parametrize(
    ("text", "words", "values"),
    [
        (ARGPARSE, "--max_len 7 -d 8 --fp8", {"--max_len": "7", "--depth": "8", "--fp8": "true"}),
        (ARGPARSE, "--max_len=7 -d8 --no-save", {"--max_len": "7", "--depth": "8", "--no-save": "false"}),
        (ARGPARSE, "--max 7 --layers 1 2 3", {"--max_len": "7", "--layers": "1 2 3"}),
        (ARGPARSE, "small.py --max_len 7 --lr -1", {"--max_len": "7", "--lr": "-1.0", "config": "small.py"}),
        (ARGPARSE, "--max_len 7 --no-compile", {"--max_len": "7", "--compile": "false"}),
        (ARGPARSE, "--max_len 7 --amp no", {"--max_len": "7", "--amp": "false"}),
        (CLICK, "--lr 0.1 --no-fp8 data", {"--lr": "0.1", "--fp8": "false", "data": "data"}),
        (TYRO, "--max_len 3 --opt.lr 1", {"--max-len": "3", "--opt.lr": "1.0"}),
        (BY_HAND, "12 --quick", {"argument_1": "12", "--quick": "true"}),
    ],
)
def test_a_command_line_gives_each_option_its_value(text: str, words: str, values: dict[str, str]) -> None:
    assert check_arguments(read_options(text), words.split()) == values


@pytest.mark.parametrize(
    ("text", "words", "message", "hint"),
    [
        (
            ARGPARSE,
            "--max_len 7 --dept 4 --deph 3",
            "option --deph is taken by nothing",
            "did you mean --depth",
        ),
        (ARGPARSE, "--max_len long", "option --max_len long is not a whole number; line 15", "--max_len 1"),
        (ARGPARSE, "--max_len 7 --opt sgd", "--opt sgd is not one of muon, adam", "write --opt muon"),
        (ARGPARSE, "--depth 3", "needs --max_len, which is not given; line 15", "--max_len VALUE"),
        (ARGPARSE, "--max_len", "--max_len stands without its value", "write --max_len"),
        (ARGPARSE, "--max_len 7 a.py b.py", "b.py is taken by nothing in the script", "harness knobs"),
        (CLICK, "--lr 0.1", "the script needs data", "DATA"),
        ("import os\nprint(os.environ['A'])", "--depth 4", "which has no options", "-o NAME=VALUE"),
    ],
)
def test_a_wrong_command_line_names_the_word_and_the_place(
    text: str, words: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check_arguments(read_options(text), words.split())

    assert hint in (caught.value.hint or "")


def test_an_option_that_the_text_does_not_show_is_let_through_where_the_script_may_take_it() -> None:
    options = read_options("import sys\nsettings = dict(a.split('=') for a in sys.argv[1:])")

    assert options.unclear == ("line 2 goes through sys.argv itself",)
    assert check_arguments(options, ["--depth=4"]) == {"--depth": "4"}


def test_knobs_lists_options_with_those_of_the_environment(harness, tmp_path) -> None:
    script = tmp_path / "train.py"
    script.write_text(ARGPARSE)

    shown = harness("knobs", "--script", script)
    assert shown.returncode == 0, shown.stderr
    assert "--max_len" in shown.stdout
    assert "required" in shown.stdout
    assert "one of muon, adam" in shown.stdout
    assert "SEED" in shown.stdout


GROUP = """
import click
@click.group()
@click.option("--verbose", is_flag=True)
def cli(verbose): ...
@cli.command()
@click.option("--depth", default=4, envvar="DEPTH")
@click.option("--lr", type=float, required=True, envvar=["LR", "BASE_LR"])
@click.option("--ema/--no-ema", default=True, envvar="EMA")
def train(depth, lr, ema): ...
@cli.command("score")
def evaluate(): ...
cli()
"""


def test_commands_of_a_group_are_known_with_and_without_options() -> None:
    options = read_options(GROUP)

    assert options.commands == ("train", "score")
    assert check_arguments(options, ["train", "--lr", "0.1"]) == {"command": "train", "--lr": "0.1"}


def test_variables_that_stand_for_options_are_knobs() -> None:
    knobs = read_script(GROUP).knobs

    found = {name: (knob.kind, knob.default) for name, knob in knobs.items()}
    assert found == {
        "DEPTH": ("int", "4"),
        "LR": ("float", None),
        "BASE_LR": ("float", None),
        "EMA": ("flag", "true"),
    }


def test_an_option_holds_what_a_variable_sets() -> None:
    options = read_options(GROUP, {"DEPTH": "8", "BASE_LR": "0.5", "EMA": "0"})

    assert check_arguments(options, ["train"]) == {"command": "train"}
    assert option_defaults(options) == {
        "--verbose": "false",
        "--depth": "8",
        "--lr": "0.5",
        "--ema": "false",
    }


def test_an_option_whose_default_is_read_from_the_environment_follows_it() -> None:
    text = (
        "import argparse, os\np = argparse.ArgumentParser()\n"
        "p.add_argument('--depth', type=int, default=int(os.environ.get('DEPTH', 4)))\n"
    )

    assert option_defaults(read_options(text, {"DEPTH": "9"})) == {"--depth": "9"}


def test_a_variable_named_by_a_prefix_is_a_knob() -> None:
    text = (
        "import click\n@click.command()\n@click.option('--max-len', default=8)\n"
        "def main(max_len): ...\nmain(auto_envvar_prefix='GOLF')\n"
    )

    assert read_script(text).knobs["GOLF_MAX_LEN"].default == "8"


def test_options_that_stand_elsewhere_than_in_the_script_are_unclear() -> None:
    text = "import hydra\n@hydra.main(config_path='conf')\ndef main(cfg): ...\nmain()\n"

    assert read_options(text).unclear == ("line 2 takes options through hydra.main",)


def test_a_bare_word_may_be_named_by_its_destination() -> None:
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument(dest='shards', nargs='?')\n"

    assert check_arguments(read_options(text), ["here"]) == {"shards": "here"}
