"""The files of a training script: itself, local modules it imports and files beside it that it executes or
reads; read once, hashed and kept.

A run works from its snapshot, so that an edit during the run, or a second run, cannot change what runs.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError, UsageError
from harness.files import open_file
from harness.scripts import companions
from harness.scripts.companions import companion_paths, executed_paths, import_folders
from harness.scripts.git import fingerprint
from harness.scripts.grammar import FAILURES, parse, parse_source
from harness.scripts.knobs import unpacked
from harness.scripts.program import last_part

_IMPORTERS = frozenset({"import_module", "__import__", "run_module"})
MAX_FILES = 500
MAX_ABOVE = 4  # folders above the script in which a package is looked for
MAX_BYTES = 20_000_000  # of all files; beyond it something else than code is being imported


@dataclass(frozen=True)
class Snapshot:
    """A script's files by their path below its folder, the script among them as `main`.

    places: where a file comes from, seen from that folder, where that is another path. `../pack/model.py`, of
    a package one folder up, is kept as `pack/model.py`, where the script finds it.
    by_path: files that it opens or starts rather than imports.
    module: the script as `python -m` knows it, where it is started so: `main` then lies below its packages.
    """

    main: str
    files: Mapping[str, bytes]
    places: Mapping[str, str] = field(default_factory=dict)
    by_path: frozenset[str] = frozenset()
    module: str | None = None

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
        added: list[PurePosixPath] = []
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
            added += import_folders(tree)
            for module in _imports(_top_nodes(tree.body), PurePosixPath(name)):
                waiting += self._files_of(module)
                waiting += [file for folder in added for file in self._files_of(folder / module)]
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


def take_snapshot(script: Path, module: str | None = None) -> Snapshot:
    """Read a script, the local modules it imports, and the files it executes or reads, through one another.

    A local module is one whose file lies beside the script or below its folder, where Python finds it, or in
    a folder there that is put into `sys.path`. One that is neither there nor installed is looked for in the
    folders above. module: the script's name for `python -m`, which looks from the folder that holds all of
    its packages; a script that imports relatively is one, whether it is named so or not.
    Raises UsageError when there is no such script, or it is not Python.
    """
    if not script.is_file():
        what = "is a folder" if script.is_dir() else "does not exist"
        raise UsageError(f"--script {script} {what}", "name a training script, such as train_gpt.py")
    if script.suffix != ".py":
        raise UsageError(f"--script {script} is no .py file", "name a training script, such as train_gpt.py")
    module = module or _module_of(script)
    root = script.absolute().parent if module is None else module_root(script.absolute(), module)
    main = script.absolute().relative_to(root).as_posix()
    files: dict[str, bytes] = {}
    places: dict[str, str] = {}
    by_path: set[str] = set()
    added: list[PurePosixPath] = []  # folders in `sys.path`
    waiting = [PurePosixPath(main)]
    if module is not None:  # Python runs the `__init__.py` of the packages around it, too
        waiting += [file for file in _find(root, PurePosixPath(main).with_suffix("")) if str(file) != main]
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
        added += (folder for folder in import_folders(tree) if (root / folder).is_dir())
        for imported in _imports(ast.walk(tree), name):
            inner = [file for folder in added for file in _find(root, folder / imported)]
            if inner:
                waiting += inner
                continue
            above = _folder_above(root, imported)
            for file in _find(above or root, imported):
                if above:
                    places[str(file)] = Path(os.path.relpath(above / file, root)).as_posix()
                waiting.append(file)
        for path in _companions(root, name, tree):
            by_path.add(str(path))
            waiting.append(path)
    return Snapshot(main, files, places, frozenset(by_path), module)


def module_root(script: Path, module: str) -> Path:
    """Return the folder that `python -m` starts from: the one that holds all packages of a module's name.

    script: absolute. Raises UsageError when the file is not that module.
    """
    parts = [*module.split("."), *(["__main__"] if script.name == "__main__.py" else [])]
    path = script.with_suffix("").parts
    if list(path[-len(parts) :]) != parts:
        raise UsageError(f"--module {module} is not {script}", f"name the module of that file: {path[-1]}")
    return Path(*path[: -len(parts)])


def _module_of(script: Path) -> str | None:
    """Return the name for `python -m` of a script that imports relatively; None for one that does not."""
    text = _read(script).decode("utf-8", errors="replace")
    tree = parse_source(unpacked(text)[0], str(script))
    levels = [node.level for node in _top_nodes(tree.body) if isinstance(node, ast.ImportFrom) and node.level]
    if not levels:
        return None
    folder = script.absolute().parent
    packages = [folder.name]
    while folder.parent.name and (len(packages) < max(levels) or (folder.parent / "__init__.py").is_file()):
        folder = folder.parent
        packages.insert(0, folder.name)
    return ".".join([*packages, script.stem])


def load_snapshot(folder: Path, main: str, only_python: bool = False) -> Snapshot:
    """Read a snapshot back from an attempt's `source/`. Links are not followed, nor is the folder one."""
    if folder.is_symlink():
        return Snapshot(main, {})
    files = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*.py" if only_python else "*"))
        if not path.is_symlink() and path.is_file() and path.parent.name != "__pycache__"
    }
    return Snapshot(main, files)


def _folder_above(root: Path, module: PurePosixPath) -> Path | None:
    """Return the folder above the script's that holds a module; None for one beside it, or installed.

    The search ends with the repository that the script lies in, else `MAX_ABOVE` folders up.
    """
    top = module.parts[0] if module.parts else ""
    if not top or _holds(root, top) or top in sys.stdlib_module_names:
        return None
    for folder in [] if (root / ".git").exists() else list(root.parents)[:MAX_ABOVE]:
        if _holds(folder, top):
            return None if _is_installed(top) else folder
        if (folder / ".git").exists():
            break
    return None


def _holds(folder: Path, top: str) -> bool:
    return (folder / top).is_dir() or (folder / f"{top}.py").is_file()


def _is_installed(top: str) -> bool:
    try:
        found = importlib.util.find_spec(top)  # of a name without dots: nothing is imported
    except (ImportError, ValueError):
        return False
    return found is not None and "site-packages" in str(found.origin)


def _companions(root: Path, importer: PurePosixPath, tree: ast.Module) -> Iterator[PurePosixPath]:
    """Yield the files that a file executes or reads, where they exist beside it or beside the script."""
    for path in companion_paths(tree, PurePosixPath(importer.name)):
        if "*" in path.name and path.suffix == ".py":  # a folder of parts
            for folder in importer.parents:
                found = sorted((root / folder / path.parent).glob(path.name))[:MAX_FILES]
                yield from (PurePosixPath(file.relative_to(root).as_posix()) for file in found)
            continue
        for place in (folder / path for folder in importer.parents):
            file = root / place
            try:
                if place != importer and file.is_file() and file.stat().st_size <= companions.MAX_BYTES:
                    yield place
                    break
            except OSError:  # too long for a name, or not ours to look at
                continue


def _read(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise HarnessError(
            f"cannot read {path}: {error.strerror or error}", "check its permissions"
        ) from error


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
