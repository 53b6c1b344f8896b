"""The vocabulary without a tokenizer: four special ids (padding, beginning, end, unknown), then 256 bytes.

TOKENIZER_PATH=byte260 with VOCAB_SIZE=260. Shards hold BOS before each document and a byte + 4 for each of
its bytes; every byte token counts one byte, so bits per byte is the loss over ln 2, but for the BOS targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Named in TOKENIZER_PATH, where a file's name would stand.
NAME = "byte260"
BOS = 1
SPECIAL = 4
SIZE = SPECIAL + 256
FINGERPRINT = hashlib.sha256(NAME.encode()).hexdigest()


class ByteTokenizer:
    """The part of a SentencePiece processor that the trainer asks."""

    def vocab_size(self) -> int:
        return SIZE

    def is_control(self, token: int) -> bool:
        return token < SPECIAL - 1

    def is_unknown(self, token: int) -> bool:
        return token == SPECIAL - 1

    def is_unused(self, token: int) -> bool:
        return False

    def is_byte(self, token: int) -> bool:
        return token >= SPECIAL

    def decode(self, tokens: list[int]) -> str:
        return bytes(token - SPECIAL for token in tokens if token >= SPECIAL).decode(errors="replace")


def encode_bytes(documents: Iterable[bytes]) -> npt.NDArray[np.uint16]:
    """Return the tokens of documents, one after the other, BOS before each."""
    import numpy as np  # 0.1 s, which a plan has no use for

    parts = [
        np.r_[BOS, np.frombuffer(document, np.uint8).astype(np.int64) + SPECIAL] for document in documents
    ]
    return np.concatenate(parts).astype(np.uint16) if parts else np.zeros(0, np.uint16)
