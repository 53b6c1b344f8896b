"""The practice course: same bytes for the same text, whole or not at all, and never trusted unchecked."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from harness.courses.corpus import (
    Document,
    cut_validation,
    encode,
    measure_yardsticks,
    read_corpus,
    token_bytes,
    train_tokenizer,
)
from harness.courses.practice import (
    CourseError,
    PracticeCourse,
    Recipe,
    build_course,
    byte_shards,
    cache_root,
    load_course,
    prepare_course,
)
from tests.trainer.conftest import file_hash

SMALL = Recipe(vocab_size=300, val_file_bytes=3_000, val_tokens=8 * 128 + 1, least_bytes=20_000)
SHARDS = ("fineweb_train_000000.bin", "fineweb_val_000000.bin", "practice_bpe.model")

# A child prepares the course of the sources in argv[1], names every stage it passes, and stays in the stage
# argv[2] until the file argv[3] appears.
CHILD = """
import pathlib, sys, time
from harness.courses.corpus import read_corpus
from harness.courses.practice import CourseError, Recipe, prepare_course

def report(what, share):
    print(what, flush=True)
    while what == sys.argv[2] and not pathlib.Path(sys.argv[3]).exists():
        time.sleep(0.01)

try:
    prepare_course(report, documents=read_corpus(pathlib.Path(sys.argv[1])), recipe={recipe})
except CourseError as error:
    sys.exit(f"{{error.message}} | {{error.hint}}")
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small source files: indentation, blank lines, tabs, characters of two, three and four bytes."""
    folder = tmp_path_factory.mktemp("stdlib")
    dice = random.Random(6)
    words = [
        "self",
        "return",
        "value",
        "if",
        "not",
        "None",
        "import",
        "raise",
        "naïve",
        "数字",
        "🏌",
        "é",
        "def",
        "for",
        "in",
    ]
    for number in range(40):
        lines = [
            " " * (4 * dice.randrange(4)) + " ".join(dice.choices(words, k=dice.randrange(9)))
            for _ in range(40)
        ]
        path = folder / ("" if number % 3 else "package") / f"module_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'"""Module {number}."""\n\n\t' + "\n".join(lines) + "\n", encoding="utf-8", newline="\n"
        )
    return folder


@pytest.fixture(scope="module")
def documents(sources: Path) -> list[Document]:
    return read_corpus(sources)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's own cache."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def course(documents: list[Document]) -> PracticeCourse:
    return prepare_course(documents=documents, recipe=SMALL)


def start_child(sources: Path, stay_in: str = "", until: Path = Path("never")) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(recipe=SMALL), str(sources), stay_in, str(until)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(child: subprocess.Popen[str], stage: str) -> None:
    assert child.stdout
    for line in child.stdout:
        if line.strip() == stage:
            return
    raise AssertionError(f"the child ended before {stage!r}: {child.stderr.read() if child.stderr else ''}")


def read_tokens(shard: Path) -> np.ndarray:
    return np.fromfile(shard, dtype="<u2")[512:]


# -- what is built -------------------------------------------------------------------------------------------


def test_same_documents_give_the_same_bytes(documents: list[Document], tmp_path: Path) -> None:
    folders = [tmp_path / "once", tmp_path / "again"]
    for folder in folders:
        folder.mkdir()
        build_course(documents, folder, SMALL)

    for name in (*SHARDS, "course.json"):
        assert file_hash(folders[0] / name) == file_hash(folders[1] / name), name


def test_validation_text_is_counted_as_by_hand(course: PracticeCourse, documents: list[Document]) -> None:
    """val_bytes, its fingerprint and the yardsticks all speak of the raw bytes that the scored tokens
    cover."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(course.tokenizer_path))
    tokens = read_tokens(course.data_path / "fineweb_val_000000.bin").tolist()
    raw = b"".join(document.data for document in documents[: course.val_files])
    text = raw[: course.val_bytes]

    assert len(tokens) == course.val_tokens == SMALL.val_tokens
    assert tokens[0] == tokenizer.bos_id()  # the one token that is not scored stands for no bytes
    assert tokens.count(tokenizer.bos_id()) > 1
    decoded = tokenizer.decode(tokens)  # all documents in one, BOS silent; a character cut in two is U+FFFD
    assert decoded.rstrip("\ufffd") == text.decode(errors="ignore")
    assert course.val_text_sha256 == hashlib.sha256(text).hexdigest()
    assert course.yardsticks["zlib-9"] == 8 * len(zlib.compress(text, 9)) / len(text)


def test_validation_and_training_files_are_apart(course: PracticeCourse, documents: list[Document]) -> None:
    held_out, training = documents[: course.val_files], documents[course.val_files :]
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(course.tokenizer_path))
    tokens = read_tokens(course.data_path / "fineweb_train_000000.bin").tolist()

    assert len(training) == course.train_files
    assert sum(len(document.data) for document in held_out[:-1]) < SMALL.val_file_bytes
    assert tokenizer.decode(tokens) == b"".join(document.data for document in training).decode()
    assert tokens.count(tokenizer.bos_id()) == course.train_files


def test_order_zero_yardstick_is_the_entropy_of_bytes() -> None:
    assert measure_yardsticks(bytes(range(256)))["order-0"] == 8.0


def test_course_json_ends_up_in_the_course(course: PracticeCourse) -> None:
    text = (course.path / "course.json").read_text(encoding="utf-8")
    known = json.loads(text)

    assert text.endswith("}\n")
    assert list(known)[:2] == ["schema", "python"]
    assert known["val_sha256"] == hashlib.sha256((course.path / SHARDS[1]).read_bytes()).hexdigest()
    assert load_course(course.path) == course


@pytest.fixture(scope="module")
def tokenizer(documents: list[Document]) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=train_tokenizer(documents, 300))


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581")))
def test_tokens_give_any_text_back(tokenizer: sentencepiece.SentencePieceProcessor, text: str) -> None:
    ids = tokenizer.encode(text, add_bos=True)

    assert b"".join(token_bytes(tokenizer, i) for i in ids) == text.encode()


def test_tokens_of_another_text_are_refused(
    tokenizer: sentencepiece.SentencePieceProcessor, documents: list[Document]
) -> None:
    tokens = encode(tokenizer, documents[:3], lambda share: None)

    with pytest.raises(CourseError, match="do not give the validation text back"):
        cut_validation(tokenizer, tokens, documents[1:4], count=100)


# -- which text ----------------------------------------------------------------------------------------------


def test_corpus_leaves_out_what_installs_differ_in(tmp_path: Path) -> None:
    for name in (
        "kept.py",
        "package/kept.py",
        "test/a.py",
        "package/tests/a.py",
        "idlelib/idle_test/a.py",
        "site-packages/a.py",
        "dist-packages/a.py",
        "encodings/cp037.py",
        "pydoc_data/topics.py",
        "config-3.11-x86_64-linux-gnu/python-config.py",
        "_sysconfigdata__linux_.py",
        "sitecustomize.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("pass\n")
    (tmp_path / "latin.py").write_bytes("# caf\xe9\n".encode("latin-1"))
    (tmp_path / "blank.py").write_text(" # a first space would not be counted\n")
    (tmp_path / "block.py").write_text("# \u2581 would come back as a space\n", encoding="utf-8")
    (tmp_path / "empty.py").write_text("")

    names = {document.name for document in read_corpus(tmp_path)}

    assert names == {"kept.py", "package/kept.py"}


def test_order_does_not_depend_on_the_file_system(sources: Path) -> None:
    names = [document.name for document in read_corpus(sources)]

    assert names == sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert names != sorted(names)


def test_python_without_sources_is_refused(tmp_path: Path) -> None:
    """As with a standard library in a zip: its folder does not even exist."""
    with pytest.raises(CourseError, match="no Python sources in") as caught:
        read_corpus(tmp_path / "python311.zip")

    assert "not zipped" in caught.value.hint


def test_trimmed_python_is_refused(documents: list[Document]) -> None:
    with pytest.raises(CourseError, match=r"only [\d,]+ bytes .* needs 2,000,000"):
        prepare_course(documents=documents)


# -- where it lies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HARNESS_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"HARNESS_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/parameter-golf"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/ada"}, "/home/ada/.cache/parameter-golf"),
        ({"HOME": "/home/ada"}, "/home/ada/.cache/parameter-golf"),
        ({"HARNESS_CACHE": "~/golf", "HOME": "/home/ada"}, "/home/ada/golf"),
    ],
)
def test_cache_folder_follows_the_environment(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert cache_root() == Path(expected)


def test_cache_of_nobody_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", "~no-such-user/golf")

    with pytest.raises(CourseError, match="no folder to keep the practice course in") as caught:
        cache_root()

    assert caught.value.hint == "set HARNESS_CACHE"


def test_course_folder_names_recipe_python_and_text(course: PracticeCourse, cache: Path) -> None:
    python = ".".join(map(str, sys.version_info[:3]))

    assert course.path.parent == cache
    assert course.path.name.startswith(f"practice-v1-py{python}")
    assert course.path.name.endswith(course.corpus_sha256[:12])


def test_cache_that_is_a_file_is_explained(documents: list[Document], cache: Path) -> None:
    cache.write_text("in the way")

    with pytest.raises(CourseError, match="cannot keep the practice course in") as caught:
        prepare_course(documents=documents, recipe=SMALL)

    assert "HARNESS_CACHE" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is POSIX's")
def test_full_disk_is_explained_and_leaves_nothing(sources: Path, cache: Path) -> None:
    """A limit on the size of a file stands in for the full disk: both fail in the middle of a write."""
    script = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n" + CHILD.format(
        recipe=SMALL
    )

    done = subprocess.run(
        [sys.executable, "-B", "-c", script, str(sources), "", ""],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "cannot keep the practice course in" in done.stderr
    assert "make room" in done.stderr
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


# -- found again ---------------------------------------------------------------------------------------------


def test_prepared_course_is_found_without_building(course: PracticeCourse, documents: list[Document]) -> None:
    stages: list[str] = []

    again = prepare_course(lambda what, share: stages.append(what), documents=documents, recipe=SMALL)

    assert again == course
    assert stages == []


def test_progress_rises_to_one(documents: list[Document]) -> None:
    shares: list[float] = []
    prepare_course(lambda what, share: shares.append(share), documents=documents, recipe=SMALL)

    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("name", SHARDS)
def test_changed_file_is_noticed_and_kept(
    name: str, course: PracticeCourse, documents: list[Document]
) -> None:
    path = course.path / name
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)

    with pytest.raises(CourseError, match=f"{name} has been changed: its sha256 is .* expects") as caught:
        prepare_course(documents=documents, recipe=SMALL)

    assert "python -m harness.courses.practice --rebuild" in caught.value.hint
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("name", SHARDS)
def test_truncated_file_is_noticed(name: str, course: PracticeCourse, documents: list[Document]) -> None:
    path = course.path / name
    whole = path.stat().st_size
    os.truncate(path, 1_500)

    with pytest.raises(CourseError, match=f"{name} has 1,500 bytes, course.json expects {whole:,}"):
        prepare_course(documents=documents, recipe=SMALL)


@pytest.mark.parametrize("name", [*SHARDS, "course.json"])
def test_missing_file_is_noticed(name: str, course: PracticeCourse, documents: list[Document]) -> None:
    (course.path / name).unlink()

    with pytest.raises(CourseError, match=f"{name} is missing"):
        prepare_course(documents=documents, recipe=SMALL)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', '{"schema": 1, "python": "3"}'])
def test_unreadable_course_json_is_noticed(text: str, course: PracticeCourse) -> None:
    (course.path / "course.json").write_text(text)

    with pytest.raises(CourseError, match=r"course\.json") as caught:
        load_course(course.path)

    assert "--rebuild" in caught.value.hint


def test_rebuild_replaces_a_damaged_course(
    course: PracticeCourse, documents: list[Document], cache: Path
) -> None:
    (course.path / SHARDS[0]).write_bytes(b"")

    rebuilt = prepare_course(documents=documents, recipe=SMALL, rebuild=True)

    assert rebuilt == course
    assert sorted(path.name for path in cache.iterdir()) == [course.path.name, f"{course.path.name}.lock"]


# -- several processes ---------------------------------------------------------------------------------------


def test_two_processes_at_once_build_one_course(
    sources: Path, documents: list[Document], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first = start_child(sources, "tokenizing", go)
    wait_for(first, "tokenizing")
    second = start_child(sources)
    wait_for(second, "waiting for another process that prepares the course")
    go.touch()
    _, said_first = first.communicate(timeout=180)
    rest, said_second = second.communicate(timeout=180)

    assert (first.returncode, said_first) == (0, "")
    assert (second.returncode, said_second) == (0, "")
    assert rest == ""  # the second built nothing
    assert prepare_course(_refuse_to_build, documents=documents, recipe=SMALL).val_tokens == SMALL.val_tokens


@pytest.mark.parametrize(
    "stage", ["training the tokenizer", "tokenizing", "compressing the yardsticks", "ready"]
)
def test_killed_preparation_is_begun_again(
    stage: str, sources: Path, documents: list[Document], cache: Path
) -> None:
    child = start_child(sources, stay_in=stage)
    wait_for(child, stage)
    child.kill()
    child.communicate(timeout=180)
    assert any(path.name.startswith(".") for path in cache.iterdir())  # the leftover

    stages: list[str] = []
    course = prepare_course(lambda what, share: stages.append(what), documents=documents, recipe=SMALL)

    assert not [stage for stage in stages if "waiting" in stage]  # for the dead process's lock
    assert load_course(course.path) == course
    assert not any(path.name.startswith(".") for path in cache.iterdir())


def _refuse_to_build(what: str, share: float) -> None:
    raise AssertionError(f"nothing was to be built, but: {what}")


# -- this interpreter's own course, and the command ----------------------------------------------------------


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.courses.practice", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_own_standard_library_makes_the_course(cache: Path) -> None:
    """The numbers of PRACTICE.md section 4, loosely: they move a little from one Python to the next."""
    first = run_command("--json")
    course = json.loads(first.stdout)
    before = {name: file_hash(Path(course["data_path"]) / name) for name in (*SHARDS, "course.json")}
    rebuilt = run_command("--rebuild")

    assert course["vocab_size"] == 1024
    assert course["val_tokens"] == 91_137
    assert 190_000 < course["val_bytes"] < 260_000
    assert course["train_tokens"] > 2_000_000
    assert 2.2 < course["train_bytes"] / course["train_tokens"] < 2.9
    assert 1.5 < course["yardsticks"]["xz-9e"] < course["yardsticks"]["zlib-9"] < 2.5
    assert first.stderr.splitlines()[0] == "practice course: training the tokenizer"
    assert len(first.stderr.splitlines()) == 4  # one line a stage, nothing of SentencePiece's
    assert "TOKENIZER_PATH=" in rebuilt.stdout
    assert before == {name: file_hash(Path(course["data_path"]) / name) for name in before}


@pytest.mark.slow
def test_course_is_prepared_without_torch(cache: Path) -> None:
    script = (
        "import sys; from harness.courses.practice import prepare_course; prepare_course(); "
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_importing_it_is_cheap() -> None:
    heavy = "{'torch', 'numpy', 'sentencepiece', 'rich', 'filelock'}"
    script = f"import sys, harness.courses.practice; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_command_explains_a_mistake_without_a_traceback(cache: Path) -> None:
    cache.write_text("in the way")

    done = run_command()

    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot keep the practice course in")
    assert "\nhint: " in done.stderr
    assert done.stdout == ""


def test_bytes_are_of_the_very_same_text(course: PracticeCourse, documents: list[Document]) -> None:
    """The byte shards hold what the tokens stand for, byte for byte, with BOS between documents; made
    once."""
    from trainer.bytevocab import BOS, SPECIAL
    from trainer.data import load_shard

    folder = byte_shards(course, documents, SMALL)
    scored = load_shard(folder / "fineweb_val_000000.bin")
    text = bytes(int(token) - SPECIAL for token in scored if token != BOS)
    made = (folder / "fineweb_train_000000.bin").stat().st_mtime_ns

    assert hashlib.sha256(text).hexdigest() == course.val_text_sha256
    training = load_shard(folder / "fineweb_train_000000.bin")
    assert len(training) - int((training == BOS).sum()) == course.train_bytes
    assert byte_shards(course, documents, SMALL) == folder
    assert (folder / "fineweb_train_000000.bin").stat().st_mtime_ns == made
    assert load_course(course.path) == course  # the course beside it is what it was
