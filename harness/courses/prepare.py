"""A course of one's own text: a tokenizer and shards in the challenge's format, and `runs/courses/NAME.toml`.

`harness.courses.text_files` reads the documents. They are put in the order of the sha256 of their names, so
that neither the machine nor the file system decides; the first of them are held out for validation. Every
byte of the text is in exactly one of the two parts. All text is held in memory: meant for up to a few GB.
Never imports torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from harness.courses.corpus import (
    CourseError,
    Document,
    ProgressCallback,
    cut_validation,
    fingerprint,
    measure_yardsticks,
    token_bytes,
    train_tokenizer,
)
from harness.courses.course import course_names, load_course
from harness.courses.text_files import find_end, read_text
from harness.errors import UsageError
from harness.figures import number
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
LEAST_VAL_BYTES = 10_000  # holds a sequence of 1,024 tokens, the longest of the presets, for any tokenizer
VAL_SLACK = 0.1  # share of the held-out size that whole documents may go beyond it; then one is cut
SMALLEST_VOCAB, LARGEST_VOCAB = 300, 65_535  # 256 bytes and 4 marks; what a shard's two bytes hold
SPACE_MARK = "\u2581"  # SentencePiece's own space


@dataclass(frozen=True)
class TextCourse:
    """What was prepared. val_bytes: UTF-8 bytes that the scored validation tokens stand for.

    left_out: names of files and lines that are no text, each with the reason.
    """

    path: Path
    documents: int
    left_out: dict[str, str]
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
    sources: Sequence[str],
    target: Path,
    runs: Path,
    progress: ProgressCallback,
    *,
    vocab_size: int = 1024,
    val_bytes: int | None = None,
    field: str | None = None,
    title: str = "",
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
    data = prepare_text(sources, target, vocab_size, val_bytes, progress, field)
    path = runs / "courses" / f"{name}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, tomli_w.dumps(_describe(name, title, data, path)).encode())
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)  # data that no course names would be in the way next time
        raise CourseError(
            f"cannot write {error.filename or path}: {error.strerror or error}",
            "make it writable, or name another folder with --runs DIR",
        ) from error
    return data, path


def prepare_text(
    sources: Sequence[str],
    target: Path,
    vocab_size: int = 1024,
    val_bytes: int | None = None,
    progress: ProgressCallback = lambda what, share: None,
    field: str | None = None,
) -> TextCourse:
    """Make a course of the text in `sources` and write it to the new folder `target`, whole or not at all.

    sources, field: as in `read_text`.
    vocab_size: pieces of the tokenizer, trained on the training documents alone; 300 to 65,535.
    val_bytes: how much text to hold out, at least 10,000; by default 5 %, at most 10 MB.
    Raises CourseError: no text, too little, a target that exists, a vocabulary the text cannot fill.
    """
    import sentencepiece

    if os.path.lexists(target):
        raise CourseError(f"{target} exists already", "name another folder with --to, or remove it")
    _check_sizes(vocab_size, val_bytes)
    progress("reading", 0.0)
    documents, left_out = read_text(sources, field)
    held_out, training = split_documents(documents, val_bytes)

    model = _train_tokenizer(training, vocab_size, progress)
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model)
    progress("tokenizing", 0.4)
    train_tokens = encode_whole(tokenizer, training, lambda share: progress("tokenizing", 0.4 + 0.5 * share))
    _check_bytes(tokenizer, train_tokens, training)
    val_tokens = encode_whole(tokenizer, held_out, lambda share: None)
    val_tokens, val_text = cut_validation(tokenizer, val_tokens, held_out, len(val_tokens))

    progress("writing", 0.95)
    course = TextCourse(
        path=target,
        documents=len(documents),
        left_out=left_out,
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
    except RuntimeError as error:  # how SentencePiece says that pieces and text do not fit
        reason = str(error).splitlines()[-1].strip()
        raise CourseError(
            f"no tokenizer of {vocab_size:,} pieces from this text: {_plain_reason(reason)}",
            _vocabulary_hint(reason),
        ) from error


def _plain_reason(reason: str) -> str:
    """Take the place in SentencePiece's source and its condition off a message."""
    return reason.rpartition("] ")[2][:200] or "it holds no words"


def _vocabulary_hint(reason: str) -> str:
    """Say in which direction the vocabulary must go, and how far, by SentencePiece's own numbers."""
    if (most := re.search(r"<= (\d+)", reason)) and int(most[1]) >= SMALLEST_VOCAB:
        return f"the text has too few different pieces: ask for --vocab {most[1]} or less"
    if (fewest := re.search(r"required_chars\. \d+ vs (\d+)", reason)) and int(fewest[1]) <= LARGEST_VOCAB:
        return f"the text has more different characters: ask for --vocab {fewest[1]} or more"
    return "the text repeats itself too much for any vocabulary: add other text"


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


def _check_sizes(vocab_size: int, val_bytes: int | None) -> None:
    if vocab_size < SMALLEST_VOCAB:
        raise UsageError(
            f"--vocab {vocab_size} is too small",
            f"256 bytes and 4 marks need {SMALLEST_VOCAB}: ask for --vocab {SMALLEST_VOCAB} or more",
        )
    if vocab_size > LARGEST_VOCAB:
        raise UsageError(
            f"--vocab {vocab_size} is too large",
            f"a token takes two bytes of a shard: ask for --vocab {LARGEST_VOCAB} or less",
        )
    if val_bytes is not None and val_bytes < LEAST_VAL_BYTES:
        raise UsageError(
            f"--val-bytes {val_bytes} is too little",
            f"ask for {LEAST_VAL_BYTES} or more: a model predicts sequences of up to 1,024 tokens",
        )


def split_documents(
    documents: Sequence[Document], val_bytes: int | None
) -> tuple[list[Document], list[Document]]:
    """Return (held out, training): the first documents up to `val_bytes`, and all others.

    Where whole documents would go far beyond `val_bytes`, one is cut after a paragraph, a line or a word, and
    its second part is trained on. Raises CourseError when too little is left to train on.
    """
    total = sum(len(document.data) for document in documents)
    if total < FEWEST_BYTES:
        raise CourseError(
            f"the text has {number(len(documents), 'document')} of {number(total, 'byte')}",
            f"a course needs at least {FEWEST_BYTES:,} bytes: add more text",
        )
    wanted = (
        max(min(int(total * VAL_SHARE), MOST_VAL_BYTES), LEAST_VAL_BYTES) if val_bytes is None else val_bytes
    )
    if wanted > total / 2:
        raise CourseError(
            f"{wanted:,} bytes of validation would leave less than half of the {total:,} bytes to train on",
            f"hold out less: --val-bytes {total // 20} is 5 % of this text",
        )
    held_out: list[Document] = []
    left = wanted
    for index, document in enumerate(documents):
        if len(document.data) > left + VAL_SLACK * wanted:
            first, second = _cut(document, left)
            return [*held_out, first], [second, *documents[index + 1 :]]
        held_out.append(document)
        left -= len(document.data)
        if left <= 0:
            return held_out, list(documents[index + 1 :])
    raise AssertionError("half of the text is more than all of it")


def _cut(document: Document, most: int) -> tuple[Document, Document]:
    name, text = document
    end = find_end(text, 0, most)
    return Document(f"{name}#held out", text[:end]), Document(f"{name}#rest", text[end:])


def encode_whole(tokenizer: Any, documents: Sequence[Document], progress: Callable[[float], None]) -> Tokens:
    """Return all documents as one stream, a BOS before each, that stands for every byte of them.

    What SentencePiece's own pieces cannot say is spelled as byte pieces: a space right after BOS, which
    the challenge's byte count leaves out; U+2581, which would come back as a space; and every space of a
    tokenizer that has no piece for it.
    """
    import numpy as np

    byte_ids = [tokenizer.piece_to_id(f"<0x{value:02X}>") for value in range(256)]
    has_space = tokenizer.piece_to_id(SPACE_MARK) != tokenizer.unk_id()
    spelled = re.compile(f"(\\A |{SPACE_MARK})" if has_space else f"( |{SPACE_MARK})")
    parts: list[Tokens] = []
    for index, document in enumerate(documents):
        ids = [tokenizer.bos_id()]
        for turn, text in enumerate(spelled.split(document.data.decode())):
            ids += [byte_ids[value] for value in text.encode()] if turn % 2 else tokenizer.encode(text)
        parts.append(np.array(ids, dtype=np.uint16))
        if index % 32 == 0:
            progress(index / len(documents))
    return np.concatenate(parts)


def _check_bytes(tokenizer: Any, tokens: Tokens, documents: Sequence[Document]) -> None:
    """Raise CourseError unless the tokens stand for as many bytes as the documents hold."""
    import numpy as np

    sizes = np.array([len(token_bytes(tokenizer, token)) for token in range(tokenizer.vocab_size())])
    counted, whole = int(sizes[tokens].sum()), sum(len(document.data) for document in documents)
    if counted != whole:
        raise CourseError(
            f"the tokens stand for {counted:,} bytes, the training text has {whole:,}",
            "please report it as a bug",
        )


def _describe(name: str, title: str, data: TextCourse, path: Path) -> dict[str, object]:
    """The course's file: the challenge's caps, the practice course's verdict edges; edit them by hand."""
    practice = load_course("practice")
    folder = Path(os.path.relpath(data.path.resolve(), path.parent.resolve()))
    return {
        "name": name,
        "title": title or name.replace("_", " ").title(),
        "what": f"{data.val_bytes:,} bytes of {number(data.documents, 'document')}, "
        "held out by the hash of their names",
        "caps": practice.caps.model_dump(),
        "verdicts": practice.verdicts.model_dump(mode="json"),
        "data": {
            "path": folder.as_posix(),
            "tokenizer": (folder / TOKENIZER).as_posix(),
            "vocab_size": data.vocab_size,
        },
        "splits": [{"name": data.val_text_sha256[:12], "val_bytes": data.val_bytes}],
    }
