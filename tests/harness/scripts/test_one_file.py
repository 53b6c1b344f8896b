"""A package flattened into one script: it does the same, and holds only what the settled configuration
needs."""

import importlib
import subprocess
import sys
import textwrap

import pytest

from harness.errors import HarnessError
from harness.flatten import Recipe, Settled, flatten
from harness.scripts import one_file
from trainer import script
from trainer.config import KNOBS

CONFIG = """
    from __future__ import annotations
    import os
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Config:
        kind: str = os.environ.get("KIND", "plain")
        extra: bool = bool(os.environ.get("EXTRA"))
        size: int = int(os.environ.get("SIZE", 3))
        unread: int = int(os.environ.get("UNREAD", 0))

        @property
        def double(self) -> int:
            return self.size * 2

        def never_called(self) -> int:
            return self.unread

    def load() -> Config:
        return Config()
"""


@pytest.fixture
def package(tmp_path):
    """Write modules of a package `pkg`."""

    def write(**modules):
        folder = tmp_path / "pkg"
        folder.mkdir(exist_ok=True)
        for name, source in ({"config": CONFIG} | modules).items():
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        return folder

    return write


def make(folder, entry="main:main", silent=(), stand_ins=None, additions=None, **knobs):
    settled = Settled("config:Config", knobs, frozenset(silent))
    return Recipe(folder, entry, settled, stand_ins or {}, additions or {}, header="from a test")


def run(script, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(script)
    lint = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", "--no-cache", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout
    done = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_names_that_two_modules_share_stay_apart(package, tmp_path):
    folder = package(
        one="VERSION = 1\ndef show(list=None):\n    VERSION = 5\n    return VERSION\n"
        "def version(): return VERSION\n",
        two="import json as os\nVERSION = 2\ndef show(): return VERSION, os.dumps([1])\n",
        main="""
            import os
            from pkg import one, two
            from pkg.one import show as first
            from pkg.two import show

            def main():
                show_two = show()
                version = one.version()
                print(first(), version, *show_two, two.VERSION, bool(os.sep))
        """,
    )

    assert run(flatten(make(folder)), tmp_path) == ["5", "1", "2", "[1]", "2", "True"]


def test_only_what_the_configuration_needs_is_there(package, tmp_path):
    folder = package(
        main="""
            from pkg.config import Config, load
            from pkg.parts import Fancy, Plain

            class Model:
                def __init__(self, c: Config, wide: bool) -> None:
                    self.part = Fancy(c) if c.kind == "fancy" else Plain(c, wide)
                    self.extra = Fancy(c) if c.extra else None

                def run(self) -> int:
                    total = self.part.size()
                    if self.extra is not None:
                        total += self.extra.size()
                    return total

            def main():
                c = load()
                print(Model(c, c.kind == "fancy").run(), c.double)
        """,
        parts="""
            from pkg.config import Config
            from heapq import heappush

            class Plain:
                def __init__(self, c: Config, wide: bool) -> None:
                    self.c, self.wide = c, wide
                def size(self): return _wide(self.c) if self.wide else self.c.size

            class Fancy:
                def __init__(self, c: Config) -> None: self.heap = heappush([], c)
                def size(self): return 7

            def _wide(c: Config) -> int: return 2 * c.size
        """,
    )

    script = flatten(make(folder, kind="plain", extra=False))

    assert run(script, tmp_path) == ["3", "6"]
    for gone in ("Fancy", "heappush", "_wide", "never_called", "unread", "kind", "extra is not None"):
        assert gone not in script
    assert "from a test" in script


def test_value_that_changes_is_not_taken_for_a_constant(package, tmp_path):
    folder = package(
        main="""
            from pkg.config import load
            class State:
                asked = False
                count = 0
            def bump(state: State, by: int) -> None:
                state.count += by
            def loop(state: State, stop: bool):
                last = None
                for n in range(3):
                    last = n
                    bump(state, n)
                    if state.count >= 3:
                        state.asked = True
                return last, stop, state.asked, state.count
            def main():
                load()
                print(*loop(State(), True), *loop(State(), False))
        """
    )

    assert run(flatten(make(folder)), tmp_path) == ["2", "True", "True", "3", "2", "False", "True", "3"]


def test_silent_calls_are_left_out_with_what_only_they_need(package, tmp_path):
    folder = package(
        main="""
            from pkg.config import load
            import fractions
            class Watcher:
                def look(self, x): print(fractions.Fraction(x))
            class Run:
                def __init__(self, watcher: Watcher) -> None: self.watcher = watcher
                def go(self, check: bool = False):
                    self.watcher.look(1)
                    _check(2)
                    assert load()
                    if check:
                        print("checked")
                    print("done")
            def _check(x):
                raise ValueError(x)
            def main(): Run(Watcher()).go()
        """
    )

    script = flatten(make(folder, silent=["main:Watcher", "main:_check"]))

    assert run(script, tmp_path) == ["done"]
    assert "Fraction" not in script
    assert "_check" not in script


def test_stand_in_and_addition_take_the_place(package, tmp_path):
    folder = package(
        other="def say(x): print('loud', x)\n",
        main="""
            from pkg.config import load
            from pkg import other
            def quiet(x): print(x)
            def main(): other.say(load().size)
        """,
    )
    added = "@dataclass(frozen=True)\nclass Config:\n    size: int = 9\n"

    script = flatten(make(folder, stand_ins={"other:say": "main:quiet"}, additions={"config": added}))

    assert run(script, tmp_path) == ["9"]
    assert "loud" not in script


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import pkg.config\ndef main(): pass\n", "import pkg.config"),
        ("from . import config\ndef main(): pass\n", "relative"),
        ("from pkg import config\ndef main(): print(config)\n", "used as a value"),
        ("X = 1\ndef main():\n    global X\n    X = 2\n", "global"),
        ("def main(:\n", "cannot read"),
        ("from pkg import other\ndef main(): other.f()\n", "import each other"),
    ],
)
def test_what_cannot_be_flattened_is_named_with_its_place(source, said, package):
    folder = package(main=source, other="from pkg import main\ndef f(): pass\n")

    with pytest.raises(HarnessError, match=said) as caught:
        flatten(make(folder))
    assert "main" in caught.value.message


def test_everything_the_trainers_script_replaces_is_there():
    """A stand-in or a silent call that is misspelt would quietly do nothing."""
    names = [*one_file.STAND_INS, *one_file.SILENT]

    for name in names:
        found = importlib.import_module(f"trainer.{name.split('.')[0]}")
        for part in name.split(".")[1:]:
            found = getattr(found, part)
        assert callable(found)
        assert found.__module__ == f"trainer.{name.split('.')[0]}"  # not merely imported there
    assert set(one_file.SETTLED) <= set(KNOBS)
    assert all(callable(getattr(script, name)) for name in one_file.STAND_INS.values())


def test_derived_class_of_a_subpackage_comes_and_goes_with_its_knob(package, tmp_path):
    """What a derived class overrides is not folded away behind the base's constant."""
    folder = package(
        base="class Base:\n    def name(self): return 'base'\n    def tell(self): return self.name()\n",
        main="""
            from pkg.base import Base
            from pkg.config import Config, load
            from pkg.extra import parts
            def make(c: Config) -> Base:
                return parts.Derived() if c.extra else Base()
            def main():
                thing = make(load())
                print(thing.tell(), isinstance(thing, parts.Derived))
        """,
    )
    (folder / "extra").mkdir()
    (folder / "extra" / "__init__.py").write_text("")
    (folder / "extra" / "parts.py").write_text(
        "from pkg.base import Base\nclass Derived(Base):\n    def name(self): return 'derived'\n"
    )

    plain, extra = (flatten(make(folder, extra=value)) for value in (False, True))

    assert run(plain, tmp_path) == ["base", "False"]
    assert run(extra, tmp_path) == ["derived", "True"]
    assert "Derived" not in plain
