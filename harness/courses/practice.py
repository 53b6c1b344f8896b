"""The practice course: real text for a machine that has no FineWeb.

The text is what every Python ships: the sources of the running interpreter's own standard library, in a fixed
order, split by whole files, and cut into tokens by a SentencePiece model trained on the spot. It is written
in the challenge's shard format into a cache folder (`$HARNESS_CACHE`, else the XDG cache) and sealed with
sha256 fingerprints, so that scores of different Pythons or of damaged data are never mixed.

    python -m harness.courses.practice [--rebuild] [--json]

What the text is and how it becomes tokens: `harness.courses.corpus`. Models and training are unknown here,
and torch is never imported.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import figures
from harness.courses.corpus import (
    CourseError,
    Document,
    ProgressCallback,
    cut_validation,
    encode,
    fingerprint,
    measure_yardsticks,
    read_corpus,
    split_files,
    train_tokenizer,
)
from harness.documents import FileProblem, MissingFile, naming, read_json

__all__ = [
    "CourseError",
    "PracticeCourse",
    "Recipe",
    "build_course",
    "byte_shards",
    "cache_root",
    "course_dir",
    "load_course",
    "prepare_course",
]

SCHEMA = 1  # of course.json
MANIFEST = "course.json"
MAX_BYTES = 1_000_000  # of it
TRAIN_SHARD = "fineweb_train_000000.bin"  # the challenge's names, so that its globs find them
VAL_SHARD = "fineweb_val_000000.bin"
TOKENIZER = "practice_bpe.model"
BYTES = "byte260"
REBUILD = "`python -m harness.courses.practice --rebuild` prepares it again"
LOCK_SECONDS = 600  # another process needs about 5 s; ten minutes means that it hangs


@dataclass(frozen=True)
class PracticeCourse:
    """What is known of a prepared course; all but `path` is kept in its course.json.

    val_tokens: all tokens of the validation shard. The first only gives context, the other val_tokens - 1 are
        scored. 91,137 is 89 * 1,024 + 1, so sequences of any power of two up to 1,024 score every one of
        them.
        Other lengths drop a tail of less than one sequence: the evaluator counts its own bytes there.
    val_bytes: UTF-8 bytes those scored tokens stand for. BOS stands between documents and counts 0. The text
        is cut at a token, so it may end within a line, and even within a character.
    val_text_sha256: fingerprint of exactly those bytes; it names the split.
    yardsticks: general compressors on exactly those bytes, in bits per byte.
    """

    path: Path
    python: str
    sentencepiece: str
    corpus_sha256: str
    train_files: int
    val_files: int
    vocab_size: int
    train_tokens: int
    train_bytes: int
    val_tokens: int
    val_bytes: int
    tokenizer_bytes: int
    train_sha256: str
    val_sha256: str
    val_text_sha256: str
    tokenizer_sha256: str
    yardsticks: dict[str, float]

    @property
    def data_path(self) -> Path:
        """The folder for DATA_PATH: the challenge's `fineweb_*_*.bin` globs match here."""
        return self.path

    @property
    def tokenizer_path(self) -> Path:
        return self.path / TOKENIZER


@dataclass(frozen=True)
class Recipe:
    """Sizes of a course. `version` names the folder: raise it with any change to the files that result."""

    version: int = 1
    vocab_size: int = 1024
    val_file_bytes: int = 500_000  # whole files are held out until they reach this
    val_tokens: int = 89 * 1024 + 1  # cut, so that a validation takes seconds on a CPU
    least_bytes: int = 2_000_000  # a trimmed Python below this makes no course


RECIPE = Recipe()


def prepare_course(
    progress: ProgressCallback | None = None,
    *,
    rebuild: bool = False,
    documents: Sequence[Document] | None = None,
    recipe: Recipe = RECIPE,
) -> PracticeCourse:
    """Return the practice course, building it on first use.

    A prepared course is checked against its fingerprints each time. It appears whole or not at all, whether
    two processes start at once or one is killed halfway. Only `rebuild` replaces one that exists.
    progress: called with the current stage and the share done, 0 to 1; not called when nothing needs to be
    built.
    documents: the text, in place of the running interpreter's standard library.
    Raises CourseError: no sources, a damaged course, a cache folder that cannot be written.
    """
    documents = read_corpus() if documents is None else documents
    report = progress or (lambda what, share: None)
    folder = cache_root() / _course_name(documents, recipe)
    with _explain_os_errors(folder):
        if folder.exists() and not rebuild:
            return load_course(folder)
        with _only_one(folder, report):
            if rebuild or not folder.exists():
                _build_in_place(documents, folder, recipe, report)
        return load_course(folder)


def course_dir() -> Path:
    """Return the folder of this interpreter's course, there or not. Reads the whole corpus, about 0.1 s."""
    return cache_root() / _course_name(read_corpus(), RECIPE)


def cache_root() -> Path:
    """Return `$HARNESS_CACHE`, else `$XDG_CACHE_HOME/parameter-golf`, else `~/.cache/parameter-golf`.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification asks.
    """
    own, xdg = os.environ.get("HARNESS_CACHE"), Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        if own:
            return Path(own).expanduser().absolute()
        if xdg.is_absolute():
            return xdg / "parameter-golf"
        return Path.home() / ".cache" / "parameter-golf"
    except RuntimeError as error:  # no such user, or a user without a home
        raise CourseError(
            f"no folder to keep the practice course in: {error}", "set HARNESS_CACHE"
        ) from error


def load_course(folder: Path) -> PracticeCourse:
    """Read a prepared course and check its three files against their fingerprints.

    Raises CourseError naming the first file that is not what course.json says.
    """
    manifest = folder / MANIFEST
    try:
        facts = read_json(manifest, MAX_BYTES)
        with naming(manifest):
            schema = facts.pop("schema")
            if schema != SCHEMA:
                raise CourseError(f"{manifest}: schema is {schema}, this program reads {SCHEMA}", REBUILD)
            course = PracticeCourse(path=folder, **facts)
            _check_files(course)
    except MissingFile as error:
        raise CourseError(f"{manifest} is missing from a prepared course", REBUILD) from error
    except FileProblem as error:
        raise CourseError(f"{manifest} does not describe a course: {error.message}", REBUILD) from error
    return course


def build_course(
    documents: Sequence[Document],
    target: Path,
    recipe: Recipe = RECIPE,
    progress: ProgressCallback | None = None,
) -> PracticeCourse:
    """Write the course of `documents` into the empty folder `target`. The same documents give the same bytes.

    Raises CourseError when there is too little text, or when the tokens do not stand for exactly the text.
    """
    import sentencepiece

    from trainer.data import sha256_of, write_shard

    report = progress or (lambda what, share: None)
    held_out, training = split_files(documents, recipe.val_file_bytes, recipe.least_bytes)

    report("training the tokenizer", 0.05)
    model = train_tokenizer(training, recipe.vocab_size)
    (target / TOKENIZER).write_bytes(model)
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model)

    report("tokenizing", 0.4)
    train_tokens = encode(tokenizer, training, lambda share: report("tokenizing", 0.4 + 0.5 * share))
    val_tokens = encode(tokenizer, held_out, lambda share: None)
    val_tokens, val_text = cut_validation(tokenizer, val_tokens, held_out, recipe.val_tokens)
    write_shard(target / TRAIN_SHARD, train_tokens)
    write_shard(target / VAL_SHARD, val_tokens)

    report("compressing the yardsticks", 0.95)
    course = PracticeCourse(
        path=target,
        python=platform.python_version(),
        sentencepiece=sentencepiece.__version__,
        corpus_sha256=fingerprint(documents),
        train_files=len(training),
        val_files=len(held_out),
        vocab_size=tokenizer.vocab_size(),
        train_tokens=len(train_tokens),
        train_bytes=sum(len(document.data) for document in training),
        val_tokens=len(val_tokens),
        val_bytes=len(val_text),
        tokenizer_bytes=len(model),
        train_sha256=sha256_of([target / TRAIN_SHARD]),
        val_sha256=sha256_of([target / VAL_SHARD]),
        val_text_sha256=hashlib.sha256(val_text).hexdigest(),
        tokenizer_sha256=sha256_of([target / TOKENIZER]),
        yardsticks=measure_yardsticks(val_text),
    )
    manifest = json.dumps({"schema": SCHEMA} | _facts(course), indent=2) + "\n"
    (target / MANIFEST).write_text(manifest, encoding="utf-8", newline="\n")
    report("ready", 1.0)
    return course


def byte_shards(
    course: PracticeCourse, documents: Sequence[Document] | None = None, recipe: Recipe = RECIPE
) -> Path:
    """Return a folder with the text of a prepared course as bytes (byte260), written into it on first use.

    The validation text ends at the same byte, so that scores are of one text; what a last sequence cannot
    hold of it is not scored. documents: those the course was made of, when it was not the standard library.
    """
    from trainer.bytevocab import encode_bytes
    from trainer.data import write_shard

    folder = course.path / BYTES
    building = folder.with_name(f".{BYTES}.building")
    with _explain_os_errors(folder), _only_one(folder, lambda what, share: None):
        if not folder.exists():
            held_out, training = split_files(
                read_corpus() if documents is None else documents, recipe.val_file_bytes, recipe.least_bytes
            )
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            write_shard(building / TRAIN_SHARD, encode_bytes(document.data for document in training))
            write_shard(building / VAL_SHARD, encode_bytes(_cut(held_out, course.val_bytes)))
            building.rename(folder)
    return folder


def _cut(documents: Sequence[Document], count: int) -> Iterator[bytes]:
    """Yield the documents up to their first `count` bytes."""
    for document in documents:
        if count > 0:
            yield document.data[:count]
        count -= len(document.data)


# -- the folder ------------------------------------------------------------------------------------


def _course_name(documents: Sequence[Document], recipe: Recipe) -> str:
    """Name the folder by recipe, Python and text, so that another Python never finds this one's."""
    return f"practice-v{recipe.version}-py{platform.python_version()}-{fingerprint(documents)[:12]}"


def _build_in_place(
    documents: Sequence[Document], folder: Path, recipe: Recipe, report: ProgressCallback
) -> None:
    """Build in a hidden folder, then rename it. The caller holds the lock: hidden folders of before are
    leftovers of a kill.
    """
    building = folder.with_name(f".{folder.name}.building")
    old = folder.with_name(f".{folder.name}.old")
    for leftover in (building, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    building.mkdir()
    try:
        build_course(documents, building, recipe, report)
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
    finally:
        for leftover in (building, old):
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _only_one(folder: Path, report: ProgressCallback) -> Iterator[None]:
    """Hold the course's lock; the system frees it when a process dies, however it dies."""
    from filelock import FileLock, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("waiting for another process that prepares the course", 0.0)
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout as error:
            raise CourseError(
                f"another process has held {lock.lock_file} for {LOCK_SECONDS} seconds",
                "end that process and start again",
            ) from error
    try:
        yield
    finally:
        lock.release()


def _check_files(course: PracticeCourse) -> None:
    from trainer.data import HEADER_BYTES, TOKEN_BYTES, sha256_of

    for name, size, sha256 in (
        (TRAIN_SHARD, HEADER_BYTES + TOKEN_BYTES * course.train_tokens, course.train_sha256),
        (VAL_SHARD, HEADER_BYTES + TOKEN_BYTES * course.val_tokens, course.val_sha256),
        (TOKENIZER, course.tokenizer_bytes, course.tokenizer_sha256),
    ):
        path = course.path / name
        if not path.is_file():
            raise CourseError(f"{path} is missing from a prepared course", REBUILD)
        if path.stat().st_size != size:
            raise CourseError(
                f"{path} has {path.stat().st_size:,} bytes, {MANIFEST} expects {size:,}", REBUILD
            )
        if (actual := sha256_of([path])) != sha256:
            raise CourseError(
                f"{path} has been changed: its sha256 is {actual[:12]}..., "
                f"{MANIFEST} expects {sha256[:12]}...",
                REBUILD,
            )


def _facts(course: PracticeCourse) -> dict[str, Any]:
    facts = dataclasses.asdict(course)
    del facts["path"]
    return facts


@contextmanager
def _explain_os_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CourseError(
            f"cannot keep the practice course in {error.filename or folder}: {error.strerror or error}",
            "it needs 20 MB in a folder you can write to: make room, or set HARNESS_CACHE to another folder",
        ) from error


# -- the command -----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.courses.practice", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rebuild", action="store_true", help="build it anew, in place of what is there")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a summary")
    options = parser.parse_args(arguments)
    try:
        with _show_progress() as progress:
            course = prepare_course(progress, rebuild=options.rebuild)
    except CourseError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return 1
    if options.json:
        places = {name: str(getattr(course, name)) for name in ("path", "data_path", "tokenizer_path")}
        print(json.dumps({"schema": SCHEMA} | places | _facts(course), indent=2))
    else:
        print(summarise(course))
    return 0


def summarise(course: PracticeCourse) -> str:
    """Return a few lines for people."""
    yardsticks = ", ".join(f"{name} {bpb:.4f}" for name, bpb in course.yardsticks.items())
    return "\n".join(
        (
            f"practice course: the standard library of Python {course.python}",
            f"  train       {course.train_tokens:,} tokens of {figures.number(course.train_files, 'file')}",
            f"  validation  {course.val_tokens:,} tokens, {course.val_bytes:,} bytes",
            f"  yardsticks  {yardsticks} bits per byte",
            f"  DATA_PATH={course.data_path}",
            f"  TOKENIZER_PATH={course.tokenizer_path}",
        )
    )


@contextmanager
def _show_progress() -> Iterator[ProgressCallback]:
    """A bar on a terminal, a line per stage elsewhere; on stderr, and nothing when nothing is built."""
    if not sys.stderr.isatty():
        yield functools.partial(_print_stage, printed=set())
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    bar = Bar(console=Console(stderr=True), transient=True)
    task = bar.add_task("practice course", total=1.0)

    def advance(what: str, share: float) -> None:
        bar.start()  # does nothing the second time
        bar.update(task, description=what, completed=share)

    try:
        yield advance
    finally:
        bar.stop()


def _print_stage(what: str, share: float, printed: set[str]) -> None:
    if what not in printed:
        printed.add(what)
        print(f"practice course: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
