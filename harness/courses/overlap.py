"""How much of a course's validation text is also in its training text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.courses.shards import Shards, fingerprint_file
from harness.errors import HarnessError
from harness.files import cache_dir, write_whole
from harness.findings import Finding

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]

WINDOW = 64  # tokens that must repeat; about 160 bytes of text, more than boilerplate lines
MOST_WINDOWS = 200_000  # of the validation, spread evenly
MOST_TOKENS = 40_000_000  # of the training data, in spread pieces: about three seconds
QUICK_TOKENS = 8_000_000  # what `harness run` looks through by itself
PIECE = 2_000_000
BASE = 0x9E3779B97F4A7C15  # odd, so that multiplying by it loses nothing in 64 bits
BOILERPLATE = 0.05  # share of the validation text
VERSION = 2  # of a cached answer


@dataclass(frozen=True)
class Overlap:
    """How much of the validation text stands in the training data.

    windows: runs of WINDOW validation tokens that were looked for. repeated: how many were found exactly.
    searched: training tokens looked through, of train_tokens. copies: validation shards also trained on.
    """

    windows: int
    repeated: int
    searched: int
    train_tokens: int
    copies: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.repeated / self.windows if self.windows else 0.0

    @property
    def bound(self) -> str:
        part = "all" if self.searched == self.train_tokens else f"{self.searched / 1e6:,.0f} M of"
        return f"{self.windows:,} windows of {WINDOW} tokens in {part} {self.train_tokens / 1e6:,.1f} M"


def find_overlap(shards: Shards, cache: Path | None = None) -> Overlap:
    """Look for the validation's text in the training data; the answer is kept for the same files.

    cache: the folder that keeps answers; the user's own when None.
    """
    place = _cached_path(shards, cache)
    if known := _read_cached(place):
        return known
    overlap = _search(shards)
    if place:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, json.dumps(asdict(overlap)).encode())
        except (OSError, HarnessError):
            pass  # a cache that cannot be written costs time, no more
    return overlap


def quick_overlap(shards: Shards, cache: Path | None = None) -> Overlap | None:
    """Like find_overlap, but None where it would take long and was not looked for before."""
    place = _cached_path(shards, cache)
    if shards.train_tokens <= QUICK_TOKENS:
        return find_overlap(shards, cache)
    return _read_cached(place)


def overlap_findings(overlap: Overlap) -> list[Finding]:
    """Judge an overlap: copies and most of the text are errors, more than boilerplate is a warning.

    Below BOILERPLATE there is no finding: licences and the like repeat (2.2 % of the practice course's
    windows do).
    """
    why = "a score on text that was trained on measures memory"
    todo = "take the validation's documents out of the training shards, or fetch both again"
    findings = [Finding("error", copy, why, todo) for copy in overlap.copies]
    if overlap.share >= BOILERPLATE:
        level: Literal["error", "warning"] = "error" if overlap.share >= 0.5 else "warning"
        what = f"{overlap.share:.1%} of the validation text stands in the training data ({overlap.bound})"
        findings.append(Finding(level, what, why, todo))
    return findings


def _search(shards: Shards) -> Overlap:
    import numpy as np

    from trainer.data import load_shard

    val = np.concatenate([np.asarray(load_shard(path)) for path in shards.val])
    count = len(val) // WINDOW
    keep = np.linspace(0, max(count - 1, 0), min(count, MOST_WINDOWS)).astype(np.int64)
    windows = val[: count * WINDOW].reshape(count, WINDOW)[keep]
    # A run of one token (padding) says nothing.
    windows = windows[(windows != windows[:, :1]).any(axis=1)]
    hashes = _rolling(windows.reshape(-1))[::WINDOW] if len(windows) else np.zeros(0, np.uint64)
    order = np.argsort(hashes)
    ordered = hashes[order]
    maybe = np.zeros(1 << 22, dtype=bool)  # sieve: most places are thrown out by one look
    maybe[(ordered >> np.uint64(42)).astype(np.int64)] = True
    repeated = np.zeros(len(windows), dtype=bool)
    searched = 0
    for path, start, stop in _pieces(shards):
        searched += stop - start
        piece = np.asarray(load_shard(path)[start : stop + WINDOW - 1])
        if len(piece) < WINDOW or not len(windows):
            continue
        rolling = _rolling(piece)
        places = np.flatnonzero(maybe[(rolling >> np.uint64(42)).astype(np.int64)])
        at = np.searchsorted(ordered, rolling[places])
        hit = (at < len(ordered)) & (ordered[np.minimum(at, len(ordered) - 1)] == rolling[places])
        for place, index in zip(places[hit], at[hit], strict=True):
            while index < len(ordered) and ordered[index] == rolling[place]:
                window = order[index]
                if not repeated[window]:
                    repeated[window] = bool((piece[place : place + WINDOW] == windows[window]).all())
                index += 1
    return Overlap(len(windows), int(repeated.sum()), searched, shards.train_tokens, _copies(shards))


def _rolling(tokens: Any) -> Hashes:
    """Hash every run of WINDOW tokens by doubling: the hash of 2k tokens is that of k, shifted, plus the next
    k's.
    """
    import numpy as np

    hashes: Hashes = (tokens.astype(np.uint64) + np.uint64(1)) * np.uint64(BASE)
    length, power = 1, BASE
    while length < WINDOW:
        hashes = hashes[:-length] * np.uint64(power) + hashes[length:]
        power = power * power % 2**64
        length *= 2
    return hashes


def _pieces(shards: Shards) -> list[tuple[Path, int, int]]:
    """Cut the training shards into pieces; when they are too many, an evenly spread choice of them."""
    from trainer.data import read_shard_header

    pieces = [
        (path, start, min(start + PIECE, count))
        for path in shards.train
        for count in [read_shard_header(path)]
        for start in range(0, count, PIECE)
    ]
    most = MOST_TOKENS // PIECE
    if len(pieces) <= most:
        return pieces
    return [pieces[number * len(pieces) // most] for number in range(most)]


def _copies(shards: Shards) -> tuple[str, ...]:
    """Name validation shards that equal a training shard byte for byte; only equal sizes are read."""
    copies = []
    for val in shards.val:
        size = val.stat().st_size
        alike = [path for path in shards.train if path.stat().st_size == size]
        ours = fingerprint_file(val, 64) if alike else ""
        copies += [
            f"{val.name} and {path.name} are one file" for path in alike if fingerprint_file(path, 64) == ours
        ]
    return tuple(copies)


def _cached_path(shards: Shards, cache: Path | None) -> Path | None:
    root = cache or cache_dir()
    if root is None:
        return None
    digest = hashlib.sha256(f"{VERSION} {WINDOW} {MOST_WINDOWS} {MOST_TOKENS}\n".encode())
    for path in (*shards.val, *shards.train):
        stat = path.stat()
        digest.update(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n".encode())
    return root / "overlap" / f"{digest.hexdigest()[:24]}.json"


def _read_cached(place: Path | None) -> Overlap | None:
    try:
        raw = json.loads(place.read_text()) if place else None
        return Overlap(**{**raw, "copies": tuple(raw["copies"])}) if raw else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
