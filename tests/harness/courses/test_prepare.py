"""A course of one's own text: what is held out, what is refused, and that it can be played."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import re
import sys
import sysconfig
from pathlib import Path

import pytest
import sentencepiece
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harness.courses.corpus import Document, token_bytes
from harness.courses.prepare import LEAST_VAL_BYTES, prepare_text, split_documents
from harness.courses.text_files import LARGE_BYTES, cut_large, read_text
from harness.errors import HarnessError
from tests.trainer.conftest import file_hash
from trainer.data import byte_table, check_byte_table, find_shards, load_shard

STDLIB = Path(sysconfig.get_path("stdlib"))
_CHOICE = random.Random(1)
_WORDS = ["".join(_CHOICE.choice("abcdefgh") for _ in range(6)) for _ in range(300)]
FEW_PIECES = "\n".join(_CHOICE.choice(_WORDS) for _ in range(40_000))
MANY_CHARACTERS = "\n".join(
    "".join(chr(_CHOICE.randrange(0x4E00, 0x4E00 + 8000)) for _ in range(100)) for _ in range(1_000)
)


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
    return prepare_text([str(text)], tmp_path_factory.mktemp("made") / "course", vocab_size=400)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The text that the tokens of a course stand for, by split."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return {
        split: b"".join(
            token_bytes(tokenizer, int(token))
            for path in find_shards(folder, split)
            for token in load_shard(path)
        )
        for split in ("train", "val")
    }


def test_tokens_stand_for_exactly_the_text_and_nothing_is_in_both_parts(course, text):
    bytes_of_token = bytes_of(course.path)

    documents = [path.read_bytes() for path in text.rglob("*") if path.suffix in (".py", ".txt")]
    assert len(bytes_of_token["train"]) + len(bytes_of_token["val"]) == sum(map(len, documents))
    assert hashlib.sha256(bytes_of_token["val"]).hexdigest() == course.val_text_sha256
    assert len(bytes_of_token["val"]) == course.val_bytes
    whole = [(one in bytes_of_token["train"]) + (one in bytes_of_token["val"]) for one in documents]
    assert sorted(whole) in ([1] * len(whole), [0] + [1] * (len(whole) - 1))  # at most one is cut
    assert course.left_out == {"noise.bin": "it is binary: it holds a zero byte"}


def test_same_text_gives_the_same_bytes(course, text, tmp_path):
    again = prepare_text([str(text)], tmp_path / "again", vocab_size=400)

    for name in ("fineweb_train_000000.bin", "fineweb_val_000000.bin", "tokenizer.model", "course.json"):
        assert file_hash(again.path / name) == file_hash(course.path / name), name


def test_lines_of_a_jsonl_file_are_documents(text, tmp_path):
    lines = [json.dumps({"text": path.read_text()}) for path in sorted(text.glob("*.py"))]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines) + "\n")

    prepared = prepare_text(
        [str(tmp_path / "docs.jsonl")], tmp_path / "made", vocab_size=400, val_bytes=50_000
    )

    assert prepared.documents == 30
    assert 45_000 <= prepared.val_bytes <= 55_000


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ({}, {}, "no text in"),
        ({"a.txt": "short"}, {}, "1 document of 5 bytes"),
        ({"a.jsonl": '{"words": "x"}'}, {}, 'a.jsonl:1 holds no text as "text"; .*--field words'),
        ({"a.jsonl": '{"text": "x"}\n{"text": 3}'}, {}, "a.jsonl:2 holds no text"),
        ({"a.jsonl": '{"text": "x"}\n\n[['}, {}, "a.jsonl:3 is no line of JSON"),
        ({"a.jsonl": '{"text": "\\ud800"}'}, {}, "a.jsonl:1 holds half a character"),
        ({"a.txt": "ab " * 90_000}, {"val_bytes": 99_999_999_999}, "less than half"),
        ({"a.txt": "ab " * 90_000}, {"val_bytes": 1}, "too little; ask for 10000 or more"),
        ({"a.txt": "ab " * 50_000, "b.txt": "cd " * 50_000}, {"val_bytes": 200_000}, "less than half"),
        ({"a.txt": "ab " * 90_000}, {}, "no tokenizer of 1,024 pieces.*; the text repeats itself too much"),
        ({"a.txt": FEW_PIECES}, {"vocab_size": 9_000}, r"ask for --vocab \d{3,4} or less"),
        ({"a.txt": MANY_CHARACTERS}, {"vocab_size": 400}, r"ask for --vocab 8\d{3} or more"),
        ({"a.txt": "x"}, {"vocab_size": 70_000}, "--vocab 70000 is too large.* 65535 or less"),
        ({"a.txt": "x"}, {"vocab_size": 299}, "--vocab 299 is too small.* 300 or more"),
    ],
)
def test_text_that_makes_no_course_is_named_and_nothing_is_written(content, options, expected, tmp_path):
    source = tmp_path / "text"
    source.mkdir()
    for name, words in content.items():
        (source / name).write_text(words)

    with pytest.raises(HarnessError) as refusal:
        prepare_text([str(source)], tmp_path / "made", **options)

    assert re.search(expected, f"{refusal.value.message}; {refusal.value.hint}")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_one_file_is_cut_by_bytes_and_text_that_begins_with_a_space_is_kept(tmp_path):
    words = ["    first line", "middle \u2581 mark", "Gr\u00fc\u00dfe", *FEW_PIECES.split("\n")]
    text = "\n".join(words) + "\n"
    (tmp_path / "one.txt").write_text(text)

    prepared = prepare_text([str(tmp_path / "one.txt")], tmp_path / "made", 300, val_bytes=20_000)
    both = bytes_of(tmp_path / "made")

    assert both["val"] + both["train"] == text.encode()
    assert 19_900 <= len(both["val"]) == prepared.val_bytes <= 20_000
    assert both["val"].endswith(b"\n")


def test_the_trainer_takes_documents_that_begin_with_a_space(tmp_path):
    lines = [json.dumps({"text": f"  {word} \u2581 {word}"}) for word in FEW_PIECES.split("\n")]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    prepare_text([str(tmp_path / "docs.jsonl")], tmp_path / "made", vocab_size=400)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "made" / "tokenizer.model"))
    [path] = find_shards(tmp_path / "made", "val")

    check_byte_table(tokenizer, byte_table(tokenizer), load_shard(path))  # raises where the counts differ


@given(st.lists(st.binary(max_size=40_000), max_size=6), st.integers(LEAST_VAL_BYTES, 200_000), st.data())
def test_every_byte_is_in_exactly_one_part(parts, wanted, data):
    texts = [b"x" * 120_000, *parts, ("\u00e9 \n\n" * 20_000).encode()]
    documents = [Document(str(number), text) for number, text in enumerate(data.draw(st.permutations(texts)))]
    try:
        held_out, training = split_documents(documents, wanted)
    except HarnessError:
        assert wanted > sum(map(len, texts)) / 2
        return

    joined = [b"".join(one.data for one in part) for part in (held_out, training)]
    assert b"".join(joined) == b"".join(one.data for one in documents)
    assert 0.5 * wanted <= len(joined[0]) <= 1.1 * wanted


@given(st.text(alphabet="a\u00e9\U0001f3cc \n", min_size=1, max_size=40), st.integers(1, 300))
def test_a_large_document_is_cut_between_characters(words, spaces):
    text = (words * (2 * LARGE_BYTES // len(words.encode()) + 1) + " " * spaces).encode()

    parts = cut_large(Document("big.txt", text))

    assert b"".join(one.data for one in parts) == text
    assert all(0 < len(one.data) <= LARGE_BYTES and one.data.decode() for one in parts)


def test_files_folders_patterns_and_standard_input_are_text(tmp_path, monkeypatch):
    (tmp_path / "deep" / ".git").mkdir(parents=True)
    (tmp_path / "deep" / ".git" / "config").write_text("not for training")
    (tmp_path / "deep" / "a.md").write_text(" # indented")
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b'{"text": "c1"}\n{"text": "c2"}\n'))
    (tmp_path / "d.py.zst").write_bytes(zstandard.ZstdCompressor().compress(b"d = 1"))
    (tmp_path / "torn.txt.gz").write_bytes(gzip.compress(bytes(range(256)) * 9)[:40])
    (tmp_path / "torn.zst").write_bytes(b"(\xb5/\xfd no")
    (tmp_path / "latin.txt").write_bytes("gr\u00fcn".encode("latin-1"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))

    folder = read_text([str(tmp_path)])
    mixed = read_text([str(tmp_path / "*.txt"), str(tmp_path / "deep"), str(tmp_path / "b.txt"), "-"])

    assert {one.data for one in folder.documents} == {b" # indented", b"b", b"c1", b"c2", b"d = 1"}
    assert {name.partition(".")[0] for name in folder.left_out} == {"torn", "latin"}
    assert folder.left_out["latin.txt"] == "it is not UTF-8: byte 0xfc at 2"
    assert [one.name for one in folder.documents if one.data == b"c2"] == ["c.jsonl.gz:2"]
    assert sorted(one.data for one in mixed.documents) == [b" # indented", b"b", b"from a pipe"]


def test_field_names_the_key_of_a_line_and_makes_standard_input_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"body": "one"}\n{"body": "two"}')))

    assert sorted(one.data for one in read_text(["-"], "body").documents) == [b"one", b"two"]


def test_a_source_that_is_not_there_is_named(tmp_path):
    for source in (
        str(tmp_path / "nothing"),
        str(tmp_path / "*.txt"),
        "x" * 5_000,
        "~nobody-at-all",
        "/dev/zero",
    ):
        with pytest.raises(HarnessError) as refusal:
            read_text([source])
        assert refusal.value.message.startswith(f"--text {source} ")


def test_data_of_a_course_that_cannot_be_described_is_taken_away(harness, text, tmp_path):
    (tmp_path / "runs").write_text("a file")

    refused = harness("data", "prepare", "mine", "--text", str(text), "--vocab", "400")

    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert not list((tmp_path / "data").glob("*"))


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
    assert (sound.returncode, "1 training shard, " in sound.stdout) == (0, True)
    assert (torn.returncode, "its header promises" in torn.stdout) == (1, True)
    assert harness("data", "check", "--course", "mien").returncode == 2
    taken = harness("data", "prepare", "mine", "--text", str(text))
    assert (taken.returncode, 'called "mine" already' in taken.stderr) == (2, True)
