"""A package packed into one script: it does the same, takes the same settings, and can be read again."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import trainer
from harness.errors import HarnessError
from harness.scripts.knobs import read_script
from harness.scripts.one_file import minify, write_script
from harness.scripts.unpack import unpack_source

SCRIPT = '''
    """The entry."""

    from __future__ import annotations

    import inspect
    import os

    from package import shape
    from package.parts.wheel import Wheel, turn

    def main() -> None:
        """Print what the settings give."""
        wheel: Wheel = Wheel(int(os.environ["ITERATIONS"]))
        print(shape.area(wheel.size), turn(wheel), os.environ["SEED"])
        if os.environ["RUN_ID"] == "source":
            print(inspect.getsource(turn))  # a comment
'''
SHAPE = '''
    """Another module with the same names."""

    def turn() -> str:
        return "# no comment"

    def area(size: int, /, unit: str = 'm', *more: int, **rest: str) -> str:
        from .parts.wheel import double

        text = """two
        lines, # no comment"""
        return f"{double(size)}{unit}{turn()!r}{len(text)}"
'''
WHEEL = '''
    from __future__ import annotations

    from dataclasses import dataclass
    from typing import TYPE_CHECKING

    if TYPE_CHECKING:
        from package.unused import Nothing

    @dataclass(frozen=True)
    class Wheel:
        """A field is an annotation, and stays."""

        size: int
        colour: str = "red"

        def nothing(self, x: Nothing) -> Nothing:
            """Only this."""

    def double(size: int) -> int:
        return 2 * size

    def turn(wheel: Wheel) -> str:
        result: str
        result = repr(wheel)
        return result
'''


@pytest.fixture
def package(tmp_path):
    """A package of three modules that its entry needs and one that it does not."""
    folder = tmp_path / "package"
    (folder / "parts").mkdir(parents=True)
    files = {"__init__": "", "script": SCRIPT, "shape": SHAPE, "unused": "class Nothing: pass\n"}
    for name, text in (files | {"parts/__init__": "", "parts/wheel": WHEEL}).items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def run(script, tmp_path, **env):
    empty = tmp_path / "empty"
    empty.mkdir(exist_ok=True)
    (empty / "train_gpt.py").write_text(script)
    return subprocess.run(
        [sys.executable, "-I", "train_gpt.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=empty,
        env=env,
    )


@pytest.mark.parametrize("form", ["packed", "readable", "unpacked"])
def test_script_alone_does_what_the_package_does(form, package, tmp_path):
    script = write_script({"ITERATIONS": "3"}, "from a test", package, readable=form == "readable")
    script = unpack_source(script).source if form == "unpacked" else script

    done = run(script, tmp_path)

    assert done.stdout == "6m'# no comment'27 Wheel(size=3, colour='red') 1337\n", done.stderr
    assert "Nothing" not in unpack_source(script).source or form == "readable"
    assert ("a comment" in script) == (form == "readable")


def test_settings_of_the_record_hold_until_another_is_set(package, tmp_path):
    script = write_script({"ITERATIONS": "3", "SEED": "42"}, folder=package)

    done = run(script, tmp_path, ITERATIONS="5", SEED="7")

    assert done.stdout.startswith("10m")
    assert done.stdout.endswith(" 7\n")


def test_setting_whose_code_is_not_in_the_script_is_refused(package, tmp_path):
    (package / "features").mkdir()
    (package / "features" / "__init__.py").write_text(
        "def needed(config):\n    return ('package.features.wing',) if config['RUN_ID'] == 'fly' else ()\n"
    )
    (package / "config.py").write_text("load_config = dict\n")
    with (package / "script.py").open("a") as entry:
        entry.write("\nimport package.features\nimport package.config\n")
    script = write_script({"ITERATIONS": "3"}, folder=package)

    refused = run(script, tmp_path, RUN_ID="fly")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "RUN_ID=fly needs package.features.wing, which is not in this script\n"
    assert run(script, tmp_path, RUN_ID="walk", SEED="7").returncode == 0


def test_seed_of_an_attempt_changes_no_byte(package):
    scripts = {write_script({"ITERATIONS": "3", "SEED": seed}, folder=package) for seed in ("7", "1234567")}

    assert len(scripts) == 1


def test_source_of_a_function_can_be_asked_for(package, tmp_path):
    """torch does when it compiles, and tracebacks do."""
    done = run(write_script({"ITERATIONS": "3"}, folder=package), tmp_path, RUN_ID="source")

    assert "def turn(wheel):" in done.stdout, done.stderr


def test_knobs_of_the_packed_script_can_be_read():
    """`harness knobs --script` reads what we write, and the defaults are the record's."""
    knobs = read_script(write_script({"ITERATIONS": "3", "MATRIX_LR": "0.02"})).defaults()

    assert knobs.items() >= {"ITERATIONS": "3", "MATRIX_LR": "0.02", "SEED": "1337"}.items()
    assert {"DATA_PATH", "TOKENIZER_PATH", "RUN_ID"} <= knobs.keys()


def test_unknown_knob_is_refused():
    with pytest.raises(HarnessError, match="no knob NO_SUCH"):
        write_script({"NO_SUCH": "1"})


def test_broken_module_is_named_with_its_line(package):
    (package / "shape.py").write_text("x = 1\ndef area(:\n")

    with pytest.raises(HarnessError, match=r"package\.shape, line 2"):
        write_script({}, folder=package)


# Fewer bytes --------------------------------------------------------------------------------------


class Bare(ast.NodeTransformer):
    """Takes every docstring and annotation off a tree, so that two that differ in nothing else are equal."""

    def visit(self, node):
        self.generic_visit(node)
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef():
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
                if isinstance(node, ast.FunctionDef):
                    node.returns = None
            case ast.arg():
                node.annotation = None
            case ast.AnnAssign():
                return ast.Assign([node.target], node.value) if node.value else ast.Pass()
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return ast.Pass()
        return node


TRAINER = Path(trainer.__file__).parent


@pytest.mark.parametrize("path", sorted(TRAINER.rglob("*.py")), ids=lambda path: path.stem)
def test_minified_module_has_the_same_code(path):
    text = path.read_text()

    small = minify(text)

    same = ast.dump(Bare().visit(ast.parse(small))) == ast.dump(Bare().visit(ast.parse(text)))
    assert same, f"{path.name} is another program"
    assert "\n\n" not in small
    assert len(small) < len(text)
