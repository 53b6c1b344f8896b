"""The files of a training script: itself, local modules it imports and files beside it that it executes or
reads; read once, hashed and kept.

A run works from its snapshot, so that an edit during the run, or a second run, cannot change what runs.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError, UsageError
from harness.scripts import companions
from harness.scripts.companions import companion_paths, executed_paths
from harness.scripts.git import fingerprint
from harness.scripts.grammar import FAILURES, parse
from harness.scripts.knobs import parse_source, unpacked
from harness.scripts.program import last_part

_IMPORTERS = frozenset({"import_module", "__import__", "run_module"})
MAX_FILES = 500
MAX_BYTES = 20_000_000  # of all files; beyond it something else than code is being imported


@dataclass(frozen=True)
class Snapshot:
    """A script's files by their path below its folder, the script among them as `main`.

    places: where a file comes from, seen from that folder, where that is another path. `../pack/model.py`, of
    a package one folder up, is kept as `pack/model.py`, where the script finds it.
    by_path: files that it opens or starts rather than imports.
    """

    main: str
    files: Mapping[str, bytes]
    places: Mapping[str, str] = field(default_factory=dict)
    by_path: frozenset[str] = frozenset()

    @cached_property
    def sha256(self) -> str:
        return fingerprint(self.files)

    @property
    def code_bytes(self) -> int:
        """Bytes that count as code: every file, since all of them are needed to run."""
        return sum(map(len, self.files.values()))

    @cached_property
    def certain(self) -> frozenset[str]:
        """The files that take part whenever the script runs: imported at the top of a file, or executed.

        Of the others no reading tells: they are imported in a function or a branch, opened, or only named.
        """
        certain: set[str] = set()
        waiting = [self.main]
        while waiting:
            name = waiting.pop()
            if name in certain or name not in self.files:
                continue
            certain.add(name)
            try:
                tree = parse(unpacked(self.files[name].decode("utf-8", errors="replace"))[0])
            except FAILURES:  # not Python: a shell script, a kernel
                continue
            for module in _imports(_top_nodes(tree.body), PurePosixPath(name)):
                waiting += self._files_of(module)
            folder = PurePosixPath(name).parent
            waiting += [str(place) for path in executed_paths(tree) for place in (folder / path, path)]
        return frozenset(certain)

    def _files_of(self, module: PurePosixPath) -> list[str]:
        own = [module.with_suffix(".py"), module / "__init__.py"] if module.parts else []
        packages = [package / "__init__.py" for package in module.parents if package.parts]
        found = [str(file) for file in own if str(file) in self.files][:1]
        return found + [str(file) for file in packages if found]

    def texts(self) -> dict[str, str]:
        """Return the Python files as text, the script first."""
        others = (name for name in self.files if name != self.main and name.endswith(".py"))
        names = [self.main, *sorted(others)]
        return {name: self.files[name].decode("utf-8", errors="replace") for name in names}


def take_snapshot(script: Path) -> Snapshot:
    """Read a script, the local modules it imports, and the files it executes or reads, through one another.

    A local module is one whose file lies beside the script or below its folder, where Python finds it. One
    that is neither there nor installed is looked for in the folder above, as `python -m folder.script` does.
    Raises UsageError when there is no such script, or it is not Python.
    """
    if not script.is_file():
        what = "is a folder" if script.is_dir() else "does not exist"
        raise UsageError(f"--script {script} {what}", "name a training script, such as train_gpt.py")
    if script.suffix != ".py":
        raise UsageError(f"--script {script} is no .py file", "name a training script, such as train_gpt.py")
    root = script.absolute().parent
    files: dict[str, bytes] = {}
    places: dict[str, str] = {}
    by_path: set[str] = set()
    waiting = [PurePosixPath(script.name)]
    while waiting:
        name = waiting.pop()
        if str(name) in files:
            continue
        files[str(name)] = _read(root / places.get(str(name), str(name)))
        if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
            raise UsageError(
                f"{script} imports more than {MAX_FILES} files or {MAX_BYTES:,} bytes of local code",
                "put the script into a folder of its own",
            )
        if name.suffix != ".py":
            continue
        text = files[str(name)].decode("utf-8", errors="replace")
        tree = parse_source(unpacked(text)[0], str(root / name))
        for module in _imports(ast.walk(tree), name):
            above = _is_above(root, module)
            for file in _find(root.parent if above else root, module):
                if above:
                    places[str(file)] = f"../{file}"
                waiting.append(file)
        for path in _companions(root, name, tree):
            by_path.add(str(path))
            waiting.append(path)
    return Snapshot(script.name, files, places, frozenset(by_path))


def load_snapshot(folder: Path, main: str, only_python: bool = False) -> Snapshot:
    """Read a snapshot back from an attempt's `source/`."""
    files = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*.py" if only_python else "*"))
        if not path.is_symlink() and path.is_file() and path.parent.name != "__pycache__"
    }
    return Snapshot(main, files)


def _is_above(root: Path, module: PurePosixPath) -> bool:
    """Whether a module is to be looked for above the script's folder: not beside it, nor installed."""
    if not module.parts:
        return False
    top = module.parts[0]
    if (root / top).is_dir() or (root / f"{top}.py").is_file() or top in sys.stdlib_module_names:
        return False
    if not ((root.parent / top).is_dir() or (root.parent / f"{top}.py").is_file()):
        return False
    try:
        found = importlib.util.find_spec(top)  # of a name without dots: nothing is imported
    except (ImportError, ValueError):
        return True
    return found is None or "site-packages" not in str(found.origin)


def _companions(root: Path, importer: PurePosixPath, tree: ast.Module) -> Iterator[PurePosixPath]:
    """Yield the files that a file executes or reads, where they exist beside it or beside the script."""
    for path in companion_paths(tree):
        for place in dict.fromkeys((importer.parent / path, path)):
            file = root / place
            try:
                if place != importer and file.is_file() and file.stat().st_size <= companions.MAX_BYTES:
                    yield place
                    break
            except OSError:  # too long for a name, or not ours to look at
                continue


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}", "check its permissions") from error


def _imports(nodes: Iterable[ast.AST], importer: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield what some nodes of a file may import as paths without suffix, below the script's folder."""
    for node in nodes:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield PurePosixPath(*alias.name.split("."))
            case ast.ImportFrom(level=level):
                base = PurePosixPath()
                if level:
                    parents = [importer.parent, *importer.parent.parents]
                    if level > len(parents):
                        continue
                    base = parents[level - 1]
                base = base.joinpath(*(node.module or "").split("."))
                yield base
                for alias in node.names:
                    yield base / alias.name
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if last_part(node.func) in _IMPORTERS:
                if re.fullmatch(r"\w+(\.\w+)*", name):
                    yield PurePosixPath(*name.split("."))


def _top_nodes(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Yield what a file evaluates whenever it is run: nothing in a function, a branch or a handler."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), body=inner):
                yield from _top_nodes(inner)
            case ast.ClassDef(body=inner) | ast.With(body=inner) | ast.Try(body=inner):
                yield from _top_nodes(inner)
            case ast.If() | ast.For() | ast.While() | ast.Match():
                continue
            case _:
                yield from ast.walk(statement)


def _find(root: Path, module: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the files that make up a module: its own, and the `__init__.py` of the packages around it."""
    own = [module.with_suffix(".py"), module / "__init__.py"] if module.parts else []
    files = [name for name in own if (root / name).is_file()]
    yield from files[:1]
    if files:
        for package in module.parents:
            if package.parts and (root / package / "__init__.py").is_file():
                yield package / "__init__.py"
