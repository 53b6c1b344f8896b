"""The folder a site is published into: filled beside its place, then swapped in whole.

Only the site's folder and one hidden sibling are ever written. A file that did not change is carried over
from the old site as a link, not written again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import HarnessError

MARKER = ".harness-site"
_MARKER_TEXT = "written by `harness publish`; this folder is replaced as a whole\n"


class SiteFolder:
    """Collects a site's files; leaving the context without an error puts them in place.

    written, unchanged: how many files are new or different, and how many are as they were.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.written: list[str] = []
        self.unchanged = 0
        self._fresh = self.out.with_name(f".{self.out.name}.publishing-{os.getpid()}")
        self._folders: set[Path] = set()

    def __enter__(self) -> Self:
        check_replaceable(self.out)
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._clear_leftovers()
            self._fresh.mkdir()
        except OSError as error:
            raise _cannot_write(self.out, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.write(MARKER, _MARKER_TEXT.encode())
                self._swap()
        except OSError as problem:
            raise _cannot_write(self.out, problem) from problem
        finally:
            shutil.rmtree(self._fresh, ignore_errors=True)

    def write(self, name: str, content: bytes) -> None:
        """Put one file into the new site. name: relative, with forward slashes; it cannot leave the folder."""
        path = self._place(name)
        old = self.out / name
        try:
            if old.stat().st_size == len(content) and old.read_bytes() == content:
                os.link(old, path)
                self.unchanged += 1
                return
        except OSError:
            pass  # not there, or links are not to be had: write it
        try:
            path.write_bytes(content)
        except OSError as error:
            raise _cannot_write(path, error) from error
        self.written.append(name)

    def keep(self, name: str) -> bool:
        """Carry a file of the old site over as it is; False when the old site has none of that name."""
        path = self._place(name)
        with contextlib.suppress(OSError):
            os.link(self.out / name, path)
            self.unchanged += 1
            return True
        return False

    def _place(self, name: str) -> Path:
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise HarnessError(
                f"{name!r} is not a name for a page", "this is a mistake in harness; please report it"
            )
        path = self._fresh.joinpath(*parts)
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        return path

    def _swap(self) -> None:
        """Rename the new site into its place. The old one stands until the moment of the rename."""
        if not self.out.exists():
            self._fresh.rename(self.out)
            return
        gone = {str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file()}
        gone -= {str(path.relative_to(self._fresh)) for path in self._fresh.rglob("*") if path.is_file()}
        if not self.written and not gone:
            return  # nothing changed: leave the folder itself untouched
        old = self._fresh.with_name(self._fresh.name + "-old")
        self.out.rename(old)
        try:
            self._fresh.rename(self.out)
        except BaseException:
            old.rename(self.out)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def _clear_leftovers(self) -> None:
        """Tidy up after a publish that was killed; put its old site back if it died between the two renames."""
        for path in sorted(self.out.parent.glob(f".{self.out.name}.publishing-*")):
            pid = path.name.rpartition(".publishing-")[2].removesuffix("-old")
            if pid.isdecimal() and int(pid) != os.getpid() and _alive(int(pid)):
                continue
            if path.name.endswith("-old") and not self.out.exists():
                path.rename(self.out)
            else:
                shutil.rmtree(path, ignore_errors=True)


def check_replaceable(out: Path) -> None:
    """Raise HarnessError unless `out` is missing, empty, or a site that harness wrote."""
    if not out.exists():
        return
    if not out.is_dir():
        raise HarnessError(f"{out} is a file, not a folder", "name another folder with --out DIR")
    if any(out.iterdir()) and not (out / MARKER).is_file():
        raise HarnessError(
            f"{out} is not empty and was not written by `harness publish`",
            "name another folder with --out DIR, or empty it yourself",
        )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _cannot_write(path: Path, error: OSError) -> HarnessError:
    return HarnessError(
        f"cannot write {path}: {error.strerror or error}",
        "check the disk's space and the folder's permissions, or name another folder with --out DIR",
    )
