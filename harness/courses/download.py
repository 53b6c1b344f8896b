"""Published data from the Hugging Face hub: the challenge's shards and tokenizers, resumable and checked by hash.

Whatever huggingface_hub understands works here as well: HF_ENDPOINT names a mirror, HF_TOKEN signs in. The folder
is laid out as the challenge's scripts expect: `datasets/fineweb10B_sp1024/`, `tokenizers/`, `manifest.json`.

Source of the repository's layout: data/cached_challenge_fineweb.py and data/README.md of openai/parameter-golf.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import HarnessError, UsageError, nearest
from harness.files import write_whole
from trainer.data import HEADER_BYTES, TOKEN_BYTES, read_shard_header
from trainer.errors import DataError

REPOSITORY = "willdepueoai/parameter-golf"  # where the challenge publishes its exports
ROOT = "datasets"  # the folder of the export within it
DATASET = "fineweb10B_"  # a dataset is called this and its variant
TRAIN_SHARDS = 80  # the challenge's own default: 8 billion tokens, 16 GB
SHARD_BYTES = HEADER_BYTES + TOKEN_BYTES * 100_000_000
PULLED = "pulled.json"  # what was fetched, with size and hash: the seal that `data check` reads
AGAIN = "what was fetched is kept; the same command goes on from there"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Remote:
    """A file of the repository. fingerprint: sha256 (64 digits) or git's blob sha1 (40), as the hub gives it."""

    path: str
    bytes: int
    fingerprint: str


@dataclass
class Download:
    """What lies in the folder after a pull. tokens: of all training and all validation shards that are there."""

    repository: str
    commit: str
    data_path: Path
    tokenizer_path: Path
    fetched: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)


def pull(
    variant: str,
    target: Path,
    train_shards: int | None = None,
    repository: str = REPOSITORY,
    report: Report = lambda line: None,
) -> Download:
    """Fetch a variant (sp1024, sp8192, byte260 ...): all validation shards, the first training shards, the tokenizer.

    Files that are there already and have the published hash stay as they are; an interrupted download goes on.
    train_shards: how many; None for the challenge's 80, or all where there are fewer.
    Raises UsageError for a variant or a number that is not published, HarnessError for network, disk and damage.
    """
    if train_shards is not None and train_shards < 0:
        raise UsageError(f"--train-shards {train_shards} is less than none", "0 fetches the validation alone")
    hub = _Hub(repository, target)
    manifest = json.loads(hub.read(f"{ROOT}/manifest.json"))
    wanted, model = _wanted(manifest, variant, train_shards, hub)
    remotes = [hub.look(path) for path in wanted]
    pulled = Download(
        repository, hub.commit, target / "datasets" / f"{DATASET}{variant}", target / _local(model)
    )
    seals = _read_seals(target)
    missing = [remote for remote in remotes if not _is_sealed(target, remote, seals)]
    _check_room(target, missing)
    for number, remote in enumerate(remotes, start=1):
        name = _local(remote.path).as_posix()
        if remote not in missing:
            pulled.kept.append(name)
            continue
        report(f"{number} of {len(remotes)}: {name} ({remote.bytes / 1e6:,.1f} MB)")
        hub.fetch(remote)
        seals[name] = {"bytes": remote.bytes, "fingerprint": remote.fingerprint}
        _write_seals(target, repository, hub.commit, seals)
        pulled.fetched.append(name)
    for split in ("train", "val"):
        shards = sorted(pulled.data_path.glob(f"fineweb_{split}_*.bin"))
        pulled.tokens[split] = sum(read_shard_header(path) for path in shards)
    _check_validation(manifest, variant, pulled.tokens["val"])
    shutil.rmtree(target / _STAGING, ignore_errors=True)
    return pulled


def _wanted(
    manifest: dict[str, Any], variant: str, train_shards: int | None, hub: _Hub
) -> tuple[list[str], str]:
    """Return the paths to fetch, and that of the tokenizer a trainer wants."""
    published = {entry["name"]: entry for entry in manifest.get("datasets", [])}
    entry = published.get(DATASET + variant)
    if entry is None:
        known = [name.removeprefix(DATASET) for name in published if name.startswith(DATASET)]
        close = nearest(variant, known)
        raise UsageError(
            f'{hub.repository} publishes no variant "{variant}"',
            (f"did you mean {close}? " if close else "") + f"published: {', '.join(sorted(known)) or 'none'}",
        )
    tokenizers = {one["name"]: one for one in manifest.get("tokenizers", [])}
    tokenizer = tokenizers.get(entry.get("tokenizer_name"), {})
    files = [str(tokenizer[key]) for key in ("model_path", "vocab_path", "path") if tokenizer.get(key)]
    there = int(entry["stats"]["files_train"])
    count = min(TRAIN_SHARDS, there) if train_shards is None else train_shards
    if count > there:
        raise UsageError(f"--train-shards {count}: {variant} has {there}", f"ask for {there} or fewer")
    if not files:
        raise HarnessError(f"{hub.repository} names no tokenizer for {variant}", "pull another variant")
    folder = f"{ROOT}/datasets/{DATASET}{variant}"
    shards = [f"{folder}/fineweb_val_{n:06d}.bin" for n in range(int(entry["stats"]["files_val"]))]
    shards += [f"{folder}/fineweb_train_{n:06d}.bin" for n in range(count)]
    return [f"{ROOT}/{path}" for path in files] + shards, f"{ROOT}/{files[0]}"


def _local(remote: str) -> Path:
    """Where a file of the repository lies below the target. Raises HarnessError for a name that leads out of it."""
    path = PurePosixPath(remote).relative_to(ROOT)
    if path.is_absolute() or ".." in path.parts:
        raise HarnessError(f'the manifest names "{remote}", which leads out of the folder', "do not trust it")
    return Path(*path.parts)


# Seals --------------------------------------------------------------------------------------------


def _read_seals(target: Path) -> dict[str, dict[str, Any]]:
    try:
        known: dict[str, dict[str, Any]] = json.loads((target / PULLED).read_text("utf-8"))["files"]
        return dict(known)
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # then every file is hashed again, which is slow and safe


def _write_seals(target: Path, repository: str, commit: str, seals: dict[str, dict[str, Any]]) -> None:
    content = {"schema": 1, "repository": repository, "commit": commit, "files": dict(sorted(seals.items()))}
    write_whole(target / PULLED, (json.dumps(content, indent=2) + "\n").encode())


def _is_sealed(target: Path, remote: Remote, seals: dict[str, dict[str, Any]]) -> bool:
    """Whether the file is there with the published hash. One that we did not fetch ourselves is hashed once."""
    path = target / _local(remote.path)
    if not path.is_file() or path.stat().st_size != remote.bytes:
        return False
    seal = seals.setdefault(_local(remote.path).as_posix(), {})
    if seal.get("fingerprint") != remote.fingerprint:
        if _fingerprint(path, remote.fingerprint) != remote.fingerprint:
            return False
        seal |= {"bytes": remote.bytes, "fingerprint": remote.fingerprint}
    return True


def _fingerprint(path: Path, like: str) -> str:
    """Return the sha256 of a file, or git's blob sha1 where the published one is that short."""
    if len(like) == 40:
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        digest.update(path.read_bytes())  # only small text files lie in git itself
        return digest.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_room(target: Path, missing: list[Remote]) -> None:
    needed = sum(remote.bytes for remote in missing)
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if needed > free:
        raise HarnessError(
            f"{needed / 1e9:.1f} GB are to be fetched, {free / 1e9:.1f} GB are free in {target}",
            f"make room, or ask for fewer with --train-shards N (each takes {SHARD_BYTES / 1e6:.0f} MB)",
        )


def _check_validation(manifest: dict[str, Any], variant: str, tokens: int) -> None:
    """The scores are only comparable on the whole validation text."""
    entry = next(one for one in manifest["datasets"] if one["name"] == DATASET + variant)
    promised = entry["stats"].get("tokens_val")
    if promised is not None and int(promised) != tokens:
        raise HarnessError(
            f"the validation shards hold {tokens:,} tokens, the manifest promises {int(promised):,}",
            "remove the folder and pull again; if it stays so, the publisher's manifest is wrong",
        )


# The hub ------------------------------------------------------------------------------------------

_STAGING = ".pull"  # half-fetched files, beside their place: a rename then makes them appear whole


class _Hub:
    """One repository at one commit, through huggingface_hub."""

    def __init__(self, repository: str, target: Path) -> None:
        try:
            import huggingface_hub
            import huggingface_hub.errors
            from huggingface_hub.utils.tqdm import disable_progress_bars
        except ImportError as error:
            raise HarnessError(
                "pulling data needs huggingface_hub", "pip install 'parameter-golf-harness[hub]'"
            ) from error
        if not sys.stderr.isatty():
            disable_progress_bars()
        self._hub = huggingface_hub
        self.repository, self.target, self.commit = repository, target, ""

    def look(self, path: str) -> Remote:
        """Ask for a file's size and hash; the first answer pins the commit for all that follow."""
        url = self._hub.hf_hub_url(
            self.repository,
            path,
            repo_type="dataset",
            revision=self.commit or None,
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
        with self._explain(path):
            found = self._hub.get_hf_file_metadata(url)
        if found.etag is None or found.size is None:
            raise HarnessError(f"{url} tells neither size nor hash", "is HF_ENDPOINT a Hugging Face hub?")
        self.commit = self.commit or found.commit_hash or ""
        return Remote(path, found.size, found.etag)

    def read(self, path: str) -> bytes:
        """Fetch a small file and keep it."""
        remote = self.look(path)
        if not _is_sealed(self.target, remote, {}):
            self.fetch(remote)
        return (self.target / _local(path)).read_bytes()

    def fetch(self, remote: Remote) -> None:
        """Download a file, check it, and put it in its place."""
        with self._explain(remote.path):
            staged = Path(
                self._hub.hf_hub_download(
                    self.repository,
                    remote.path,
                    repo_type="dataset",
                    revision=self.commit or None,
                    local_dir=self.target / _STAGING,
                )
            )
        found = _fingerprint(staged, remote.fingerprint)
        if found != remote.fingerprint:
            staged.unlink()
            raise HarnessError(
                f"{remote.path} arrived damaged: {found[:12]}… instead of {remote.fingerprint[:12]}…", AGAIN
            )
        if staged.suffix == ".bin":
            try:
                read_shard_header(staged)
            except DataError as error:
                raise HarnessError(error.message, error.hint) from error
        place = self.target / _local(remote.path)
        with self._explain(remote.path):
            place.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(place)

    @contextmanager
    def _explain(self, path: str) -> Iterator[None]:
        """Turn the library's errors into ours."""
        errors = self._hub.errors
        try:
            yield
        except errors.RepositoryNotFoundError as error:
            raise HarnessError(
                f"the hub knows no dataset {self.repository}, or not for you",
                "check --repository; a private one needs HF_TOKEN",
            ) from error
        except errors.RemoteEntryNotFoundError as error:
            raise HarnessError(
                f"{self.repository} has no {path}", "the publisher moved it; --repository names another"
            ) from error
        except Exception as error:  # its http client's errors pass through, and differ by release
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise HarnessError(
                f"cannot fetch {path}: {line[:200]}",
                f"check network and disk (HF_ENDPOINT names a mirror); {AGAIN}",
            ) from error
