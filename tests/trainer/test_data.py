"""Shards, the batch rule, byte counts, fingerprints."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from trainer.data import (
    HEADER_BYTES,
    ByteTable,
    TokenStream,
    byte_table,
    check_byte_table,
    find_shards,
    load_shard,
    load_validation,
    next_batch,
    read_shard_header,
    train_fingerprint,
    write_shard,
)
from trainer.errors import DataError


@pytest.fixture
def tokenizer(parity):
    return sentencepiece.SentencePieceProcessor(model_file=str(parity / "stdlib_1024_bpe.model"))


def test_a_shard_reads_back(tmp_path):
    path = tmp_path / "fineweb_train_000000.bin"
    write_shard(path, np.array([0, 1, 65535], dtype=np.uint16))

    assert read_shard_header(path) == 3
    assert load_shard(path).tolist() == [0, 1, 65535]


def test_a_shard_has_the_challenges_bytes(tmp_path):
    path = tmp_path / "s.bin"
    write_shard(path, np.array([258], dtype=np.uint16))

    assert path.read_bytes() == struct.pack("<3i", 20240520, 1, 1) + bytes(HEADER_BYTES - 12) + b"\x02\x01"


def test_an_empty_shard_is_no_error(tmp_path):
    write_shard(tmp_path / "s.bin", [])

    assert len(load_shard(tmp_path / "s.bin")) == 0


@pytest.mark.parametrize("tokens", [[-1], [65536], [[1, 2]]])
def test_tokens_that_fit_no_shard_are_refused(tmp_path, tokens):
    with pytest.raises(DataError):
        write_shard(tmp_path / "s.bin", tokens)

    assert not (tmp_path / "s.bin").exists()


def test_a_truncated_shard_tells_both_sizes(tmp_path):
    path = tmp_path / "s.bin"
    write_shard(path, range(100))
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(DataError, match=r"1,214.*1,224"):
        load_shard(path)


def test_a_shard_that_is_too_long_is_refused(tmp_path):
    path = tmp_path / "s.bin"
    write_shard(path, range(100))
    path.write_bytes(path.read_bytes() + b"xx")

    with pytest.raises(DataError, match=r"1,226.*1,224"):
        read_shard_header(path)


def test_another_magic_is_refused(tmp_path):
    path = tmp_path / "s.bin"
    path.write_bytes(struct.pack("<3i", 20240521, 1, 0) + bytes(HEADER_BYTES - 12))

    with pytest.raises(DataError, match="20240521"):
        read_shard_header(path)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_a_file_shorter_than_a_header_is_refused(tmp_path, content):
    (tmp_path / "s.bin").write_bytes(content)

    with pytest.raises(DataError, match="no shard"):
        read_shard_header(tmp_path / "s.bin")


def test_missing_shards_name_the_folder(tmp_path):
    with pytest.raises(DataError, match="fineweb_val"):
        find_shards(tmp_path, "val")


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=5).filter(any),
    st.lists(st.integers(0, 20), max_size=6),
)
def test_the_stream_goes_round_and_round(sizes, counts):
    """Any cutting of the stream gives the endless repetition of all shards."""
    starts = np.cumsum([0, *sizes])
    stream = TokenStream([np.arange(a, a + n, dtype=np.uint16) for a, n in zip(starts, sizes, strict=False)])
    taken = [int(t) for count in counts if count for t in stream.take(count)]

    assert taken == [i % sum(sizes) for i in range(sum(counts))]


def test_the_stream_goes_on_where_it_is_put():
    stream = TokenStream([np.arange(10, dtype=np.uint16)])
    stream.take(13)
    again = TokenStream([np.arange(10, dtype=np.uint16)])
    again.position = stream.position

    assert again.take(5).tolist() == stream.take(5).tolist() == [3, 4, 5, 6, 7]


def test_each_micro_batch_skips_one_token():
    stream = TokenStream([np.arange(100, dtype=np.uint16)])
    next_batch(stream, local_tokens=4, seq_len=2)
    inputs, targets = next_batch(stream, local_tokens=4, seq_len=2)

    assert inputs.tolist() == [[5, 6], [7, 8]]
    assert targets.tolist() == [[6, 7], [8, 9]]


def test_ranks_take_neighbouring_spans():
    batches = [
        next_batch(TokenStream([np.arange(100, dtype=np.uint16)]), 4, 4, rank, world_size=2)[0].tolist()
        for rank in (0, 1)
    ]

    assert batches == [[[0, 1, 2, 3]], [[5, 6, 7, 8]]]


def test_training_batches_are_the_references(parity, reference):
    run = reference["runs"][0]
    stream = TokenStream([load_shard(path) for path in find_shards(parity, "train")])
    digest = hashlib.sha256()
    for _ in range(30 * 8):
        for part in next_batch(stream, local_tokens=256, seq_len=128):
            digest.update(part.astype("<i8").tobytes())

    assert digest.hexdigest() == run["batches_sha256_int64_xy"]


def test_validation_is_cut_to_whole_sequences(parity):
    assert len(load_validation(find_shards(parity, "val"), 1000)) == 32_001


def test_a_validation_shorter_than_a_sequence_is_refused(parity):
    with pytest.raises(DataError, match="TRAIN_SEQ_LEN=40000"):
        load_validation(find_shards(parity, "val"), 40_000)


def test_the_byte_table_is_the_references(parity, reference, tokenizer):
    table = byte_table(tokenizer)
    expected = reference["byte_lut"]
    tokens = load_validation(find_shards(parity, "val"), 128)

    assert (
        hashlib.sha256(table.base_bytes.astype("<i2").tobytes()).hexdigest()
        == expected["base_bytes_sha256_int16"]
    )
    assert table.leading_space.sum() == expected["leading_space_count"]
    assert table.boundary.sum() == expected["boundary_count"]
    assert table.count(tokens[:-1], tokens[1:]) == expected["val_bytes_all_targets"]


def test_bytes_are_those_of_the_decoded_text(tokenizer):
    text = "naïve café: def f(x):\n    return x  # 三"
    tokens = np.array(tokenizer.encode(text))
    table = byte_table(tokenizer)
    first = len(tokenizer.decode(tokens[:1].tolist()).encode())

    assert table.count(tokens[:-1], tokens[1:]) + first == len(tokenizer.decode(tokens.tolist()).encode())


class Pieces:
    """A tokenizer of given pieces; the first is a control id."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = ("<s>", *pieces)

    def vocab_size(self) -> int:
        return len(self.pieces)

    def id_to_piece(self, token: int) -> str:
        return self.pieces[token]

    def is_control(self, token: int) -> bool:
        return token == 0

    def is_byte(self, token: int) -> bool:
        return self.pieces[token].startswith("<0x")

    def is_unknown(self, token: int) -> bool:
        return False

    is_unused = is_unknown


def test_a_piece_of_four_spaces_is_four_bytes():
    """The challenge's script counts 1 + 9 and makes such a tokenizer's scores 28 % too good."""
    table = byte_table(Pieces("▁▁▁▁", "a"))

    assert table.count(np.array([2]), np.array([1])) == 4


def test_a_leading_space_is_free_after_a_boundary():
    table = byte_table(Pieces("▁the", "é", "<0x0A>"))

    assert table.count(np.array([0, 1, 2, 3]), np.array([1, 1, 2, 3])) == 3 + 4 + 2 + 1


def test_a_boundary_stands_for_no_bytes():
    assert byte_table(Pieces("a")).count(np.array([1]), np.array([0])) == 0


def test_a_table_that_counts_too_much_is_noticed(parity, tokenizer):
    tokens = load_validation(find_shards(parity, "val"), 128)
    good = byte_table(tokenizer)
    check_byte_table(tokenizer, good, tokens)

    wrong = ByteTable(good.base_bytes + 1, good.leading_space, good.boundary)
    with pytest.raises(DataError, match="bytes"):
        check_byte_table(tokenizer, wrong, tokens)


@pytest.mark.parametrize("place", [HEADER_BYTES, -1])
def test_the_train_fingerprint_sees_both_ends(tmp_path, place):
    path = tmp_path / "fineweb_train_000000.bin"
    write_shard(path, np.zeros(200_000, dtype=np.uint16))
    before = train_fingerprint([path])
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    assert train_fingerprint([path]) != before


def test_data_loads_without_torch(parity):
    script = "import sys, trainer.data; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=parity.parents[2], check=False)

    assert done.returncode == 0
