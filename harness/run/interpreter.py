"""The Python that a script runs under: found by what was typed, and asked once what it is and has.

find_interpreter()   what was typed -> an executable file
ask_interpreter()    its version, its torch, which modules it lacks, which files it cannot compile
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.records.record import Environment
from harness.scripts.grammar import FAILURES, parse
from harness.scripts.knobs import unpacked
from harness.scripts.snapshot import Snapshot

ANSWER_SECONDS = 120  # a first start from a slow disk

# Runs under any Python from 3.4 on; looks for modules without importing them. The current folder leaves the
# path before anything is imported: a `json.py` may lie there.
_QUESTION = r"""
import sys
sys.path = [path for path in sys.path if path]
import importlib.util, json, platform, re
asked = json.loads(sys.stdin.read())
def version_of(name):
    try:
        from importlib.metadata import version
        return version(name)
    except Exception:
        pass
    try:
        spec = importlib.util.find_spec(name)
        folder = list(spec.submodule_search_locations)[0]
        with open(folder + "/version.py") as file:
            return re.search(r"__version__ *= *.([\w.+-]+)", file.read()).group(1)
    except Exception:
        return None
def is_missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except Exception:
        return False
def problem_of(name, text):
    try:
        compile(text, name, "exec")
    except (SyntaxError, ValueError) as error:
        return [name, getattr(error, "lineno", None), getattr(error, "msg", str(error))]
    except Exception:
        pass
answer = {
    "python": platform.python_version(),
    "versions": {name: version_of(name) for name in asked["versions"]},
    "missing": [name for name in asked["modules"] if is_missing(name)],
    "problems": [p for p in (problem_of(*item) for item in sorted(asked["files"].items())) if p],
}
print(json.dumps(answer))
"""
_FRAMEWORKS = ("torch", "mlx")
_VERSIONS = ("torch", "mlx", "numpy", "sentencepiece")


@dataclass(frozen=True)
class Interpreter:
    """A Python that was asked. typed: as it was named; None for the harness's own.

    path: absolute, never resolved: an environment's `python` is a link, and what it is called decides.
    python: its version. versions: of packages by name, None where it lacks one. missing: modules that were
    asked for and are not there. problems: files that it cannot compile, as "train.py line 3: invalid syntax".
    """

    path: Path
    typed: str | None
    python: str
    versions: Mapping[str, str | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def version(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def torch(self) -> str | None:
        return self.versions.get("torch")

    def as_environment(self) -> Environment:
        """Return what a record keeps of it."""
        facts = {"python": self.python, "interpreter": self.typed} | dict(self.versions)
        return Environment.model_validate(facts)

    def as_data(self) -> dict[str, Any]:
        """Return what `--json` says of it."""
        return {"path": str(self.path), "named": self.typed, "version": self.python, **self.versions}

    def describe(self) -> str:
        """Return a line for people: path where it is not the harness's own, version, torch."""
        found = [f"{name} {self.versions[name]}" for name in _FRAMEWORKS if self.versions.get(name)]
        named = [self.typed] if self.typed else []
        return ", ".join([*named, self.python, *(found or ["no torch"])])


def find_interpreter(typed: str, place: str = "--python") -> Path:
    """Return the executable that was meant: a file, or a name that PATH has.

    place: where it was named, for errors. Raises UsageError for what is no executable file.
    """
    if not typed.strip():
        raise UsageError(f"{place} names nothing", "name an interpreter, such as .venv/bin/python")
    path = Path(typed).expanduser()
    if not path.exists() and path.name == typed and (found := shutil.which(typed)):
        return Path(found).absolute()
    if path.is_dir():
        inside = next((path / name for name in ("bin/python", "python") if (path / name).is_file()), None)
        hint = f"write {place} {inside}" if inside else "name the interpreter in it, such as .venv/bin/python"
        raise UsageError(f"{place} {typed} is a folder, not an interpreter", hint)
    if not path.is_file():
        broken = " is a link to a file that is not there" if path.is_symlink() else " does not exist"
        raise UsageError(f"{place} {typed}{broken}", "name an interpreter, such as .venv/bin/python")
    if not os.access(path, os.X_OK):
        raise UsageError(
            f"{place} {typed} is not executable", f"`chmod +x {typed}`, or name another interpreter"
        )
    return path.absolute()


def ask_interpreter(typed: str | None, snapshot: Snapshot, place: str = "--python") -> Interpreter:
    """Ask an interpreter what it is and has. typed: None for the one that the harness runs in.

    snapshot: the files that it is to run.
    Raises UsageError when it is no Python 3, HarnessError when it does not answer.
    """
    path = find_interpreter(typed, place) if typed is not None else Path(sys.executable)
    question = json.dumps(
        {"versions": _VERSIONS, "modules": imported_modules(snapshot), "files": _certain_texts(snapshot)}
    )
    raw = _ask(path, typed or str(path), place, question)
    problems = tuple(
        f"{name}{f' line {line}' if line else ''}: {message}" for name, line, message in raw["problems"]
    )
    return Interpreter(path, typed, raw["python"], raw["versions"], tuple(raw["missing"]), problems)


def third_party(snapshot: Snapshot) -> list[str]:
    """Return what must be installed for a script to start."""
    return [name for name in imported_modules(snapshot) if name not in sys.stdlib_module_names]


def _certain_texts(snapshot: Snapshot) -> dict[str, str]:
    """The Python files that take part whenever the script runs."""
    return {
        name: snapshot.files[name].decode("utf-8-sig", errors="replace")
        for name in sorted(snapshot.certain)
        if name.endswith(".py")
    }


def imported_modules(snapshot: Snapshot) -> list[str]:
    """Return the top-level modules, none of the snapshot's own, that a script cannot start without.

    What is imported in a function, a branch or a `try` may be absent.
    """
    names: set[str] = set()
    for text in _certain_texts(snapshot).values():
        try:
            tree = parse(unpacked(text)[0])
        except FAILURES:
            continue
        for node in tree.body:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    own = {PurePosixPath(file).parts[0].removesuffix(".py") for file in snapshot.files}
    own |= {PurePosixPath(file).stem for file in snapshot.files}
    return sorted(names - own)


@cache  # one command may plan the same run twice
def _ask(path: Path, typed: str, place: str, question: str) -> dict[str, Any]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSTARTUP"}
    try:
        done = subprocess.run(
            (str(path), "-W", "ignore", "-c", _QUESTION),
            input=question,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            env=env,
            timeout=ANSWER_SECONDS,
        )
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        if {"python", "versions", "missing", "problems"} <= answer.keys():
            return answer
        last = "it printed something else"
    except subprocess.TimeoutExpired as error:
        raise HarnessError(
            f"{place} {typed} gave no answer within {ANSWER_SECONDS} s", "try it: `PYTHON --version`"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{place} {typed} cannot be started: {error.strerror or error}",
            "name a Python interpreter, such as .venv/bin/python",
        ) from error
    except (ValueError, IndexError, AttributeError):
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1][:200]
    raise UsageError(
        f"{place} {typed} is no Python 3 that could be asked for its version: {last}",
        "name an interpreter, such as .venv/bin/python or python3.12",
    )
