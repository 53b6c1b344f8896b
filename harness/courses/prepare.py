"""A course of one's own text: a tokenizer and shards in the challenge's format, and `runs/courses/NAME.toml`.

The text is a folder of text files, each a document, or `.jsonl` files whose lines hold a "text". Documents
are put in the order of the sha256 of their names, so that neither the machine nor the file system decides;
the first of them are held out for validation. All text is held in memory: meant for up to a few GB. Never
imports torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from harness.courses.corpus import (
    CourseError,
    Document,
    ProgressCallback,
    cut_validation,
    decodes_losslessly,
    encode,
    fingerprint,
    measure_yardsticks,
    split_files,
    train_tokenizer,
)
from harness.courses.course import course_names, load_course
from harness.errors import UsageError
from harness.files import write_whole

if TYPE_CHECKING:
    from trainer.data import Tokens  # which imports numpy

SCHEMA = 1
MANIFEST = "course.json"
TOKENIZER = "tokenizer.model"
SHARD_TOKENS = 100_000_000  # as the challenge cuts them
VAL_SHARE = 0.05
MOST_VAL_BYTES = 10_000_000  # enough for four places of bpb; a validation costs time at every run
LINE_CHARACTERS = 1_000  # at most 4,000 bytes
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
FEWEST_BYTES = 200_000  # below this a tokenizer of a thousand pieces learns nothing


@dataclass(frozen=True)
class TextCourse:
    """What was prepared. val_bytes: UTF-8 bytes that the scored validation tokens stand for."""

    path: Path
    documents: int
    left_out: tuple[str, ...]
    vocab_size: int
    train_tokens: int
    train_shards: int
    val_documents: int
    val_tokens: int
    val_bytes: int
    corpus_sha256: str
    val_text_sha256: str
    tokenizer_sha256: str
    yardsticks: dict[str, float]


def make_course(
    name: str,
    text: Path,
    target: Path,
    runs: Path,
    vocab_size: int,
    val_bytes: int | None,
    title: str,
    progress: ProgressCallback,
) -> tuple[TextCourse, Path]:
    """Prepare the data in the new folder `target` and describe the course; return both.

    The course has no par and no noise figure: its first complete hole sets par, and one seed cannot be told
    from luck until several seeds of one configuration were played.
    Raises UsageError for a name that is taken or is no name, CourseError for text that makes no course.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f'"{name}" is no name for a course', "use small letters, digits, dash and underscore"
        )
    if name in course_names(runs):
        raise UsageError(f'there is a course called "{name}" already', "choose another name")
    data = prepare_text(text, target, vocab_size, val_bytes, progress)
    path = runs / "courses" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, tomli_w.dumps(_describe(name, title, data, path)).encode())
    return data, path


def prepare_text(
    source: Path,
    target: Path,
    vocab_size: int = 1024,
    val_bytes: int | None = None,
    progress: ProgressCallback = lambda what, share: None,
) -> TextCourse:
    """Make a course of the text in `source` and write it to the new folder `target`, whole or not at all.

    vocab_size: pieces of the tokenizer, trained on the training documents alone; 300 to 65,535.
    val_bytes: how much text to hold out, in whole documents; by default 5 %, at most 10 MB.
    Raises CourseError: no text, too little, a target that exists, a vocabulary the text cannot fill.
    """
    import sentencepiece

    if target.exists():
        raise CourseError(f"{target} exists already", "name another folder with --to, or remove it")
    if not 300 <= vocab_size <= 65_535:
        raise CourseError(
            f"a vocabulary of {vocab_size} cannot be made",
            "256 bytes and 4 marks need 300; a shard holds 65,535",
        )
    progress("reading", 0.0)
    documents, left_out = read_text(source)
    total = sum(len(document.data) for document in documents)
    held_bytes = min(int(total * VAL_SHARE), MOST_VAL_BYTES) if val_bytes is None else val_bytes
    held_out, training = _split(documents, max(held_bytes, 1), source)

    model = _train_tokenizer(training, vocab_size, progress)
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model)
    progress("tokenizing", 0.4)
    train_tokens = encode(tokenizer, training, lambda share: progress("tokenizing", 0.4 + 0.5 * share))
    val_tokens = encode(tokenizer, held_out, lambda share: None)
    val_tokens, val_text = cut_validation(tokenizer, val_tokens, held_out, len(val_tokens))

    progress("writing", 0.95)
    course = TextCourse(
        path=target,
        documents=len(documents),
        left_out=tuple(left_out),
        vocab_size=tokenizer.vocab_size(),
        train_tokens=len(train_tokens),
        train_shards=len(range(0, len(train_tokens), SHARD_TOKENS)),
        val_documents=len(held_out),
        val_tokens=len(val_tokens),
        val_bytes=len(val_text),
        corpus_sha256=fingerprint(documents),
        val_text_sha256=hashlib.sha256(val_text).hexdigest(),
        tokenizer_sha256=hashlib.sha256(model).hexdigest(),
        yardsticks=measure_yardsticks(val_text),
    )
    _write_course(course, model, train_tokens, val_tokens)
    progress("ready", 1.0)
    return course


def _train_tokenizer(training: Sequence[Document], vocab_size: int, progress: ProgressCallback) -> bytes:
    progress("training the tokenizer", 0.05)
    try:
        return train_tokenizer([_short_lines(document) for document in training], vocab_size)
    except RuntimeError as error:  # how SentencePiece says that the text has too few pieces
        reason = str(error).splitlines()[-1].strip()
        raise CourseError(
            f"no tokenizer of {vocab_size} pieces from this text: {reason[:200]}", "ask for a smaller --vocab"
        ) from error


def _write_course(course: TextCourse, model: bytes, train_tokens: Tokens, val_tokens: Tokens) -> None:
    """Write tokenizer, shards and course.json into a hidden folder, then rename it to the course's."""
    from trainer.data import write_shard

    building = course.path.with_name(f".{course.path.name}.{os.getpid()}.building")
    try:
        building.mkdir(parents=True)
        (building / TOKENIZER).write_bytes(model)
        for number, start in enumerate(range(0, len(train_tokens), SHARD_TOKENS)):
            shard = train_tokens[start : start + SHARD_TOKENS]
            write_shard(building / f"fineweb_train_{number:06d}.bin", shard)
        write_shard(building / "fineweb_val_000000.bin", val_tokens)
        facts = dataclasses.asdict(course)
        del facts["path"]
        manifest = json.dumps({"schema": SCHEMA} | facts, indent=2) + "\n"
        (building / MANIFEST).write_text(manifest, encoding="utf-8")
        building.rename(course.path)
    except OSError as error:
        raise CourseError(
            f"cannot write {error.filename or course.path}: {error.strerror or error}",
            "make room, or name another folder with --to",
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def read_text(source: Path) -> tuple[list[Document], list[str]]:
    """Return the documents by their names' sha256, and the names of those that tokens cannot represent.

    A document must be UTF-8, not empty, not begin with a space, not hold U+2581 (SentencePiece's own space).
    Raises CourseError when there is no text at all.
    """
    if not source.exists():
        raise CourseError(f"there is no {source}", "name a folder of text files, or a .jsonl file")
    files = (
        [source] if source.is_file() else sorted(path for path in source.rglob("*") if _is_text_file(path))
    )
    documents, left_out = [], []
    for path in files:
        name = path.name if source.is_file() else path.relative_to(source).as_posix()
        for document in _documents(path, name):
            if decodes_losslessly(document.data):
                documents.append(document)
            else:
                left_out.append(document.name)
    if not documents:
        raise CourseError(f"no text in {source}", 'it needs UTF-8 text files, or .jsonl lines with a "text"')
    documents.sort(key=lambda document: hashlib.sha256(document.name.encode()).hexdigest())
    return documents, left_out


def _is_text_file(path: Path) -> bool:
    """Hidden files and links are nobody's text."""
    return path.is_file() and not path.is_symlink() and not path.name.startswith(".")


def _documents(path: Path, name: str) -> Iterator[Document]:
    """A text file is one document, a .jsonl file one a line. Raises CourseError for a line without text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CourseError(
            f"cannot read {path}: {error.strerror}", "make it readable, or leave it out"
        ) from error
    if path.suffix != ".jsonl":
        yield Document(name, content)
        return
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
            yield Document(f"{name}:{number}", text.encode())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CourseError(
                f"{path}:{number} holds no text", 'a line is an object like {"text": "..."}'
            ) from error


def _short_lines(document: Document) -> Document:
    """Break lines that SentencePiece's training would silently drop: those of over 4,192 bytes."""
    lines = document.data.decode().split("\n")
    if all(len(line) <= LINE_CHARACTERS for line in lines):
        return document
    pieces = [
        line[start : start + LINE_CHARACTERS]
        for line in lines
        for start in range(0, max(len(line), 1), LINE_CHARACTERS)
    ]
    return Document(document.name, "\n".join(pieces).encode())


def _split(
    documents: Sequence[Document], held_bytes: int, source: Path
) -> tuple[Sequence[Document], Sequence[Document]]:
    total = sum(len(document.data) for document in documents)
    if total < FEWEST_BYTES or len(documents) < 2:
        raise CourseError(
            f"{source} has {len(documents)} documents of {total:,} bytes",
            f"a course needs at least two documents and {FEWEST_BYTES:,} bytes; a .jsonl line is a document",
        )
    held_out, training = split_files(documents, held_bytes, least_bytes=0)
    if sum(len(document.data) for document in training) < total / 2:
        raise CourseError(
            f"{held_bytes:,} bytes of validation would leave less than half of the {total:,} bytes "
            "to train on",
            "hold out less with --val-bytes, or split the text into more documents",
        )
    return held_out, training


def _describe(name: str, title: str, data: TextCourse, path: Path) -> dict[str, object]:
    """The course's file: the challenge's caps, the practice course's verdict edges; edit them by hand."""
    practice = load_course("practice")
    folder = Path(os.path.relpath(data.path.resolve(), path.parent.resolve()))
    return {
        "name": name,
        "title": title or name.replace("_", " ").title(),
        "what": f"{data.val_documents} of {data.documents} documents, held out by the hash of their names",
        "caps": practice.caps.model_dump(),
        "verdicts": practice.verdicts.model_dump(mode="json"),
        "data": {
            "path": folder.as_posix(),
            "tokenizer": (folder / TOKENIZER).as_posix(),
            "vocab_size": data.vocab_size,
        },
        "splits": [{"name": data.val_text_sha256[:12], "val_bytes": data.val_bytes}],
    }
