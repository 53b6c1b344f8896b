"""The folder a site is published into: filled next to its place and swapped in whole.

Only it and one hidden sibling are ever written. A file that did not change is carried over from the old site
as a link. Knows nothing of what the files are made from.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from harness.errors import HarnessError, UsageError
from harness.files import exchange, move_new
from harness.temporary import find_leftovers, is_in_use, lock_path, temporary_path, unlock

MARKER = ".harness-site"
_OLD = "-old"  # after the name of the new folder: the site that it replaces, where two renames are needed
_MARKER_TEXT = "written by `harness publish`; this folder is replaced as a whole\n"


class FileMark(NamedTuple):
    """What the file system says of a file: it is the same one while none of these change."""

    size: int
    mtime_ns: int
    inode: int


def list_files(folder: str, under: str = "") -> dict[str, FileMark]:
    """Return all files below a folder, by name with forward slashes; none when there is no such folder."""
    marks: dict[str, FileMark] = {}
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        os.scandir(f"{folder}/{under}") as entries,
    ):
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                marks |= list_files(folder, f"{under}{entry.name}/")
            else:
                marks[under + entry.name] = _mark(entry.stat(follow_symlinks=False))
    return marks


def _mark(status: os.stat_result) -> FileMark:
    return FileMark(status.st_size, status.st_mtime_ns, status.st_ino)


class SiteFolder:
    """Collects a site's files; leaving the context without an error puts them in place.

    before: the files of the old site. log: each file of the new one, and whether it is new or different.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.before: dict[str, FileMark] = {}
        self.log: list[tuple[str, bool]] = []
        self._fresh = temporary_path(self.out)
        self._folders: set[str] = set()
        self._unchanged = False
        self._lock: int | None = None

    def __enter__(self) -> Self:
        check_replaceable(self.out)
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._clear_leftovers()
            self._fresh.mkdir()
            self._lock = lock_path(self._fresh)
            self.before = list_files(str(self.out))
            self.write(MARKER, _MARKER_TEXT.encode())
        except OSError as error:
            raise _cannot_write(self.out, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._swap()
        except OSError as problem:
            raise _cannot_write(self.out, problem) from problem
        finally:
            shutil.rmtree(self._fresh, ignore_errors=True)
            unlock(self._lock)

    def write(self, name: str, content: bytes) -> None:
        """Put one file into the new site. name: relative, with forward slashes, inside the folder."""
        old = self.before.get(name)
        if old is not None and old.size == len(content) and self._same(name, content) and self.keep(name):
            return
        path = self._place(name)
        try:
            with open(path, "xb") as file:  # noqa: PTH123 (thousands of files: a Path each takes as long as writing)
                file.write(content)  # only a new file: an existing one may be a link to the old site's
        except OSError as error:
            raise _cannot_write(Path(path), error) from error
        self.log.append((name, True))

    def keep(self, name: str) -> bool:
        """Carry a file of the old site over as it is; False when the old site has none of that name."""
        if name not in self.before:
            return False
        try:
            os.link(f"{self.out}/{name}", self._place(name))
        except OSError:  # deleted meanwhile, or a file system without links
            return False
        self.log.append((name, False))
        return True

    def copy(self, name: str, other: str) -> None:
        """Put a file of the new site there once more, under another name."""
        self.write(other, Path(f"{self._fresh}/{name}").read_bytes())

    def leave(self) -> None:
        """Leave the old site as it is: nothing has changed."""
        self._unchanged = True

    @property
    def written(self) -> list[str]:
        return [name for name, new in self.log if new]

    def contents(self) -> dict[str, FileMark]:
        """The new site's files; the same once they are in place."""
        return {
            name: _mark(os.stat(f"{self._fresh}/{name}")) if new else self.before[name]  # noqa: PTH116 (as in write)
            for name, new in self.log
        }

    def _same(self, name: str, content: bytes) -> bool:
        try:
            return (self.out / name).read_bytes() == content
        except OSError:
            return False

    def _place(self, name: str) -> str:
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise HarnessError(
                f"{name!r} is not a name for a page", "this is a mistake in harness; please report it"
            )
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            (self._fresh / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        return f"{self._fresh}/{name}"

    def _swap(self) -> None:
        """Put the new site in its place by one rename, so that there is always the old site or the new one.

        Where a disk cannot exchange two folders there are two renames, and the next publish mends what a
        kill between them left.
        """
        if self._unchanged:
            return
        if not self.out.exists():
            with contextlib.suppress(FileExistsError):  # another publish has just been first
                move_new(self._fresh, self.out)
                return
        if not self.written and self.before.keys() == {name for name, _ in self.log}:
            return  # nothing changed: leave the folder itself untouched
        if exchange(self._fresh, self.out):  # the old site lies in the hidden folder now, and goes with it
            return
        old = self._fresh.with_name(self._fresh.name + _OLD)
        self.out.rename(old)
        try:
            self._fresh.rename(self.out)
        except BaseException:
            old.rename(self.out)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _clear_leftovers(self) -> None:
        """Clear up after a publish that was killed; put its old site back if it died between the renames."""
        name, parent = self.out.name, self.out.parent
        for old in sorted(path for path in parent.iterdir() if path.name.startswith(f".{name}.")):
            pid = old.name.removeprefix(f".{name}.").removesuffix(f".tmp{_OLD}")
            if not (old.name.endswith(_OLD) and pid.isdecimal()) or is_in_use(old, int(pid)):
                continue
            if self.out.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(self.out)
        for path in find_leftovers(parent, name.__eq__):
            shutil.rmtree(path, ignore_errors=True)


def check_replaceable(out: Path) -> None:
    """Raise UsageError unless `out` is missing, empty, or a site that harness wrote."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", "name another folder with --out DIR")
    if any(out.iterdir()) and not (out / MARKER).is_file():
        raise UsageError(
            f"{out} is not empty and was not written by `harness publish`",
            "name another folder with --out DIR, or empty it yourself",
        )


def _cannot_write(path: Path, error: OSError) -> HarnessError:
    return HarnessError(
        f"cannot write {path}: {error.strerror or error}",
        "check the disk's space and the folder's permissions, or name another folder with --out DIR",
    )
