"""The files of a training script: itself and the local modules it imports, read once, hashed and kept.

A run works from its snapshot, so that an edit during the run, or a second run, cannot change what runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError, UsageError
from harness.scripts.git import fingerprint
from harness.scripts.knobs import parse_source, unpacked

MAX_FILES = 500
MAX_BYTES = 20_000_000  # of all files; beyond it something else than code is being imported


@dataclass(frozen=True)
class Snapshot:
    """A script's files by their path below its folder, the script among them as `main`."""

    main: str
    files: Mapping[str, bytes]

    @cached_property
    def sha256(self) -> str:
        return fingerprint(self.files)

    @property
    def code_bytes(self) -> int:
        """Bytes that count as code: every file, since all of them are needed to run."""
        return sum(map(len, self.files.values()))

    def texts(self) -> dict[str, str]:
        """Return the files as text, the script first."""
        names = [self.main, *sorted(name for name in self.files if name != self.main)]
        return {name: self.files[name].decode("utf-8", errors="replace") for name in names}


def take_snapshot(script: Path) -> Snapshot:
    """Read a script and the local modules it imports, directly or through one another.

    A local module is one whose file lies beside the script or below its folder, where Python would find it.
    Raises UsageError when there is no such script, or it is not Python.
    """
    if not script.is_file():
        what = "is a folder" if script.is_dir() else "does not exist"
        raise UsageError(f"--script {script} {what}", "name a training script, such as train_gpt.py")
    if script.suffix != ".py":
        raise UsageError(f"--script {script} is no .py file", "name a training script, such as train_gpt.py")
    root = script.parent
    files: dict[str, bytes] = {}
    waiting = [PurePosixPath(script.name)]
    while waiting:
        name = waiting.pop()
        if str(name) in files:
            continue
        files[str(name)] = _read(root / name)
        if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
            raise UsageError(
                f"{script} imports more than {MAX_FILES} files or {MAX_BYTES:,} bytes of local code",
                "put the script into a folder of its own",
            )
        text = files[str(name)].decode("utf-8", errors="replace")
        tree = parse_source(unpacked(text)[0], str(root / name))
        waiting += [file for module in _imports(tree, name) for file in _find(root, module)]
    return Snapshot(script.name, files)


def load_snapshot(folder: Path, main: str) -> Snapshot:
    """Read a snapshot back from an attempt's `source/`."""
    files = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*.py"))
        if not path.is_symlink()
    }
    return Snapshot(main, files)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}", "check its permissions") from error


def _imports(tree: ast.Module, importer: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield what a file may import as paths without suffix, below the script's folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield PurePosixPath(*alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = PurePosixPath()
            if node.level:
                parents = [importer.parent, *importer.parent.parents]
                if node.level > len(parents):
                    continue
                base = parents[node.level - 1]
            base = base.joinpath(*(node.module or "").split("."))
            yield base
            for alias in node.names:
                yield base / alias.name


def _find(root: Path, module: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the files that make up a module: its own, and the `__init__.py` of the packages around it."""
    own = [module.with_suffix(".py"), module / "__init__.py"] if module.parts else []
    files = [name for name in own if (root / name).is_file()]
    yield from files[:1]
    if files:
        for package in module.parents:
            if package.parts and (root / package / "__init__.py").is_file():
                yield package / "__init__.py"
