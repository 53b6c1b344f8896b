"""Token shards seen from outside: headers, sizes and seals.

Bounded in time; what was not read is reported. numpy is imported where it is needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.documents import FileProblem, MissingFile, naming, read_json
from harness.figures import number
from harness.files import open_file
from harness.findings import Finding

SEALS = "pulled.json"  # written by `harness data pull` two folders above the shards
MAX_BYTES = 2_000_000  # of that file, and of a manifest
HASHED_BYTES = 1_000_000_000  # of sealed files, the validation first: a second or two

ShardSplit = Literal["train", "val"]


@dataclass(frozen=True)
class Shards:
    """A data folder's shards. tokens: by the headers, of those that could be read."""

    folder: Path
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    train_tokens: int
    val_tokens: int

    @property
    def whole(self) -> bool:
        return bool(self.train and self.val)


def read_folder(folder: Path) -> tuple[Shards, list[Finding]]:
    """Read the headers of all shards in a folder and check them against the files' sizes."""
    from trainer.data import find_shards, read_shard_header
    from trainer.errors import DataError

    findings: list[Finding] = []
    paths: dict[ShardSplit, list[Path]] = {"train": [], "val": []}
    tokens: dict[ShardSplit, int] = {"train": 0, "val": 0}
    splits: tuple[ShardSplit, ...] = ("train", "val")
    for split in splits:
        try:
            shards = find_shards(folder, split)
        except DataError as error:
            findings.append(
                Finding(
                    "error",
                    error.message,
                    "nothing can be trained or scored without it",
                    "`harness data pull --train-shards 1` fetches the challenge's; or set DATA_PATH with -o",
                )
            )
            continue
        for path in shards:
            try:
                tokens[split] += read_shard_header(path)
                paths[split].append(path)
            except DataError as error:
                findings.append(Finding("error", error.message, "the run would end here", error.hint))
    return Shards(
        folder, tuple(paths["train"]), tuple(paths["val"]), tokens["train"], tokens["val"]
    ), findings


# Seals ------------------------------------------------------------------------------------------------


def check_seals(shards: Shards) -> tuple[str, list[Finding]]:
    """Check shards against what was published, if they were pulled: all sizes, and hashes within a bound.

    The first value says what was checked, "" where there is nothing to check against.
    """
    path = shards.folder.parent.parent / SEALS
    try:
        sealed = read_json(path, MAX_BYTES)
        with naming(path):
            published = {
                name: (int(entry["bytes"]), str(entry["fingerprint"]))
                for name, entry in sealed["files"].items()
            }
    except MissingFile:
        return "", []
    except FileProblem as error:
        unreadable = Finding(
            "warning",
            error.message,
            "hashes cannot be checked",
            "`harness data pull` again",
        )
        return "", [unreadable]
    findings, hashed, budget = [], 0, HASHED_BYTES
    files = [*shards.val, *shards.train]
    for file in files:
        size, fingerprint = published.get(f"datasets/{shards.folder.name}/{file.name}", (None, ""))
        if size is None:
            continue
        right = file.stat().st_size == size
        if right and size <= budget:
            budget -= size
            hashed += 1
            right = fingerprint_file(file, len(fingerprint)) == fingerprint
        if not right:
            findings.append(
                Finding(
                    "error",
                    f"{file} is not what was published",
                    "a damaged text gives a score of nothing",
                    "delete it and `harness data pull` again",
                )
            )
    return f"{hashed} of {len(files)} shards hashed against {path.name}", findings


def fingerprint_file(path: Path, digits: int = 64) -> str:
    """Return the sha256 of a file (64 digits), or the sha1 of its git blob (40), as hexadecimal digits."""
    blob = b"blob %d\0" % path.stat().st_size
    digest = hashlib.sha256() if digits == 64 else hashlib.sha1(blob, usedforsecurity=False)
    with open_file(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def describe(shards: Shards) -> str:
    """One line on what lies in the folder."""
    return (
        f"{number(len(shards.train), 'training shard')}, {shards.train_tokens:,} tokens; "
        f"{len(shards.val)} validation, {shards.val_tokens:,}"
    )
