"""Text of one's own as documents: which files `--text` means, how each is unpacked, where large ones are cut.

A text file is a document; of a `.jsonl` file each line is one. `.gz` and `.zst` are unpacked. What is no text
is returned by name with the reason. Knows nothing of tokens and shards.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import importlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.courses.corpus import CourseError, Document
from harness.errors import UsageError

STDIN = "-"
FIELD = "text"  # of a .jsonl line, where no other is named
LARGE_BYTES = (
    1_000_000  # a larger document is cut: SentencePiece needs some 100 bytes of memory for each of its own
)
_ENDS = (b"\n\n", b"\n", b" ")  # where a text may be cut: after a paragraph, a line, a word


class Text(NamedTuple):
    """What was read. left_out: names of files and lines that are no text, each with the reason."""

    documents: list[Document]
    left_out: dict[str, str]


class _File(NamedTuple):
    name: str  # below the folder that all files share, so that another machine gives the same order
    path: Path


def read_text(sources: Sequence[str], field: str | None = None) -> Text:
    """Return the documents of files, folders, glob patterns and `-` (standard input), by their names' sha256.

    field: of a `.jsonl` line; standard input is read as .jsonl when one is named, else as text.
    Raises UsageError for a source that is not there, CourseError for a broken file or no text at all.
    """
    documents: list[Document] = []
    left_out: dict[str, str] = {}
    for name, content, lines in _contents(sources, field is not None, left_out):
        if b"\0" in content[:LARGE_BYTES] and not lines:
            left_out[name] = "it is binary: it holds a zero byte"
            continue
        parts = _lines(name, content, field or FIELD) if lines else [Document(name, content)]
        for document in parts:
            if reason := _no_text(document.data):
                left_out[document.name] = reason
            else:
                documents += cut_large(document)
    if not documents:
        what = next((f": {name}: {why}" for name, why in left_out.items()), "")
        raise CourseError(
            f"no text in {' '.join(sources)}{what}",
            'it takes UTF-8 text, and .jsonl with lines like {"text": "..."}, also as .gz and .zst',
        )
    documents.sort(key=lambda document: hashlib.sha256(document.name.encode(errors="replace")).hexdigest())
    return Text(documents, left_out)


def _no_text(data: bytes) -> str:
    """Say why a document is left out, or ""."""
    if not data:
        return "it is empty"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8: byte {data[error.start]:#04x} at {error.start:,}"
    return ""


# -- files -----------------------------------------------------------------------------------------


def _contents(
    sources: Sequence[str], stdin_lines: bool, left_out: dict[str, str]
) -> Iterator[tuple[str, bytes, bool]]:
    """Yield each file's name, its unpacked bytes, and whether its lines are documents."""
    if sources.count(STDIN) > 1:
        raise UsageError("--text - is given twice", "standard input can be read once: leave one out")
    if STDIN in sources:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "--text - reads standard input, and that is a terminal", "cat FILE | harness ..."
            )
        yield "standard input", sys.stdin.buffer.read(), stdin_lines
    for file in find_files([source for source in sources if source != STDIN]):
        path = file.path
        suffixes = [suffix.lower() for suffix in path.suffixes]
        unpack = _UNPACK.get(suffixes[-1]) if suffixes else None
        try:
            content = unpack(path) if unpack else path.read_bytes()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            left_out[file.name] = f"it is no whole {suffixes[-1]} file: {error}"
            continue
        except OSError as error:
            raise CourseError(
                f"cannot read {path}: {error.strerror or error}", "make it readable, or leave it out"
            ) from error
        yield file.name, content, ".jsonl" in (suffixes[-2:] if unpack else suffixes[-1:])


def find_files(sources: Sequence[str]) -> list[_File]:
    """Return the files that folders, patterns and names stand for, each once. Hidden files and links in a
    folder are nobody's text.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        for path in _expand(source):
            found.setdefault(Path(os.path.realpath(path)), path)
    if not found:
        return []
    named = [Path(os.path.realpath(source)) for source in sources]
    top = named[0] if len(named) == 1 and named[0].is_dir() else _shared_folder(found)
    return [_File(_name_below(top, real), path) for real, path in sorted(found.items())]


def _shared_folder(files: Iterable[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in files]))


def _name_below(top: Path, path: Path) -> str:
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else path.name


def _expand(source: str) -> Iterator[Path]:
    name = os.path.expanduser(source)  # noqa: PTH111 - pathlib raises for a user who is not there
    path = Path(name)
    if os.path.isdir(name):  # noqa: PTH112 - pathlib raises for a name that is too long
        yield from (one for one in path.rglob("*") if _is_text_file(one, path))
        return
    if os.path.exists(name):  # noqa: PTH110
        if path.is_char_device() or path.is_block_device():
            raise UsageError(f"--text {source} is a device", "name a file; `-` reads standard input")
        yield path
        return
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - a pattern may be absolute
    if not matches:
        what = "matches no file" if glob.has_magic(source) else "is not there"
        raise UsageError(
            f"--text {source} {what}",
            'name files, folders or a pattern like "texts/**/*.txt"; `-` reads standard input',
        )
    yield from (Path(match) for match in matches if Path(match).is_file())


def _is_text_file(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not path.is_symlink() and not hidden


def _unpack_gzip(path: Path) -> bytes:
    with gzip.open(path) as file:
        return file.read()


def _unpack_zstd(path: Path) -> bytes:
    """Unpack by the standard library's module (Python 3.14), else by the optional `zstandard`."""
    zstd: Any = None
    for module in ("compression.zstd", "zstandard"):
        with contextlib.suppress(ImportError):
            zstd = zstd or importlib.import_module(module)
    if zstd is None:
        raise CourseError(
            f"{path} is packed with zstd, which this Python cannot read",
            "pip install zstandard, or unpack it first: `zstd -d`",
        )
    try:
        with zstd.open(path, "rb") as file:
            content: bytes = file.read()
            return content
    except zstd.ZstdError as error:
        raise EOFError(str(error)) from error


_UNPACK: dict[str, Callable[[Path], bytes]] = {".gz": _unpack_gzip, ".zst": _unpack_zstd}


def _lines(name: str, content: bytes, field: str) -> Iterator[Document]:
    """Yield a .jsonl file's documents. Raises CourseError naming the line that holds no text."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CourseError(
                f"{place} is no line of JSON: {error}",
                "mend the line, or rename the file if it is plain text",
            ) from error
        text = row.get(field) if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise CourseError(f'{place} holds no text as "{field}"', _field_hint(row))
        try:
            yield Document(place, text.encode())
        except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell
            raise CourseError(
                f"{place} holds half a character: {error.reason}", "leave the line out, or mend the export"
            ) from error


def _field_hint(row: object) -> str:
    names = (
        [str(key)[:40] for key, value in row.items() if isinstance(value, str)]
        if isinstance(row, dict)
        else []
    )
    if names:
        return f"its text stands in {', '.join(names[:5])}: name one with --field {names[0]}"
    return 'a line is an object like {"text": "..."}; --field names another key'


# -- cuts ------------------------------------------------------------------------------------------


def cut_large(document: Document) -> list[Document]:
    """Cut a document over LARGE_BYTES into several of up to that size: `book.txt#2`."""
    name, text = document
    if len(text) <= LARGE_BYTES:
        return [document]
    parts: list[Document] = []
    start = 0
    while start < len(text):
        end = len(text) if len(text) - start <= LARGE_BYTES else find_end(text, start, start + LARGE_BYTES)
        parts.append(Document(f"{name}#{len(parts) + 1}", text[start:end]))
        start = end
    return parts


def find_end(text: bytes, start: int, most: int) -> int:
    """Return where a part that begins at `start` ends, at `most` or before it: after the last paragraph, line
    or word of its second half, else after a character. Needs start + 4 <= most < len(text).
    """
    for end in _ENDS:
        at = text.rfind(end, (start + most) // 2, most)
        if at >= 0:
            return at + len(end)
    while text[most] & 0xC0 == 0x80:  # within a character of UTF-8
        most -= 1
    return most
