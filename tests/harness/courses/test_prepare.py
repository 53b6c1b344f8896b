"""A course of one's own text: what is held out, what is refused, and that it can be played."""

from __future__ import annotations

import hashlib
import json
import sysconfig
from pathlib import Path

import pytest
import sentencepiece

from harness.courses.corpus import CourseError, token_bytes
from harness.courses.prepare import prepare_text
from tests.trainer.conftest import file_hash
from trainer.data import find_shards, load_shard

STDLIB = Path(sysconfig.get_path("stdlib"))


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """Thirty files of real text, one of them in a folder, one hidden, one that is no text."""
    folder = tmp_path_factory.mktemp("text")
    for path in sorted(STDLIB.glob("*.py"))[:30]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "deep").mkdir()
    (folder / "deep" / "one.txt").write_text("Grüße vom siebzehnten Loch.\n" * 50, encoding="utf-8")
    (folder / "noise.bin").write_bytes(b"\xff\xfe\x00")
    (folder / ".hidden").write_text("not for training")
    return folder


@pytest.fixture(scope="module")
def course(text, tmp_path_factory):
    return prepare_text(text, tmp_path_factory.mktemp("made") / "course", vocab_size=400)


def test_tokens_stand_for_exactly_the_text_and_nothing_is_in_both_parts(course, text):
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(course.path / "tokenizer.model"))
    bytes_of_token = {}
    for split in ("train", "val"):
        tokens = [int(token) for path in find_shards(course.path, split) for token in load_shard(path)]
        bytes_of_token[split] = b"".join(token_bytes(tokenizer, token) for token in tokens)

    documents = [path.read_bytes() for path in text.rglob("*") if path.suffix in (".py", ".txt")]
    assert len(bytes_of_token["train"]) + len(bytes_of_token["val"]) == sum(map(len, documents))
    assert hashlib.sha256(bytes_of_token["val"]).hexdigest() == course.val_text_sha256
    assert len(bytes_of_token["val"]) == course.val_bytes
    for document in documents:
        assert (document in bytes_of_token["train"]) != (document in bytes_of_token["val"])
    assert course.left_out == ("noise.bin",)


def test_same_text_gives_the_same_bytes(course, text, tmp_path):
    again = prepare_text(text, tmp_path / "again", vocab_size=400)

    for name in ("fineweb_train_000000.bin", "fineweb_val_000000.bin", "tokenizer.model", "course.json"):
        assert file_hash(again.path / name) == file_hash(course.path / name), name


def test_lines_of_a_jsonl_file_are_documents(text, tmp_path):
    lines = [json.dumps({"text": path.read_text()}) for path in sorted(text.glob("*.py"))]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines) + "\n")

    prepared = prepare_text(tmp_path / "docs.jsonl", tmp_path / "made", vocab_size=400, val_bytes=50_000)

    assert prepared.documents == 30
    assert prepared.val_bytes >= 50_000


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ({}, {}, "no text in"),
        ({"a.txt": "short"}, {}, "1 documents of 5 bytes"),
        ({"a.jsonl": '{"words": "x"}'}, {}, "a.jsonl:1 holds no text"),
        ({"a.txt": "ab " * 50_000, "b.txt": "cd " * 50_000}, {"val_bytes": 200_000}, "less than half"),
        ({"a.txt": "ab " * 50_000, "b.txt": "cd " * 50_000}, {}, "no tokenizer of 1024 pieces"),
        ({"a.txt": "x"}, {"vocab_size": 70_000}, "a vocabulary of 70000"),
    ],
)
def test_text_that_makes_no_course_is_named_and_nothing_is_written(content, options, expected, tmp_path):
    source = tmp_path / "text"
    source.mkdir()
    for name, words in content.items():
        (source / name).write_text(words)

    with pytest.raises(CourseError, match=expected):
        prepare_text(source, tmp_path / "made", **options)

    assert [path.name for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.slow
def test_own_text_is_prepared_played_and_judged_without_a_noise_figure(harness, text, tmp_path):
    prepared = harness("data", "prepare", "mine", "--text", str(text), "--vocab", "400", "--json")
    assert prepared.returncode == 0, prepared.stderr
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    lost = harness("run", "round_001", "--course", "mine", "--preset", "tiny", "--dry-run")
    (tmp_path / "elsewhere").rename(tmp_path / "data")

    for hole, rate in (("round_001", "0.04"), ("round_002", "0.01")):
        words = (
            "run",
            hole,
            "--course",
            "mine",
            "--preset",
            "tiny",
            "-o",
            f"MATRIX_LR={rate}",
            "-o",
            "THREADS=1",
        )
        done = harness(*words, "--json")
        assert done.returncode == 0, done.stderr

    assert lost.returncode != 0
    assert "data/mine" in lost.stderr
    card = json.loads(done.stdout)
    assert (
        card["split"] == json.loads((tmp_path / "data/mine/course.json").read_text())["val_text_sha256"][:12]
    )
    assert card["comparisons"]["par"]["outcome"] == "cannot tell"
    assert card["record"]["config"]["VOCAB_SIZE"] == "400"
    assert harness("publish", "--no-pictures").returncode == 0
    sound = harness("data", "check", "--course", "mine")
    shard = tmp_path / "data" / "mine" / "fineweb_train_000000.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    torn = harness("data", "check", "--course", "mine", "--json")
    assert (sound.returncode, "1 training shards" in sound.stdout) == (0, True)
    assert (torn.returncode, "its header promises" in torn.stdout) == (1, True)
    assert harness("data", "check", "--course", "mien").returncode == 2
    taken = harness("data", "prepare", "mine", "--text", str(text))
    assert (taken.returncode, 'called "mine" already' in taken.stderr) == (2, True)
