"""Shards on disk, the stream of training batches, the validation tokens, and how many bytes tokens stand for.

A shard is a header of 256 little-endian int32 (magic, version, token count, zeros), then that many uint16
tokens. Shards are memory-mapped: the real training set is 20 GB. This module knows nothing of models and
never imports torch, so that a course can be prepared, and data checked, in a fraction of a second.

Source of the format and of the batch rule: the challenge's train_gpt.py.
"""

from __future__ import annotations

import bisect
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError

Tokens = npt.NDArray[np.uint16]
Ids = npt.NDArray[np.int64]

# modded-nanogpt's and llm.c's shard format.
MAGIC = 20240520
VERSION = 1
HEADER_BYTES = 256 * 4
TOKEN_BYTES = 2
# U+2581. A piece that begins with it begins a word.
SPACE = "\u2581"  # how SentencePiece spells a space inside a piece

_EDGE_BYTES = 64 * 1024  # of each end of a training shard, for its fingerprint


# -- shards ----------------------------------------------------------------------------------------


def write_shard(path: Path, tokens: npt.ArrayLike) -> None:
    """Write `tokens` as a shard. Raises DataError for an id that does not fit 16 bits."""
    values = np.asarray(tokens)
    if values.ndim != 1:
        raise DataError(f"{path}: tokens of shape {values.shape} are not one row", "pass a flat array")
    if values.size and (values.min() < 0 or values.max() > np.iinfo(np.uint16).max):
        raise DataError(
            f"{path}: token ids {values.min()} to {values.max()} do not fit 16 bits",
            "a shard holds ids 0 to 65535",
        )
    # Little-endian whatever the machine: shards travel.
    header = np.zeros(HEADER_BYTES // 4, dtype="<i4")
    header[:3] = MAGIC, VERSION, values.size
    with Path(path).open("wb") as file:
        file.write(header.tobytes())
        file.write(values.astype("<u2").tobytes())


def read_shard_header(path: Path) -> int:
    """Return how many tokens a shard holds.

    Raises DataError when it is missing, not a shard, or cut short.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"cannot read shard {path}: {error.strerror}", "check DATA_PATH") from error
    if len(head) < HEADER_BYTES:
        raise DataError(
            f"{path} is no shard: {size} bytes, its header alone takes {HEADER_BYTES}", "write it again"
        )
    magic, version, count = (int(value) for value in np.frombuffer(head, dtype="<i4", count=3))
    if (magic, version) != (MAGIC, VERSION):
        raise DataError(
            f"{path} is no shard: magic {magic}, version {version}",
            f"expected magic {MAGIC}, version {VERSION}; is DATA_PATH a folder of tokenized shards?",
        )
    promised = HEADER_BYTES + TOKEN_BYTES * count
    # A download that was cut short has a whole header; only the size gives it away.
    if size != promised:
        raise DataError(
            f"{path} has {size:,} bytes, but its header promises {promised:,} ({count:,} tokens)",
            "the shard was cut short or changed; fetch or prepare it again",
        )
    return count


def load_shard(path: Path) -> Tokens:
    """Map a shard's tokens into memory, read-only. Raises DataError as `read_shard_header` does."""
    count = read_shard_header(path)
    # mmap refuses an empty range.
    if not count:  # nothing can be mapped
        return np.zeros(0, dtype="<u2")
    return np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(count,))


def find_shards(folder: Path, split: Literal["train", "val"]) -> list[Path]:
    """List a split's shards by name. Raises DataError if there are none."""
    # The names that the challenge's data has; its order by name is the order of training.
    pattern = f"fineweb_{split}_*.bin"
    paths = sorted(Path(folder).glob(pattern))
    if not paths:
        raise DataError(
            f"no {pattern} in {folder}",
            "DATA_PATH must name the folder of the shards; "
            "`python -m harness.courses.practice` prepares a small course",
        )
    return paths


# -- training batches ------------------------------------------------------------------------------


class TokenStream:
    """All training tokens in shard order, again and again, without shuffling.

    `position` counts the tokens taken so far; setting it moves the stream, which is all a resume needs.
    """

    def __init__(self, shards: Sequence[Tokens]) -> None:
        self._shards = [shard for shard in shards if len(shard)]
        if not self._shards:
            raise DataError("the training shards hold no tokens", "fetch or prepare them again")
        self._ends = np.cumsum([len(shard) for shard in self._shards]).tolist()
        self.position = 0

    @property
    def tokens(self) -> int:
        """Tokens in one pass."""
        return int(self._ends[-1])

    def take(self, count: int) -> Tokens:
        """Return the next `count` tokens."""
        parts = []
        while count:
            at = self.position % self.tokens
            # The shard that holds the position, by binary search over the shards' ends.
            index = bisect.bisect_right(self._ends, at)
            part = self._shards[index][len(self._shards[index]) - (self._ends[index] - at) :][:count]
            parts.append(part)
            count -= len(part)
            self.position += len(part)
        return np.concatenate(parts)


def next_batch(
    stream: TokenStream, local_tokens: int, seq_len: int, rank: int = 0, world_size: int = 1
) -> tuple[Ids, Ids]:
    """Return one rank's inputs and targets of the next micro-batch, each (rows, seq_len).

    Every rank takes `local_tokens + 1` tokens, one more than it predicts, and the next micro-batch begins
    after that extra token. So the number of micro-batches and of ranks changes which tokens are seen.
    """
    span = local_tokens + 1
    # The ranks' parts lie side by side in the stream, so that all of them together see what one would.
    chunk = stream.take(span * world_size)[rank * span : (rank + 1) * span].astype(np.int64)
    return chunk[:-1].reshape(-1, seq_len), chunk[1:].reshape(-1, seq_len)


# -- validation ------------------------------------------------------------------------------------


def load_validation(paths: Sequence[Path], seq_len: int) -> Tokens:
    """Return all validation tokens, cut to whole sequences plus the last target.

    Raises DataError if they are fewer than one sequence.
    """
    # All of it in memory, two bytes a token: evaluation reads it in any order.
    tokens = np.concatenate([load_shard(path) for path in paths])
    sequences = (len(tokens) - 1) // seq_len
    if sequences < 1:
        raise DataError(
            f"the validation shards hold {len(tokens):,} tokens, fewer than one sequence of "
            f"TRAIN_SEQ_LEN={seq_len} + 1",
            "lower TRAIN_SEQ_LEN",
        )
    return tokens[: sequences * seq_len + 1]


# -- bytes -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ByteTable:
    """UTF-8 bytes behind each token id. All three arrays have one entry per id.

    base_bytes: bytes without a leading space.
    leading_space: the piece begins with a space, worth one byte unless a boundary stands before it.
    boundary: control, unknown and unused ids; they stand for no bytes.
    """

    base_bytes: npt.NDArray[np.int16]
    leading_space: npt.NDArray[np.bool_]
    boundary: npt.NDArray[np.bool_]

    def count(self, previous: npt.NDArray[Any], targets: npt.NDArray[Any]) -> int:
        """Sum the bytes of `targets`, each following the token of `previous` at the same place."""
        # A leading space counts, unless a document begins there: SentencePiece adds that one.
        spaces = self.leading_space[targets] & ~self.boundary[previous]
        return int(self.base_bytes[targets].sum(dtype=np.int64) + spaces.sum(dtype=np.int64))


def byte_table(sp: Any) -> ByteTable:
    """Tabulate a SentencePiece processor's pieces.

    Unlike the challenge's script, every "▁" of a piece is taken for the one-byte space it stands for, not
    only the first: a piece of four is 4 bytes there 1 + 9. On tokenizers without whitespace-only pieces both
    agree.
    """
    size = int(sp.vocab_size())
    # int16: the longest pieces have a few dozen bytes.
    base_bytes = np.zeros(size, dtype=np.int16)
    leading_space = np.zeros(size, dtype=np.bool_)
    boundary = np.zeros(size, dtype=np.bool_)
    for token in range(size):
        # They are never text, so they add loss but no bytes, as in the challenge's eval_val.
        if sp.is_control(token) or sp.is_unknown(token) or sp.is_unused(token):
            boundary[token] = True
        elif sp.is_byte(token):
            base_bytes[token] = 1
        else:
            text = sp.id_to_piece(token).replace(SPACE, " ")
            leading_space[token] = text.startswith(" ")
            base_bytes[token] = len(text.removeprefix(" ").encode())
    return ByteTable(base_bytes, leading_space, boundary)


def check_byte_table(sp: Any, table: ByteTable, tokens: Tokens, sample: int = 20_000) -> None:
    """Compare the table with what the tokenizer itself decodes, on the first tokens.

    Raises DataError if they differ.

    A table that counts too many bytes makes every score too good (28 % once), so this is worth milliseconds.
    """
    counted = decoded = 0
    for run in _runs_between_boundaries(tokens[:sample], table):
        counted += table.count(run[:-1], run[1:]) + int(table.base_bytes[run[0]])
        text = sp.decode(run.tolist())
        # A space right after the boundary counts where it is spelled as a byte, not where a piece begins so.
        decoded += len(text.encode()) - bool(table.leading_space[run[0]])
    # A run may be cut inside a character that is spelled in byte pieces, and then decodes to U+FFFD.
    if abs(counted - decoded) > max(8, decoded // 1000):
        raise DataError(
            f"the byte table counts {counted:,} bytes where the tokenizer decodes {decoded:,}",
            "does TOKENIZER_PATH belong to these shards?",
        )


def _runs_between_boundaries(tokens: Tokens, table: ByteTable) -> Iterator[Tokens]:
    edges = np.flatnonzero(table.boundary[tokens])
    for run in np.split(tokens, edges):
        inside = run[1:] if len(run) and table.boundary[run[0]] else run
        if len(inside):
            yield inside


# -- fingerprints ----------------------------------------------------------------------------------


def sha256_of(paths: Sequence[Path]) -> str:
    """Hash whole files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def train_fingerprint(paths: Sequence[Path]) -> str:
    """Fingerprint training shards without reading 20 GB.

    For each shard in order: its name, its size, and the sha256 of its first and of its last 64 KiB (of the
    whole, where it is shorter), one tab-separated line each; the result is the sha256 of those lines.
    """
    lines = []
    for path in paths:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = file.read(_EDGE_BYTES)
            file.seek(max(0, size - _EDGE_BYTES))
            last = file.read(_EDGE_BYTES)
        digests = (hashlib.sha256(edge).hexdigest() for edge in (first, last))
        lines.append("\t".join([Path(path).name, str(size), *digests]) + "\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
