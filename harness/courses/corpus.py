"""The text of the practice course: the interpreter's own sources, and the tokens that stand for them.

Everything here is a pure function of the sources, apart from `read_corpus`, which reads them. It knows
nothing
of folders, shards and caches: `harness.courses.practice` does.
"""

from __future__ import annotations

import hashlib
import math
import os
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.errors import HarnessError

if TYPE_CHECKING:
    from trainer.data import Tokens  # which imports numpy

# What one install has and the next has not, what is made when Python is built, tables rather than prose
# (encodings), and pydoc_data, whose one file would be most of the validation text.
SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages", "encodings", "pydoc_data", "__pycache__"}
)
SKIPPED_PREFIXES = ("_sysconfigdata", "sitecustomize", "usercustomize", "config-")

ProgressCallback = Callable[[str, float], None]  # what is being made, and which share of it is done


class CourseError(HarnessError):
    """The practice course cannot be prepared, or what was prepared cannot be trusted."""


class Document(NamedTuple):
    name: str  # path relative to the standard library, with forward slashes
    data: bytes


def read_corpus(stdlib: Path | None = None) -> list[Document]:
    """Return the standard library's own sources, in the order of the sha256 of their relative paths.

    stdlib: where they lie; by default the running interpreter's.
    Raises CourseError where there are no sources, as in a zipped or stripped Python.
    """
    stdlib = stdlib or Path(sysconfig.get_path("stdlib"))
    try:
        documents = [
            Document(path.relative_to(stdlib).as_posix(), path.read_bytes()) for path in _sources(stdlib)
        ]
    except OSError as error:
        raise CourseError(
            f"cannot read the standard library's sources: {error}",
            "make them readable, or use another Python",
        ) from error
    documents = [document for document in documents if decodes_losslessly(document.data)]
    if not documents:
        raise CourseError(
            f"no Python sources in {stdlib}",
            "the practice course needs a Python that ships its standard library as .py files: "
            "not zipped, embedded or stripped",
        )
    return sorted(documents, key=lambda document: hashlib.sha256(document.name.encode()).hexdigest())


def _sources(stdlib: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(stdlib):
        subfolders[:] = [
            name
            for name in subfolders
            if name not in SKIPPED_FOLDERS and not name.startswith(SKIPPED_PREFIXES)
        ]
        for name in names:
            if name.endswith(".py") and not name.startswith(SKIPPED_PREFIXES):
                yield Path(folder, name)


def decodes_losslessly(data: bytes) -> bool:
    """Tell whether tokens can stand for exactly these bytes; of CPython's sources all but empty files can.

    SentencePiece writes a space as U+2581, so that character itself would come back as a space; and the
    challenge's byte count leaves out a space right after BOS.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return bool(text) and not text.startswith(" ") and "\u2581" not in text


def split_files(
    documents: Sequence[Document], val_file_bytes: int, least_bytes: int
) -> tuple[Sequence[Document], Sequence[Document]]:
    """Return (held out, training): the first whole files that reach `val_file_bytes`, and all others.

    least_bytes: CourseError below this, in all files together; at least twice `val_file_bytes`.
    """
    reached = list(accumulate((len(document.data) for document in documents), initial=0))
    if reached[-1] < least_bytes:
        raise CourseError(
            f"only {reached[-1]:,} bytes of Python sources in {len(documents)} files; "
            f"the practice course needs {least_bytes:,}",
            "this Python has been trimmed: use one with its whole standard library",
        )
    count = next(i for i, total in enumerate(reached) if total >= val_file_bytes)
    return documents[:count], documents[count:]


def fingerprint(documents: Sequence[Document]) -> str:
    """Return the sha256 over all names and contents, in order."""
    digest = hashlib.sha256()
    for name, data in documents:
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def train_tokenizer(documents: Sequence[Document], vocab_size: int) -> bytes:
    """Return a SentencePiece BPE model with byte fallback that gives every text back unchanged.

    Ids and digit splitting are the challenge's; pieces of only spaces are ours: sources are full of
    indentation, and they give 2.53 bytes per token instead of 1.75. Lines are fed, not documents:
    SentencePiece silently drops what is longer than 4,192 bytes. One thread and a writer instead of a path,
    since the model stores both.
    """
    import sentencepiece

    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for document in documents for line in document.data.decode().split("\n")),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        num_threads=1,
        minloglevel=2,  # no progress report of its own
    )
    return model.getvalue()


def encode(tokenizer: Any, documents: Sequence[Document], progress: Callable[[float], None]) -> Tokens:
    """Return all documents as one stream, a BOS before each."""
    import numpy as np

    batch = 32  # documents between two calls of progress
    parts: list[Tokens] = []
    for start in range(0, len(documents), batch):
        texts = [document.data.decode() for document in documents[start : start + batch]]
        parts += [np.array(ids, dtype=np.uint16) for ids in tokenizer.encode(texts, add_bos=True)]
        progress(min(1.0, (start + batch) / len(documents)))
    return np.concatenate(parts)


def cut_validation(
    tokenizer: Any, tokens: Tokens, documents: Sequence[Document], count: int
) -> tuple[Tokens, bytes]:
    """Return the first `count` tokens and the text they stand for.

    Raises CourseError when the tokens do not give the documents back, or when the byte table that turns
    losses into bits per byte disagrees with the text: a score would then be wrong without looking wrong.
    """
    from trainer.data import byte_table

    bytes_of_token = [token_bytes(tokenizer, i) for i in range(tokenizer.vocab_size())]
    if b"".join(bytes_of_token[i] for i in tokens) != b"".join(document.data for document in documents):
        raise CourseError("the tokens do not give the validation text back", "please report it as a bug")
    if len(tokens) < count:
        raise CourseError(
            f"the validation text has {len(tokens):,} tokens, {count:,} are needed", "hold out more files"
        )
    tokens = tokens[:count]
    text = b"".join(bytes_of_token[i] for i in tokens)
    counted = byte_table(tokenizer).count(tokens[:-1], tokens[1:])
    if counted != len(text):
        raise CourseError(
            f"the byte table counts {counted:,} bytes, the validation text has {len(text):,}",
            "please report it as a bug",
        )
    return tokens, text


def token_bytes(tokenizer: Any, token: int) -> bytes:
    """Return the UTF-8 bytes a token stands for; none for BOS and its like."""
    piece: str = tokenizer.id_to_piece(token)
    if tokenizer.is_byte(token):
        return bytes.fromhex(piece[3:5])  # <0x0A>
    if tokenizer.is_control(token) or tokenizer.is_unknown(token) or tokenizer.is_unused(token):
        return b""
    return piece.replace("\u2581", " ").encode()


def measure_yardsticks(text: bytes) -> dict[str, float]:
    """Return what general compressors need for `text`, in bits per byte; one this Python lacks is left out.

    They adapt on these bytes only, whereas a model has learned from other files. order-0: the entropy of
    single bytes, what a coder without any context would need.
    """
    sizes: dict[str, float] = {}
    with _if_built_in():
        import zlib

        sizes["zlib-9"] = len(zlib.compress(text, 9))
    with _if_built_in():
        import bz2

        sizes["bz2-9"] = len(bz2.compress(text, 9))
    with _if_built_in():
        import lzma

        sizes["xz-9e"] = len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    yardsticks = {name: 8 * size / len(text) for name, size in sizes.items()}
    shares = [count / len(text) for count in Counter(text).values()]
    return yardsticks | {"order-0": -math.fsum(share * math.log2(share) for share in shares)}


@contextmanager
def _if_built_in() -> Iterator[None]:
    """A Python built without bz2 or lzma lacks that yardstick, nothing more."""
    try:
        yield
    except ImportError:
        pass
